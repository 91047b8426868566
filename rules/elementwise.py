"""Elementwise tape nodes: the generic node and those with a kink or a totalised value (Tape.Nodes.Elementwise).

Two levels are kept apart. The duality law `<JVP, d> = <dx, VJP>` holds at every point, kinks and zeros included. The
derivative claims hold under their hypotheses only, which the inputs state.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from backprove.harness.statements.claims import Derivative, Equality
from backprove.harness.statements.theorem import theorem
from backprove.rules.lazy import jnp
from backprove.rules.linalg import Tensor, inner, mask
from backprove.rules.nodes import Node
from backprove.rules.scalar_functions import elu, elu_slope, inv, log, sigmoid, softplus, sqrt
from backprove.strategies.array import array

ANY = array("*shape")
NONZERO = array("*shape", nonzero=True)
POSITIVE = array("*shape", low=0.0, nonzero=True)
REAL = array("")

POINT_TANGENT_COTANGENT = {"x": ANY, "dx": ANY, "d": ANY}


# ---- the generic node, for arbitrary scalar functions f and g


def in_context(f: Callable[[Tensor], Tensor], g: Callable[[Tensor], Tensor]) -> Equality:
    """The duality law over a whole context (x, rest): the VJP is `d_i g(x_i)` in the read slot and zero elsewhere."""
    node = Node(f, g, "f(x)", "g(x)")

    def left(x: Tensor, dx: Tensor, drest: Tensor, d: Tensor) -> Tensor:
        return inner(node.jvp(x, dx), d)

    def right(x: Tensor, dx: Tensor, drest: Tensor, d: Tensor) -> Tensor:
        return inner((dx, drest), (node.vjp(x, d), jnp.zeros_like(drest)))

    return Equality(left, right)


def derivative_everywhere(f: Callable[[Tensor], Tensor], g: Callable[[Tensor], Tensor]) -> Derivative:
    """The generic node's JVP `dx_i g(x_i)` is the derivative of its forward map `f(x_i)`."""
    return Derivative(f, Node(f, g, "f(x)", "g(x)").jvp, "jvp", wrt=("x",))


theorem(
    "TapeNodes.elemwise",
    in_context(jnp.tanh, lambda x: 1 - jnp.tanh(x) ** 2),
    in_context(jnp.abs, jnp.sign),
    in_context(jnp.abs, lambda x: x**2),  # g need not be the derivative of f
    in_context(jnp.sin, mask),
    inputs={"x": ANY, "dx": ANY, "drest": array("k"), "d": ANY},
    latex=(
        r"\langle dx \odot g(x), \delta \rangle"
        r" = \langle (dx, dz), (\delta \odot g(x), 0) \rangle \quad \text{for any } g"
    ),
    words="A node that applies a scalar function entry by entry obeys the duality law for any g, related to f or not.",
)

theorem(
    "TapeNodes.elemwiseFderiv",
    derivative_everywhere(lambda x: x**3, lambda x: 3 * x**2),
    derivative_everywhere(jnp.sin, jnp.cos),
    derivative_everywhere(jnp.tanh, lambda x: 1 - jnp.tanh(x) ** 2),
    derivative_everywhere(softplus, sigmoid),
    inputs={"x": ANY},
    latex=r"\left(\forall z,\ f'(z) = g(z)\right) \implies D\left(f(x_i)\right)_i\,dx = \left(g(x_i)\,dx_i\right)_i",
    words="Where f has derivative g at every real, the elementwise map has the derivative g(x) * dx everywhere.",
    rests_on=["TapeNodes.elemwise"],
)

