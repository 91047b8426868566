"""Thresholds are the numbers that decide verdicts, each with its question, its unit and its reason.

One module for each question that a number answers:

- `exact`: when do two enclosures over the reals agree, and when is a refusal believed?
- `kinks`: which pieces meet at a kink, and does a value lie in their hull?
- `rounding`: what may the floats of a right formula lose, and when is that graded `lossy`?
- `differences`: when does a finite difference say something?
- `screen`: which bulk points need no other layer?
- `called_code`: what is believed of code that can only be called, and of its traces?
- `coverage`: how many points must a layer have seen?
- `large`: how many are enough where a single point is large?

Numbers that decide cost alone (sizes of chunks, lengths of caches and messages) stand where they are used. `u` is the
unit roundoff of the format under test (2**-53 in float64), an ulp up to 2 u of a number.
"""
