"""Who is right where an operator of torch is refused: each was looked at by hand, with 60 digits."""

from __future__ import annotations

ADJUDICATED: dict[str, str] = {
    "as_strided_scatter": (
        "A bug of torch: the gradient of the first argument is kept where it was overwritten and dropped elsewhere."
    ),
    "nn.functional.hardsigmoid": "torch is inaccurate: in float64 its backward multiplies by 1/6 rounded to float32.",
}
"""Operator -> what was found out."""