theorem(
    "TapeNodes.elemwiseFderivAt",
    derivative_everywhere(lambda x: jnp.maximum(x, 0), mask),
    derivative_everywhere(jnp.abs, jnp.sign),
    derivative_everywhere(lambda x: jnp.maximum(jnp.minimum(x, 1), -1), lambda x: (jnp.abs(x) < 1).astype(x.dtype)),
    derivative_everywhere(inv, lambda x: -(inv(x) ** 2)),
    inputs={"x": NONZERO},
    where=lambda x: bool(np.all(np.abs(x) != 1)),
    latex=r"\left(\forall i,\ f'(x_i) = g(x_i)\right) \implies D\left(f(x_i)\right)_i dx = \left(g(x_i)\,dx_i\right)_i",
    words="It is enough that f has derivative g at the entries of the point itself: kinks elsewhere do no harm.",
    rests_on=["TapeNodes.elemwise"],
)


# ---- relu and abs

relu = Node(lambda x: jnp.maximum(x, 0), mask, r"\max(x, 0)", r"\begin{cases} 1 & x > 0 \\ 0 & x \le 0 \end{cases}")

theorem(
    "TapeNodes.relu",
    relu.pairing,
    inputs=POINT_TANGENT_COTANGENT,
    latex=relu.pairing_latex,
    words="The ReLU node's JVP and VJP are adjoint at every point, zeros included.",
    rests_on=["TapeNodes.elemwise"],
)
theorem(
    "TapeNodes.reluFderivAt",
    *relu.has_derivative,
    inputs={"x": NONZERO},
    latex=relu.derivative_latex + r", \quad x_i \neq 0",
    words="Where no entry is zero, the derivative of ReLU is 1 on positive entries and 0 on negative ones.",
    rests_on=["TapeNodes.relu", "TapeNodes.elemwiseFderivAt"],
)

absolute = Node(jnp.abs, jnp.sign, r"|x|", r"\operatorname{sign}(x), \quad \operatorname{sign}(0) = 0")

theorem(
    "TapeNodes.abs",
    absolute.pairing,
    inputs=POINT_TANGENT_COTANGENT,
    latex=absolute.pairing_latex,
    words="The absolute-value node's JVP and VJP are adjoint at every point, zeros included.",
    rests_on=["TapeNodes.elemwise"],
)
theorem(
    "TapeNodes.absFderivAt",
    *absolute.has_derivative,
    inputs={"x": NONZERO},
    latex=absolute.derivative_latex + r", \quad x_i \neq 0",
    words="Where no entry is zero, the derivative of the absolute value is the sign.",
    rests_on=["TapeNodes.abs", "TapeNodes.elemwiseFderivAt"],
)


# ---- log and inverse, with log 0 = 0 and 1/0 = 0

logarithm = Node(log, inv, r"\log|x|", r"\frac{1}{x}, \quad \frac{1}{0} := 0")

theorem(
    "TapeNodes.log",
    logarithm.pairing,
    inputs=POINT_TANGENT_COTANGENT,
    latex=logarithm.pairing_latex,
    words="The logarithm node's JVP and VJP are adjoint at every point, zeros and negatives included.",
    rests_on=["TapeNodes.elemwise"],
)
theorem(
    "TapeNodes.logFderivAt",
    *logarithm.has_derivative,
    inputs={"x": NONZERO},
    latex=logarithm.derivative_latex + r", \quad x_i \neq 0",
    words="Where no entry is zero, log|x| has derivative 1/x, for negative entries too.",
    rests_on=["TapeNodes.log", "TapeNodes.elemwiseFderivAt"],
)

# -(1/x)^2 rather than -1/(x^2): x^2 would underflow where 1/x^2 is still an ordinary number.
inverse = Node(inv, lambda x: -(inv(x) ** 2), r"\frac{1}{x}", r"-\frac{1}{x^2}, \quad \frac{1}{0} := 0")

theorem(
    "TapeNodes.inv",
    inverse.pairing,
    inputs=POINT_TANGENT_COTANGENT,
    latex=inverse.pairing_latex,
    words="The inverse node's JVP and VJP are adjoint at every point, zeros included.",
    rests_on=["TapeNodes.elemwise"],
)
theorem(
    "TapeNodes.invFderivAt",
    *inverse.has_derivative,
    inputs={"x": NONZERO},
    latex=inverse.derivative_latex + r", \quad x_i \neq 0",
    words="Where no entry is zero, 1/x has derivative -1/x^2.",
    rests_on=["TapeNodes.inv", "TapeNodes.elemwiseFderivAt"],
)


