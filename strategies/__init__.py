"""Strategies say what inputs look like: which sizes, values, points, tangents and cotangents are tried."""
