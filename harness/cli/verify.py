"""`backprove verify` judges every property of the catalogue, `backprove verify FILE` the theorems of a user's file."""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backprove.harness.cli import github
from backprove.harness.cli.options import RunOptions, add_run_arguments, resolve
from backprove.harness.cli.theorem_files import PREFIX, Theorems, of_catalogue, of_files
from backprove.harness.core.errors import UsageError
from backprove.harness.core.names import did_you_mean
from backprove.harness.core.verdicts import Exit, Verdict, exit_status

if TYPE_CHECKING:
    from backprove.harness.campaign.progress import Progress
    from backprove.harness.campaign.work import Job
    from backprove.harness.campaign.workers import Workers
    from backprove.harness.cli.session import Session
    from backprove.harness.core.results import Gate, Mutation, RunResult, SubjectResult
    from backprove.harness.statements.statement import Statement

HELP = "check every property of the catalogue, or the theorems that Python files state"
DTYPES = ("float64", "float32", "bfloat16")
OWN_DTYPES = ("float64", "float32")
"""Formats in which theorems of a user are checked; bfloat16 is left out, in which NumPy knows no linear algebra."""
THEOREMS = "backprove.rules.all"
"""Module whose `load()` gives the catalogue's theorems by name."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE[::NAME]",
        help="Python files that state theorems with bp.theorem(...); without one the catalogue of this package",
    )
    parser.add_argument(
        "--catalogue", type=Path, metavar="FILE.toml", help="statements that the theorems of the files are to cover"
    )
    add_run_arguments(parser, out="reports/out")


def run(args: argparse.Namespace) -> Exit:
    if args.catalogue is not None and not args.files:
        raise UsageError("--catalogue says what the theorems of files are to cover: give the files that state them")
    options = resolve(args, OWN_DTYPES if args.files else DTYPES)
    config = gate_config(Path("pyproject.toml"))
    baseline = _checked_gate(config)
    from backprove.harness.campaign.workers import ENGINE, TIME_LIMIT, Workers

    workers = Workers((ENGINE,) if args.files else (ENGINE, THEOREMS))
    try:
        if args.files:
            # what a file prints is no command to whoever reads the log
            with github.commands_stopped():
                theorems = of_files(args.files, args.catalogue, workers, options.timeout or TIME_LIMIT)
        else:
            if options.executor.kind == "process":
                # they import the theorems, this process does not; a choice of them may need no more than one
                workers.start(1 if options.only else options.executor.count)
            theorems = of_catalogue(_stated(options, workers), THEOREMS)
        return _run(options, config, baseline, workers, theorems)
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


def _run(
    options: RunOptions, config: dict[str, Any], baseline: RunResult | None, workers: Workers, theorems: Theorems
) -> Exit:
    from backprove.harness.campaign.progress import make_progress
    from backprove.harness.campaign.store import run_name
    from backprove.harness.cli.session import Session
    from backprove.reports.summary import verify_json

    known = theorems.statements
    chosen = {n: t for n, t in known.items() if options.selects(n, n.removeprefix(PREFIX))}
    if not chosen:
        near = did_you_mean(options.only, known) if options.only else ""
        print(
            f"no theorem matches --only {options.only!r}{near}" if options.only else "no theorem is stated",
            file=sys.stderr,
        )
        return Exit.NOTHING_RAN
    name = run_name(
        command="verify", code=theorems.fingerprint, names=sorted(chosen), **theorems.decides, **options.engine
    )
    session = Session("verify", options, chosen, name, theorems.fingerprint)
    todo = [theorems.jobs[n] for n in chosen if n not in session.resumed]
    progress = make_progress("theorems", len(todo))
    with github.commands_stopped():
        cut = session.collect(_subjects(session, todo, theorems, progress, workers), progress)

    def complete(result: RunResult) -> bool:
        fill_coverage(result, theorems)
        if config:
            result.gate = _gate(result, config, baseline)
        return result.gate is None or result.gate["passed"]

    def said(result: RunResult, options: RunOptions, status: Exit) -> str:
        return summary(result, options, status, theorems.beside if theorems.further and theorems.catalogues else ())

    return session.finish(cut, complete=complete, as_json=verify_json, summary=said)


def _stated(options: RunOptions, workers: Workers) -> dict[str, Statement]:
    """What the catalogue's theorems say: asked of a worker where there are some on this machine."""
    from backprove.harness.campaign.finding import find_statements
    from backprove.harness.campaign.work import stated

    if options.executor.kind != "process":
        return stated(THEOREMS)
    with workers.one() as worker:
        return find_statements(worker, THEOREMS)


