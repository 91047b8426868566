"""Sixteen derivative rules that were released wrong, each beside the right one, and the log-softmax of the README.

The mistakes are public bug reports, written here anew from the mathematics, as a user would write them. In every rule
`g` is the cotangent of the output.
"""

from __future__ import annotations

from tests.zoo import elementwise, rows
from tests.zoo.case import CASES, Case, renamed
from tests.zoo.rows import swish, swish_backward

__all__ = ["CASES", "Case", "elementwise", "renamed", "rows", "swish", "swish_backward"]
