"""Lowering rewrites primitives that no number system has in those that all have, while JAX code is traced."""
