"""A tape node that applies a scalar function entry by entry, and the two claims that are made of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backprove.harness.statements.claims import Derivative, Equality
from backprove.rules.linalg import Tensor, pairing


@dataclass(frozen=True)
class Node:
    """Forward `f(x_i)`, JVP `dx_i g(x_i)`, VJP `d_i g(x_i)`, on a tensor of any shape.

    Attributes:
        f, g: functions of `(x, *parameters)`; the parameters are scalars that are not differentiated.
        f_latex, g_latex: what `f(x)` and `g(x)` are, as LaTeX.
    """

    f: Callable[..., Tensor]
    g: Callable[..., Tensor]
    f_latex: str
    g_latex: str

    def jvp(self, x: Tensor, *rest: Tensor) -> Tensor:
        """`dx_i g(x_i)`; arguments `(x, *parameters, dx)`."""
        *parameters, dx = rest
        return dx * self.g(x, *parameters)

    def vjp(self, x: Tensor, *rest: Tensor) -> Tensor:
        """`d_i g(x_i)`; arguments `(x, *parameters, d)`."""
        *parameters, d = rest
        return d * self.g(x, *parameters)

    @property
    def pairing(self) -> Equality:
        """`<dx * g(x), d> = <dx, d * g(x)>`; inputs `(x, *parameters, dx, d)`."""
        return pairing(self.jvp, self.vjp)

    @property
    def has_derivative(self) -> tuple[Derivative, Derivative]:
        """The node's JVP is the derivative of `f`, and so its VJP is `J(x)^T d`; inputs `(x, *parameters)`."""
        return Derivative(self.f, self.jvp, "jvp", wrt=("x",)), Derivative(self.f, self.vjp, "vjp", wrt=("x",))

    @property
    def pairing_latex(self) -> str:
        """The duality law with this node's `g`."""
        law = r"\langle dx \odot g(x), \delta \rangle = \langle dx, \delta \odot g(x) \rangle"
        return rf"{law}, \quad g(x) = {self.g_latex}"

    @property
    def derivative_latex(self) -> str:
        """`f' = g` entry by entry with this node's `f` and `g`."""
        return rf"Df(x)\,dx = g(x) \odot dx, \quad f(x) = {self.f_latex}, \quad g(x) = {self.g_latex}"
