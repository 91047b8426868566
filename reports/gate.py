"""The gate: what a run must reach beyond 'nothing failed', as `[tool.backprove]` in pyproject.toml sets it."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from backprove.harness.core.errors import UsageError
from backprove.harness.core.results import Gate, RunResult
from backprove.harness.core.verdicts import Verdict
from backprove.reports.summary import coverage_percent, gated_catalogue, inconclusive_share, load_run
from backprove.reports.text import percent

KEYS = ("fail_under", "inconclusive_limit", "fail_on", "baseline")


def evaluate_gate(run: RunResult, config: Mapping[str, Any], baseline: RunResult | None = None) -> Gate:
    """Judge a run by the configured gate.

    Args:
        run: the finished run.
        config: the table `[tool.backprove]`:
            `fail_under`: coverage of the documented catalogue, or the user's, that is required, in percent (0 to 100);
            `inconclusive_limit`: largest share of single verdicts that may be inconclusive (0 to 1);
            `fail_on`: list of verdicts that fail the run, beside those that always do;
            `baseline`: a stored run (directory or file); what held there must be covered and hold here.
        baseline: the run to compare with; without it the one that `config` names is read.

    Returns:
        `{"passed": bool, "reasons": [sentence, ...]}`; reasons name the theorems concerned.

    Raises:
        UsageError: on an unknown key, a value of the wrong kind or an unreadable baseline.
    """
    check_config(config)
    reasons = _coverage(run, config) + _inconclusive(run, config) + _verdicts(run, config)
    if baseline is None and "baseline" in config:
        baseline = load_run(config["baseline"])
    if baseline is not None:
        reasons += _regressions(run, baseline)
    return {"passed": not reasons, "reasons": reasons}


def check_config(config: Mapping[str, Any]) -> None:
    """Refuse a `[tool.backprove]` table with unknown keys or values of the wrong kind.

    Raises:
        UsageError: naming the key, what was given and what was expected.
    """
    for key in config:
        if key not in KEYS:
            raise UsageError(f"[tool.backprove]: unknown key {key!r}; known keys are {', '.join(KEYS)}")
    for key, top, what in (("fail_under", 100, "a coverage in percent"), ("inconclusive_limit", 1, "a share")):
        value = config.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= top:
            raise UsageError(f"[tool.backprove]: {key} must be {what} from 0 to {top}, got {value!r}")
    verdicts = config.get("fail_on", [])
    known = [v.value for v in Verdict if v is not Verdict.HOLDS]
    if not isinstance(verdicts, list) or any(v not in known for v in verdicts):
        raise UsageError(
            f"[tool.backprove]: fail_on must be a list of verdicts out of {', '.join(known)}, got {verdicts!r}"
        )
    if not isinstance(config.get("baseline", ""), str):
        raise UsageError(f"[tool.backprove]: baseline must be the path of a stored run, got {config['baseline']!r}")


def _coverage(run: RunResult, config: Mapping[str, Any]) -> list[str]:
    reached = coverage_percent(run)
    if "fail_under" not in config or reached is None or reached >= config["fail_under"]:
        return []
    name = gated_catalogue(run)
    numbers = (run.coverage or {})[name]
    return [
        f"coverage of the {name} catalogue is {reached:.2f} % ({numbers['covered']} of {numbers['declared']}), "
        f"fail_under is {config['fail_under']:g} %"
    ]


def _inconclusive(run: RunResult, config: Mapping[str, Any]) -> list[str]:
    share = inconclusive_share(run)
    if "inconclusive_limit" not in config or share <= config["inconclusive_limit"]:
        return []
    limit = percent(config["inconclusive_limit"])
    return [f"{percent(share)} of the verdicts are inconclusive, inconclusive_limit is {limit}"]


def _verdicts(run: RunResult, config: Mapping[str, Any]) -> list[str]:
    refused = config.get("fail_on", [])
    return [
        f"{s.name} is {v} and fail_on lists {v}"
        for s in run.subjects
        for v in dict.fromkeys(p.verdict.value for p in sorted(s.properties, key=lambda p: p.verdict.rank))
        if v in refused
    ]


def _regressions(run: RunResult, baseline: RunResult) -> list[str]:
    now = {s.name: s.verdict for s in run.subjects}
    out = []
    for s in baseline.subjects:
        if s.verdict is not Verdict.HOLDS or not _asked_for(s.name, run):
            continue
        if s.name not in now:
            out.append(f"{s.name} held in the baseline and is no longer covered")
        elif now[s.name] is not Verdict.HOLDS:
            out.append(f"{s.name} held in the baseline and is now {now[s.name]}")
    reached = {e["name"] for e in run.not_covered if e["covered_by"]}
    for entry in baseline.not_covered:
        name = entry["name"]
        if entry["covered_by"] and name not in reached and name not in now and _asked_for(name, run):
            out.append(f"{name} was reached in the baseline and is no longer covered")
    return out


def _asked_for(name: str, run: RunResult) -> bool:
    """Whether the run was meant to judge `name`: a run with `--only` answers for what its pattern matches."""
    only = run.options.get("only")
    return not isinstance(only, str) or any(fnmatchcase(n, only) for n in (name, name.rsplit(".", 1)[-1]))
