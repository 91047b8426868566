"""`backprove check FILE[::NAME]` judges the rules of a Python file, each in a process of its own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from backprove.harness.cli import github
from backprove.harness.cli.example_files import Given, by_rule, read_examples
from backprove.harness.cli.options import RunOptions, add_run_arguments, resolve
from backprove.harness.core.names import did_you_mean
from backprove.harness.core.verdicts import Exit, worst

if TYPE_CHECKING:
    from collections.abc import Generator

    from backprove.harness.campaign.progress import Progress
    from backprove.harness.campaign.work import Job
    from backprove.harness.campaign.workers import Workers
    from backprove.harness.cli.session import Session
    from backprove.harness.core.results import RunResult, SubjectResult

HELP = "check the rules of a Python file"
DTYPES = ("float64", "float32")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target", metavar="FILE[::NAME]", help="a Python file; NAME is a variable, a dict key or a rule's name"
    )
    add_run_arguments(parser, out=None)
    parser.add_argument(
        "--example",
        action="append",
        type=Path,
        default=[],
        metavar="FILE.json",
        dest="examples",
        help='points to judge first, such as {"x": [1.0, 2.0]}, or a list of them; may be repeated',
    )
    parser.add_argument(
        "--fresh", action="store_true", help="judge again what has passed before and has not changed since"
    )


def run(args: argparse.Namespace) -> Exit:
    options = resolve(args, DTYPES)
    from backprove.harness.campaign.workers import Workers

    workers = Workers()
    try:
        given = read_examples(args.examples)
        return _run(args.target, options, given, workers, keep=not args.fresh and not given and _keeps(options))
    finally:
        workers.stop()


def _keeps(options: RunOptions) -> bool:
    """Whether passed rules are kept between runs: on the machine of a person, and not where a gate decides."""
    return options.profile == "dev" and not options.executor.remote


def _run(target: str, options: RunOptions, given: Sequence[Given], workers: Workers, *, keep: bool) -> Exit:
    from backprove.harness.campaign import kept
    from backprove.harness.campaign.finding import find_rules, jobs_of
    from backprove.harness.campaign.progress import make_progress
    from backprove.harness.campaign.store import run_name
    from backprove.harness.campaign.workers import TIME_LIMIT
    from backprove.harness.cli.session import Session
    from backprove.harness.core.files import fingerprint
    from backprove.harness.statements.loading import split_target
    from backprove.reports.summary import check_json

    path, _ = split_target(target)
    earlier = kept.read(target, options.engine) if keep else kept.Kept()
    passed, found = earlier.results, earlier.jobs(target) or []
    rules, used = earlier.rules, earlier.used or None
    if not found or any(options.selects(j.name) and j.name not in passed for j in found):
        # what the file prints, also past Python's stdout, is no command to whoever reads the log
        with github.commands_stopped(), workers.one() as worker:
            limit = options.timeout or TIME_LIMIT
            answer = find_rules(worker, target, timeout=limit)
            rules, used = answer.rules, answer.used
            found = jobs_of(rules, target)
            jobs = [j for j in found if options.selects(j.name)]
            if given and jobs:
                examples = by_rule(given, [j.name for j in found], [j.name for j in jobs])
                find_rules(worker, target, timeout=limit, examples=examples)
                options = replace(options, examples=examples)
    jobs = [j for j in found if options.selects(j.name)]
    if not jobs:
        near = did_you_mean(options.only or "", [j.name for j in found])
        print(f"{path}: no rule matches --only {options.only!r}{near}", file=sys.stderr)
        return Exit.NOTHING_RAN
    names = [j.name for j in jobs]
    code = fingerprint(path)
    name = run_name(command="check", target=str(path.resolve()), code=code, names=names, **options.engine)
    session = Session("check", options, names, name, code)
    session.take_over(passed)
    todo = [j for j in jobs if j.name not in session.resumed]
    progress = make_progress("rules", len(todo))
    with github.commands_stopped():
        cut = session.collect(described_subjects(session, todo, workers, progress), progress)
    if keep and used is not None:
        judged = {s.name: (s, session.used[s.name]) for s in session.run.subjects if s.name in session.used}
        kept.write(target, options.engine, rules, used, judged)
    return session.finish(cut, complete=lambda _: True, as_json=check_json, summary=summary)


def described_subjects(
    session: Session, jobs: list[Job], workers: Workers, progress: Progress
) -> Generator[SubjectResult, None, None]:
    """The results as they come, each `described`."""
    by_name = {j.name: j for j in jobs}
    for subject in session.dispatch(jobs, progress, workers=workers):
        yield described(subject, by_name[subject.name])


def described(subject: SubjectResult, job: Job) -> SubjectResult:
    """The result with what its job knows of the rule, where a lost worker could not say it."""
    subject.module = subject.module or job.target.partition("::")[0]
    subject.source = subject.source or {"file": job.source[0], "line": job.source[1]}
    subject.code = subject.code or job.code
    return subject


def summary(run: RunResult, options: RunOptions, status: Exit) -> str:
    """What is printed after a run: rules by properties, then the message of every rule."""
    from backprove.harness.cli.session import exit_words
    from backprove.harness.cli.tables import table
    from backprove.harness.report import Report

    properties = list(dict.fromkeys(p.name for s in run.subjects for p in s.properties))
    rows = [[s.name, *(_cell(s, name) for name in properties), s.verdict.value, f"{s.points:,}"] for s in run.subjects]
    blocks = [table(("rule", *properties, "verdict", "points"), rows, right=(len(properties) + 2,))]
    blocks += [str(Report(s)) for s in run.subjects]
    lines = []
    if run.partial:
        lines.append(f"partial: {len(run.subjects)} rules ran before the end; --resume goes on from there")
    if options.out is not None:
        lines.append(f"report: {options.out / 'index.html'}")
    lines.append(f"{run.seconds:.1f} s, seed {run.seed}; exit status {int(status)}: {exit_words(status, run)}")
    return "\n\n".join([*blocks, "\n".join(lines)])


def _cell(subject: SubjectResult, name: str) -> str:
    """The worst verdict of a property over its dtypes."""
    verdicts = [p.verdict for p in subject.properties if p.name == name]
    return worst(verdicts).value if verdicts else "-"
