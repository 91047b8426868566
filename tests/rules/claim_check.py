"""A small independent check of claims for the tests: random points and JAX's derivatives in float64, nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from backprove.harness.frontends.jax_trace import trace
from backprove.harness.programs.program import Program
from backprove.harness.statements.claims import Claim, Derivative, Equality, Positivity
from backprove.harness.statements.theorem import Theorem
from backprove.strategies.array import ArraySpec

TOLERANCE = 1e-9
"""A right claim disagrees by less than this in float64, relative to the largest entry; a wrong one by far more."""


def shapes(theorem: Theorem, size: int) -> dict[str, tuple[int, ...]]:
    """The shape of every input where all names have this size and `*names` stand for one axis."""
    return {
        name: spec.shape(
            {d.lstrip("*"): (size,) if d.startswith("*") else size for d in spec.dims if isinstance(d, str)}
        )
        for name, spec in theorem.inputs.items()
    }


def mixed_shapes(theorem: Theorem) -> dict[str, tuple[int, ...]]:
    """Shapes in which no two names have the same size; `*names` stand for two axes."""
    counter = itertools.count(2)
    names = {d: next(counter) for s in theorem.inputs.values() for d in s.dims if isinstance(d, str)}
    sizes: dict[str, Any] = {d.lstrip("*"): (2, 3) if d.startswith("*") else n for d, n in names.items()}
    return {name: spec.shape(sizes) for name, spec in theorem.inputs.items()}


def draw(spec: ArraySpec, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Normal values inside the bounds, with zeros and ties among them where the spec lets them."""
    values = np.asarray(2 * rng.normal(size=shape))
    if not spec.nonzero:
        values = np.where(rng.random(shape) < 0.2, 0.0, values)
    values = np.where(rng.random(shape) < 0.1, 1.5, values)
    if spec.low is not None:
        values = np.abs(values) + max(spec.low, 1e-3 if spec.nonzero else 0.0)
    return values if spec.high is None else np.minimum(values, float(spec.high))


def point(
    theorem: Theorem, at: dict[str, tuple[int, ...]], rng: np.random.Generator
) -> list[NDArray[np.float64]] | None:
    """A point that satisfies the hypotheses; None where none is found."""
    for _ in range(200):
        values = [draw(spec, at[name], rng) for name, spec in theorem.inputs.items()]
        if theorem.where is None or theorem.where(*values):
            return values
    return None


def differentiated(theorem: Theorem, claim: Derivative) -> list[int]:
    """Positions of the inputs that the claim differentiates."""
    names = claim.wrt if claim.wrt is not None else [n for n, s in theorem.inputs.items() if s.differentiable]
    return [list(theorem.inputs).index(n) for n in names]


def disagreement(theorem: Theorem, claim: Claim, values: list[Any], rng: np.random.Generator) -> float:
    """How far the claim is from true at a point, relative to the largest entry; infinite for a wrong shape."""
    with jax.enable_x64(True):
        if isinstance(claim, Positivity):
            return 0.0 if claim.value(*values) > 0 else np.inf
        values = [jax.numpy.asarray(v) for v in values]
        if isinstance(claim, Equality):
            return _distance(claim.left(*values), claim.right(*values))
        if not isinstance(claim, Derivative):
            raise TypeError(f"this check knows no {type(claim).__name__} claims")
        at = differentiated(theorem, claim)

        def forward(*moving: Any) -> Any:
            return claim.forward(*(moving[at.index(i)] if i in at else v for i, v in enumerate(values)))

        if claim.mode == "jvp":
            tangents = [jax.numpy.asarray(rng.normal(size=values[i].shape)) for i in at]
            return _distance(jax.jvp(forward, [values[i] for i in at], tangents)[1], claim.rule(*values, *tangents))
        out, pullback = jax.vjp(forward, *(values[i] for i in at))
        if claim.unit_cotangent:
            return _distance(pullback(jax.numpy.ones_like(out)), _as_tuple(claim.rule(*values)))
        d = jax.numpy.asarray(rng.normal(size=out.shape))
        return _distance(pullback(d), _as_tuple(claim.rule(*values, d)))


def worst(theorem: Theorem, claim: Claim, *, points: int = 3, seed: int = 0) -> float:
    """The largest disagreement over sizes 0 and 1 and mixed shapes; no size but 0 may be without a point."""
    rng = np.random.default_rng(seed)
    drawn = [point(theorem, shapes(theorem, 0), rng), point(theorem, shapes(theorem, 1), rng)]
    drawn += [point(theorem, mixed_shapes(theorem), rng) for _ in range(points)]
    found = [values for values in drawn if values is not None]
    assert len(found) >= 1 + points
    return max(disagreement(theorem, claim, values, rng) for values in found)


def is_right(claim: Claim, inputs: dict[str, ArraySpec], where: Callable[..., Any] | None = None) -> bool:
    """Whether a claim, in a theorem of its own that is not registered, passes this check at three mixed points."""
    theorem = Theorem("a claim under test", inputs, (claim,), where)
    rng = np.random.default_rng(0)
    drawn = [point(theorem, mixed_shapes(theorem), rng) for _ in range(3)]
    return max(disagreement(theorem, claim, v, rng) for v in drawn if v is not None) < TOLERANCE


def programs(theorem: Theorem, dtype: str, size: int) -> Iterator[Program]:
    """Every function of every claim, traced at this dtype and size."""
    inputs = [(shape, dtype) for shape in shapes(theorem, size).values()]
    for claim in theorem.claims:
        if isinstance(claim, Positivity):
            yield trace(claim.value, *inputs)
        elif isinstance(claim, Equality):
            yield trace(claim.left, *inputs)
            yield trace(claim.right, *inputs)
        elif isinstance(claim, Derivative):
            forward = trace(claim.forward, *inputs)
            yield forward
            yield trace(claim.rule, *inputs, *_directions(theorem, claim, forward, inputs))


def _directions(theorem: Theorem, claim: Derivative, forward: Program, inputs: list[Any]) -> list[Any]:
    if claim.mode == "jvp":
        return [inputs[i] for i in differentiated(theorem, claim)]
    return [] if claim.unit_cotangent else [(v.shape, v.dtype) for v in forward.outputs]


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _distance(a: Any, b: Any) -> float:
    gaps = [0.0]
    for p, q in zip(map(np.asarray, _as_tuple(a)), map(np.asarray, _as_tuple(b)), strict=True):
        if p.shape != q.shape or not (np.isfinite(p).all() and np.isfinite(q).all()):
            return np.inf
        if p.size:
            gaps.append(float(np.max(np.abs(p - q)) / max(1.0, float(np.max(np.abs(p))))))
    return max(gaps)
