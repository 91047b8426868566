"""Wrong derivative rules of scalar functions."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax.nn import sigmoid

from tests.mutants.problem import Mutant
from tests.mutants.scalar_rules import GELU_C, GELU_K, SAFE, SMOOTH, elu_vjp, gelu_vjp, sech2, softplus

NARROW = frozenset({"bfloat16"})
"""A change below the precision of bfloat16 alone."""
BOTH = frozenset({"float32", "bfloat16"})


def scaled(formula: Any, factor: float) -> Any:
    """`formula` times a constant."""
    return lambda x, g: formula(x, g) * factor


def in_float32(formula: Any) -> Any:
    """`formula` computed in float32, its result in the input's format."""
    return lambda x, g: formula(x.astype(jnp.float32), g.astype(jnp.float32)).astype(x.dtype)


def only(where: Any, wrong: Any, formula: Any) -> Any:
    """`wrong` where the condition holds, else `formula`."""
    return lambda x, g: jnp.where(where(x), wrong(x, g), formula(x, g))


def zero(x: Any, g: Any) -> Any:
    return 0 * g


def exp_vjp(x: Any, g: Any) -> Any:
    return g * jnp.exp(x)


def log_vjp(x: Any, g: Any) -> Any:
    return g / x


def sigmoid_vjp(x: Any, g: Any) -> Any:
    return g * (sigmoid(x) * sigmoid(-x))


def tanh_vjp(x: Any, g: Any) -> Any:
    return g * sech2(x)


def softplus_vjp(x: Any, g: Any) -> Any:
    return g * sigmoid(x)


def silu_vjp(x: Any, g: Any) -> Any:
    return g * (sigmoid(x) * (1 + x * sigmoid(-x)))


def gelu_constants(c: float, k: float, three: float = 3.0) -> Any:
    """The rule of gelu with other constants."""

    def vjp(x: Any, g: Any) -> Any:
        u = c * (x + k * (x * x * x))
        slope = c * (1 + three * (k * (x * x)))
        return g * (sigmoid(2 * u) + 2 * x * slope * (sigmoid(2 * u) * sigmoid(-2 * u)))

    return vjp


def gelu_without_slope(x: Any, g: Any) -> Any:
    u = GELU_C * (x + GELU_K * (x * x * x))
    return g * (sigmoid(2 * u) + 2 * x * GELU_C * (sigmoid(2 * u) * sigmoid(-2 * u)))


def at_negative_zero(x: Any) -> Any:
    return (x == 0) & (1 / x < 0)


FALSE = "falsified"
FLOATS = "inaccurate"

