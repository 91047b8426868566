"""Elementary functions of one variable have a row each, with a column for every number system that evaluates them."""
