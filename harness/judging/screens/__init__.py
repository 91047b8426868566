"""Screens look at very many points in plain floats and name those that the layers with error bounds must judge."""
