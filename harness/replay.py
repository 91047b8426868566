"""Names of failing points, and the store of the last runs.

An id of a small point holds the point itself (base64url of zlib-compressed JSON); that of a large one is a hash,
looked up in the store of finished rules and theorems under `.backprove/` (or `$BACKPROVE_HOME`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from backprove.harness.errors import UsageError
from backprove.harness.result import Counterexample, SubjectResult, subject_from_plain, to_plain

LONGEST = 320
"""Longest self-contained id in characters; what is longer cannot be copied from a terminal in comfort."""

LARGEST = 1 << 20
"""Most bytes that an id may unpack to; a guard against ids that were made to exhaust memory."""

KEYS = ("name", "property", "dtype", "inputs", "tangents", "cotangents")
"""Keys that the payload of an id must have."""

KEPT_RUNS = 20
"""Runs that the store keeps."""

_HASH = re.compile(r"x[0-9a-f]{16}")


def payload_of(
    subject: SubjectResult | None, point: Counterexample, *, kind: str = "", name: str = "", file: str = ""
) -> dict[str, Any]:
    """What it takes to evaluate `point` again.

    Args:
        subject: the rule or theorem; None where `kind`, `name` and `file` say it.
        point: its `id` is not used.

    Returns:
        {"kind": "rule" or "theorem", "name", "file" (of a rule), "property", "dtype", "inputs", "tangents",
        "cotangents"}; inputs are nested lists of hexadecimal floats, directions of numbers.
    """
    if subject is not None:
        kind, name = subject.kind, subject.name
        file = subject.module if subject.kind == "rule" else ""
    return {
        "kind": kind,
        "name": name,
        "file": file,
        "property": point.property,
        "dtype": point.dtype,
        "inputs": to_plain(point.inputs_hex),
        "tangents": to_plain(point.tangents),
        "cotangents": to_plain(point.cotangents),
    }


def encode_id(payload: Mapping[str, Any]) -> str:
    """The id of a payload: self-contained up to `LONGEST` characters, else `x` and 16 digits of its SHA-256."""
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    packed = base64.urlsafe_b64encode(zlib.compress(text, 9)).decode().rstrip("=")
    return packed if len(packed) <= LONGEST else "x" + hashlib.sha256(text).hexdigest()[:16]


def decode_id(identifier: str, store: Store | None = None) -> dict[str, Any]:
    """The payload of an id; hashes are looked up in `store` (the default one unless given).

    Raises:
        UsageError: when it is no id, is damaged, or is a hash that the store does not know.
    """
    identifier = identifier.strip()
    if _HASH.fullmatch(identifier):
        payload = (store or Store()).find(identifier)
        if payload is None:
            raise UsageError(
                f"replay: {identifier} is not in the store of the last runs ({(store or Store()).home}); "
                "run the check again, or replay in the folder where it ran"
            )
        return payload
    try:
        packed = base64.b64decode(identifier + "=" * (-len(identifier) % 4), altchars=b"-_", validate=True)
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(packed, LARGEST)
        if not unpacker.eof:
            raise ValueError("cut short")
        payload = json.loads(text)
    except (binascii.Error, zlib.error, ValueError, RecursionError):
        raise UsageError(
            f"replay: {identifier!r} is not an id, or part of it is missing; "
            "copy the whole word after 'backprove replay' from a counterexample"
        ) from None
    missing = [k for k in KEYS if not isinstance(payload, dict) or k not in payload]
    if missing:
        raise UsageError(f"replay: {identifier!r} names no point: {', '.join(missing)} is missing from it")
    return payload  # type: ignore[no-any-return]


class Store:
    """Finished rules and theorems of the last runs, one JSON line each, in one file per run.

    A run's name is a hash of everything that decides its results, so that a run with the same name resumes it. A store
    that cannot be written warns once and keeps nothing.
    """

    def __init__(self, home: Path | None = None) -> None:
        self.home = home or Path(os.environ.get("BACKPROVE_HOME") or ".backprove")
        self._warned = False

    def begin(self, run: str, *, resume: bool) -> dict[str, SubjectResult]:
        """Open the file of `run`; returns what an earlier one finished (name -> record) when it is resumed."""
        finished = {s.name: s for s in self._read(self._path(run))} if resume else {}
        self._guard(lambda: self._start(run, resume))
        return finished

    def add(self, run: str, subject: SubjectResult) -> None:
        """Append one record; a single write, so that an interruption leaves whole lines (and at most one broken)."""
        line = json.dumps(to_plain(subject), allow_nan=False, separators=(",", ":")) + "\n"
        self._guard(lambda: self._append(self._path(run), line))

    def find(self, identifier: str) -> dict[str, Any] | None:
        """The payload of the counterexample with that id, newest run first."""
        for path in self._runs():
            for subject in self._read(path):
                for p in subject.properties:
                    if p.counterexample is not None and p.counterexample.id == identifier:
                        return payload_of(subject, p.counterexample)
        return None

    def crash(self, text: str) -> Path | None:
        """Keep the traceback of an internal error; None where the store cannot be written."""
        path = self.home / f"crash-{os.getpid()}.txt"
        return path if self._guard(lambda: self._replace(path, text)) else None

    def _path(self, run: str) -> Path:
        return self.home / "runs" / f"{run}.jsonl"

    def _runs(self) -> list[Path]:
        return sorted((self.home / "runs").glob("*.jsonl"), key=lambda p: (-p.stat().st_mtime_ns, p.name))

    def _start(self, run: str, resume: bool) -> None:
        path = self._path(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        ignore = self.home / ".gitignore"
        if not ignore.exists():
            self._replace(ignore, "*\n")
        # Whole lines only: what an interruption cut short goes.
        kept = [json.dumps(to_plain(s), separators=(",", ":")) + "\n" for s in self._read(path)] if resume else []
        self._replace(path, "".join(kept))
        for old in self._runs()[KEPT_RUNS:]:
            old.unlink(missing_ok=True)

    def _append(self, path: Path, line: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)

    def _replace(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)

    def _read(self, path: Path) -> Iterator[SubjectResult]:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError:
            return
        for line in lines:
            try:
                yield subject_from_plain(json.loads(line))
            except (ValueError, TypeError, KeyError):  # a line that an interruption cut, or of another version
                continue

    def _guard(self, action: Any) -> bool:
        try:
            action()
        except OSError as e:
            if not self._warned:
                self._warned = True
                print(f"backprove: warning: {self.home} cannot be written ({e.strerror}); "
                      "this run cannot be resumed, and long replay ids will not be found", file=sys.stderr)  # fmt: skip
            return False
        return True


def run_name(**decides: Any) -> str:
    """Name of a run from everything that decides its results."""
    text = json.dumps(decides, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest_of_files(*paths: Path) -> str:
    """SHA-256 over the contents of Python files (folders: all below them), in a fixed order."""
    total = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()
