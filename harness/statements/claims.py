"""Claims say what a theorem or a rule asserts, as data: `Derivative(forward, rule, "vjp")`.

A claim holds functions of named inputs. All functions of one claim take the same positional arguments: first the
primal inputs in order, then the tangents or cotangents that its kind adds. `name` is how reports call the claim, unless
its subject has a better one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from backprove.harness.core.arguments import as_given, worded
from backprove.harness.core.errors import UsageError
from backprove.harness.statements.further import check_units

if TYPE_CHECKING:  # NumPy takes long to import
    from backprove.harness.core.arrays import Code
    from backprove.harness.core.formats import Mode


@dataclass(frozen=True)
class Derivative:
    """`rule` is the derivative of `forward`.

    ```python
    import numpy as np
    import backprove as bp

    bp.Derivative(np.sin, lambda x, g: g * np.cos(x), mode="vjp")
    ```

    Attributes:
        forward: `forward(*inputs)` -> array or tuple of arrays.
        rule: mode "jvp": `rule(*inputs, *tangents)` -> output tangent(s); mode "vjp": `rule(*inputs, *cotangents)` ->
            cotangent of the one differentiated input or a tuple, one per differentiated input.
        mode: "jvp" or "vjp".
        wrt: names of the inputs that are differentiated (None: all differentiable ones).
        convention: function of the signature of `rule` whose value the rule must equal at kinks.
        reference: JAX-traceable function of the same map, used where `forward` cannot be traced.
        unit_cotangent: for scalar `forward`: `rule(*inputs)` is the gradient, the cotangent 1 is understood.
        surrogate: function of the signature of `forward` whose derivative `rule` must equal in place of forward's; what
            `forward` returns still says where the domain is.
        approximates: `surrogate` is a reference that `forward` approximates: the rule must be its derivative up to so
            many units of what rounding the inputs forces.

    Raises:
        UsageError: where a function is none, or the mode is another.
    """

    forward: Code
    rule: Code
    mode: Mode
    wrt: tuple[str, ...] | None = None
    convention: Code | None = None
    reference: Code | None = None
    unit_cotangent: bool = False
    surrogate: Code | None = None
    approximates: float | None = None

    def __post_init__(self) -> None:
        _check_functions(self, "forward", "rule")
        _check_functions(self, "convention", "reference", "surrogate", may_be_missing=True)
        check_units("Derivative", self.approximates)
        if self.mode not in ("jvp", "vjp"):
            raise UsageError(f'Derivative: mode must be "jvp" or "vjp", got {self.mode!r}')
        wrt: object = self.wrt  # what callers pass may be anything
        if wrt is not None and not (isinstance(wrt, (tuple, list)) and all(isinstance(n, str) for n in wrt)):
            raise UsageError(f'Derivative: wrt must be a tuple of names of inputs such as ("x",), or None, got {wrt!r}')
        if isinstance(wrt, list):
            object.__setattr__(self, "wrt", tuple(wrt))

    @property
    def name(self) -> str:
        return "gradient" if self.unit_cotangent else self.mode

    @property
    def differentiated(self) -> Code:
        """The map whose derivative the rule must equal."""
        return self.forward if self.surrogate is None else self.surrogate

    @property
    def in_place(self) -> str:
        """How reports call the map that stands in forward's place."""
        return "surrogate" if self.approximates is None else "reference"


@dataclass(frozen=True)
class Equality:
    """`left(*inputs) = right(*inputs)` entry by entry, at every point of the domain.

    ```python
    import numpy as np
    import backprove as bp

    bp.Equality(lambda x: np.sin(2 * x), lambda x: 2 * np.sin(x) * np.cos(x))
    ```

    Attributes:
        left: `left(*inputs)` -> array or tuple of arrays.
        right: `right(*inputs)`, of the same shapes.
        labels: how reports call the two.
        approximates: the left side need be equal only up to so many units of what rounding the inputs forces; where the
            right side has no value nothing is claimed.

    Raises:
        UsageError: where a function is none, or the labels are not two texts.
    """

    left: Code
    right: Code
    labels: tuple[str, str] = ("left", "right")
    approximates: float | None = None
    name: ClassVar[str] = "equality"

    def __post_init__(self) -> None:
        _check_functions(self, "left", "right")
        check_units("Equality", self.approximates)
        labels: object = self.labels
        if not (isinstance(labels, (tuple, list)) and len(labels) == 2 and all(isinstance(n, str) for n in labels)):
            raise UsageError(f'Equality: labels must be two texts such as ("left", "right"), got {labels!r}')


@dataclass(frozen=True)
class Positivity:
    """`value(*inputs)` is positive (strictly; `nonzero` only: not zero) over the reals.

    ```python
    import numpy as np
    import backprove as bp

    bp.Positivity(lambda x: np.exp(x).sum())
    ```

    Floats are looked at too; where the float value underflows to zero or overflows, that is a finding, not a failure.

    Raises:
        UsageError: where `value` is no function.
    """

    value: Code
    nonzero: bool = False

    def __post_init__(self) -> None:
        _check_functions(self, "value")

    @property
    def name(self) -> str:
        return "nonzero" if self.nonzero else "positivity"


@dataclass(frozen=True)
class Adjointness:
    """`<jvp(dx), g> = <dx, vjp(g)>` for all tangents dx and cotangents g, at every point, kinks included.

    ```python
    import numpy as np
    import backprove as bp

    bp.Adjointness(np.sin, jvp=lambda x, dx: dx * np.cos(x), vjp=lambda x, g: g * np.cos(x))
    ```

    Attributes:
        forward: `forward(*inputs)`; gives the shapes of the cotangents.
        jvp: `jvp(*inputs, *tangents)`.
        vjp: `vjp(*inputs, *cotangents)`.
        approximates: each of the two is right up to so many units of what rounding the inputs forces.

    Raises:
        UsageError: where a function is none.
    """

    forward: Code
    jvp: Code
    vjp: Code
    approximates: float | None = None
    name: ClassVar[str] = "adjointness"

    def __post_init__(self) -> None:
        _check_functions(self, "forward", "jvp", "vjp")
        check_units("Adjointness", self.approximates)


Claim = Derivative | Equality | Positivity | Adjointness

for _claim in (Derivative, Equality, Positivity, Adjointness):
    setattr(_claim, "__init__", worded(_claim.__name__, skipped=1)(_claim.__init__))  # noqa: B010 - mypy's only form


def _check_functions(claim: object, *names: str, may_be_missing: bool = False) -> None:
    """Refuse a claim one of whose functions is none.

    Raises:
        UsageError: naming the claim, its argument and what was given.
    """
    for name in names:
        given: Any = getattr(claim, name)
        if not callable(given) and not (may_be_missing and given is None):
            raise UsageError(
                f"{type(claim).__name__}: {name} must be a function of the inputs, such as lambda x: x * x, "
                f"got {as_given(given)}"
            )
