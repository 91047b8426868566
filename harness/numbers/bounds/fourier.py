"""This rule bounds the errors of Fourier transforms: that of the product with the matrix of twiddle factors.

Each entry is a sum of n terms whose factors are rounded once: at most (n + 2) u times the sum of the absolute values of
all numbers (Higham, Accuracy and Stability, 3.1), which is above what fast transforms cause.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backprove.harness.numbers.bounds.arithmetic import Rule
from backprove.harness.numbers.bounds.charges import Charging
from backprove.harness.numbers.bounds.truth import Bounded, Value
from backprove.harness.numbers.elementary.row import float64
from backprove.harness.numbers.fourier import fourier
from backprove.harness.programs.program import Equation


def dft(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> list[Value]:
    fmt = system.format(equation.outputs[0].dtype)
    re, im = inputs
    n = re.v.shape[-2]
    values = fourier(re.v, im.v, equation.params["inverse"])
    size = float64(np.abs(re.v)) + float64(np.abs(im.v))
    # over one real term each, |cos| and |sin| are at most 1
    propagated = (re.e + im.e).sum(axis=-2, keepdims=True)
    off = (n + 2) * fmt.u * (1 + fmt.wide) * (size.sum(axis=-2, keepdims=True) + propagated)
    e = np.broadcast_to(propagated + off + n * system.eta(fmt), values[0].shape)
    return [system.rounded(fmt, v, np.where(np.isfinite(v), e, np.inf), k=0.0) for v in values]


TRANSFORMS: dict[str, Rule] = {"dft": dft}