def _subjects(
    session: Session, jobs: Sequence[Job], theorems: Theorems, progress: Progress, workers: Workers
) -> Generator[SubjectResult, None, None]:
    """Run the theorems in worker processes; here only where `serial` asks for it, no time limit needs a worker, and
    the theorems are the catalogue's.
    """
    from backprove.harness.mutation.record import stored

    options, mutations = session.options, stored()
    from backprove.harness.core.results import is_user_code

    own = any(is_user_code(j.kind) for j in jobs)
    isolated = own or options.executor.kind != "serial" or options.timeout is not None
    for subject in session.dispatch(jobs, progress, isolated=isolated, workers=workers):
        describe(subject, theorems, mutations)
        yield subject


def describe(subject: SubjectResult, theorems: Theorems, mutations: Mapping[str, Mutation]) -> None:
    """Fill in what the theorem's entry and the catalogue say of it, and what the last `mutate` found, if there was one.

    Args:
        mutations: see `record.stored`.
    """
    theorem, job = theorems.statements[subject.name], theorems.jobs[subject.name]
    subject.latex = subject.latex or theorem.latex
    subject.property_words = subject.property_words or theorem.words
    subject.statement = subject.statement or theorem.statement
    subject.hypotheses = subject.hypotheses or theorem.hypotheses
    subject.rests_on = subject.rests_on or list(theorem.rests_on)
    subject.covers = subject.covers or list(theorem.covers)
    subject.source = subject.source or {"file": theorem.source[0], "line": theorem.source[1]}
    subject.code = subject.code or theorem.code
    from backprove.harness.core.results import is_user_code

    if is_user_code(job.kind):
        subject.module = job.target.partition("::")[0]
    else:
        subject.mutation = mutations.get(subject.name, subject.mutation)
    for catalogue in theorems.catalogues:
        entry = catalogue.entries.get(subject.name)
        if entry is not None:
            subject.module = entry.module or subject.module
            subject.statement = entry.statement
            subject.hypotheses = entry.hypotheses or subject.hypotheses
            subject.kind_of_claim = entry.property
            subject.family = entry.family
            if page := catalogue.page(entry):
                subject.source = {**subject.source, "page": page}


def fill_coverage(run: RunResult, theorems: Theorems) -> None:
    """Count the coverage of the catalogue by all stated theorems, and what of it holds in this run."""
    from backprove.rules.catalogue import coverage, coverage_counts

    if theorems.catalogues:
        found = coverage(theorems.catalogues, theorems.statements, theorems.further)
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


def summary(run: RunResult, options: RunOptions, status: Exit, beside: Sequence[str] = ()) -> str:
    """What is printed after a run: a table by module, failures in full, findings, coverage, report, exit status.

    Args:
        beside: names of theorems that a catalogue of the user does not declare.
    """
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
    open_ = [n["name"] for n in run.not_covered if not n["covered_by"]] if beside or _of_files(run) else []
    if open_:
        lines.append(f"not covered: {_listed(open_)}")
    if beside:
        lines.append(f"in no entry of the catalogue: {_listed(beside)}")
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


def _of_files(run: RunResult) -> bool:
    return any(s.is_user_code for s in run.subjects)


def _listed(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
