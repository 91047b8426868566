"""Source code is read here: where a rule is stated, how a test imports it, which rules a package writes by hand."""
