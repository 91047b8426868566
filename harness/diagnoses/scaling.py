"""The rule is the derivative times something: zero, -1, a number, a size, or a function of the point."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.diagnoses.evidence import Case, Evidence, same

Array = NDArray[Any]

CONSTANT = 1e-7
"""Relative spread of a factor that is taken for constant."""


def zero(e: Evidence) -> str | None:
    """The rule gives zero where the derivative is not."""
    if not e.every(lambda c, k: c.got is not None and not c.got[k].any() and c.true[k].any()):
        return None
    return f"{e.where}the result is always zero, as if {_names(e)} had no influence on the output; the derivative is not zero."


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
        return f"{e.where}the result is the derivative times {value:.10g}: a constant in the formula is not precise enough."
    simple = {2.0: "twice", 0.5: "half", -2.0: "minus twice", -0.5: "minus half"}
    for known, words in simple.items():
        if abs(value - known) <= CONSTANT:
            return f"{e.where}the result is {words} the derivative: multiply it by {1 / known:g}."
    return f"{e.where}the result is {value:.6g} times the derivative, everywhere: a constant factor is wrong."


Size = Callable[[dict[str, int]], float]


def _size_factors(sizes: dict[str, int]) -> Iterator[tuple[str, str, Size]]:
    """Factors made of sizes, in words, with what to do about each."""
    for n in sizes:
        mean = f"something is averaged over the {n} entries (or divided by {n}) where a sum belongs; multiply by {n}"
        total = f"something is summed over the {n} entries where a mean belongs; divide by {n}"
        yield f"1/{n}", mean, lambda s, n=n: 1 / s[n]
        yield n, total, lambda s, n=n: s[n]
        yield f"-1/{n}", f"{mean}, and negate", lambda s, n=n: -1 / s[n]
        yield f"1/sqrt({n})", f"multiply by sqrt({n})", lambda s, n=n: s[n] ** -0.5
        yield f"sqrt({n})", f"divide by sqrt({n})", lambda s, n=n: s[n] ** 0.5
        yield f"{n}/({n}-1)", f"divide by {n}, not by {n}-1", lambda s, n=n: s[n] / (s[n] - 1) if s[n] > 1 else np.inf
        yield f"({n}-1)/{n}", f"divide by {n}-1, not by {n}", lambda s, n=n: (s[n] - 1) / s[n]
    if len(sizes) > 1:
        all_of = "*".join(sizes)
        yield f"1/({all_of})", f"a mean over all entries where a sum belongs; multiply by {all_of}", lambda s: 1 / _product(s)
        yield all_of, f"a sum over all entries where a mean belongs; divide by {all_of}", _product
    for n in sizes:
        for m in sizes:
            if m != n:
                yield f"{n}/{m}", f"divide by {n}, not by {m}", lambda s, n=n, m=m: s[n] / s[m]


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
    """`J = R * c phi` entry by entry, phi elementary of an argument or the output: an inner derivative is missing (or too many)."""
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
    for position, name in enumerate(cases[0].bound.input_names):
        values = [c.x[position] for c in cases]
        if all(v.dtype.kind == "f" and v.size == r.size for v, r in zip(values, ratios, strict=True)):
            yield name, [v.ravel() for v in values]
    outs = [np.concatenate([o.ravel() for o in c.outputs]) for c in cases]
    if all(o.size == r.size for o, r in zip(outs, ratios, strict=True)):
        yield "out", outs


def _names(e: Evidence) -> str:
    return " and ".join(e.names[k] for k in e.wrong)
