"""Elementwise tape nodes whose function is differentiable everywhere (Tape.Nodes.Elementwise).

Each node has a duality law and a derivative claim, both at every point. The derivative formulas are the documented
ones, `s(1 - s)` and `1 - tanh(x)^2` included, although they lose all digits in the tails.
"""

from __future__ import annotations

from backprove.harness.statements.theorem import theorem
from backprove.rules.lazy import jnp
from backprove.rules.nodes import Node
from backprove.rules.scalar_functions import gelu, gelu_slope, logistic, sigmoid, softplus
from backprove.strategies.array import array

ANY = array("*shape")
EPS = array("", low=1e-6, high=10.0)

POINT = {"x": ANY}
POINT_TANGENT_COTANGENT = {"x": ANY, "dx": ANY, "d": ANY}


# ---- exponential and hyperbolic functions

exponential = Node(jnp.exp, jnp.exp, r"e^x", r"e^x")

theorem(
    "TapeNodes.exp",
    exponential.pairing,
    inputs=POINT_TANGENT_COTANGENT,
    latex=exponential.pairing_latex,
    words="The exponential node's JVP and VJP are adjoint at every point.",
    rests_on=["TapeNodes.elemwise"],
)
theorem(
    "TapeNodes.expFderiv",
    *exponential.has_derivative,
    inputs=POINT,
    latex=exponential.derivative_latex,
    words="The exponential is its own derivative.",
    rests_on=["TapeNodes.exp", "TapeNodes.elemwiseFderiv"],
)

hyperbolic_sine = Node(jnp.sinh, jnp.cosh, r"\sinh x", r"\cosh x")

theorem(
    "TapeNodes.sinh",
    hyperbolic_sine.pairing,
    inputs=POINT_TANGENT_COTANGENT,
    latex=hyperbolic_sine.pairing_latex,
    words="The sinh node's JVP and VJP are adjoint at every point.",
    rests_on=["TapeNodes.elemwise"],
)
theorem(
    "TapeNodes.sinhFderiv",
    *hyperbolic_sine.has_derivative,
    inputs=POINT,
    latex=hyperbolic_sine.derivative_latex,
    words="The derivative of sinh is cosh.",
    rests_on=["TapeNodes.sinh", "TapeNodes.elemwiseFderiv"],
)

hyperbolic_cosine = Node(jnp.cosh, jnp.sinh, r"\cosh x", r"\sinh x")

theorem(
    "TapeNodes.cosh",
    hyperbolic_cosine.pairing,
    inputs=POINT_TANGENT_COTANGENT,
    latex=hyperbolic_cosine.pairing_latex,
    words="The cosh node's JVP and VJP are adjoint at every point.",
    rests_on=["TapeNodes.elemwise"],
)
theorem(
    "TapeNodes.coshFderiv",
    *hyperbolic_cosine.has_derivative,
    inputs=POINT,
    latex=hyperbolic_cosine.derivative_latex,
    words="The derivative of cosh is sinh, without a minus sign.",
    rests_on=["TapeNodes.cosh", "TapeNodes.elemwiseFderiv"],
)

hyperbolic_tangent = Node(jnp.tanh, lambda x: 1 - jnp.tanh(x) ** 2, r"\tanh x", r"1 - \tanh^2 x")

theorem(
    "TapeNodes.tanh",
    hyperbolic_tangent.pairing,
    inputs=POINT_TANGENT_COTANGENT,
    latex=hyperbolic_tangent.pairing_latex,
    words="The tanh node's JVP and VJP are adjoint at every point.",
    rests_on=["TapeNodes.elemwise"],
)
theorem(
    "TapeNodes.tanhFderiv",
    *hyperbolic_tangent.has_derivative,
    inputs=POINT,
    latex=hyperbolic_tangent.derivative_latex,
    words="The derivative of tanh is 1 - tanh^2.",
    rests_on=["TapeNodes.tanh", "TapeNodes.elemwiseFderiv"],
)


# ---- the logistic function in its two forms, and softplus

naive_logistic = Node(
    logistic, lambda x: logistic(x) * (1 - logistic(x)), r"\ell(x) = \frac{e^x}{e^x + 1}", r"\ell(x)(1 - \ell(x))"
)

theorem(
    "TapeNodes.logistic",
    naive_logistic.pairing,
    inputs=POINT_TANGENT_COTANGENT,
    latex=naive_logistic.pairing_latex,
    words="The logistic node's JVP and VJP are adjoint at every point.",
    rests_on=["TapeNodes.elemwise"],
)
theorem(
    "TapeNodes.logisticFderiv",
    *naive_logistic.has_derivative,
    inputs=POINT,
    latex=naive_logistic.derivative_latex,
    words="The logistic function e^x/(e^x + 1) has derivative l(1 - l), with l its value.",
    rests_on=["TapeNodes.logistic", "TapeNodes.elemwiseFderiv"],
)

stable_sigmoid = Node(
    sigmoid,
    lambda x: sigmoid(x) * (1 - sigmoid(x)),
    r"\sigma(x) = \begin{cases} 1/(1 + e^{-x}) & x > 0 \\ e^x/(1 + e^x) & x \le 0 \end{cases}",
    r"\sigma(x)(1 - \sigma(x))",
)

theorem(
    "TapeNodes.sigmoid",
    stable_sigmoid.pairing,
    inputs=POINT_TANGENT_COTANGENT,
    latex=stable_sigmoid.pairing_latex,
    words="The sigmoid node's JVP and VJP are adjoint at every point.",
    rests_on=["TapeNodes.elemwise"],
)
theorem(
    "TapeNodes.sigmoidFderiv",
    *stable_sigmoid.has_derivative,
    inputs=POINT,
    latex=stable_sigmoid.derivative_latex,
    words="The sigmoid has derivative s(1 - s), with s its value.",
    rests_on=["TapeNodes.sigmoid", "TapeNodes.elemwiseFderiv"],
)

