"""A `Rule` is a user's derivative rule, validated when it is stated."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from backprove.harness.core.arguments import as_given, worded
from backprove.harness.core.arrays import Code, Tree
from backprove.harness.core.errors import UsageError
from backprove.harness.core.formats import Mode
from backprove.harness.core.guard import guarded, make_askable
from backprove.harness.core.results import Kind, SubjectResult
from backprove.harness.core.texts import one_name
from backprove.harness.statements.annotations import inputs_of
from backprove.harness.statements.claims import Adjointness, Claim, Derivative, Equality
from backprove.harness.statements.complex_pairs import COMPLEX, check_convention, of_parts
from backprove.harness.statements.first_outputs import first_outputs, has_mixed_outputs, no_array, without_forward
from backprove.harness.statements.further import check_approximates, check_text, imported
from backprove.harness.statements.own_points import Names, OwnPoint, direction_parameters, own_points
from backprove.harness.statements.pytrees import Boundary, flat_inputs, is_structured
from backprove.harness.statements.signatures import Bound, Fixed, check_arity, check_fixed, check_names, check_order
from backprove.harness.statements.source_code.import_line import import_line_of
from backprove.harness.statements.source_code.source_text import call_site, source_text_of
from backprove.harness.statements.stated_inputs import check_arrays, check_mapping
from backprove.strategies.dimensions import bounds_of
from backprove.strategies.tangent_spaces import along_tangents


@dataclass(frozen=True, eq=False)
class Rule:
    """A derivative rule: ordinary NumPy or JAX code and what its inputs look like.

    ```python
    import numpy as np
    import backprove as bp

    rule = bp.Rule(
        "matmul",
        forward=lambda a, b: a @ b,
        vjp=lambda a, b, g: (g @ b.T, a.T @ g),
        inputs={"a": bp.array("m k"), "b": bp.array("k n")},
    )
    ```

    Args:
        name: how reports call the rule.
        forward: `forward(*inputs)` -> array or tuple of arrays (or a pytree, or a tuple of pytrees).
        inputs: argument name -> `array(...)`, named as forward's parameters and in their order; a pytree of them where
            the argument is one, as in `{"params": {"W": array("m n"), "b": array("m")}}`. None reads the jaxtyping
            annotations of forward. Tangents, cotangents and results have the structure of what they belong to, with
            None at leaves that are integers, masks or indices.
        jvp: `jvp(*inputs, *tangents)` -> output tangent(s); one tangent per differentiable input, in order.
        vjp: `vjp(*inputs, *cotangents)` -> cotangent of the one differentiable input, or a tuple with one per
            differentiable input; one cotangent per output. At least one of jvp and vjp is given.
        reference: a JAX-traceable function of the same map, or its dotted name, where forward is opaque to JAX.
        approximates: forward approximates the reference: values are held against the reference, and the rule against
            its derivative in place of forward's, up to so many units (such as 4) of what rounding the inputs in the
            format under test forces.
        surrogate: a function of forward's signature whose derivative the rule must equal in place of forward's: for
            straight-through estimators, surrogate gradients and quantisation. Its outputs have forward's shapes.
            Forward still says where the domain is, and has one answer for one input.
        where: `where(*inputs) -> bool`, a condition over several inputs.
        convention: function of the signature of vjp (of jvp where no vjp is given) whose value at kinks the rule must
            equal there.
        batched: forward, jvp and vjp accept one extra leading axis of points.
        fixed: arguments of forward that are no inputs, by name or position, such as `{"axis": -1, "mask": None}`. They
            are bound before anything else, in the other functions too where they have a parameter of that name. A
            position stands for the name that forward has there.
        primal: `primal(*inputs)`, the value that a framework returns while it differentiates, where that is another
            function than forward (the primal of a `jax.custom_jvp`, of the fwd of a `jax.custom_vjp`). It must equal
            forward.
        examples: points of one's own, judged before all others and named in the report: dicts of the inputs and, where
            wanted, of the directions, which are called as the rule's own parameters or as reports do ("cotangent",
            "tangent of x"), as in `[{"x": [1.0, 2.0], "g": [0, 1]}]`. Sizes may be any; values lie in the domain.
        complex_convention: what a complex cotangent means, "jax" or "torch" (conjugate), where inputs or outputs are
            complex: see `complex_pairs`.
        latex: the statement as a formula, without dollar signs, which reports show.
        words: the statement as a sentence, which reports show.

    Attributes:
        source: file and line where the rule is stated.
        code: source text of the statement and of the functions it names, as far as Python knows it.
        further_claims: claims by name that a front door adds, on the same inputs.
        unasked: what of its derivative is not judged unless it is asked for, in words for the report.

    Raises:
        UsageError: when an argument is missing, has the wrong type or takes the wrong number of parameters.
    """

    kind: ClassVar[Kind] = "rule"
    is_user_code: ClassVar[bool] = True

    name: str
    _: KW_ONLY
    forward: Code
    inputs: Mapping[str, Tree] = None  # type: ignore[assignment]
    jvp: Code | None = None
    vjp: Code | None = None
    reference: Code | str | None = None
    where: Code | None = None
    convention: Code | None = None
    batched: bool = False
    fixed: Fixed = field(default_factory=dict)
    primal: Code | None = None
    surrogate: Code | None = None
    approximates: float | None = None
    examples: Sequence[Mapping[str, Any]] = ()
    complex_convention: str | None = None
    latex: str = ""
    words: str = ""
    source: tuple[str, int] = field(init=False, default=("", 0), repr=False)
    code: str = field(init=False, default="", repr=False)
    further_claims: tuple[tuple[str, Claim], ...] = field(init=False, default=(), repr=False)
    unasked: str = field(init=False, default="", repr=False)

    def __post_init__(self) -> None:
        name: object = self.name  # what callers pass may be anything
        if not isinstance(name, str) or not name.strip():
            raise UsageError(f'Rule: the name must be a string such as "logsoftmax", got {as_given(name)}')
        object.__setattr__(self, "name", one_name(name))
        make_askable(self)
        if not callable(self.forward):
            raise UsageError(f"Rule({self.name!r}): forward must be a function, got {as_given(self.forward)}")
        if isinstance(self.reference, str):
            object.__setattr__(self, "reference", imported(f"Rule({self.name!r})", self.reference))
        self._bind_fixed()
        if self.inputs is None:
            object.__setattr__(self, "inputs", inputs_of(self.forward, f"Rule({self.name!r})"))
        object.__setattr__(self, "inputs", _checked_inputs(self.name, self.inputs))
        if self.jvp is None and self.vjp is None:
            raise UsageError(f"Rule({self.name!r}): give jvp, vjp or both; neither was given")
        if not isinstance(self.batched, bool):
            raise UsageError(f"Rule({self.name!r}): batched must be True or False, got {as_given(self.batched)}")
        self._check_functions()
        check_approximates(f"Rule({self.name!r})", self.approximates, self.reference, self.surrogate)
        check_convention(f"Rule({self.name!r})", self.complex_convention, self.inputs, self.vjp, self.examples)
        for label in ("latex", "words"):
            check_text(f"Rule({self.name!r})", label, getattr(self, label))
        _ = self.own_points  # they are validated when they are first asked for
        site = call_site()
        functions = [f for f in (self.forward, self.jvp, self.vjp) if f is not None]
        object.__setattr__(self, "source", (site.f_code.co_filename, site.f_lineno) if site else ("", 0))
        object.__setattr__(self, "code", source_text_of(site, functions))

    @property
    def as_stated(self) -> str:
        """How messages show it."""
        return f"bp.Rule({self.name!r}, ...)"

    @property
    def differentiable(self) -> tuple[str, ...]:
        """Names of the inputs that have tangents and cotangents; `params.W` where an input is a pytree."""
        return tuple(n for n, spec in flat_inputs(self.inputs).items() if spec.differentiable)

    @cached_property
    def own_points(self) -> tuple[OwnPoint, ...]:
        """The points of `examples`.

        Raises:
            UsageError: where one is not of the form that `examples` has, or lies outside the stated domain.
        """
        if isinstance(self.examples, (list, tuple)) and not self.examples:
            return ()
        n, where = len(self.inputs), self.where
        parameters = [direction_parameters(f, n) for f in (self.vjp, self.jvp)]
        if where is not None and is_structured(self.inputs):
            where = Boundary(self.inputs, self.forward).packed(where)
        names = Names(flat_inputs(self.inputs), self.inputs, *parameters)
        return own_points(f"Rule({self.name!r})", self.examples, names, where)

    def with_examples(self, further: Sequence[Mapping[str, Any]]) -> Rule:
        """The same rule, stated at the same place, with more examples.

        Raises:
            UsageError: as the rule itself.
        """
        other = copy.copy(self)
        for derived in ("flat", "own_points"):
            other.__dict__.pop(derived, None)
        object.__setattr__(other, "examples", (*self.examples, *further))
        _ = other.own_points
        return other

    @cached_property
    def flat(self) -> Rule:
        """The rule as the engine sees it: one input per array, outputs and results tuples of arrays.

        Outputs of integers and truth values, which have no derivative, are left out; complex arrays are two, and inputs
        with a structure move along tangents. This is the rule itself unless it has any of these; forward is called once
        to know its outputs.
        """
        if any(spec.dtype == COMPLEX for spec in flat_inputs(self.inputs).values()):
            return _of_free_arrays(self)
        if not is_structured(self.inputs):
            found = first_outputs(self.inputs, self.forward)
            why = no_array(found, len(self.inputs), self.vjp)
            if why:
                return _of_free_arrays(without_forward(self, f"Rule({self.name!r}): {why}"))
            if not has_mixed_outputs(found):
                return _of_free_arrays(self)
        boundary = Boundary(self.inputs, self.forward)
        changes: dict[str, object] = {
            "inputs": flat_inputs(self.inputs),
            "forward": boundary.flat_forward(self.forward),
            "jvp": None if self.jvp is None else boundary.jvp(self.jvp, "the jvp"),
            "vjp": None if self.vjp is None else boundary.vjp(self.vjp, "the vjp"),
        }
        if self.convention is not None:
            wrap = boundary.vjp if self.vjp is not None else boundary.jvp
            changes["convention"] = wrap(self.convention, "the convention")
        if callable(self.reference):
            changes["reference"] = boundary.flat_forward(self.reference)
        for label in ("primal", "surrogate"):
            function = getattr(self, label)
            if function is not None:
                changes[label] = boundary.flat_forward(function)
        if self.where is not None:
            changes["where"] = boundary.packed(self.where)
        flat = copy.copy(self)
        for name, value in changes.items():
            object.__setattr__(flat, name, value)
        free = _of_free_arrays(flat)
        free.__dict__["flat"] = free
        return free

    def named_claims(self) -> list[tuple[str, Claim]]:
        """What the rule claims: jvp, vjp, adjointness (where both are given), primal and reference.

        A convention judges the vjp where there is one; the jvp then follows at kinks through adjointness. A reference
        stands in for a forward that cannot be traced, and is compared with forward in a claim of its own. Where forward
        approximates it, the rule is held against its derivative.
        """
        reference = self.reference if callable(self.reference) else None
        claims: list[Claim] = []
        if self.jvp is not None:
            convention = self.convention if self.vjp is None else None
            claims.append(self._derivative(self.jvp, "jvp", convention, reference))
        if self.vjp is not None:
            claims.append(self._derivative(self.vjp, "vjp", self.convention, reference))
        if self.jvp is not None and self.vjp is not None:
            claims.append(Adjointness(self.surrogate or self.forward, self.jvp, self.vjp, self.approximates))
        named = [(c.name, c) for c in claims]
        if self.primal is not None:
            named.append(("primal", Equality(self.primal, self.forward, ("primal", "forward"))))
        if reference is not None:
            labels = ("left", "right") if self.approximates is None else ("forward", "reference")
            named.append(("reference", Equality(self.forward, reference, labels, self.approximates)))
        return [*named, *self.further_claims]

    def _derivative(self, rule: Code, mode: Mode, convention: Code | None, reference: Code | None) -> Derivative:
        stated = (self.forward, rule, mode, self.differentiable, convention)
        if self.approximates is not None:
            return Derivative(*stated, surrogate=reference, approximates=self.approximates)
        return Derivative(*stated, reference, surrogate=self.surrogate)

    def record(self) -> SubjectResult:
        """The record of the rule's result, in which nothing is judged yet."""
        file, line = self.source
        return SubjectResult(
            self.kind,
            self.name,
            module=file,
            latex=self.latex,
            property_words=self.words,
            source={"file": file, "line": line},
            code=self.code,
        )

    def import_line(self) -> str:
        """Code that imports the rule as `rule` in a test beside its file, with one argument per array."""
        return import_line_of(self, *self.source) + (
            "" if self.flat is self else "\n\nrule = rule.flat  # one argument per array, directions along tangents"
        )

    def _bind_fixed(self) -> None:
        inputs: Any = self.inputs  # not checked yet
        names = tuple(inputs) if isinstance(inputs, Mapping) else ()
        check_fixed(f"Rule({self.name!r})", self.forward, self.fixed, names)
        forward = self.forward.func if isinstance(self.forward, Bound) else self.forward
        object.__setattr__(self, "forward", Bound.of(forward, self.fixed))
        for label in ("jvp", "vjp", "reference", "surrogate", "where", "convention"):
            object.__setattr__(self, label, Bound.of(getattr(self, label), self.fixed, forward))

    def _check_functions(self) -> None:
        who = f"Rule({self.name!r})"
        n = len(self.inputs)
        d = sum(any(s.differentiable for s in flat_inputs({k: v}).values()) for k, v in self.inputs.items())
        primals = f"one argument per input ({', '.join(self.inputs)})"
        of_jvp = f"{primals} and one tangent per differentiable input ({', '.join(self.differentiable)})"
        of_vjp = f"{primals} and one cotangent per output of forward"
        check_arity(who, "forward", self.forward, n, n, primals)
        check_names(who, self.forward, tuple(self.inputs))
        for label in ("reference", "surrogate", "where", "primal"):
            function = getattr(self, label)
            if function is not None:
                check_arity(who, label, function, n, n, primals)
        for label in ("jvp", "vjp", "reference", "surrogate", "where", "primal", "convention"):
            check_order(who, label, getattr(self, label), tuple(self.inputs))
        if self.jvp is not None:
            check_arity(who, "jvp", self.jvp, n + d, n + d, of_jvp)
        if self.vjp is not None:
            check_arity(who, "vjp", self.vjp, n + 1, None, of_vjp)
        if self.convention is not None:
            if self.vjp is not None:
                check_arity(who, "convention", self.convention, n + 1, None, of_vjp)
            else:
                check_arity(who, "convention", self.convention, n + d, n + d, of_jvp)


