"""`backprove verify` judges every property of the catalogue."""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backprove.harness.cli.options import RunOptions, add_run_arguments, resolve
from backprove.harness.core.errors import UsageError
from backprove.harness.core.verdicts import Exit, Verdict, exit_status

if TYPE_CHECKING:
    from backprove.harness.campaign.progress import Progress
    from backprove.harness.campaign.workers import Workers
    from backprove.harness.cli.session import Session
    from backprove.harness.core.results import Gate, Mutation, RunResult, SubjectResult
    from backprove.harness.statements.statement import Statement

HELP = "check every property of the catalogue"
DTYPES = ("float64", "float32", "bfloat16")
THEOREMS = "backprove.rules.all"
"""Module whose `load()` gives the theorems by name."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run_arguments(parser, out="reports/out")


def run(args: argparse.Namespace) -> Exit:
    options = resolve(args, DTYPES)
    config = gate_config(Path("pyproject.toml"))
    baseline = _checked_gate(config)
    from backprove.harness.campaign.workers import ENGINE, Workers

    workers = Workers((ENGINE, THEOREMS))
    if options.executor.kind == "process":
        # they import the theorems, this process does not; a choice of them may need no more than one
        workers.start(1 if options.only else options.executor.count)
    try:
        return _run(options, config, baseline, workers)
    finally:
        workers.stop()


def _checked_gate(config: dict[str, Any]) -> RunResult | None:
    """The baseline that the gate names, if it names one; whatever is wrong with the gate is found before the run.

    Raises:
        UsageError: on an unknown key, a value of the wrong kind or an unreadable baseline.
    """
    if not config:
        return None
    from backprove.reports.gate import check_config
    from backprove.reports.summary import load_run

    check_config(config)
    return load_run(Path(config["baseline"])) if "baseline" in config else None


def _run(options: RunOptions, config: dict[str, Any], baseline: RunResult | None, workers: Workers) -> Exit:
    from backprove.harness.campaign.progress import make_progress
    from backprove.harness.campaign.store import run_name
    from backprove.harness.cli.session import Session
    from backprove.harness.core.files import fingerprint
    from backprove.reports.summary import verify_json

    theorems = _theorems(options, workers)
    chosen = {n: t for n, t in theorems.items() if options.selects(n, n.removeprefix("Proofs.Autograd."))}
    if not chosen:
        print(
            f"no theorem matches --only {options.only!r}" if options.only else "no theorem is stated", file=sys.stderr
        )
        return Exit.NOTHING_RAN
    code = fingerprint()
    name = run_name(command="verify", code=code, names=sorted(chosen), **options.engine)
    session = Session("verify", options, chosen, name, code)
    todo = {n: t for n, t in chosen.items() if n not in session.resumed}
    progress = make_progress("theorems", len(todo))
    cut = session.collect(_subjects(session, todo, progress, workers), progress)

    def complete(result: RunResult) -> bool:
        fill_coverage(result, theorems)
        if config:
            result.gate = _gate(result, config, baseline)
        return result.gate is None or result.gate["passed"]

    return session.finish(cut, complete=complete, as_json=verify_json, summary=summary)


def _theorems(options: RunOptions, workers: Workers) -> dict[str, Statement]:
    """What is stated: asked of a worker where there are some on this machine."""
    from backprove.harness.campaign.work import stated
    from backprove.harness.campaign.workers import find_statements

    if options.executor.kind != "process":
        return stated(THEOREMS)
    with workers.one() as worker:
        return find_statements(worker, THEOREMS)


def _subjects(
    session: Session, theorems: Mapping[str, Statement], progress: Progress, workers: Workers
) -> Generator[SubjectResult, None, None]:
    """Run the theorems in worker processes; here only where `serial` asks for it and no time limit needs a worker."""
    from backprove.harness.campaign.work import Job
    from backprove.harness.mutation.record import stored

    options, mutations = session.options, stored()
    jobs = [Job("theorem", n, THEOREMS, weight=t.weight) for n, t in theorems.items()]
    isolated = options.executor.kind != "serial" or options.timeout is not None
    for subject in session.dispatch(jobs, progress, isolated=isolated, workers=workers):
        describe(subject, theorems[subject.name], mutations)
        yield subject


def describe(subject: SubjectResult, theorem: Statement, mutations: Mapping[str, Mutation]) -> None:
    """Fill in what the theorem's entry and the catalogue say of it, and what the last `mutate` found, if there was one.

    Args:
        mutations: see `record.stored`.
    """
    from backprove.rules.catalogue import NAMES, Catalogue

    subject.latex = subject.latex or theorem.latex
    subject.property_words = subject.property_words or theorem.words
    subject.rests_on = subject.rests_on or list(theorem.rests_on)
    subject.covers = subject.covers or list(theorem.covers)
    subject.source = subject.source or {"file": theorem.source[0], "line": theorem.source[1]}
    subject.mutation = mutations.get(subject.name, subject.mutation)
    for catalogue in map(Catalogue.load, NAMES):
        entry = catalogue.entries.get(subject.name)
        if entry is not None:
            subject.module = entry.module
            subject.statement = entry.statement
            subject.hypotheses = entry.hypotheses
            subject.kind_of_claim = entry.property


def fill_coverage(run: RunResult, theorems: Mapping[str, Statement]) -> None:
    """Count the coverage of the catalogue by all stated theorems, and what of it holds in this run."""
    from backprove.rules.catalogue import NAMES, Catalogue, coverage, coverage_counts

    found = coverage([Catalogue.load(n) for n in NAMES], theorems)
    run.coverage = coverage_counts(found, {s.name: s.verdict for s in run.subjects})
    run.not_covered = found.not_covered


def gate_config(pyproject: Path) -> dict[str, Any]:
    """The table [tool.backprove] of a pyproject.toml; empty where there is none.

    Raises:
        UsageError: when the file does not parse.
    """
    try:
        data = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as e:
        raise UsageError(f"{pyproject} cannot be read: {e}") from None
    tools = data.get("tool", {})
    if not isinstance(tools, dict):
        raise UsageError(f"{pyproject}: tool must be a table, got {tools!r}")
    table = tools.get("backprove", {})
    if not isinstance(table, dict):
        raise UsageError(f"{pyproject}: [tool.backprove] must be a table, got {table!r}")
    return table


def _gate(run: RunResult, config: dict[str, Any], baseline: RunResult | None) -> Gate:
    from backprove.reports.gate import evaluate_gate

    # The gate looks at the exit status that the verdicts alone give.
    run.exit = int(exit_status(s.verdict for s in run.subjects))
    return evaluate_gate(run, config, baseline)


def summary(run: RunResult, options: RunOptions, status: Exit) -> str:
    """What is printed after a run: a table by module, failures in full, findings, coverage, report, exit status."""
    from backprove.harness.cli.session import exit_words
    from backprove.harness.cli.tables import count, table
    from backprove.harness.report import Report

    modules: dict[str, list[SubjectResult]] = {}
    for s in run.subjects:
        modules.setdefault(s.module or "(no module)", []).append(s)
    rows = [_row(module, subjects) for module, subjects in modules.items()]
    if len(modules) > 1:
        rows.append(_row("all", run.subjects))
    blocks = [table(("module", "theorems", "holds", "other verdicts", "points"), rows, right=(1, 2, 4))]
    blocks += [str(Report(s)) for s in run.subjects if s.verdict.fails]
    undecided = [s.name for s in run.subjects if s.verdict is Verdict.INCONCLUSIVE]
    lines = [f"inconclusive: {', '.join(undecided)}"] if undecided else []
    findings = sum(len(s.findings) for s in run.subjects)
    if findings:
        lines.append(f"{count(findings, 'finding')} beside the verdicts; the report has them")
    for name, c in (run.coverage or {}).items():
        lines.append(
            f"coverage, {name}: {c['covered']} of {c['declared']} declarations covered "
            f"({c['executable']} executable), {c['holds']} hold"
        )
    if run.gate is not None and not run.gate["passed"]:
        lines += [f"gate: {reason}" for reason in run.gate["reasons"]]
    if run.partial:
        lines.append(f"partial: {len(run.subjects)} theorems ran before the end; --resume goes on from there")
    if options.out is not None:
        lines.append(f"report: {options.out / 'index.html'}")
    lines.append(f"{run.seconds:.1f} s, seed {run.seed}; exit status {int(status)}: {exit_words(status, run)}")
    return "\n\n".join([*blocks, "\n".join(lines)])


def _row(name: str, subjects: list[SubjectResult]) -> list[str]:
    verdicts = [s.verdict for s in subjects]
    others = [f"{verdicts.count(v)} {v}" for v in Verdict if v is not Verdict.HOLDS and v in verdicts]
    points = sum(p.points for s in subjects for p in s.properties)
    holds = str(verdicts.count(Verdict.HOLDS))
    return [name, str(len(subjects)), holds, ", ".join(others) or "-", f"{points:,}"]
