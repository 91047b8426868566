"""Write all reports of a run into a directory."""

from __future__ import annotations

import contextlib
import io
from importlib.util import find_spec
from pathlib import Path

from backprove.harness.core.errors import UsageError
from backprove.harness.core.files import write_whole
from backprove.harness.core.records import to_json
from backprove.harness.core.results import RunResult
from backprove.reports.badge import to_badge
from backprove.reports.diff import diff
from backprove.reports.frame import to_csv, to_dataframe
from backprove.reports.handwritten import PAGE, to_coverage_html
from backprove.reports.history import HISTORY, read_history, with_run
from backprove.reports.html import to_html
from backprove.reports.junit import to_junit
from backprove.reports.markdown import to_markdown
from backprove.reports.summary import RESULTS, load_run, results_json, summary_json

PREVIOUS = "previous.json"
"""The stored run before the present one, in the format of `results.json`."""


def write_reports(run: RunResult, out: Path, *, parquet: bool | None = None) -> list[Path]:
    """Write `index.html`, `results.json`, `summary.json`, `results.csv`, `junit.xml`, `summary.md` and `badge.svg`, of
    a run of `coverage` also `coverage.html`, and append a line to `history.jsonl`.

    Every file is written beside its place and renamed, so that a reader never sees half of one. A run that stands there
    already becomes the previous run, whose values the page shows pale behind; writing the same run again changes
    nothing but the files' times.

    Args:
        run: the finished run.
        out: directory, made if it is missing.
        parquet: also write `results.parquet`, which needs pyarrow (None: where that is installed).

    Returns:
        The files written, `index.html` first.

    Raises:
        UsageError: if the directory cannot be written to, or Parquet was asked for without pyarrow (all other files
            are written then).
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        return _write(run, out, find_spec("pyarrow") is not None if parquet is None else parquet)
    except OSError as e:
        raise UsageError(
            f"cannot write reports to {out}: {e}; give a directory that can be written to with --out"
        ) from None


def _write(run: RunResult, out: Path, parquet: bool) -> list[Path]:
    stored = results_json(run)
    previous = _keep_previous(run, stored, out)
    history = out / HISTORY
    log = with_run(history.read_text(encoding="utf-8", errors="replace") if history.exists() else "", run, previous)
    write_whole(history, log.encode("utf-8", "replace"))
    changes = diff(previous, run) if previous else []
    texts = {
        "index.html": to_html(run, previous=previous, history=read_history(out), changes=changes),
        RESULTS: stored,
        "summary.json": to_json(summary_json(run), indent=2) + "\n",
        "results.csv": to_csv(run),
        "junit.xml": to_junit(run),
        "summary.md": to_markdown(run, changes),
        "badge.svg": to_badge(run),
    }
    if run.survey is not None:
        texts[PAGE] = to_coverage_html(run, run.survey)
        if not run.subjects:
            texts["index.html"] = texts[PAGE]
    for name, content in texts.items():
        write_whole(out / name, content.encode("utf-8", "replace"))
    written = [out / name for name in texts] + [history]
    if parquet:
        written.append(_write_parquet(run, out))
    return written


def _keep_previous(run: RunResult, stored: str, out: Path) -> RunResult | None:
    """The run before this one, if it was of the same command; the one stored now is set aside when it is another."""
    present = _load(out / RESULTS)
    if present is not None and not _same(present, run, out / RESULTS, stored):
        write_whole(out / PREVIOUS, (out / RESULTS).read_bytes())
        previous: RunResult | None = present
    else:
        previous = _load(out / PREVIOUS)
    return previous if previous is not None and previous.command == run.command else None


def _same(present: RunResult, run: RunResult, path: Path, stored: str) -> bool:
    if present.started and run.started:
        return (present.started, present.command, present.seed) == (run.started, run.command, run.seed)
    return path.read_text(encoding="utf-8") == stored


def _load(path: Path) -> RunResult | None:
    # What an older version or an accident left behind must not keep a new report from being written.
    try:
        return load_run(path)
    except UsageError:
        with contextlib.suppress(OSError):
            if path.is_file() and path.stat().st_size:
                path.replace(path.with_suffix(".unreadable"))
        return None


def _write_parquet(run: RunResult, out: Path) -> Path:
    try:
        import pyarrow  # type: ignore[import-not-found,unused-ignore] # noqa: F401
    except ImportError:
        raise UsageError("Parquet needs pyarrow, which is not installed: pip install 'backprove[parquet]'") from None
    buffer = io.BytesIO()
    to_dataframe(run).to_parquet(buffer, index=False)
    write_whole(out / "results.parquet", buffer.getvalue())
    return out / "results.parquet"
