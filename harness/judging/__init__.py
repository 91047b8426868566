"""Judging draws points, asks the layers about them, and turns what they saw into a verdict."""
