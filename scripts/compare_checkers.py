"""Which derivative checkers see which bugs: rules that were released wrong, before every checker that is installed.

Each checker gets the wrong and the right rule at its own defaults, in float64: once on the inputs on which rules are
usually tried (standard normal, an ordinary shape) and once on inputs from the region where the mistake shows.
`backprove` draws its own inputs. The table goes to docs/comparison.md.

    python scripts/compare_checkers.py [--seeds 10] [--points 2000] [--only B0] [--out docs/comparison.md]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Array

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import backprove as bp  # noqa: E402
from backprove.harness.campaign import subjects  # noqa: E402
from backprove.harness.core.verdicts import Verdict  # noqa: E402
from tests.zoo.rules import CASES, Case  # noqa: E402

Checker = Callable[[bp.Rule, Sequence[Array], np.random.Generator], bool]
"""Whether it accepts the rule at these inputs."""

SCIPY_TOLERANCE = 1e-5
"""`check_grad` returns an error and no verdict; the comparison refuses above this multiple of the gradient's size."""


def _floats(rule: bp.Rule) -> list[int]:
    """Positions of the differentiable inputs."""
    return [k for k, name in enumerate(rule.inputs) if name in rule.differentiable]


def _parts(result: Any) -> list[Array]:
    return [np.asarray(r) for r in (result if isinstance(result, (tuple, list)) else [result])]


def _of_floats(rule: bp.Rule, inputs: Sequence[Array]) -> tuple[Callable[..., Array], Callable[..., list[Array]]]:
    """Forward and backward as functions of the differentiable inputs alone, NumPy in and out."""
    places = _floats(rule)

    def fill(given: Sequence[Any]) -> list[Array]:
        full = list(inputs)
        for place, value in zip(places, given, strict=True):
            full[place] = np.asarray(value)
        return full

    def forward(*given: Any) -> Array:
        return np.asarray(rule.forward(*fill(given)))

    def backward(given: Sequence[Any], g: Any) -> list[Array]:
        assert rule.vjp is not None
        return _parts(rule.vjp(*fill(given), np.asarray(g)))

    return forward, backward


def jax_check_vjp(rule: bp.Rule, inputs: Sequence[Array], rng: np.random.Generator) -> bool:
    """`jax.test_util.check_vjp`, the part of `check_grads` that takes a hand-written rule."""
    from jax.test_util import check_vjp

    forward, backward = _of_floats(rule, inputs)

    def with_vjp(*given: Any) -> tuple[Array, Callable[[Any], tuple[Array, ...]]]:
        return forward(*given), lambda g: tuple(backward(given, g))

    check_vjp(forward, with_vjp, tuple(inputs[k] for k in _floats(rule)))
    return True


def torch_gradcheck(rule: bp.Rule, inputs: Sequence[Array], rng: np.random.Generator) -> bool:
    """`torch.autograd.gradcheck`, the rule wrapped as a `torch.autograd.Function`."""
    torch = import_module("torch")
    forward, backward = _of_floats(rule, inputs)

    class Wrapped(torch.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, *given: Any) -> Any:
            ctx.save_for_backward(*given)
            return torch.from_numpy(np.array(forward(*(t.detach().numpy() for t in given))))

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            found = backward([t.detach().numpy() for t in ctx.saved_tensors], g.detach().numpy())
            return tuple(torch.from_numpy(np.array(f)) for f in found)

    given = [torch.tensor(inputs[k], requires_grad=True) for k in _floats(rule)]
    return bool(torch.autograd.gradcheck(Wrapped.apply, given))


def autograd_check_grads(rule: bp.Rule, inputs: Sequence[Array], rng: np.random.Generator) -> bool:
    """`autograd.test_util.check_grads` in reverse mode, first order, the rule given by `defvjp`.

    Left alone it looks at the first argument only; here it is asked for all of them at once.
    """
    extend, test_util = import_module("autograd.extend"), import_module("autograd.test_util")
    forward, backward = _of_floats(rule, inputs)
    wrapped = extend.primitive(forward)
    places = range(len(_floats(rule)))
    makers = [lambda answer, *given, k=k: lambda g: backward(given, g)[k] for k in places]
    extend.defvjp(wrapped, *makers)
    arguments = tuple(places) if len(places) > 1 else 0
    test_util.check_grads(wrapped, arguments, modes=["rev"], order=1)(*(inputs[k] for k in _floats(rule)))
    return True


