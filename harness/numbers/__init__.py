"""Number systems run a program: each gives every primitive a meaning, in floats, balls or error bounds."""
