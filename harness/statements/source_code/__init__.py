"""Source code is read here: where a rule is stated, what its functions call, how a test imports it."""