def scipy_check_grad(rule: bp.Rule, inputs: Sequence[Array], rng: np.random.Generator) -> bool:
    """`scipy.optimize.check_grad` of a random weighting of the outputs."""
    from scipy.optimize import check_grad

    forward, backward = _of_floats(rule, inputs)
    arrays = [inputs[k] for k in _floats(rule)]
    weights = rng.standard_normal(forward(*arrays).shape)
    cuts = np.cumsum([a.size for a in arrays])[:-1]

    def split(flat: Array) -> list[Array]:
        return [p.reshape(a.shape) for p, a in zip(np.split(flat, cuts), arrays, strict=True)]

    def gradient(flat: Array) -> Array:
        return np.concatenate([part.ravel() for part in backward(split(flat), weights)])

    start = np.concatenate([a.ravel() for a in arrays])
    error = check_grad(lambda flat: float((weights * forward(*split(flat))).sum()), gradient, start)
    return bool(error <= SCIPY_TOLERANCE * (1 + np.linalg.norm(gradient(start))))


CHECKERS: dict[str, tuple[str, Checker]] = {
    "jax check_vjp": ("jax", jax_check_vjp),
    "torch gradcheck": ("torch", torch_gradcheck),
    "autograd check_grads": ("autograd", autograd_check_grads),
    "scipy check_grad": ("scipy", scipy_check_grad),
}


def accepts(checker: Checker, rule: bp.Rule, inputs: Sequence[Array], seed: int) -> bool:
    """Whether a checker accepts a rule: it neither raises nor says no. Its output and warnings are dropped."""
    import jax

    rng = np.random.default_rng(seed)
    np.random.seed(seed)  # autograd draws its directions from NumPy's global state
    with warnings.catch_warnings(), np.errstate(all="ignore"), jax.enable_x64(True):
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                return checker(rule, inputs, rng)
            except Exception:  # each checker refuses in its own way
                return False


def tried(checker: Checker, case: Case, seeds: int) -> dict[str, tuple[int, int]]:
    """Per kind of input: how often the wrong rule was refused, and how often the right one."""
    out = {}
    for kind, draw in (("ordinary", case.ordinary), ("region", case.shows)):
        refused = [0, 0]
        for seed in range(seeds):
            inputs = draw(np.random.default_rng(seed))
            for k, rule in enumerate((case.wrong, case.right)):
                refused[k] += not accepts(checker, rule, inputs, seed)
        out[kind] = (refused[0], refused[1])
    return out


def ours(case: Case, seeds: int, points: int) -> tuple[list[Verdict], list[Verdict]]:
    """Verdicts on the wrong and the right rule, seed by seed, float64 and float32."""
    wrong, right = [], []
    for seed in range(seeds):
        for rule, into in ((case.wrong, wrong), (case.right, right)):
            options: dict[str, Any] = {"points": points, "dtypes": ["float64", "float32"], "accuracy": case.accuracy}
            into.append(subjects.run(rule, seed=seed, **options).verdict)
    return wrong, right


def cell(refused: tuple[int, int], seeds: int) -> str:
    """`missed`, `seen`, or `seen k/n`; and whether the right rule was refused too."""
    wrong, right = refused
    text = "seen" if wrong == seeds else "missed" if wrong == 0 else f"seen {wrong}/{seeds}"
    return text if not right else f"{text}, right rule refused {right}/{seeds}"


