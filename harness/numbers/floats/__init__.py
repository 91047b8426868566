"""Floats compute what the code computes, in its own formats and at many points at once."""
