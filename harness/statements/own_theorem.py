"""`bp.theorem(...)` states a theorem of one's own in a file that `backprove verify FILE` reads.

import jax.numpy as jnp
import backprove as bp

X = {"x": bp.array("n")}
bp.theorem("double_angle", bp.Equality(lambda x: jnp.sin(2*x), lambda x: 2*jnp.sin(x)*jnp.cos(x)), inputs=X)
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import FrameType
from typing import Any, ClassVar

from backprove.harness.core.arguments import as_given, worded
from backprove.harness.core.arrays import Code
from backprove.harness.core.errors import UsageError
from backprove.harness.core.results import Kind, SubjectResult
from backprove.harness.core.texts import one_name
from backprove.harness.statements.claims import Adjointness, Claim, Derivative, Equality, Positivity
from backprove.harness.statements.complex_pairs import COMPLEX
from backprove.harness.statements.further import check_text
from backprove.harness.statements.signatures import check_arity, check_order
from backprove.harness.statements.source_code.source_text import call_site, source_text_of
from backprove.harness.statements.stated_inputs import EXAMPLE, check_arrays
from backprove.harness.statements.theorem import Theorem
from backprove.strategies.array import ArraySpec
from backprove.strategies.dimensions import bounds_of
from backprove.strategies.tangent_spaces import CHARTS, Charted, has_charts

STATED = "__backprove_theorems__"
"""Name under which a file that `loading` runs keeps the theorems that it states, in its order."""

CLAIMS = (Derivative, Equality, Positivity, Adjointness)


@dataclass(frozen=True, eq=False)
class OwnTheorem(Theorem):
    """A theorem of a user; its functions are any code that a rule's may be.

    Attributes:
        code: source text of the statement and of the functions it names, as far as Python knows it.
    """

    kind: ClassVar[Kind] = "own theorem"
    is_user_code: ClassVar[bool] = True

    code: str = ""

    @property
    def as_stated(self) -> str:
        """How messages show it."""
        return f"bp.theorem({self.name!r}, ...)"

    @cached_property
    def flat(self) -> OwnTheorem:
        """The theorem with inputs that have a structure moving along tangents; itself where there are none."""
        if not has_charts(self.inputs):
            return self
        charts = [CHARTS.get(s.kind) if s.kind else None for s in self.inputs.values()]
        where = None if self.where is None else Charted(charts, ()).values(self.where)
        claims = tuple(_charted(c, charts, self.inputs) for c in self.claims)
        flat = replace(self, claims=claims, where=where)
        flat.__dict__["flat"] = flat
        return flat

    def record(self) -> SubjectResult:
        """The record of the theorem's result, in which nothing is judged yet."""
        file, line = self.source
        return SubjectResult(
            self.kind,
            self.name,
            module=file,
            statement=self.statement,
            hypotheses=self.hypotheses,
            latex=self.latex,
            property_words=self.words,
            rests_on=list(self.rests_on),
            covers=list(self.covers),
            source={"file": file, "line": line},
            code=self.code,
        )


@worded("theorem")
def theorem(
    name: str,
    *claims: Claim,
    inputs: Mapping[str, ArraySpec],
    where: Code | None = None,
    latex: str = "",
    words: str = "",
    statement: str = "",
    hypotheses: str = "",
    rests_on: Sequence[str] = (),
    covers: Sequence[str] = (),
) -> OwnTheorem:
    """State a theorem of your own; `backprove verify FILE` judges all that a file states, `bp.check` one.

    ```python
    import jax.numpy as jnp
    import backprove as bp

    log_norm = bp.theorem(
        "grad_log_norm",
        bp.Derivative(lambda x: 0.5 * jnp.log(jnp.sum(x * x)), lambda x, g: g * x / jnp.sum(x * x), mode="vjp"),
        inputs={"x": bp.array("n>=1", low=0.5)},
        words="The gradient of the log of a norm is the vector over its squared norm.",
    )
    assert bp.check(log_norm, points=100).ok
    ```

    Args:
        name: how reports and catalogues call it.
        claims: one or more of `Derivative`, `Equality`, `Positivity` and `Adjointness`, all over the same inputs; the
            theorem holds when all hold.
        inputs: variable -> `array(...)`, in the order in which the claims' functions take them.
        where: `where(*inputs) -> bool`, a hypothesis over several inputs.
        latex: the statement as a formula, without dollar signs, which reports show.
        words: the statement as a sentence, which reports show.
        statement: what a catalogue would say of it, for a theorem that stands in none.
        hypotheses: where a catalogue would say that it holds.
        rests_on: names of theorems used.
        covers: names of catalogue entries that cannot be checked on their own and are reached through this one.

    Raises:
        UsageError: when an argument is missing, has the wrong type or takes the wrong number of parameters.
    """
    given: object = name  # what callers pass may be anything
    if not isinstance(given, str) or not given.strip():
        raise UsageError(f'theorem: the name must be a string such as "sine_squared", got {as_given(given)}')
    name = one_name(given)
    who = f"theorem {name!r}"
    _check_claims(who, claims)
    _check_inputs(who, inputs)
    for label, text in {"latex": latex, "words": words, "statement": statement, "hypotheses": hypotheses}.items():
        check_text(who, label, text)
    for label, names in {"rests_on": rests_on, "covers": covers}.items():
        given = names
        if not (isinstance(given, (list, tuple)) and all(isinstance(n, str) for n in given)):
            raise UsageError(f'{who}: {label} must be a list of names such as ["sine_squared"], got {as_given(names)}')
    if where is not None:
        _check_function(who, "where", where, inputs)
    for claim in claims:
        _check_claim(who, claim, inputs)
    site, home = call_site(), _home()
    place = site if home is None else home
    found = OwnTheorem(
        name,
        dict(inputs),
        claims,
        where,
        latex,
        words,
        tuple(rests_on),
        tuple(covers),
        (place.f_code.co_filename, place.f_lineno) if place else ("", 0),
        statement,
        hypotheses,
        source_text_of(site, [f for c in claims for f in _functions(c).values()]),
    )
    if home is not None:
        home.f_globals[STATED].append(found)
    return found


