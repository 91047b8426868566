"""Claims say what a theorem or a rule asserts, as data: `Derivative(forward, rule, "vjp")`.

A claim holds functions of named inputs. All functions of one claim take the same positional arguments: first the
primal inputs in order, then the tangents or cotangents that its kind adds. `name` is how reports call the claim, unless
its subject has a better one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # NumPy takes long to import
    from backprove.harness.core.arrays import Code
    from backprove.harness.core.formats import Mode


@dataclass(frozen=True)
class Derivative:
    """`rule` is the derivative of `forward`.

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

    Attributes:
        left: `left(*inputs)` -> array or tuple of arrays.
        right: `right(*inputs)`, of the same shapes.
        labels: how reports call the two.
        approximates: the left side need be equal only up to so many units of what rounding the inputs forces; where the
            right side has no value nothing is claimed.
    """

    left: Code
    right: Code
    labels: tuple[str, str] = ("left", "right")
    approximates: float | None = None
    name: ClassVar[str] = "equality"


@dataclass(frozen=True)
class Positivity:
    """`value(*inputs)` is positive (strictly; `nonzero` only: not zero) over the reals.

    Floats are looked at too; where the float value underflows to zero or overflows, that is a finding, not a failure.
    """

    value: Code
    nonzero: bool = False

    @property
    def name(self) -> str:
        return "nonzero" if self.nonzero else "positivity"


@dataclass(frozen=True)
class Adjointness:
    """`<jvp(dx), g> = <dx, vjp(g)>` for all tangents dx and cotangents g, at every point, kinks included.

    Attributes:
        forward: `forward(*inputs)`; gives the shapes of the cotangents.
        jvp: `jvp(*inputs, *tangents)`.
        vjp: `vjp(*inputs, *cotangents)`.
        approximates: each of the two is right up to so many units of what rounding the inputs forces.
    """

    forward: Code
    jvp: Code
    vjp: Code
    approximates: float | None = None
    name: ClassVar[str] = "adjointness"


Claim = Derivative | Equality | Positivity | Adjointness
