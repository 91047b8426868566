"""Mistakes that newcomers make: each is answered with one sentence, what was given, what was expected, what to do."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.errors import UsageError

A: Any = bp.array  # mistakes are no types
R: Any = bp.Rule
CHECK: Any = bp.check
X = {"x": A("n")}


def sine(x: Any) -> Any:
    return np.sin(x)


def pullback(x: Any, g: Any) -> Any:
    return g * np.cos(x)


@jax.custom_jvp
def decorated(x: Any) -> Any:
    return jnp.sin(x)


@decorated.defjvp
def _(primals: Any, tangents: Any) -> Any:
    return jnp.sin(primals[0]), tangents[0] * jnp.cos(primals[0])


@jax.custom_vjp
def unfinished(x: Any) -> Any:
    return jnp.sin(x)


def rule(**changed: Any) -> Any:
    return R(**{"name": "r", "forward": sine, "vjp": pullback, "inputs": X, **changed})


def two(x: Any, y: Any, g: Any = None) -> Any:
    return x if g is None else (g, g)


MISTAKES: dict[str, tuple[Any, str]] = {
    # claims
    "units in words": (lambda: bp.Equality(sine, sine, approximates="x"), "Equality: approximates must be a number of"),
    "endless units": (lambda: bp.Equality(sine, sine, approximates=np.inf), "must be a positive, finit"),
    # bp.Rule
    "no name": (lambda: R(forward=sine, vjp=pullback, inputs=X), "Rule: name is missing; it takes name, forward"),
    "name is None": (lambda: rule(name=None), 'the name must be a string such as "logsoftmax", got None'),
    "by position": (lambda: R("r", sine, pullback, X), "4 arguments are given by position, which may be name alone"),
    "no forward": (lambda: R("r", vjp=pullback, inputs=X), "Rule: forward is missing; it takes"),
    "forward is None": (lambda: rule(forward=None), "Rule('r'): forward must be a function, got None"),
    "forward is called": (lambda: rule(forward=sine(1.0)), "forward must be a function, got np.float64(0.84"),
    "forward in words": (lambda: rule(forward="np.sin"), "forward must be a function, got 'np.sin'"),
    "no inputs": (lambda: rule(inputs=None), "does not tell a shape; give inputs={'x': bp.array(...), ...}"),
    "inputs in a list": (lambda: rule(inputs=[A("n")]), "inputs must map argument names to bp.array(...), such as"),
    "inputs bare": (lambda: rule(inputs=A("n", low=0)), "write {'x': bp.array('n', low=0)}"),
    "dims bare": (lambda: rule(inputs={"x": "m n"}), "input 'x' is 'm n'; write bp.array('m n')"),
    "a bare float": (lambda: rule(inputs={"x": 1.5}), "input 'x' is 1.5; write bp.array('') for a scalar"),
    "a shape": (lambda: rule(inputs={"x": (2, 3)}), "input 'x' is (2, 3); write bp.array('2 3'), or a name"),
    "an example": (lambda: rule(inputs={"x": np.ones((2, 3))}), "write bp.array('2 3'), or a name such as 'n'"),
    "a list of floats": (lambda: rule(inputs={"x": [1.0, 2.0]}), "input 'x.0' is 1.0; write bp.array('') for"),
    "an input is None": (lambda: rule(inputs={"x": None}), "input 'x' is None; expected bp.array(...), such as"),
    "another name": (lambda: rule(inputs={"z": A("n")}), "forward takes x; inputs gives them under other names: z."),
    "no rule": (lambda: rule(vjp=None), "give jvp, vjp or both; neither was given"),
    "unknown argument": (lambda: rule(gradient=pullback), "there is no argument 'gradient'; it takes name, forward"),
    "misspelt argument": (lambda: rule(examles=[]), "there is no argument 'examles'; did you mean examples?"),
    "vjp of one": (lambda: rule(vjp=lambda g: g), "vjp(g) has the wrong number of parameters: vjp is called with one"),
    "vjp is a number": (lambda: rule(vjp=3), "vjp must be a function, got 3"),
    "misspelt reference": (
        lambda: rule(reference="jax.nn.sofmax"),
        "jax.nn has no attribute 'sofmax'; did you mean softmax",
    ),
    "where is a list": (lambda: rule(where=[1]), "where must be a function, got [1]"),
    "fixed is a list": (lambda: rule(fixed=["axis"]), 'fixed must map names or positions to values, such as'),
    "fixed is unknown": (lambda: rule(fixed={"axis": 1}), "forward has no parameter 'axis', which fixed gives"),
    "batched in words": (lambda: rule(batched="yes"), "batched must be True or False, got 'yes'"),
    "one example": (lambda: rule(examples={"x": [1.0]}), 'examples must be a list of dicts such as [{"x": 1.5}]'),
    "example of another": (lambda: rule(examples=[{"y": 1.0}]), "'y' is the name of nothing that the rule takes"),
    "words is None": (lambda: rule(words=None), "words must be a string, got None"),
    "keyword only": (lambda: rule(forward=lambda x, *, axis: x), "bind it with fixed={'axis': ...}"),
    "conflicting sizes": (
        lambda: R("r", forward=two, vjp=two, inputs={"x": A("n>=3"), "y": A("n<=2")}),
        "no sizes keep to all of n>=3, n<=2",
    ),
    # bp.array
    "dims missing": (A, "array: dims is missing; it takes dims, dtype"),
    "dims is None": (lambda: A(None), 'dims must be a string such as "m n", got None; a scalar is bp.array("")'),
    "dims is a number": (lambda: A(3), "got 3; write '3', or a name such as 'n' for any size"),
    "dims is a shape": (lambda: A((2, 3)), "got (2, 3); write '2 3', or a name such as 'n' for any size"),
    "dims is a list": (lambda: A(["m", "n"]), "got ['m', 'n']; write 'm n'"),
    "dims with commas": (lambda: A("m, n"), "; write 'm n', with blanks"),
    "dims negative": (lambda: A("-1"), "a size cannot be negative, got -1"),
    "stars twice": (lambda: A("*a *b"), "at most one name may stand for any number of axes"),
    "low above high": (lambda: A("n", low=2, high=1), "low=2 is above high=1"),
    "low is an array": (lambda: A("n", low=np.zeros(2)), "low must be a finite number or None for an open side, got"),
    "a dtype of floats": (lambda: A("n", dtype=np.float32), "dtype 'float32' is fixed by the run; write dtype"),
    "another dtype": (lambda: A("n", dtype="floaty"), "dtype must be \"float\" or a NumPy dtype, got 'floaty'"),
    "another kind": (lambda: A("n", kind="positive"), "kind must be one of one_hot, simplex"),
    "a flag of 1": (lambda: A("n", nonzero=1), "nonzero must be True or False, got 1"),
    "min": (lambda: A("n", min=0), "there is no argument 'min'; it takes dims, dtype, low"),
    # bp.check
    "check nothing": (lambda: CHECK(None), "expected a bp.Rule or a bp.theorem, got None; make one, as in bp.Rule("),
    "check a function": (lambda: CHECK(sine), "state its rule with bp.Rule(...), or judge the framework's own"),
    "check a list": (lambda: CHECK([rule()]), "got [bp.Rule('r', ...)]; check its rules one by one"),
    "check a file": (lambda: CHECK("mine.py"), "the rules of a file are checked by backprove check mine.py"),
    "check the class": (lambda: CHECK(bp.Rule), "got the class Rule; make one"),
    "points in words": (lambda: CHECK(rule(), points="many"), "points must be a positive integer such as 10_000"),
    "points by position": (lambda: CHECK(rule(), 100), "given by position, which may be rule alone; write the others"),
    "dtype": (lambda: CHECK(rule(), dtype="float64"), "there is no argument 'dtype'; did you mean dtypes?"),
    "one dtype": (lambda: CHECK(rule(), dtypes="float64"), 'dtypes must be a sequence of names such as ("float64",'),
    "dtypes of NumPy": (lambda: CHECK(rule(), dtypes=[np.float64]), "one or more of the names float64, float32"),
    "seed is None": (lambda: CHECK(rule(), seed=None), "seed must be an integer that is not negative, got None"),
    "accuracy in words": (lambda: CHECK(rule(), accuracy="high"), "accuracy must be a positive number such as 16"),
    "write to None": (lambda: report().write(None), 'Report.write: expected a folder such as "reports", got None'),
    # the other ways in
    "jitted": (lambda: bp.from_jax(jax.jit(decorated), inputs=X), "give the decorated function inside, as it"),
    "called": (lambda: bp.from_jax(decorated(1.0), inputs=X), "give the function itself, not what it returns"),
    "plain": (lambda: bp.from_jax(jnp.sin, inputs=X), "judge JAX's own derivative with bp.from_call(fn, example)"),
    "no rule yet": (lambda: bp.from_jax(unfinished, inputs=X), "has no derivative rule yet; define it with f.defvjp("),
    "jax list": (lambda: bp.from_jax(decorated, inputs=["x"]), "from_jax(decorated): inputs must map argument names"),
    "bwd is None": (lambda: bp.from_fwd_bwd(sine, None, inputs=X), "from_fwd_bwd: bwd must be a function, got None"),
    "pair list": (lambda: bp.from_fwd_bwd(sine, sine, inputs=[1]), "from_fwd_bwd(sine): inputs must map argument"),
    "call of nothing": (lambda: bp.from_call(None, 1.0), "from_call: expected a function of JAX or torch, got None"),
    "example of floats": (lambda: bp.from_call(jnp.sin, [1.0]), "give arrays of JAX, NumPy or torch, such as np."),
    "no example": (lambda: bp.from_call(jnp.sin), "from_call: example is missing; it takes fn, example"),
    "further misspelt": (lambda: bp.from_call(jnp.sin, np.ones(2), word="a"), "'word'; did you mean words?"),
    "module is a class": (lambda: bp.from_module(Layer, inputs=X), "got the class Layer: give one of it, as in Layer("),
    "no inputs of a theorem": (lambda: bp.theorem("t", bp.Positivity(sine)), "theorem: inputs is missing; it"),
    "a rule as claim": (lambda: bp.theorem("t", rule(), inputs=X), "a claim is one of bp.Derivative(...)"),
    "no mode": (lambda: bp.Derivative(sine, pullback), "Derivative: mode is missing; it takes forward, rule, mode"),
    "another mode": (lambda: bp.Derivative(sine, pullback, "rev"), 'mode must be "jvp" or "vjp", got \'rev\''),
}  # fmt: skip


class Layer:
    def forward(self, x: Any) -> Any:
        return x

    def backward(self, g: Any) -> Any:
        return g


def report() -> Any:
    from backprove.harness.core.results import SubjectResult
    from backprove.harness.report import Report

    return Report(SubjectResult("rule", "r"))


@pytest.mark.parametrize("name", MISTAKES)
def test_one_sentence_says_it(name: str) -> None:
    mistake, message = MISTAKES[name]
    with pytest.raises(UsageError) as refusal:
        mistake()
    said = str(refusal.value)
    assert message in said, said
    assert len(said) < 420 and "\n" not in said and "ArraySpec" not in said and " object at 0x" not in said, said


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda x: None, "forward returned None; return an array"),
        (lambda x: "text", "forward returned 'text'; return an array"),
        (lambda x: [float(v) for v in x], "numbers, which are"),
    ],
)
def test_a_forward_without_an_array_is_told_what_to_return(forward: Any, message: str) -> None:
    found = bp.check(rule(forward=forward), points=10, dtypes=["float64"])
    assert not found.ok and message in found.properties[0].reason


def test_a_list_of_numbers_is_several_outputs_where_the_rule_takes_them_so() -> None:
    several = rule(forward=lambda x: [x[0], 2 * x[1]], vjp=lambda x, a, b: np.array([a, 2 * b]), inputs={"x": A("2")})
    assert bp.check(several, points=10, dtypes=["float64"]).ok


def test_partial_functions_and_jitted_ones_are_no_mistake() -> None:
    power = rule(forward=partial(lambda x, n: x**n, n=2), vjp=jax.jit(lambda x, g: 2 * x * g))
    assert bp.check(power, points=10, dtypes=["float64"]).ok
