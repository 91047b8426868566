"""A run as JSON: what the command line prints, what is stored, and reading it back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from backprove.harness.core.errors import UsageError
from backprove.harness.core.records import Malformed, from_json, to_json
from backprove.harness.core.results import SCHEMA, Counterexample, PropertyResult, RunResult
from backprove.harness.core.verdicts import Verdict

RESULTS = "results.json"
"""File name of the stored run in a report directory."""


def property_json(result: PropertyResult) -> dict[str, Any]:
    """One property as the JSON outputs of `verify` and `check` show it."""
    return {
        "name": result.name,
        "verdict": result.verdict.value,
        "dtype": result.dtype,
        "points": result.points,
        "max_ulp": result.max_ulp,
        "counterexample": counterexample_json(result.counterexample) if result.counterexample else None,
    }


def counterexample_json(counterexample: Counterexample) -> dict[str, Any]:
    """A counterexample with the fields that are published."""
    return {k: v for k, v in asdict(counterexample).items() if k not in ("message", "jacobians", "example")}


def verify_json(run: RunResult) -> dict[str, Any]:
    """What `backprove verify --json FILE` stores."""
    return {
        "ok": run.ok,
        "exit": int(run.exit),
        "version": run.version,
        "seed": run.seed,
        "coverage": run.coverage,
        "theorems": [
            {
                "name": s.name,
                "module": s.module,
                "verdict": s.verdict.value,
                "points": s.points,
                "max_ulp": s.max_ulp,
                "properties": [property_json(p) for p in s.properties],
            }
            for s in run.subjects
        ],
    }


def check_json(run: RunResult) -> dict[str, Any]:
    """What `backprove check --json FILE` stores."""
    return {
        "ok": run.ok,
        "exit": int(run.exit),
        "version": run.version,
        "seed": run.seed,
        "rules": [
            {
                "name": s.name,
                "verdict": s.verdict.value,
                "diagnosis": s.diagnosis,
                "properties": [property_json(p) for p in s.properties],
            }
            for s in run.subjects
        ],
    }


def coverage_json(run: RunResult) -> dict[str, Any]:
    """What `backprove coverage --json FILE` stores: that of `check`, with the hand-written rules of the package."""
    survey = run.survey
    assert survey is not None
    verdicts = [run.verdict_of(r) for r in survey.rules]
    return {
        **check_json(run),
        "package": survey.package,
        "files": survey.files,
        "unread": [{"file": survey.shown(u.file), "why": u.why} for u in survey.unread],
        "coverage": {**(run.coverage or {})[survey.package], "percent": survey.percent},
        "handwritten": [
            {
                "name": r.name,
                "kind": r.kind,
                "file": survey.shown(r.file),
                "line": r.line,
                "covered_by": [{"rule": c.rule, "how": c.how} for c in r.covered_by],
                "verdict": None if said is None else said.value,
            }
            for r, said in zip(survey.rules, verdicts, strict=True)
        ],
    }


def verdict_counts(run: RunResult) -> dict[str, int]:
    """Theorems or rules by verdict, worst verdict first; every verdict is a key."""
    counts = {v.value: 0 for v in Verdict}
    for s in run.subjects:
        counts[s.verdict.value] += 1
    return counts


def total_points(run: RunResult) -> int:
    """Evaluations of claims over all theorems, properties and dtypes."""
    return sum(p.points for s in run.subjects for p in s.properties)


def inconclusive_share(run: RunResult) -> float:
    """Share of the single verdicts (one per property and dtype) that are `inconclusive`; 0.0 when nothing ran."""
    verdicts = [p.verdict for s in run.subjects for p in s.properties]
    return verdicts.count(Verdict.INCONCLUSIVE) / len(verdicts) if verdicts else 0.0


def gated_catalogue(run: RunResult) -> str:
    """The catalogue whose coverage a gate asks for: the documented one, or that of a user where a run has no other."""
    names = list(run.coverage or ())
    return names[0] if len(names) == 1 else "documented"


def coverage_percent(run: RunResult, catalogue: str | None = None) -> float | None:
    """Covered entries in percent of the declared ones of one catalogue; None where the run has no coverage.

    Args:
        catalogue: the gated one where it is left out.
    """
    numbers = (run.coverage or {}).get(catalogue or gated_catalogue(run))
    if not numbers or not numbers["declared"]:
        return None
    return 100 * numbers["covered"] / numbers["declared"]


def summary_json(run: RunResult) -> dict[str, Any]:
    """The run in a screenful: counts, coverage and what fails (`summary.json`)."""
    failing = [
        {
            "name": s.name,
            "verdict": s.verdict.value,
            "property": p.name,
            "dtype": p.dtype,
            "message": p.counterexample.message if p.counterexample else p.reason,
            "counterexample": p.counterexample.id if p.counterexample else None,
        }
        for s in run.subjects
        for p in s.properties
        if p.verdict.fails
    ]
    return {
        "schema": SCHEMA,
        "command": run.command,
        "version": run.version,
        "seed": run.seed,
        "started": run.started,
        "seconds": run.seconds,
        "ok": run.ok,
        "exit": int(run.exit),
        "partial": run.partial,
        "subjects": len(run.subjects),
        "verdicts": verdict_counts(run),
        "points": total_points(run),
        "inconclusive_share": inconclusive_share(run),
        "coverage": run.coverage,
        "coverage_percent": coverage_percent(run),
        "failing": failing,
        "findings": {s.name: s.findings for s in run.subjects if s.findings},
        "gate": run.gate,
    }


def results_json(run: RunResult) -> str:
    """The whole run as stored in `results.json`."""
    return to_json(run) + "\n"


def load_run(directory: Path | str) -> RunResult:
    """Read a stored run.

    Args:
        directory: a report directory, or the path of a `results.json` itself.

    Raises:
        UsageError: if nothing is stored there, or what is stored cannot be read.
    """
    path = Path(directory)
    if path.is_dir():
        path = path / RESULTS
    try:
        return from_json(path.read_bytes(), RunResult)
    except FileNotFoundError:
        raise UsageError(
            f"no stored results at {path}: give a directory that `backprove verify` or `backprove check --out` wrote"
        ) from None
    except OSError as e:
        raise UsageError(f"cannot read {path}: {e}") from None
    except Malformed as e:
        raise UsageError(f"{path} is no stored run of this version ({e}): run `backprove verify` again") from None