SCALAR_MUTANTS = [
    Mutant("relu_two_at_zero", "relu", "slope 2 at 0", lambda x, g: jnp.where(x > 0, g, jnp.where(x == 0, 2 * g, 0))),
    Mutant("relu_threshold", "relu", "threshold moved to 0.001", lambda x, g: jnp.where(x > 1e-3, g, 0)),
    Mutant("relu_leaky", "relu", "slope 0.01 below 0", lambda x, g: jnp.where(x > 0, g, 0.01 * g)),
    Mutant("relu_cotangent", "relu", "cotangent ignored", lambda x, g: jnp.where(x > 0, 1, 0) + 0 * g),
    Mutant("abs_unsigned", "abs", "sign dropped", lambda x, g: g + 0 * x),
    Mutant("abs_band", "abs", "linear between -0.001 and 0.001", lambda x, g: g * jnp.clip(1000 * x, -1, 1)),
    Mutant(
        "abs_three_at_zero",
        "abs",
        "slope 3 at 0",
        only(lambda x: x == 0, lambda x, g: 3 * g, lambda x, g: g * jnp.sign(x)),
    ),
    Mutant("log_factor", "log", "factor 2", scaled(log_vjp, 2.0)),
    Mutant("log_1e9", "log", "relative error 1e-9", scaled(log_vjp, 1 + 1e-9), FALSE, BOTH),
    Mutant("log_base10", "log", "derivative of the decimal logarithm", scaled(log_vjp, 0.4342944819)),
    Mutant("log_guard", "log", "x + 1e-12 in the denominator", lambda x, g: g / (x + 1e-12)),
    Mutant("inv_sign", "inv", "sign", lambda x, g: g / x / x),
    Mutant("inv_power", "inv", "1/x in place of 1/x^2", lambda x, g: -g / x),
    Mutant("inv_factor", "inv", "factor 2", lambda x, g: -2 * g / x / x),
    Mutant("sqrt_factor", "sqrt", "factor 1/2 dropped", lambda x, g: g / jnp.sqrt(x)),
    Mutant("sqrt_inverted", "sqrt", "multiplied instead of divided", lambda x, g: 0.5 * g * jnp.sqrt(x)),
    Mutant("exp_identity", "exp", "x in place of e^x", lambda x, g: g * x),
    Mutant("exp_1e12", "exp", "relative error 1e-12", scaled(exp_vjp, 1 + 1e-12), FALSE, BOTH),
    Mutant("exp_1e7", "exp", "relative error 1e-7", scaled(exp_vjp, 1 + 1e-7), FALSE, NARROW),
    Mutant(
        "exp_large",
        "exp",
        "0.1 % too large for x > 20",
        only(lambda x: x > 20, scaled(exp_vjp, 1.001), exp_vjp),
        FALSE,
        NARROW,
    ),
    Mutant("exp_negative_zero", "exp", "0 at -0", only(at_negative_zero, zero, exp_vjp), FLOATS),
    Mutant("exp_float32", "exp", "computed in float32", in_float32(exp_vjp), FLOATS, BOTH),
    Mutant("sinh_sign", "sinh", "sign", lambda x, g: -g * jnp.cosh(x)),
    Mutant("sinh_unchanged", "sinh", "sinh in place of cosh", lambda x, g: g * jnp.sinh(x)),
    Mutant(
        "sinh_overflow",
        "sinh",
        "e^x + e^-x overflows before its half does",
        lambda x, g: g * (0.5 * (jnp.exp(x) + jnp.exp(-x))),
        FLOATS,
    ),
    Mutant("cosh_sign", "cosh", "sign of the trigonometric rule", lambda x, g: -g * jnp.sinh(x)),
    Mutant("cosh_float32", "cosh", "computed in float32", in_float32(lambda x, g: g * jnp.sinh(x)), FLOATS, BOTH),
    Mutant(
        "cosh_overflow",
        "cosh",
        "square root of cosh^2 - 1 overflows",
        lambda x, g: g * jnp.sign(x) * jnp.sqrt(jnp.cosh(x) ** 2 - 1),
        FLOATS,
    ),
    Mutant("sigmoid_dropped", "sigmoid", "1 - s dropped", lambda x, g: g * sigmoid(x)),
    Mutant("sigmoid_sign", "sigmoid", "1 + s in place of 1 - s", lambda x, g: g * sigmoid(x) * (1 + sigmoid(x))),
    Mutant(
        "sigmoid_overflow", "sigmoid", "e^x/(1 + e^x)^2", lambda x, g: g * (jnp.exp(x) / (1 + jnp.exp(x)) ** 2), FLOATS
    ),
    Mutant("sigmoid_large", "sigmoid", "0 for x > 20", only(lambda x: x > 20, zero, sigmoid_vjp)),
    Mutant("sigmoid_1e12", "sigmoid", "relative error 1e-12", scaled(sigmoid_vjp, 1 + 1e-12), FALSE, BOTH),
    Mutant("sigmoid_float32", "sigmoid", "computed in float32", in_float32(sigmoid_vjp), FLOATS, BOTH),
    Mutant(
        "sigmoid_negative_zero",
        "sigmoid",
        "sign at -0",
        only(at_negative_zero, lambda x, g: -sigmoid_vjp(x, g), sigmoid_vjp),
        FLOATS,
    ),
    Mutant("tanh_power", "tanh", "1 - t in place of 1 - t^2", lambda x, g: g * (1 - jnp.tanh(x))),
    Mutant("tanh_sign", "tanh", "1 + t^2 in place of 1 - t^2", lambda x, g: g * (1 + jnp.tanh(x) ** 2)),
    Mutant("tanh_1e7", "tanh", "relative error 1e-7", scaled(tanh_vjp, 1 + 1e-7), FALSE, NARROW),
    Mutant(
        "tanh_window",
        "tanh",
        "0 for x in (6, 6.02)",
        only(lambda x: (x > 6) & (x < 6.02), zero, tanh_vjp),
        FALSE,
        NARROW,
    ),
    Mutant("tanh_halved", "tanh", "factor 2 in the argument", lambda x, g: g * sech2(0.5 * x)),
    Mutant("softplus_overflow", "softplus", "e^x/(1 + e^x)", lambda x, g: g * (jnp.exp(x) / (1 + jnp.exp(x))), FLOATS),
    Mutant("softplus_zero", "softplus", "0 at 0", only(lambda x: x == 0, zero, softplus_vjp)),
    Mutant("softplus_threshold", "softplus", "1 for x > 20", only(lambda x: x > 20, lambda x, g: g, softplus_vjp)),
    Mutant("softplus_negative", "softplus", "0 for x < -15", only(lambda x: x < -15, zero, softplus_vjp)),
    Mutant("softplus_mirrored", "softplus", "s(-x) in place of s(x)", lambda x, g: g * sigmoid(-x)),
    Mutant(
        "softplus_product",
        "softplus",
        "e^-softplus(-x) as e^x e^-softplus(x)",
        lambda x, g: g * (jnp.exp(x) * jnp.exp(-softplus(x))),
        FLOATS,
    ),
    Mutant("silu_dropped", "silu", "second term dropped", lambda x, g: g * sigmoid(x)),
    Mutant("silu_sign", "silu", "sign of the second term", lambda x, g: g * (sigmoid(x) * (1 - x * sigmoid(-x)))),
    Mutant("silu_1e9", "silu", "relative error 1e-9", scaled(silu_vjp, 1 + 1e-9), FALSE, BOTH),
    Mutant("silu_small", "silu", "0 for x < -15", only(lambda x: x < -15, zero, silu_vjp)),
    Mutant("gelu_digit", "gelu", "0.044716 in place of 0.044715", gelu_constants(GELU_C, 0.044716), FALSE, NARROW),
    Mutant("gelu_constant", "gelu", "sqrt(2/pi) in six digits", gelu_constants(0.797885, GELU_K), FALSE, NARROW),
    Mutant("gelu_1e9", "gelu", "sqrt(2/pi) off by 1e-9", gelu_constants(GELU_C * (1 + 1e-9), GELU_K), FALSE, BOTH),
    Mutant("gelu_two", "gelu", "2 in place of 3", gelu_constants(GELU_C, GELU_K, 2.0)),
    Mutant("gelu_slope", "gelu", "derivative of the cubic term dropped", gelu_without_slope),
    Mutant("gelu_relative", "gelu", "relative error 1e-12", scaled(gelu_vjp, 1 + 1e-12), FALSE, BOTH),
    Mutant("safe_log_unmasked", "safe_log", "1/x below the threshold", lambda x, g: jnp.where(x == 0, 0, g / x)),
    Mutant(
        "safe_log_threshold",
        "safe_log",
        "threshold 2e-6",
        lambda x, g: jnp.where(x > 2 * SAFE, g / jnp.maximum(x, SAFE), 0),
    ),
    Mutant("safe_log_held", "safe_log", "1/threshold below the threshold", lambda x, g: g / jnp.maximum(x, SAFE)),
    Mutant("smooth_abs_sign", "smooth_abs", "sign(x)", lambda x, g: g * jnp.sign(x)),
    Mutant(
        "smooth_abs_digit",
        "smooth_abs",
        "1.00001e-6 in place of 1e-6",
        lambda x, g: g * (x / jnp.sqrt(x * x + 1.00001e-6)),
        FALSE,
        NARROW,
    ),
    Mutant(
        "smooth_abs_sum", "smooth_abs", "|x| + 1e-6 in the denominator", lambda x, g: g * (x / (jnp.abs(x) + SMOOTH))
    ),
    Mutant(
        "elu_expm1",
        "elu",
        "e^x - 1 in place of e^x",
        lambda x, g: jnp.where(x > 0, g, g * jnp.expm1(jnp.minimum(x, 0))),
    ),
    Mutant(
        "elu_threshold",
        "elu",
        "threshold at -0.001",
        lambda x, g: jnp.where(x > -1e-3, g, g * jnp.exp(jnp.minimum(x, 0))),
    ),
    Mutant("elu_everywhere", "elu", "e^x above 0 too", lambda x, g: g * jnp.exp(jnp.minimum(x, 80))),
    Mutant("elu_1e7", "elu", "relative error 1e-7", scaled(elu_vjp, 1 + 1e-7), FALSE, NARROW),
]
