"""Elementary functions of one variable: a row per function, a column per number system that evaluates it."""
