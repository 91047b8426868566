"""A rule covers the hand-written rules that it puts under test, and no others."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import backprove as bp
from backprove.harness.core.handwritten import Survey
from backprove.harness.statements.source_code.covering import covering
from backprove.harness.statements.source_code.handwritten import survey
from tests.handwritten_package import write

NAME = "covered_here"
X = {"x": bp.array("n", low=-5, high=5)}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Survey]:
    folder = tmp_path_factory.mktemp("package")
    write(folder, NAME)
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(folder))
        yield survey(NAME)


def ops() -> Any:
    return importlib.import_module(f"{NAME}.ops")


def covers(rule: bp.Rule, found: Survey) -> dict[str, str]:
    return {found.rules[k].name.removeprefix(f"{NAME}."): how for k, how in covering(rule, found).items()}


def stated(forward: Any, vjp: Any) -> bp.Rule:
    return bp.Rule("stated", forward=forward, vjp=vjp, inputs=X)


def by_power(x: Any, g: Any) -> Any:
    return ops_power_bwd(2, x, g)[0]


ops_power_bwd: Any = None


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (lambda o: bp.from_jax(o.softplus, inputs=X), {"ops.softplus": "under test"}),
        (lambda o: bp.from_jax(o.power, inputs=X, fixed={"n": 2}), {"ops.power": "under test"}),
        (lambda o: bp.from_jax(partial(o.scaled, 2.0), inputs=X), {"ops.scaled": "under test"}),
        (lambda o: bp.from_jax(o.make(2), inputs=X, name="m"), {"ops.make.<locals>.inner": "under test"}),
        (lambda o: bp.from_call(o.quick, jnp.ones(2), name="q"), {"ops.softplus": "under test"}),
        (lambda o: bp.from_call(lambda x: 2 * o.softplus(x), jnp.ones(2), name="c"), {"ops.softplus": "under test"}),
        (lambda o: stated(lambda x: x**2, by_power), {"ops.power": "states"}),
        (lambda o: stated(jnp.sin, lambda x, g: o.sine_bwd(x, g)[0]), {"ops.sine": "states"}),
        (lambda o: stated(o.softplus, lambda x, g: g), {"ops.softplus": "it is the forward"}),
        (lambda o: stated(jnp.sin, lambda x, g: jax.vjp(o.sine, x)[1](g)[0]), {"ops.sine": "the vjp calls it"}),
        # a forward that only calls a function says nothing of that function's rule, and other names are other functions
        (lambda o: stated(lambda x: o.scaled(2.0, x), lambda x, g: 2 * g), {}),
        (lambda o: bp.from_call(jnp.sin, jnp.ones(2)), {}),
        (lambda o: bp.from_jax(jax.nn.relu, inputs=X), {}),
    ],
)  # fmt: skip
def test_what_a_rule_covers(state: Any, expected: dict[str, str], found: Survey) -> None:
    global ops_power_bwd  # noqa: PLW0603
    ops_power_bwd = ops().power_bwd
    covered = covers(state(ops()), found)
    assert set(covered) == set(expected)
    assert all(words in covered[name] for name, words in expected.items()), covered


def test_functions_of_torch(found: Survey) -> None:
    torch = pytest.importorskip("torch")
    layers = importlib.import_module(f"{NAME}.sub.layers")
    assert set(covers(bp.from_torch(layers.Square, inputs=X), found)) == {"sub.layers.Square"}
    inside = bp.from_torch(layers.build(), inputs=X)
    assert set(covers(inside, found)) == {"sub.layers.build.<locals>.Inside"}
    call = bp.from_call(layers.Square.apply, torch.ones(2), name="apply")
    assert set(covers(call, found)) == {"sub.layers.Square"}


def test_two_objects_of_one_function_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["import jax", "def f(x): return x", "one = jax.custom_jvp(f)", "two = jax.custom_jvp(f)"]
    lines += [f"@{n}.defjvp\ndef r_{n}(p, t): return p[0], t[0]" for n in ("one", "two")]
    (tmp_path / "twofold.py").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    twofold: Any = importlib.import_module("twofold")
    found = survey("twofold")
    rule = bp.from_jax(twofold.two, inputs=X)
    assert [found.rules[k].name for k in covering(rule, found)] == ["twofold.two"]


def test_a_local_is_no_global_of_its_name(found: Survey, monkeypatch: pytest.MonkeyPatch) -> None:
    def inner(x: Any, g: Any) -> Any:
        softplus = lambda y: y  # noqa: E731
        return next(map(lambda v: softplus(v) * g, [x]))

    monkeypatch.setitem(inner.__globals__, "softplus", ops().softplus)
    assert covers(stated(lambda x: x, inner), found) == {}


class Sulking:
    """An object whose attributes raise."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name} for you")

    def __call__(self, x: Any, g: Any) -> Any:
        return g


def test_objects_that_answer_no_question_cover_nothing(found: Survey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, f"{NAME}.ops", Sulking())
    assert covers(stated(lambda x: x, Sulking()), found) == {}