setattr(Rule, "__init__", worded("Rule", skipped=1)(Rule.__init__))  # noqa: B010 - mypy refuses the plain form


def _of_free_arrays(rule: Rule) -> Rule:
    """The rule of real arrays whose directions are free."""
    free: Rule = along_tangents(of_parts(rule))
    return free


def _checked_inputs(name: str, inputs: object) -> dict[str, Tree]:
    check_mapping(f"Rule({name!r})", inputs)
    assert isinstance(inputs, Mapping)
    flat = _leaves(name, inputs)
    check_arrays(f"Rule({name!r})", flat)
    if not any(spec.differentiable for spec in flat.values()):
        raise UsageError(
            f"Rule({name!r}): no input is differentiable ({', '.join(flat) or 'inputs is empty'}); "
            "at least one must be a bp.array of floats that is neither a mask nor an index"
        )
    sizes = {n for spec in flat.values() for n in spec.names}
    for key, spec in flat.items():
        if isinstance(spec.high, str) and spec.high not in sizes:
            raise UsageError(
                f"Rule({name!r}): input {key!r} has high={spec.high!r}, which is no dimension of any input "
                f"(there are: {', '.join(sorted(sizes)) or 'none'})"
            )
    try:
        bounds_of(flat)
    except UsageError as why:
        raise UsageError(f"Rule({name!r}): {why}") from None
    return dict(inputs)