def _home() -> FrameType | None:
    """The frame of the module that states a theorem, where that is a file which `loading` is running."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return frame if frame is not None and STATED in frame.f_globals else None


def _check_claims(who: str, claims: Sequence[object]) -> None:
    if not claims:
        raise UsageError(f"{who}: no claim given; give one or more of {_listed()} after the name")
    for claim in claims:
        if not isinstance(claim, CLAIMS):
            raise UsageError(f"{who}: a claim is one of {_listed()}, got {as_given(claim)}")


def _listed() -> str:
    return ", ".join(f"bp.{c.__name__}(...)" for c in CLAIMS)


def _check_inputs(who: str, inputs: object) -> None:
    check_arrays(who, inputs)
    assert isinstance(inputs, Mapping)
    if not inputs:
        raise UsageError(f"{who}: inputs is empty; give every variable of the claims, such as {EXAMPLE}")
    for key, spec in inputs.items():
        if spec.dtype == COMPLEX:
            raise UsageError(f"{who}: input {key!r} is complex; give its real and imaginary part as two inputs")
    sizes = {n for spec in inputs.values() for n in spec.names}
    for key, spec in inputs.items():
        if isinstance(spec.high, str) and spec.high not in sizes:
            raise UsageError(
                f"{who}: input {key!r} has high={spec.high!r}, which is no dimension of any input "
                f"(there are: {', '.join(sorted(sizes)) or 'none'})"
            )
    try:
        bounds_of(inputs)
    except UsageError as why:
        raise UsageError(f"{who}: {why}") from None


def _check_claim(who: str, claim: Claim, inputs: Mapping[str, ArraySpec]) -> None:
    """Refuse a claim whose functions cannot be called with the inputs, or whose `wrt` names none of them."""
    who = f"{who}, {type(claim).__name__}"
    n = len(inputs)
    along = {"jvp", "vjp", "rule", "convention"}
    for label, function in _functions(claim).items():
        if label not in along:
            _check_function(who, label, function, inputs)
    if not isinstance(claim, (Derivative, Adjointness)):
        return
    moving = _moving(who, claim, inputs)
    primals = f"one argument per input ({', '.join(inputs)})"
    modes = (claim.mode,) * 2 if isinstance(claim, Derivative) else ("jvp", "vjp")
    labels = ("rule", "convention") if isinstance(claim, Derivative) else ("jvp", "vjp")
    for label, mode in zip(labels, modes, strict=True):
        function = getattr(claim, label)
        if function is None:
            continue
        if isinstance(claim, Derivative) and claim.unit_cotangent:
            _check_function(who, label, function, inputs)
            continue
        further, takes, most = (
            (len(moving), f"one tangent per differentiated input ({', '.join(moving)})", n + len(moving))
            if mode == "jvp"
            else (1, "one cotangent per output of forward", None)
        )
        check_arity(who, label, function, n + further, most, f"{primals} and {takes}")
        check_order(who, label, function, tuple(inputs))


def _check_function(who: str, label: str, function: Any, inputs: Mapping[str, ArraySpec]) -> None:
    n = len(inputs)
    check_arity(who, label, function, n, n, f"one argument per input ({', '.join(inputs)})")
    check_order(who, label, function, tuple(inputs))


def _moving(who: str, claim: Derivative | Adjointness, inputs: Mapping[str, ArraySpec]) -> list[str]:
    """Names of the inputs that a claim differentiates by."""
    differentiable = [n for n, spec in inputs.items() if spec.differentiable]
    wrt = claim.wrt if isinstance(claim, Derivative) else None
    for name in wrt or ():
        if name not in differentiable:
            what = "has no derivative" if name in inputs else "is no input"
            raise UsageError(
                f"{who}: wrt names {name!r}, which {what}; there are {', '.join(differentiable) or 'none'}"
            )
    found = differentiable if wrt is None else [n for n in differentiable if n in wrt]
    if not found:
        raise UsageError(f"{who}: no input is differentiated; at least one must be a bp.array of floats")
    return found


def _functions(claim: Claim) -> dict[str, Code]:
    """The functions of a claim by the name of its argument."""
    return {k: v for k, v in vars(claim).items() if callable(v)}


def _charted(claim: Claim, charts: Sequence[Any], inputs: Mapping[str, ArraySpec]) -> Claim:
    """The claim about the map after the charts, see `tangent_spaces`."""
    moving: Sequence[str] = _moving("", claim, inputs) if isinstance(claim, (Derivative, Adjointness)) else ()
    charted = Charted(charts, [k for k, n in enumerate(inputs) if n in moving])
    changed: dict[str, Any] = {}
    for label, function in _functions(claim).items():
        mode = label if isinstance(claim, Adjointness) else ""
        if isinstance(claim, Derivative) and label in ("rule", "convention"):
            mode = claim.mode
        wrap = {"jvp": charted.jvp, "vjp": charted.vjp}.get(mode, charted.values)
        changed[label] = wrap(function)
    return replace(claim, **changed)
