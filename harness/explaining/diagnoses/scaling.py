"""These diagnoses name a derivative times something: zero, -1, a number, a size, or a function of the point."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.explaining.diagnoses.evidence import Case, Evidence, same

CONSTANT = 1e-7
"""Relative spread of a factor that is taken for constant."""


def zero(e: Evidence) -> str | None:
    """The rule gives zero where the derivative is not."""
    if not e.every(lambda c, k: c.got is not None and bool(not c.got[k].any() and c.true[k].any())):
        return None
    return (
        f"{e.where}the result is always zero, as if {_names(e)} had no influence on the output; the "
        "derivative is not zero."
    )


def factor(e: Evidence) -> str | None:
    """`R = c J` with one number c per shape."""
    factors: list[tuple[Case, float]] = []
    for c in e.shaped:
        for k in e.wrong:
            ratio = _ratio(c, k)
            if ratio is None:
                return None
            if ratio != 0:
                factors.append((c, ratio))
    if not factors or len(e.shaped) < len(e.cases):
        return None
    values = np.array([f for _, f in factors])
    if np.ptp(values) <= CONSTANT * np.abs(values).max():
        return _number(e, float(values[0]))
    for words, advice, size in _size_factors(factors[0][0].sizes):
        if all(abs(f - size(c.sizes)) <= CONSTANT * abs(f) for c, f in factors):
            return f"{e.where}the result is {words} times the derivative: {advice}."
    return None


def _number(e: Evidence, value: float) -> str | None:
    if abs(value + 1) <= CONSTANT:
        return f"{e.where}the sign is wrong: the result is minus the derivative. Negate it."
    if abs(value - 1) <= 1e-2:
        return (
            f"{e.where}the result is the derivative times {value:.10g}: a constant in the formula is not "
            "precise enough."
        )
    simple = {2.0: "twice", 0.5: "half", -2.0: "minus twice", -0.5: "minus half"}
    for known, words in simple.items():
        if abs(value - known) <= CONSTANT:
            return f"{e.where}the result is {words} the derivative: multiply it by {1 / known:g}."
    return f"{e.where}the result is {value:.6g} times the derivative, everywhere: a constant factor is wrong."


Size = Callable[[dict[str, int]], float]

ONE_SIZE: tuple[tuple[str, str, Callable[[int], float]], ...] = (
    (
        "1/{n}",
        "something is averaged over the {n} entries (or divided by {n}) where a sum belongs; multiply by {n}",
        lambda n: 1 / n,
    ),
    ("{n}", "something is summed over the {n} entries where a mean belongs; divide by {n}", lambda n: n),
    ("-1/{n}", "a mean stands where a sum belongs, and the sign is wrong; multiply by -{n}", lambda n: -1 / n),
    ("1/sqrt({n})", "multiply by sqrt({n})", lambda n: 1 / math.sqrt(n)),
    ("sqrt({n})", "divide by sqrt({n})", math.sqrt),
    ("{n}/({n}-1)", "divide by {n}, not by {n}-1", lambda n: n / (n - 1) if n > 1 else math.inf),
    ("({n}-1)/{n}", "divide by {n}-1, not by {n}", lambda n: (n - 1) / n),
)
"""Factors made of one size: in words, what to do, the number."""


def _size_factors(sizes: dict[str, int]) -> Iterator[tuple[str, str, Size]]:
    for n in sizes:
        for words, advice, value in ONE_SIZE:
            yield words.format(n=n), advice.format(n=n), partial(_of_size, value, n)
    if len(sizes) > 1:
        every = "*".join(sizes)
        yield f"1/({every})", f"a mean over all entries where a sum belongs; multiply by {every}", _inverse_product
        yield every, f"a sum over all entries where a mean belongs; divide by {every}", _product
    for n in sizes:
        for m in sizes:
            if m != n:
                yield f"{n}/{m}", f"divide by {n}, not by {m}", partial(_quotient, n, m)


def _of_size(value: Callable[[int], float], n: str, sizes: dict[str, int]) -> float:
    return value(sizes[n])


def _quotient(n: str, m: str, sizes: dict[str, int]) -> float:
    return sizes[n] / sizes[m]


def _inverse_product(sizes: dict[str, int]) -> float:
    return 1 / _product(sizes)


def _product(sizes: dict[str, int]) -> float:
    return float(np.prod(list(sizes.values())))


def _ratio(c: Case, k: int) -> float | None:
    """c with `R = c J`; 0 where J is zero and so is R; None where there is none."""
    assert c.got is not None
    got, true = c.got[k], c.true[k]
    if not np.isfinite(got).all():
        return None
    if not true.any():
        return 0.0 if not got.any() else None
    j = np.unravel_index(int(np.abs(true).argmax()), true.shape)
    ratio = float(got[j] / true[j])
    return ratio if ratio != 0 and same(got, ratio * true) else None


# -- a factor that depends on the point ------------------------------------------------------------------------------

ELEMENTARY: dict[str, Callable[[Array], Array]] = {
    "{v}": lambda v: v,
    "{v}**2": lambda v: v**2,
    "exp({v})": np.exp,
    "(1 - {v})": lambda v: 1 - v,
    "(1 + {v})": lambda v: 1 + v,
    "(1 - {v}**2)": lambda v: 1 - v**2,
    "(1 + {v}**2)": lambda v: 1 + v**2,
    "cos({v})": np.cos,
    "sin({v})": np.sin,
    "cosh({v})": np.cosh,
    "log({v})": np.log,
    "sqrt({v})": np.sqrt,
    "abs({v})": np.abs,
    "sign({v})": np.sign,
    "{v}*(1 - {v})": lambda v: v * (1 - v),
    "(1 + exp({v}))": lambda v: 1 + np.exp(v),
    "(1 + exp(-{v}))": lambda v: 1 + np.exp(-v),
}


def variable_factor(e: Evidence) -> str | None:
    """`J = R * c phi`, phi elementary of an argument or the output: an inner derivative too few or many."""
    if len(e.wrong) != 1 or len(e.shaped) < len(e.cases):
        return None
    k = e.wrong[0]
    for by_output in (False, True):
        ratios = [_ratios(c, k, by_output) for c in e.shaped]
        known = [r for r in ratios if r is not None]
        if len(known) < len(ratios):
            continue
        entries = np.concatenate(known)
        entries = entries[np.isfinite(entries)]
        if np.unique(np.round(entries, 9)).size < 3:
            continue
        found = _elementary(e, known, by_output)
        if found is not None:
            return found
    return None


def _ratios(c: Case, k: int, by_output: bool) -> Array | None:
    """Per column (or row) the number q with `J = q R`; NaN where both vanish; None where there is none."""
    assert c.got is not None
    got, true = (c.got[k].T, c.true[k].T) if not by_output else (c.got[k], c.true[k])
    out = np.full(len(true), np.nan)
    for i, (g, t) in enumerate(zip(got, true, strict=True)):
        if not t.any() and not g.any():
            continue
        if not g.any() or not np.isfinite(g).all():
            return None
        j = int(np.abs(g).argmax())
        out[i] = t[j] / g[j]
        if out[i] == 0 or not same(t, out[i] * g):
            return None
    return out


def _elementary(e: Evidence, ratios: list[Array], by_output: bool) -> str | None:
    for name, values in _variables(e, ratios, by_output):
        for text, phi in ELEMENTARY.items():
            with np.errstate(all="ignore"):
                for inverse in (False, True):
                    quotient = np.concatenate(
                        [r * phi(v) if inverse else r / phi(v) for r, v in zip(ratios, values, strict=True)]
                    )
                    quotient = quotient[~np.isnan(np.concatenate(ratios))]
                    if not np.isfinite(quotient).all() or np.ptp(quotient) > SLACK * np.abs(quotient).max():
                        continue
                    return _said(e, text.format(v=name), float(quotient[0]), inverse)
    return None


SLACK = 1e-6


def _said(e: Evidence, phi: str, number: float, inverse: bool) -> str | None:
    scale = "" if abs(number - 1) <= SLACK else "-" if abs(number + 1) <= SLACK else f"{round(number, 6):g} * "
    if inverse:
        if scale and abs(1 / number - round(1 / number)) <= SLACK:
            return f"{e.where}the result has a factor too many: divide it by {round(1 / number):d} * {phi}."
        return f"{e.where}the result has a factor {phi} too many: the derivative is {scale}(the result) / {phi}."
    return f"{e.where}the result lacks the factor {scale}{phi}: multiply by this inner derivative (chain rule)."


def _variables(e: Evidence, ratios: list[Array], by_output: bool) -> Iterator[tuple[str, list[Array]]]:
    cases = e.shaped
    for position, name in enumerate(cases[0].claim_at.input_names):
        values = [c.x[position] for c in cases]
        if all(v.dtype.kind == "f" and v.size == r.size for v, r in zip(values, ratios, strict=True)):
            yield name, [v.ravel() for v in values]
    outs = [np.concatenate([o.ravel() for o in c.outputs]) for c in cases]
    if all(o.size == r.size for o, r in zip(outs, ratios, strict=True)):
        yield "out", outs


def _names(e: Evidence) -> str:
    return " and ".join(e.names[k] for k in e.wrong)