# ---- square roots, 0 for x <= 0

square_root_slope = r"\frac{1}{2\sqrt{x}}, \quad 0 \text{ for } x \le 0"
sqrt_clamp = Node(
    lambda x: sqrt(jnp.maximum(x, 0)), lambda x: inv(2 * sqrt(x)), r"\sqrt{\max(x, 0)}", square_root_slope
)
square_root = Node(sqrt, lambda x: inv(2 * sqrt(x)), r"\sqrt{x}, \quad \sqrt{-|x|} := 0", square_root_slope)

theorem(
    "TapeNodes.hasDerivAt_sqrt_clamp_of_pos",
    Derivative(sqrt_clamp.f, lambda x, dx: inv(2 * sqrt(x)) * dx, "jvp"),
    inputs={"x": array("", low=0.0, nonzero=True)},
    latex=r"\frac{d}{dx} \sqrt{\max(x, 0)} = \frac{1}{2\sqrt{x}}, \quad x > 0",
    words="At a positive number the clamped square root has derivative 1/(2 sqrt x).",
)
theorem(
    "TapeNodes.sqrtClamp",
    sqrt_clamp.pairing,
    inputs=POINT_TANGENT_COTANGENT,
    latex=sqrt_clamp.pairing_latex,
    words="The clamped square root's JVP and VJP are adjoint at every point, zeros and negatives included.",
    rests_on=["TapeNodes.elemwise"],
)
theorem(
    "TapeNodes.sqrtClampFderivAt",
    *sqrt_clamp.has_derivative,
    inputs={"x": POSITIVE},
    latex=sqrt_clamp.derivative_latex + r", \quad x_i > 0",
    words="Where every entry is positive, the clamped square root has derivative 1/(2 sqrt x).",
    rests_on=["TapeNodes.sqrtClamp", "TapeNodes.hasDerivAt_sqrt_clamp_of_pos", "TapeNodes.elemwiseFderivAt"],
)
theorem(
    "TapeNodes.sqrt",
    square_root.pairing,
    inputs=POINT_TANGENT_COTANGENT,
    latex=square_root.pairing_latex,
    words="The square-root node's JVP and VJP are adjoint at every point, zeros and negatives included.",
    rests_on=["TapeNodes.elemwise"],
)
theorem(
    "TapeNodes.sqrtFderivAt",
    *square_root.has_derivative,
    inputs={"x": NONZERO},
    latex=square_root.derivative_latex + r", \quad x_i \neq 0",
    words="Where no entry is zero, the square root has derivative 1/(2 sqrt x), and 0 on negative entries.",
    rests_on=["TapeNodes.sqrt", "TapeNodes.elemwiseFderivAt"],
)


# ---- elu, with any real alpha

exponential_linear = Node(
    elu,
    elu_slope,
    r"\begin{cases} x & x > 0 \\ \alpha (e^x - 1) & x \le 0 \end{cases}",
    r"\begin{cases} 1 & x > 0 \\ \alpha e^x & x \le 0 \end{cases}",
)

theorem(
    "TapeNodes.elu",
    exponential_linear.pairing,
    inputs={"x": ANY, "alpha": REAL, "dx": ANY, "d": ANY},
    latex=exponential_linear.pairing_latex,
    words="The ELU node's JVP and VJP are adjoint at every point and for every alpha, zeros included.",
    rests_on=["TapeNodes.elemwise"],
)
theorem(
    "TapeNodes.eluFderivAt",
    *exponential_linear.has_derivative,
    inputs={"x": NONZERO, "alpha": REAL},
    latex=exponential_linear.derivative_latex + r", \quad x_i \neq 0",
    words="Where no entry is zero, ELU has derivative 1 on positive entries and alpha e^x on negative ones.",
    rests_on=["TapeNodes.elu", "TapeNodes.elemwiseFderivAt"],
)
