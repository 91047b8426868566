"""Exact scalars run ordinary NumPy code, unchanged and point by point, on balls, dual balls and error bounds."""
