"""Programs are the one form that code takes after tracing; this room rewrites, compares and evaluates them."""
