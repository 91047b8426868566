"""Wrong rules and the diagnosis that each must get."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

import backprove as bp
from backprove.harness.core.results import PropertyResult, SubjectResult
from backprove.harness.core.verdicts import Verdict
from backprove.harness.explaining.diagnosis import explain
from backprove.harness.judging.binders import binders_of

Rule = bp.Rule


def refused(rule: Rule, verdict: Verdict = Verdict.FALSIFIED, name: str = "vjp") -> SubjectResult:
    return SubjectResult("rule", rule.name, properties=[PropertyResult(name, "float64", verdict)])


def said(rule: Rule, verdict: Verdict = Verdict.FALSIFIED) -> str | None:
    """The explanation of the rule's derivative property; what goes wrong inside is raised."""
    binder = next(b for b in binders_of(rule) if b.name in ("vjp", "jvp"))
    return explain(binder, [PropertyResult(binder.name, "float64", verdict)])


def vjp(forward: Callable[..., Any], wrong: Callable[..., Any], **inputs: Any) -> Rule:
    specs = {k: v if not isinstance(v, str) else bp.array(v) for k, v in inputs.items()}
    return Rule("wrong", forward=forward, vjp=wrong, inputs=specs)


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def logsoftmax(z: Any) -> Any:
    c = z.max(axis=-1, keepdims=True)
    return z - c - np.log(np.exp(z - c).sum(axis=-1, keepdims=True))


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def spread(x: Any) -> Any:
    return x.sum(axis=-1, keepdims=True)


def softmax_right(z: Any, g: Any) -> Any:
    y = softmax(z)
    return y * (g - spread(g * y))


def layer_norm(x: Any) -> Any:
    c = x - x.mean(axis=-1, keepdims=True)
    return c / np.sqrt((c * c).mean(axis=-1, keepdims=True) + 0.1)


def layer_norm_vjp(x: Any, g: Any, means: float) -> Any:
    c = x - x.mean(axis=-1, keepdims=True)
    s = np.sqrt((c * c).mean(axis=-1, keepdims=True) + 0.1)
    y = c / s
    return (g - means * g.mean(axis=-1, keepdims=True) - y * (g * y).mean(axis=-1, keepdims=True)) / s


def one(g: Any) -> Any:
    return np.ones_like(g)


SUM = {"forward": lambda x: x.sum(axis=1), "x": "m n"}
WEIGHTS = np.array([[1.0, 2.0, 0.5], [0.25, -1.0, 3.0], [2.0, 1.5, -0.5]])


def rows_overwritten(x: Any, i: Any, g: Any) -> Any:
    out = np.zeros(x.shape)
    out[i] = g
    return out


def counted_once(x: Any, i: Any, g: Any) -> Any:
    out = np.zeros(x.shape)
    out[i] += g  # an index that occurs twice is counted once
    return out


def pooled(x: Any) -> Any:
    return np.array([x[k : k + 2].mean() for k in range(0, x.shape[0], 2)])


def pooled_by_two(x: Any, g: Any) -> Any:
    return np.repeat(g, 2)[: x.shape[0]] / 2


def deviation(x: Any) -> Any:
    return np.sqrt(((x - x.mean(axis=-1, keepdims=True)) ** 2).mean(axis=-1))


def deviation_vjp(x: Any, g: Any) -> Any:
    return g[..., None] * (x - x.mean(axis=-1, keepdims=True)) / (x.shape[-1] * deviation(x)[..., None])


MIXED = np.array([[1.0, 2.0, 0.5], [0.25, -1.0, 3.0], [2.0, 1.5, -0.5]])
WRONG_SIGN = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, -1.0], [1.0, 1.0, 1.0]])
COEFFICIENTS = np.array([2.0, 3.0, 5.0])

