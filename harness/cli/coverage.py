"""`backprove coverage PACKAGE [FILE...]` tells which hand-written rules of a package the rules of the files check."""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from backprove.harness.cli import github
from backprove.harness.cli.options import RunOptions, add_run_arguments, resolve
from backprove.harness.core.names import did_you_mean
from backprove.harness.core.verdicts import Exit, Verdict

if TYPE_CHECKING:
    from backprove.harness.campaign.work import Job
    from backprove.harness.campaign.workers import Workers
    from backprove.harness.core.handwritten import Survey
    from backprove.harness.core.results import RunResult

HELP = "which hand-written derivative rules of a package are checked by the rules of Python files"
DTYPES = ("float64", "float32")
SHORT = {"jax.custom_jvp": "custom_jvp", "jax.custom_vjp": "custom_vjp", "torch.autograd.Function": "torch Function"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("package", metavar="PACKAGE", help="an importable package or module; its source is read, it is not imported")
    add("files", nargs="*", metavar="FILE[::NAME]", help="Python files whose rules check it; without one it is listed")
    add("--fail-under", type=_percent, metavar="N", help="exit status 6 where less than N percent are covered")
    add_run_arguments(parser, out=None)


def _percent(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"expected a percentage from 0 to 100, got {text!r}")
    return value


def run(args: argparse.Namespace) -> Exit:
    options = resolve(args, DTYPES)
    from backprove.harness.campaign.workers import Workers
    from backprove.harness.statements.source_code.handwritten import survey

    found = survey(args.package)
    for unread in found.unread:
        print(f"not read: {found.shown(unread.file)} ({unread.why})", file=sys.stderr)
    if not found.rules:
        print(f"{args.package} has no hand-written derivative rule in {found.files} files", file=sys.stderr)
        return Exit.NOTHING_RAN
    workers = Workers()
    try:
        return _run(found, list(dict.fromkeys(args.files)), args.fail_under, options, workers)
    finally:
        workers.stop()


def _run(survey: Survey, targets: Sequence[str], least: float | None, options: RunOptions, workers: Workers) -> Exit:
    from backprove.harness.campaign.progress import make_progress
    from backprove.harness.campaign.store import run_name
    from backprove.harness.cli.check import described_subjects
    from backprove.harness.cli.session import Session
    from backprove.harness.core.files import fingerprint
    from backprove.harness.statements.loading import split_target
    from backprove.reports.summary import coverage_json

    jobs = _jobs(survey, targets, options, workers)
    chosen = [j for j in jobs if options.selects(j.name)]
    if jobs and not chosen:
        near = did_you_mean(options.only or "", [j.name for j in jobs])
        print(f"no rule matches --only {options.only!r}{near}", file=sys.stderr)
        return Exit.NOTHING_RAN
    _forget_others(survey, {j.name for j in chosen})
    files = [split_target(t)[0] for t in targets]
    code, names = fingerprint(*files), [j.name for j in chosen]
    read = hashlib.sha256("".join(s.text for r in survey.rules for s in r.spans).encode()).hexdigest()
    name = run_name(command="coverage", targets=[*targets], source=read, code=code, names=names, **options.engine)
    session = Session("coverage", options, names, name, code)
    session.run.survey = survey
    todo = [j for j in chosen if j.name not in session.resumed]
    progress = make_progress("rules", len(todo))
    cut = None
    if chosen:
        with github.commands_stopped():
            cut = session.collect(described_subjects(session, todo, workers, progress), progress)
    return session.finish(cut, complete=lambda r: _complete(r, least), as_json=coverage_json, summary=summary)


def _jobs(survey: Survey, targets: Sequence[str], options: RunOptions, workers: Workers) -> list[Job]:
    """The rules of all files; what each covers is entered into the survey."""
    from backprove.harness.campaign.finding import find_covered, find_jobs
    from backprove.harness.campaign.workers import TIME_LIMIT
    from backprove.harness.core.files import fingerprint
    from backprove.harness.core.handwritten import Cover
    from backprove.harness.statements.loading import split_target

    jobs: list[Job] = []
    limit = options.timeout or TIME_LIMIT
    for target in targets:
        with github.commands_stopped(), workers.one() as worker:
            found = find_jobs(worker, target, timeout=limit)
            for place, position, how in find_covered(worker, target, survey, timeout=limit):
                survey.rules[position].covered_by.append(Cover(found[place].name, how))
        code = fingerprint(split_target(target)[0])
        jobs += [replace(j, fingerprint=code) for j in found]
    return jobs


def _forget_others(survey: Survey, names: set[str]) -> None:
    """A rule that `--only` leaves out covers nothing."""
    for rule in survey.rules:
        rule.covered_by = [c for c in rule.covered_by if c.rule in names]


def _complete(run: RunResult, least: float | None) -> bool:
    """Count the coverage, and hold it against the gate."""
    survey = run.survey
    assert survey is not None
    share = survey.percent or 0.0
    run.coverage = {
        survey.package: {
            "declared": len(survey.rules),
            "executable": len(survey.rules),
            "covered": len(survey.covered),
            "holds": sum(run.verdict_of(r) is Verdict.HOLDS for r in survey.rules),
        }
    }
    if least is not None:
        reason = f"{share:.2f} % of the hand-written rules are covered, --fail-under asks for {least:g} %"
        run.gate = {"passed": share >= least, "reasons": [] if share >= least else [reason]}
    return run.gate is None or run.gate["passed"]


def summary(run: RunResult, options: RunOptions, status: Exit) -> str:
    """What is printed after a run: the hand-written rules by place, failures in full, counts."""
    from backprove.harness.cli.session import exit_words
    from backprove.harness.cli.tables import count, table
    from backprove.harness.report import Report

    survey = run.survey
    assert survey is not None
    judged = bool(run.subjects)
    rows = []
    for r in survey.rules:
        verdict = run.verdict_of(r)
        short = r.name.removeprefix(f"{survey.package}.").replace(".<locals>", "")
        by = ", ".join(dict.fromkeys(c.rule for c in r.covered_by)) or "-"
        rows.append(
            [survey.place(r), SHORT[r.kind], short, by, "-" if verdict is None else verdict.value][: 5 if judged else 3]
        )
    header = ("place", "kind", "name", "covered by", "verdict")[: 5 if judged else 3]
    blocks = [table(header, rows)]
    blocks += [str(Report(s)) for s in run.subjects if s.verdict.fails]
    lines = []
    useless = [s.name for s in run.subjects if not any(c.rule == s.name for r in survey.rules for c in r.covered_by)]
    if useless:
        lines.append(f"covering nothing of {survey.package}: {', '.join(useless)}")
    found = f"{count(len(survey.rules), 'hand-written rule')} in {count(survey.files, 'file')}"
    if survey.unread:
        found += f" ({len(survey.unread)} more could not be read)"
    lines.append(f"{found}; {len(survey.covered)} covered ({survey.percent or 0:.1f} %)")
    if run.gate is not None and not run.gate["passed"]:
        lines += [f"gate: {reason}" for reason in run.gate["reasons"]]
    if run.partial:
        lines.append(f"partial: {len(run.subjects)} rules ran before the end; --resume goes on from there")
    if options.out is not None:
        lines.append(f"report: {options.out / 'coverage.html'}")
    lines.append(f"{run.seconds:.1f} s, seed {run.seed}; exit status {int(status)}: {exit_words(status, run)}")
    return "\n\n".join([*blocks, "\n".join(lines)])