soft_plus = Node(
    softplus,
    sigmoid,
    r"\begin{cases} x + \log(1 + e^{-x}) & x > 0 \\ \log(1 + e^x) & x \le 0 \end{cases}",
    r"\sigma(x)",
)

theorem(
    "TapeNodes.softplus",
    soft_plus.pairing,
    inputs=POINT_TANGENT_COTANGENT,
    latex=soft_plus.pairing_latex,
    words="The softplus node's JVP and VJP are adjoint at every point.",
    rests_on=["TapeNodes.elemwise"],
)
theorem(
    "TapeNodes.softplusFderiv",
    *soft_plus.has_derivative,
    inputs=POINT,
    latex=soft_plus.derivative_latex,
    words="The derivative of softplus is the sigmoid, at 0 as well.",
    rests_on=["TapeNodes.softplus", "TapeNodes.elemwiseFderiv"],
)


# ---- silu and gelu

sigmoid_linear = Node(
    lambda x: x * sigmoid(x),
    lambda x: sigmoid(x) + x * sigmoid(x) * (1 - sigmoid(x)),
    r"x\,\sigma(x)",
    r"\sigma(x) + x\,\sigma(x)(1 - \sigma(x))",
)

theorem(
    "TapeNodes.silu",
    sigmoid_linear.pairing,
    inputs=POINT_TANGENT_COTANGENT,
    latex=sigmoid_linear.pairing_latex,
    words="The SiLU node's JVP and VJP are adjoint at every point.",
    rests_on=["TapeNodes.elemwise"],
)
theorem(
    "TapeNodes.siluFderiv",
    *sigmoid_linear.has_derivative,
    inputs=POINT,
    latex=sigmoid_linear.derivative_latex,
    words="The derivative of x times its sigmoid s is s + x s (1 - s).",
    rests_on=["TapeNodes.silu", "TapeNodes.sigmoidFderiv", "TapeNodes.elemwiseFderiv"],
)

tanh_gelu = Node(
    gelu,
    gelu_slope,
    r"\tfrac{1}{2} x (1 + t), \quad t = \tanh\left(c\,(x + k x^3)\right)",
    r"\tfrac{1}{2} \left(1 + t + x (1 - t^2)\, c\,(1 + 3 k x^2)\right), \quad c = \sqrt{2/\pi}, \quad k = 0.044715",
)

theorem(
    "TapeNodes.gelu",
    tanh_gelu.pairing,
    inputs=POINT_TANGENT_COTANGENT,
    latex=tanh_gelu.pairing_latex + r", \quad t = \tanh\left(c\,(x + k x^3)\right)",
    words="The GELU node's JVP and VJP are adjoint at every point.",
    rests_on=["TapeNodes.elemwise"],
)
theorem(
    "TapeNodes.geluFderiv",
    *tanh_gelu.has_derivative,
    inputs=POINT,
    latex=tanh_gelu.derivative_latex,
    words="The tanh form of GELU has the derivative that the product and chain rules give.",
    rests_on=["TapeNodes.gelu", "TapeNodes.tanhFderiv", "TapeNodes.elemwiseFderiv"],
)


# ---- smoothed logarithm and absolute value, with eps > 0

safe_log = Node(
    lambda x, eps: jnp.log(softplus(x) + eps),
    lambda x, eps: sigmoid(x) / (softplus(x) + eps),
    r"\log(\operatorname{softplus}(x) + \varepsilon)",
    r"\frac{\sigma(x)}{\operatorname{softplus}(x) + \varepsilon}",
)

theorem(
    "TapeNodes.safeLog",
    safe_log.pairing,
    inputs={"x": ANY, "eps": EPS, "dx": ANY, "d": ANY},
    latex=safe_log.pairing_latex,
    words="The safe-log node's JVP and VJP are adjoint at every point.",
    rests_on=["TapeNodes.elemwise"],
)
theorem(
    "TapeNodes.safeLogFderiv",
    *safe_log.has_derivative,
    inputs={"x": ANY, "eps": EPS},
    latex=safe_log.derivative_latex + r", \quad \varepsilon > 0",
    words="For positive eps, log(softplus(x) + eps) has derivative sigmoid(x)/(softplus(x) + eps).",
    rests_on=["TapeNodes.safeLog", "TapeNodes.softplusFderiv", "TapeNodes.elemwiseFderiv"],
)

smooth_abs = Node(
    lambda x, eps: jnp.sqrt(x**2 + eps),
    lambda x, eps: x / jnp.sqrt(x**2 + eps),
    r"\sqrt{x^2 + \varepsilon}",
    r"\frac{x}{\sqrt{x^2 + \varepsilon}}",
)

theorem(
    "TapeNodes.smoothAbs",
    smooth_abs.pairing,
    inputs={"x": ANY, "eps": EPS, "dx": ANY, "d": ANY},
    latex=smooth_abs.pairing_latex,
    words="The smooth-abs node's JVP and VJP are adjoint at every point.",
    rests_on=["TapeNodes.elemwise"],
)
theorem(
    "TapeNodes.smoothAbsFderiv",
    *smooth_abs.has_derivative,
    inputs={"x": ANY, "eps": EPS},
    latex=smooth_abs.derivative_latex + r", \quad \varepsilon > 0",
    words="For positive eps, sqrt(x^2 + eps) has derivative x/sqrt(x^2 + eps), also at 0.",
    rests_on=["TapeNodes.smoothAbs", "TapeNodes.elemwiseFderiv"],
)