def _leaves(name: str, inputs: Mapping[str, Tree]) -> dict[str, Tree]:
    """Dotted name -> what stands there; anything but a container of arrays is a leaf, to be refused with its name."""
    if not is_structured(inputs) or not any(isinstance(v, (Mapping, tuple, list)) for v in inputs.values()):
        return dict(inputs)
    shapes = [v for v in inputs.values() if isinstance(v, (tuple, list)) and v and all(type(d) is int for d in v)]
    if shapes:  # a shape in the place of a description, to be refused with its name
        return {k: v for k, v in inputs.items() if any(v is s for s in shapes)}
    try:
        return flat_inputs(inputs)
    except (UsageError, TypeError, ValueError) as why:  # no structure, or keys that cannot be ordered
        raise UsageError(f"Rule({name!r}): {why}") from None


class UnderContract:
    """A function of a rule with what its framework asks of it beside its values.

    Args:
        call: the function.
        contract: what of the framework's contract the function breaks at its arguments, in words; None where it keeps
            to it.
    """

    def __init__(self, call: Code, contract: Callable[..., str | None]) -> None:
        self.call, self.contract = call, contract

    def __call__(self, *arguments: object) -> object:
        return self.call(*arguments)

    def guarded(self) -> UnderContract:
        """The same, which raises nothing but exceptions that can be shown."""
        other = copy.copy(self)
        other.call, other.contract = guarded(self.call), guarded(self.contract)
        return other


def shown_as(function: Any, original: Code, skipped: int | None = None, under_test: object = None) -> Code:
    """`function` with its own signature, whose text in the report is that of `original`.

    Args:
        under_test: the object of a framework whose derivative it gives.
        skipped: parameters of `original` before its directions, whose names examples may use; None: it has none.
    """
    if skipped is not None:
        function.direction_parameters = direction_parameters(original, skipped)
    function.__signature__ = inspect.signature(function)
    function.__wrapped__ = original
    if under_test is not None:
        function.under_test = under_test
    return function  # type: ignore[no-any-return]
