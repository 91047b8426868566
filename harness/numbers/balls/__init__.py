"""Balls enclose what the code means over the reals, and dual balls enclose its derivative."""
