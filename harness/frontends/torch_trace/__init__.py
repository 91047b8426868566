"""The torch tracer turns torch code into a program: a graph of core operations, each with its meaning in JAX."""
