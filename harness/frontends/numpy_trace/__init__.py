"""The NumPy tracer records ordinary NumPy code as a program by running it once on duck arrays."""