def own_cell(wrong: Sequence[Verdict], right: Sequence[Verdict]) -> str:
    """The verdicts on the wrong rule; then the seeds, if any, that missed it or did not let the right rule hold."""
    names = ", ".join(dict.fromkeys(str(v) for v in wrong if v.fails)) or "missed"
    missed = [str(seed) for seed, v in enumerate(wrong) if not v.fails]
    alarms = [f"{v} with seed {seed}" for seed, v in enumerate(right) if v is not Verdict.HOLDS]
    parts = [names]
    if missed and len(missed) < len(wrong):
        parts.append(f"missed with seed {', '.join(missed)}")
    if alarms:
        parts.append(f"right rule {', '.join(alarms)}")
    return ", ".join(parts)


def table(cases: Sequence[Case], seeds: int, points: int) -> str:
    """The comparison as a Markdown page."""
    installed = {name: spec for name, spec in CHECKERS.items() if find_spec(spec[0])}
    heads = ["backprove"]
    for name in CHECKERS:
        heads += [f"{name}: ordinary", f"{name}: region"]
    lines = ["| bug | shows | " + " | ".join(heads) + " |", "|---" * (len(heads) + 2) + "|"]
    total, held = dict.fromkeys(heads, 0), 0
    for case in cases:
        wrong, right = ours(case, seeds, points)
        row = {heads[0]: own_cell(wrong, right)}
        total[heads[0]] += all(v.fails for v in wrong)
        held += all(v is Verdict.HOLDS for v in right)
        for name in CHECKERS:
            found = tried(installed[name][1], case, seeds) if name in installed else None
            for kind in ("ordinary", "region"):
                head = f"{name}: {kind}"
                row[head] = "not installed" if found is None else cell(found[kind], seeds)
                total[head] += found is not None and found[kind][0] == seeds
        lines.append(f"| {case.key} {case.report} | {case.region} | " + " | ".join(row[h] for h in heads) + " |")
        print(lines[-1], flush=True)
    shown = [str(total[h]) if h == heads[0] or h.rsplit(":", 1)[0] in installed else "not installed" for h in heads]
    lines.append(f"| **seen every time, of {len(cases)}** | | " + " | ".join(shown) + " |")
    versions = ", ".join(f"{package} {_version(package)}" for package, _ in CHECKERS.values())
    counts = {"refused": total[heads[0]], "held": held, "cases": len(cases)}
    return PAGE.format(table="\n".join(lines), seeds=seeds, points=points, versions=versions, **counts)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


PAGE = """# Which checkers see which bugs

Derivative rules that were released wrong (`tests/zoo/rules.py` holds them, with the public reports), before the
checkers in common use. Made by `python scripts/compare_checkers.py --seeds {seeds} --points {points}`; {versions}.

Every checker runs at its own defaults in float64 and sees each rule twice: on an ordinary input (standard normal) and
on an input from the region where the mistake shows, which its user would have to think of. `backprove` draws its own
inputs, in float64 and float32. "seen" means that the wrong rule was refused with every seed (of {seeds}); "right rule
refused" counts false alarms on the right rule at the same input. `scipy.optimize.check_grad` gives an error and no
verdict; here it refuses above 1e-5 of the gradient's size. autograd's `check_grads` looks at the first argument only
unless told otherwise; here it is told to look at all.

With every seed `backprove` refused {refused} of {cases} wrong rules and let {held} of {cases} right ones hold, under
the same options.

False alarms come from kinks and from rounding: differences at a kink mix the slopes of its two sides, which a right
rule need not return.

{table}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Compare derivative checkers on rules that were released wrong.")
    parser.add_argument("--seeds", type=int, default=1, help="seeds per rule (default 1)")
    parser.add_argument(
        "--points", type=int, default=2000, help="points per rule and dtype for backprove (default 2000)"
    )
    parser.add_argument("--only", default="", metavar="PREFIX", help="cases whose key starts so")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "comparison.md", help="where the page goes")
    options = parser.parse_args(arguments)
    cases = [c for c in CASES.values() if c.key.startswith(options.only)]
    if not cases or options.seeds < 1 or options.points < 1:
        parser.error(
            f"nothing to compare: --only {options.only!r} leaves {len(cases)} case(s); seeds and points must be >= 1"
        )
    text = table(cases, options.seeds, options.points)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text, encoding="utf-8")
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
