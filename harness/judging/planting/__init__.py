"""Planting reads constants and sizes out of the code under test, and solves for the inputs at which they matter."""
