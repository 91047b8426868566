"""This script puts torch's own operators under test: the first sample of every entry of torch's list of operators.

    python -m scripts.opinfo [--only GLOB] [--points N] [--jobs N]

Each sample becomes a rule through `from_call`: its tensors of floats that require grad are the inputs, all else is
given as it is. What is judged exactly, what is called as a black box and why, and what is refused stands in
docs/opinfo.md and docs/measurements/opinfo.json. The list is torch's `op_db`, which needs the package `expecttest`.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import multiprocessing
import signal
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
LIMIT = 60
"""Seconds for one operator."""


class Late(BaseException):
    """An operator took longer than its time."""


def _late(number: int, frame: FrameType | None) -> None:
    raise Late


def operators(only: str) -> Iterator[Any]:
    """The entries of torch's list that have a derivative in float64."""
    import torch
    from torch.testing._internal.common_methods_invocations import op_db

    for op in op_db:
        if op.supports_autograd and torch.float64 in op.supported_dtypes("cpu") and fnmatch.fnmatch(_name(op), only):
            yield op


def _name(op: Any) -> str:
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else str(op.name)


def _rule(op: Any) -> Any:
    """The rule of the first sample; None where it has none, or no floating input."""
    import torch

    from backprove import from_call

    torch.manual_seed(0)
    sample = next(iter(op.sample_inputs("cpu", torch.float64, requires_grad=True)), None)
    if sample is None:
        return None
    frozen = _Frozen(torch)
    arguments = frozen.cut((sample.input, *sample.args))
    keywords = frozen.cut(dict(sample.kwargs))

    def call(*moving: Any) -> Any:
        found = op.op(*frozen.put(arguments, moving), **frozen.put(keywords, moving))
        return sample.output_process_fn_grad(found) if sample.output_process_fn_grad else found

    return from_call(call, tuple(frozen.moving), name=_name(op)) if frozen.moving else None


class _Frozen:
    """Takes the tensors that require grad out of the arguments of a sample, and puts others in their place."""

    def __init__(self, torch: Any) -> None:
        self.torch, self.moving = torch, []  # type: ignore[var-annotated]

    def cut(self, value: Any) -> Any:
        if self.torch.is_tensor(value) and value.requires_grad:
            self.moving.append(value.detach().clone())
            return _Place(len(self.moving) - 1)
        if isinstance(value, dict):
            return {k: self.cut(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
            return type(value)(self.cut(v) for v in value) if type(value) in (list, tuple) else value
        return value

    def put(self, value: Any, moving: tuple[Any, ...]) -> Any:
        if isinstance(value, _Place):
            return moving[value.index]
        if isinstance(value, dict):
            return {k: self.put(v, moving) for k, v in value.items()}
        return type(value)(self.put(v, moving) for v in value) if type(value) in (list, tuple) else value


class _Place:
    def __init__(self, index: int) -> None:
        self.index = index


def judge(task: tuple[str, int]) -> dict[str, Any]:
    """What a check says of one operator."""
    name, points = task
    import backprove as bp

    warnings.filterwarnings("ignore")
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(LIMIT)
    start = time.process_time()
    row: dict[str, Any] = {"operator": name, "outcome": "", "why": ""}
    try:
        rule = _rule(next(iter(operators(name))))
        if rule is None:
            return row | {"outcome": "no sample"}
        report = bp.check(rule, points=points, dtypes=("float64",))
        found = next(p for p in report.properties if p.name == "vjp")
        exact = found.layers.get("exact")
        row["verdict"] = str(found.verdict)
        row["why"] = found.reason or next((n for n in found.notes), "")
        row["outcome"] = "judged exactly" if exact and exact.agreed + exact.refuted else "called"
        if exact is None and found.notes:
            row["why"] = found.notes[0]
        if found.counterexample is not None:
            row["point"] = {"inputs": found.counterexample.inputs, "got": found.counterexample.got}
            row["point"]["expected"] = found.counterexample.expected
    except Late:
        row |= {"outcome": "late", "why": f"over {LIMIT} s"}
    except Exception as why:
        row |= {"outcome": "not stated", "why": f"{type(why).__name__}: {why}".splitlines()[0][:200]}
    finally:
        signal.alarm(0)
    return row | {"seconds": round(time.process_time() - start, 2)}


def page(rows: list[dict[str, Any]]) -> str:
    """The table for readers."""
    outcomes = Counter(r["outcome"] for r in rows)
    stated = [r for r in rows if r["outcome"] != "no sample"]
    lines = [
        "# torch's own operators",
        "",
        "The first sample of every operator with a derivative in torch's own list, as a rule through `from_call`. Made",
        "by `make opinfo`.",
        "",
        f"Of {len(stated)} operators {outcomes['judged exactly']} are judged exactly,",
        f"{outcomes['called']} are called as a black box, {outcomes['late']} take over {LIMIT} s,",
        f"and {outcomes['not stated']} cannot be stated.",
        "",
        "## Refused",
        "",
        "| operator | verdict | what is said |",
        "| --- | --- | --- |",
    ]
    lines += [f"| `{r['operator']}` | {r['verdict']} | {_cell(r['why'])} |" for r in rows if _refused(r)]
    lines += ["", "## Not judged exactly", "", "| operator | outcome | why |", "| --- | --- | --- |"]
    others = [r for r in stated if r["outcome"] != "judged exactly" and not _refused(r)]
    lines += [f"| `{r['operator']}` | {r['outcome']} | {_cell(r['why'])} |" for r in others]
    return "\n".join([*lines, ""])


def _refused(row: dict[str, Any]) -> bool:
    return row.get("verdict") in ("falsified", "error", "inaccurate")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:200]


def main() -> None:
    parser = argparse.ArgumentParser(description="torch's own operators under test")
    parser.add_argument("--only", default="*", help="operators by name (a glob)")
    parser.add_argument("--points", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    names = [(_name(op), options.points) for op in operators(options.only)]
    rows = []
    with multiprocessing.get_context("spawn").Pool(options.jobs, maxtasksperchild=40) as pool:
        for row in pool.imap_unordered(judge, names):
            rows.append(row)
            print(
                f"{len(rows)}/{len(names)} {row['operator']}: {row['outcome']} {row.get('verdict', '')} {row['why']}"[
                    :160
                ]
            )
    rows.sort(key=lambda r: r["operator"])
    if options.only == "*":
        (DOCS / "measurements").mkdir(exist_ok=True)
        (DOCS / "measurements" / "opinfo.json").write_text(json.dumps(rows, indent=1) + "\n")
        (DOCS / "opinfo.md").write_text(page(rows))
    print(Counter(r["outcome"] for r in rows), Counter(r.get("verdict") for r in rows))


if __name__ == "__main__":
    main()
