"""Own calls hold JAX code, called plainly and jitted, against what the layers evaluated in its place.

The layers run the traced program in NumPy and SciPy: `jax.scipy.special.polygamma(1, x)` is SciPy's there. What the
user's code gives when it is called may differ, since JAX computes a function another way or the code asks whether it
is traced; the called result decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flint import ctx

from backprove.harness.core.arrays import Array, any_entry, at_points, flatten, quiet
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.thresholds.called_code import AMPLIFIED, CALLED, MODERATE, PERTURBED, WILD
from backprove.harness.core.thresholds.exact import TRUE_VALUE_PRECISION
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.branches import is_alike_in_calls, may_tell_tracing
from backprove.harness.frontends.calls import arguments_at
from backprove.harness.frontends.front_end import ExactFunction
from backprove.harness.frontends.function_at import FunctionAt
from backprove.harness.judging.examination import Examination, Violation
from backprove.harness.judging.float_contract import exceeds
from backprove.harness.judging.real_calls.jit_and_vmap import differing_at, shortened
from backprove.harness.numbers.balls.arrays import lift_floats
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.numbers.bounds.bounds import ANY, Running
from backprove.harness.numbers.bounds.truth import Bounded
from backprove.harness.numbers.floats.floats import run_floats
from backprove.strategies.philox import generator

JITTED = 512
"""Points of one size at which jitted code is compared; they cost little once it is compiled."""
ENOUGH = 64
"""Points of a size after which no more of them are compared."""
PLAIN, PLAIN_ALIKE = 32, 4
"""Points of one size at which code is called plainly; each operation costs tens of microseconds. Fewer of JAX code that
cannot tell that it is traced: its calls do what the jitted ones do."""

OTHERWISE = (
    "{label}, called as it is, gives another result than its operations have: JAX computes one of them wrongly here"
)

Truth = Callable[[int], "list[Array] | None"]
"""Exact results that the function should have at a point, NaN where nothing can tell; None: nowhere."""


@dataclass
class OwnCalls:
    """Compares the functions of a subject, at many points of the first size of each dtype.

    Plain calls at further sizes are slow (every operation is compiled again): they are made of code that has a way to
    tell that it is traced. After a disagreement every single point is compared, so that it can be made smaller.

    Attributes:
        done: points at which functions were compared without a disagreement, by format, and by format and signature.
        failed: something disagreed.
    """

    done: Counter[Any] = field(default_factory=Counter)
    failed: bool = False

    def enter(
        self,
        function: FunctionAt,
        arrays: Sequence[Array],
        names: Sequence[str],
        truth: Truth,
        seen: Examination,
    ) -> None:
        """Compare, unless that was done, and enter what disagrees in `seen`.

        Args:
            arrays: arguments at many points.
            names: of the function's results.
            truth: what it should give.
        """
        index = self._points(function, arrays, seen)
        if not index.size:
            return
        here = [at_points(a, index) for a in arrays]
        looked = _Looked.at(function, here)
        if looked is None:
            return
        first = f"{function.label} {function.dtype}"
        jitted = _jitted(function, here) if self.failed or not self._elsewhere(function) else None
        alike = is_alike_in_calls(function.function.call)
        number = min(PLAIN_ALIKE if alike else PLAIN, index.size)
        plain_at = np.unique(np.linspace(0, index.size - 1, number).astype(int))
        plain: list[Array] | None = None
        troubles: dict[int, str] = {}
        # every operation of a plain call is compiled: in a further format jitted code of JAX alone tells as much
        if function.dtype == "float64" or self.failed or not alike:
            plain, troubles = _plain(function, [at_points(a, plain_at) for a in here])
        before = sum(v is not None for v in seen.violations)
        tally = seen.layer("own calls")
        for k, said in troubles.items():
            self._violated(int(index[plain_at[k]]), Violation(Verdict.ERROR, said, raised=True), seen)
        if plain is not None and jitted is not None:
            both = [at_points(r, plain_at) for r in jitted]
            for k in looked.differing(plain, both, plain_at):
                if k not in troubles:
                    what = (
                        f"{function.label} gives another result under jax.jit than when it is called plainly: "
                        f"{shortened([r[..., k] for r in both])} instead of {shortened([r[..., k] for r in plain])}"
                    )
                    self._violated(int(index[plain_at[k]]), Violation(Verdict.ERROR, what), seen)
        for results, which, how in ((jitted, np.arange(index.size), "jitted"), (plain, plain_at, "plain")):
            if results is None:
                continue
            seen.called(how, which.size)
            apart, wrong = looked.apart(results, which), 0
            for k in np.flatnonzero(any_entry(apart, which.size)).tolist():
                i = int(index[which[k]])
                right = truth(i)
                found = looked.violation(int(which[k]), [r[..., k] for r in results], [a[..., k] for a in apart],
                                         right, names, function.label)  # fmt: skip
                self._violated(i, found, seen)
                wrong += found is not None
            tally.checked += which.size
            tally.refuted += wrong
            tally.agreed += which.size - wrong
        if sum(v is not None for v in seen.violations) == before:  # else another claim must find it too
            self.done.update({first: index.size, (first, function.signature): index.size})

    def _violated(self, i: int, violation: Violation | None, seen: Examination) -> None:
        if violation is not None:
            self.failed = True
            if seen.violations[i] is None:
                seen.violations[i] = violation

    def _elsewhere(self, function: FunctionAt) -> int:
        """Points of other signatures at which a function was compared in its format."""
        first = f"{function.label} {function.dtype}"
        return self.done[first] - self.done[first, function.signature]

    def _points(self, function: FunctionAt, arrays: Sequence[Array], seen: Examination) -> Array:
        """The points to compare; none where that was done, or there are none."""
        free = ~seen.outside & np.array([v is None for v in seen.violations], dtype=bool)
        index = np.flatnonzero(free)
        if not function.front_end.is_jax_code or any(0 in shape for shape, _ in function.signature):
            return index[:0]
        first = f"{function.label} {function.dtype}"
        again = self.failed and free.size == 1
        if self.done[first, function.signature] >= ENOUGH and not again:
            return index[:0]
        if self._elsewhere(function) and not again and not may_tell_tracing(function.function.call):
            return index[:0]
        chosen: Array = index[np.unique(np.linspace(0, max(index.size - 1, 0), min(JITTED, index.size)).astype(int))]
        return chosen


@dataclass(frozen=True)
class _Looked:
    """What the layers evaluate at the points.

    Attributes:
        values: of the program in NumPy and SciPy, as float64, shape + points.
        moved: their changes when every number moves by an ulp.
        allowed: how far a call may be off where no bound is known: at points of moderate size, else any distance.
        bounds: running error bounds, infinite where they are not known.
    """

    dtype: str
    values: list[Array]
    moved: list[Array]
    allowed: list[Array]
    bounds: list[Bounded]

    @staticmethod
    def at(function: FunctionAt, points: Sequence[Array]) -> _Looked | None:
        """None where NumPy lacks a primitive: nothing stood in for the code then."""
        program = function.program
        assert program is not None
        floats = [k for k, v in enumerate(program.outputs) if v.dtype in FORMATS]

        def run(arrays: Sequence[Array]) -> list[Array]:
            found = run_floats(program, arrays)
            return [np.asarray(found[k], dtype=np.float64) for k in floats]

        try:
            values = run(points)
        except UnsupportedPrimitive:
            return None
        n = max((a.shape[-1] for a in points), default=1)
        values = [np.broadcast_to(v, (*v.shape[:-1], n)) for v in values]
        rng, u = generator("own calls"), FORMATS[function.dtype].u
        moved = [np.zeros(v.shape) for v in values]
        with np.errstate(all="ignore"):
            for _ in range(PERTURBED):
                # by an ulp: half of one would round back to the same number in every second case
                steps = [1 + 2 * u * rng.choice([-1.0, 1.0], a.shape) for a in points]
                near = run([a * s if a.dtype.kind == "f" else a for a, s in zip(points, steps, strict=True)])
                moved = [np.fmax(e, np.abs(m - v)) for e, m, v in zip(moved, near, values, strict=True)]
            share = CALLED[function.dtype]
            usual = np.where(_moderate(points, n), 4 * FORMATS[function.dtype].tiny, np.inf)
            sizes = [np.abs(v).reshape(-1, n).max(axis=0, initial=0.0) for v in values]
            allowed = [AMPLIFIED * e + share * size + usual for e, size in zip(moved, sizes, strict=True)]
        try:
            found = Running(function.dtype, narrows_to=ANY).run(program, points)
            pairs = [(found[k].v, found[k].e) for k in floats]
        except UnsupportedPrimitive:
            pairs = [(v, np.full(v.shape, np.inf)) for v in values]
        bounds = [
            Bounded(np.broadcast_to(b, v.shape), np.broadcast_to(e, v.shape))
            for (b, e), v in zip(pairs, values, strict=True)
        ]
        return _Looked(function.dtype, values, moved, allowed, bounds)

    def apart(self, results: Sequence[Array], which: Array) -> list[Array]:
        """Entry by entry: whether a call gives what neither its error bound nor its conditioning explains."""
        out, tiny = [], FORMATS[self.dtype].tiny
        for k, r in enumerate(results):
            v, allowed = self.values[k][..., which], self.allowed[k][..., which]
            with np.errstate(all="ignore"):
                off = np.isfinite(v) & np.isfinite(allowed) & ~(np.abs(r - v) <= allowed)
                value, error = self.bounds[k].v[..., which], self.bounds[k].e[..., which]
                bounded = np.isfinite(error) & np.isfinite(value.astype(np.float64))
                far = exceeds(r, value, WILD * (error + tiny), self.dtype)
                out.append(np.where(bounded, far | (~np.isfinite(r) & np.isfinite(v) & np.isfinite(allowed)), off))
        return out

    def differing(self, plain: Sequence[Array], jitted: Sequence[Array], which: Array) -> list[int]:
        """Positions in `which` at which plain and jitted calls differ, where rounding could tell."""
        known = [np.isfinite(b.e[..., which]) | np.isfinite(a[..., which])
                 for b, a in zip(self.bounds, self.allowed, strict=True)]  # fmt: skip
        told = np.flatnonzero(~any_entry([~k for k in known], which.size))
        if not told.size:  # a result that is the same at all points has one, whatever is asked for
            return []
        noise = [
            np.fmax(np.where(np.isfinite(b.e), b.e, self._usual_rounding(v)), m)[..., which[told]]
            for b, v, m in zip(self.bounds, self.values, self.moved, strict=True)
        ]
        here = differing_at([at_points(p, told) for p in plain], [at_points(j, told) for j in jitted], noise)
        return [int(told[k]) for k in here]

    def _usual_rounding(self, values: Array) -> float:
        """One rounding of a usual result: where no bound is known, results near a zero may cancel from such numbers."""
        sizes = np.abs(values[np.isfinite(values)])
        return float(np.median(sizes) * FORMATS[self.dtype].u) if sizes.size else 0.0

    def violation(
        self,
        point: int,
        results: Sequence[Array],
        apart: Sequence[Array],
        truth: list[Array] | None,
        names: Sequence[str],
        label: str,
    ) -> Violation | None:
        """The worst entry of a call that is apart, unless the call is right and what the layers evaluated is not.

        Args:
            point: position in `values`.
            results, apart: without a points axis.
            truth: the exact results.
        """
        worst: tuple[float, Violation] | None = None
        for k, (r, off) in enumerate(zip(results, apart, strict=True)):
            for j in map(tuple, np.argwhere(off).tolist()):
                entry = tuple(int(q) for q in j)
                got, expected = float(r[j]), float(self.values[k][(*j, point)])
                oracle = "the same operations in NumPy and SciPy"
                if truth is not None and np.isfinite(truth[k][j]):
                    expected, oracle = float(truth[k][j]), "balls"
                    if abs(got - expected) <= self.allowed[k][(*j, point)]:
                        continue
                elif not np.isfinite(got):
                    continue  # 0/0 one way, and 0 another: nothing tells which is right
                far = abs(got - expected)
                far = far if np.isfinite(far) else np.inf
                if worst is None or far > worst[0]:
                    what = OTHERWISE.format(label=label)
                    worst = far, Violation(Verdict.INACCURATE, what, names[k], entry, got, expected, oracle)
        return None if worst is None else worst[1]


def exact_values(exact: ExactFunction | None, arrays: Sequence[Array], i: int) -> list[Array] | None:
    """Results of a function over the reals at one point, as floats; None where it has no balls.

    Args:
        exact: the function in balls.
        arrays: its arguments at many points.
    """
    if exact is None:
        return None
    try:
        with ctx.workprec(TRUE_VALUE_PRECISION):
            found = exact.balls(lift_floats([at_points(a, [i]) for a in arrays]))
    except (Undecided, UnsupportedPrimitive):
        return None
    read = np.vectorize(lambda v: float(v.mid()) if v.is_finite() else np.nan, otypes=[float])
    return [read(b[..., 0]) for b in found if b.dtype == object]


def _moderate(points: Sequence[Array], count: int) -> Array:
    """Points whose numbers are of moderate size or zero: no operation is extreme there."""
    good = np.ones(count, dtype=bool)
    for a in points:
        if a.dtype.kind == "f" and a.size:
            size = np.abs(np.broadcast_to(a, (*a.shape[:-1], count))).reshape(-1, count)
            good &= ((size == 0) | ((size <= MODERATE) & (size >= 1 / MODERATE))).all(axis=0)
    return good


def _jitted(function: FunctionAt, points: Sequence[Array]) -> list[Array] | None:
    """Results of the jitted and vmapped code; None where it cannot be compiled."""
    try:
        return [np.asarray(r) for r in function.xla(points) if r.dtype.kind not in "iub"]
    except Exception:
        return None


def _plain(function: FunctionAt, points: Sequence[Array]) -> tuple[list[Array] | None, dict[int, str]]:
    """Results of plain calls with JAX arrays, points last, and what single calls raise; None where all raise.

    Code that gives no JAX array for arrays of NumPy is NumPy's as much as JAX's, and is called with those: such calls
    cost nothing.
    """
    import jax

    n = max((a.shape[-1] for a in points), default=1)
    rows: list[list[Array] | None] = []
    troubles: dict[int, str] = {}
    convert: Callable[[Array], Any] | None = None
    with jax.enable_x64(True), quiet():
        for i in range(n):
            here = arguments_at(points, function.signature, i)
            try:
                if convert is None:
                    convert = _as_given(function.function.call, here)
                found = flatten(function.function.call(*map(convert, here)))
                rows.append([f.astype(np.float64) for f in found if f.dtype.kind not in "iub"])
            except Exception as why:
                rows.append(None)
                troubles[i] = (
                    f"{function.label} raised {type(why).__name__} when it is called plainly, not traced: {why}"
                )
    some = next((r for r in rows if r is not None), None)
    if some is None:
        return None, {}
    nothing = [np.full(a.shape, np.nan) for a in some]
    columns = zip(*(nothing if r is None or [a.shape for a in r] != [a.shape for a in some] else r for r in rows),
                  strict=True)  # fmt: skip
    return [np.stack(c, axis=-1) for c in columns], troubles


def _as_given(call: Callable[..., Any], arguments: Sequence[Array]) -> Callable[[Array], Any]:
    """Arrays of the framework that the code belongs to."""
    import jax
    import jax.numpy as jnp

    try:
        if not any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(call(*(a.copy() for a in arguments)))):
            return np.copy
    except Exception:  # `x.at[0]` takes arrays of JAX alone
        return jnp.asarray
    return jnp.asarray