CASES: dict[str, tuple[Rule, str]] = {
    "an offset": (
        vjp(np.sin, lambda x, g: g * np.cos(x) + 0.01, x="n"),
        "A part of the result ignores the cotangent: it is there for a cotangent of zero too; without this part",
    ),
    "a term without the cotangent": (
        vjp(lambda x: x * x + 3 * x, lambda x, g: 2 * g * x + 3, x="n"),
        "multiply this part by the cotangent too",
    ),
    "half in one entry": (
        vjp(lambda x: x * x, lambda x, g: 2 * g * x * np.array([1, 0.5, 1]), x="3"),
        "The entry x[1] is half what it should be, and all other entries are right: multiply by 2 there.",
    ),
    "an entry of every row": (
        vjp(softmax, lambda z, g: softmax_right(z, g) * np.where(np.arange(z.shape[-1]) == 1, 1.7, 1.0), z="m n"),
        "The entry of z with index 1 along the last axis is 17/10 times",
    ),
    "twice beside the diagonal": (
        vjp(lambda a: (a * a).sum(), lambda a, g: 2 * g * a * (2 - np.eye(a.shape[0])), a="n n"),
        "The entries of a beside the diagonal are twice what they should be",
    ),
    "another coefficient": (
        vjp(lambda x: x * COEFFICIENTS, lambda x, g: g * np.array([2.0, 3.0, 3.0]), x="3"),
        "The result for x[2] has the coefficient of x[1]",
    ),
    "another coefficient of a sum": (
        vjp(lambda x: (np.exp(x) * COEFFICIENTS).sum(), lambda x, g: g * (np.exp(x) * COEFFICIENTS)[[0, 1, 0]], x="3"),
        "The result for x[2] has the coefficient of x[0]",
    ),
    "one sign": (
        vjp(lambda x: MIXED @ x, lambda x, g: (MIXED * WRONG_SIGN).T @ g, x="3"),
        "The derivative of out[1] by x[2] is wrong, and every other one is right: it is minus what it should be",
    ),
    "one coefficient left out": (
        vjp(lambda x: MIXED @ x, lambda x, g: (MIXED * (WRONG_SIGN > 0)).T @ g, x="3"),
        "The derivative of out[1] by x[2] is wrong, and every other one is right: it is left out",
    ),
    "an index counted once": (
        vjp(
            lambda x, i: x[i].sum(axis=0),
            counted_once,
            x="v d",
            i=bp.array("n", kind="index", high="v"),
        ),
        "wrong only where an index occurs more than once in i",
    ),
    "a window beyond the end": (
        vjp(pooled, pooled_by_two, x="5"),
        "A window that reaches beyond the end (ceil mode) has fewer entries",
    ),
    "diagonal of log-softmax": (
        vjp(logsoftmax, lambda z, g: g * (1 - np.exp(logsoftmax(z))), z="m n"),
        "keeps only the diagonal of the Jacobian: every output entry depends on other input entries too; "
        "subtract exp(out) * sum(g) from g",
    ),
    "diagonal of softmax": (
        vjp(softmax, lambda z, g: g * softmax(z) * (1 - softmax(z)), z="m n"),
        "subtract out * sum(out * g) from g * out",
    ),
    "diagonal in JAX": (
        vjp(lambda x: jnp.sin(x) * jnp.sum(x), lambda x, g: g * (jnp.cos(x) * jnp.sum(x) + jnp.sin(x)), x="n"),
        "keeps only the diagonal",
    ),
    "transposed": (
        vjp(lambda x: WEIGHTS @ x, lambda x, g: WEIGHTS @ g, x="3"),
        "The Jacobian is transposed: the rule computes J g",
    ),
    "cumulative sum": (vjp(np.cumsum, lambda x, g: np.cumsum(g), x="n"), "Jacobian is transposed"),
    "transposed result": (
        vjp(lambda a, x: a @ x, lambda a, x, g: (np.outer(x, g), a.T @ g), a="n n", x="n"),
        "In the cotangent of a: the returned matrix is the transpose",
    ),
    "permutation": (
        vjp(np.sort, lambda x, g: g[np.argsort(x)], x="n"),
        "inverse permutation: scatter instead of gather",
    ),
    "sign": (vjp(np.cos, lambda x, g: g * np.sin(x), x="n"), "The sign is wrong"),
    "sign of one argument": (
        vjp(lambda x, y: x - y * y, lambda x, y, g: (g, 2 * g * y), x="n", y="n"),
        "In the cotangent of y: the sign is wrong",
    ),
    "twice": (vjp(np.sin, lambda x, g: 2 * g * np.cos(x), x="n"), "is twice the derivative: multiply it by 0.5"),
    "half": (vjp(lambda x: x * x, lambda x, g: g * x, x="n"), "is half the derivative: multiply it by 2"),
    "a number": (vjp(lambda x: np.sin(3 * x), lambda x, g: g * np.cos(3 * x), x="n"), "0.333333 times the derivative"),
    "a rough constant": (
        vjp(lambda x: np.pi * x, lambda x, g: 3.1416 * g, x="n"),
        "a constant in the formula is not precise enough",
    ),
    "mean for sum": (
        vjp(SUM["forward"], lambda x, g: g[:, None] * np.ones_like(x) / x.shape[1], x="m n"),
        "1/n times the derivative: something is averaged over the n entries",
    ),
    "sum for mean": (
        vjp(lambda x: x.mean(axis=1), lambda x, g: g[:, None] * np.ones_like(x), x="m n"),
        "n times the derivative: something is summed over the n entries where a mean belongs",
    ),
    "batch size": (
        vjp(lambda x: (x * x).sum(axis=1), lambda x, g: 2 * g[:, None] * x / x.shape[0], x="m n"),
        "1/m times the derivative",
    ),
    "n-1": (
        vjp(
            lambda x: ((x - x.mean()) ** 2).mean(),
            lambda x, g: 2 * g * (x - x.mean()) / max(x.shape[0] - 1, 1),
            x="n",
        ),
        "n/(n-1) times the derivative: divide by n, not by n-1",
    ),
    "missing rank-one term": (
        vjp(softmax, lambda z, g: g * softmax(z), z="m n"),
        "a rank-one term of the Jacobian (a sum over the entries) is missing: subtract out * sum(out * g",
    ),
    "missing mean of layer norm": (
        vjp(layer_norm, lambda x, g: layer_norm_vjp(x, g, 0), x="m n"),
        "rank-one term of the Jacobian (a sum over the entries) is missing",
    ),
    "doubled rank-one term": (
        vjp(layer_norm, lambda x, g: layer_norm_vjp(x, g, 2), x="m n"),
        "is counted twice: remove one of them",
    ),
    "cotangent ignored": (vjp(np.sin, lambda x, g: np.cos(x), x="n"), "The cotangent is ignored"),
    "first row of the cotangent": (
        vjp(softmax, lambda z, g: softmax_right(z, np.zeros_like(g) + g[:1]), z="m n"),
        "Only the first row of the cotangent is used, for every row",
    ),
    "summed cotangent": (
        vjp(np.sin, lambda x, g: g.sum() * np.cos(x), x="n"),
        "the cotangent is summed where each entry must meet its own",
    ),
    "averaged cotangent": (
        vjp(np.sin, lambda x, g: g.mean(axis=0) * np.cos(x), x="m n"),
        "the cotangent is averaged along axis 0",
    ),
    "at the output": (
        vjp(np.sin, lambda x, g: g * np.cos(np.sin(x)), x="n"),
        "evaluated at the output instead of the input x",
    ),
    "at the cotangent": (
        vjp(np.sin, lambda x, g: g * np.cos(g), x="n"),
        "evaluated at the cotangent instead of the primal",
    ),
    "primal and cotangent exchanged": (
        vjp(np.sin, lambda x, g: x * np.cos(g), x="n"),
        "Primal and cotangent are exchanged",
    ),
    "at another row": (
        vjp(np.sin, lambda x, g: g * np.cos(np.roll(x, 1, axis=0)), x="m n"),
        "evaluated at another row of x: every row uses its neighbour's values",
    ),
    "at the first row": (
        vjp(np.sin, lambda x, g: g * np.cos(x[:1] + 0 * x), x="m n"),
        "every row uses the first one's values",
    ),
    "at minus x": (vjp(np.exp, lambda x, g: g * np.exp(-x), x="n"), "evaluated at -x instead of x"),
    "with arguments exchanged": (
        vjp(
            lambda x, y: np.sin(x) * y * y, lambda x, y, g: (g * np.cos(y) * x * x, 2 * g * np.sin(y) * x), x="n", y="n"
        ),
        "evaluated with x and y exchanged",
    ),
    "swapped results": (
        vjp(lambda x, y: x * y, lambda x, y, g: (g * x, g * y), x="n", y="n"),
        "The cotangents of x and y are exchanged",
    ),
    "one argument for another": (
        vjp(lambda x, y: x * y, lambda x, y, g: (g * y, g * y), x="n", y="n"),
        "The result for y is that of x",
    ),
    "broadcast axis not summed": (
        vjp(lambda x, b: x + b, lambda x, b, g: (g, g), x="m n", b="n"),
        "A broadcast axis is not summed: b was broadcast in forward",
    ),
    "summed to a scalar": (
        vjp(lambda x, b: x * b, lambda x, b, g: (g * b, (g * x).sum()), x="m n", b="n"),
        "The cotangent of b is summed to a scalar",
    ),
    "summed over all entries": (
        vjp(
            lambda x, b: x * b,
            lambda x, b, g: (g * b, np.zeros_like(b) + (g * x).sum()),
            x="m n",
            b="n",
        ),
        "The cotangent of b is summed over all its entries",
    ),
    "square sizes only": (
        vjp(np.trace, lambda x, g: g * np.eye(x.shape[0]), x="m n"),
        "takes its shape from the wrong sizes",
    ),
    "axis forgotten": (
        vjp(logsoftmax, lambda z, g: g - np.exp(logsoftmax(z)) * g.sum(), z="m n"),
        "Right when m = 1, but for larger m entries influence each other",
    ),
    "wrong axis": (
        vjp(
            softmax, lambda z, g: np.swapaxes(softmax_right(np.swapaxes(z, 0, 1), np.swapaxes(g, 0, 1)), 0, 1), z="m n"
        ),
        "The wrong axis is reduced",
    ),
    "chain rule, argument": (
        vjp(lambda x: np.sin(x * x), lambda x, g: g * np.cos(x * x), x="n"),
        "lacks the factor 2 * x: multiply by this inner derivative (chain rule)",
    ),
    "chain rule, output": (
        vjp(lambda x: np.tanh(x) ** 2, lambda x, g: 2 * g * np.tanh(x), x="n"),
        "lacks the factor (1 - out)",
    ),
    "a factor too many": (
        vjp(lambda x: x**3, lambda x, g: 3 * g * x**3, x=bp.array("n", nonzero=True)),
        "factor x too many",
    ),
    "zero": (vjp(lambda x, y: x * y, lambda x, y, g: (g * y, 0 * g), x="n", y="n"), "as if y had no influence"),
    "hard sigmoid": (
        vjp(lambda x: np.clip(x / 6 + 0.5, 0, 1), lambda x, g: g / 6, x="n"),
        "Wrong only for abs(x) > 3: there forward is constant",
    ),
    "one side": (
        vjp(lambda x: np.where(x > 0, x, 0.1 * x), lambda x, g: g, x="n"),
        "Wrong only for x < 0: there forward follows another branch",
    ),
    "threshold": (
        vjp(lambda x: np.where(x < 2, x * x, 4 * x), lambda x, g: g * np.where(x < 1, 2 * x, 4.0), x="n"),
        "Wrong only for 1 < x < 2: the rule changes its branch at another threshold",
    ),
    "piecewise at zero": (
        vjp(
            lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
            lambda x, g: (
                g * (np.where(x > 0, 1.0, 0.0) - np.where(x >= 0, 1.0, -1.0) / (1 + np.exp(np.abs(x)))) * (x != 0)
            ),
            x="n",
        ),
        "Right except at x = 0: the derivative exists there (0.5)",
    ),
    "kink": (
        vjp(np.abs, lambda x, g: g * np.where(x == 0, 2.0, np.sign(x)), x="n"),
        "Right except at the kink x = 0: the rule gives 2, which is not between the slopes -1 and 1",
    ),
    "ties": (
        vjp(lambda x: x.max(axis=-1), lambda x, g: g[..., None] * (x == x.max(axis=-1, keepdims=True)), x="m n"),
        "each of several equal entries of x gets the whole cotangent",
    ),
    "zero entry": (
        vjp(
            np.cumprod,
            lambda x, g: np.flip(np.cumsum(np.flip(g * np.cumprod(x)))) / x,
            x="n",
        ),
        "Right except where an entry of x is zero: the formula divides by it",
    ),
    "an index twice": (
        vjp(lambda x, i: x[i], rows_overwritten, x="v d", i=bp.array("k", kind="index", high="v")),
        "Wrong only where an index occurs more than once in i: later cotangents overwrite earlier ones",
    ),
    "rounded quotient": (
        vjp(np.fmod, lambda x, y, g: (g, -g * np.floor(x / y)), x="n", y=bp.array("n", nonzero=True)),
        "the quotient x / y is rounded down (floor), where forward's is rounded toward zero: use trunc(x / y)",
    ),
    "norm at zero": (
        vjp(lambda x: np.sqrt((x * x).sum(axis=-1)), lambda x, g: g * x / np.sqrt((x * x).sum()), x="3"),
        "Right except at x = 0 (all entries zero), where the formula is 0/0",
    ),
}

FLOAT_CASES: dict[str, tuple[Rule, str]] = {
    "naive exponential": (
        vjp(
            lambda x: np.logaddexp(0, x),
            lambda x, g: g * np.exp(x) / (1 + np.exp(x)),
            x="n",
        ),
        "overflows in float64 for x > 709.8 (inf/inf or inf*0): a naive exponential",
    ),
    "cancellation": (
        vjp(sigmoid, lambda x, g: g * sigmoid(x) * (1 - sigmoid(x)), x="n"),
        "all its digits cancel in float64 for x > 3",
    ),
    "float32 inside": (
        vjp(np.sin, lambda x, g: g * np.cos(x.astype(np.float32)).astype(np.float64), x="n"),
        "as if computed in float32 inside",
    ),
    "half precision inside": (
        vjp(np.sin, lambda x, g: g * np.cos(x.astype(np.float16)).astype(np.float64), x="n"),
        "as if computed in half precision",
    ),
}
