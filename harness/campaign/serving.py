"""A worker process serves requests: it reads one from its stdin, does it, and writes the answer on what was its stdout.

stdin  {"number":3,"request":{"ask":"load","target":"rules.py"}}
stdout {"number":3,"line":{"type":"found","rules":[...]}}

Every answer has the number of its request, so that none is taken for another's. What the user's code prints goes to
stderr, what it reads is empty, and both pipes have numbers that code does not meet by counting up from 3.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import queue
import sys
import threading
from collections.abc import Sequence
from typing import Any

from backprove.harness.campaign import messages
from backprove.harness.campaign.changes import Snapshot
from backprove.harness.campaign.processes import CANNOT_ANSWER, die_with
from backprove.harness.campaign.work import Server, failure_of
from backprove.harness.core.collector import few_collections
from backprove.harness.core.errors import UsageError
from backprove.harness.core.forks import CameBackTwice
from backprove.harness.core.records import from_json
from backprove.harness.core.results import is_user_code
from backprove.harness.core.texts import readable_json
from backprove.harness.core.used_files import used_files, watch

FIRST_DESCRIPTOR = 700
"""Lowest number that the pipes are moved to, where the limit of the process allows it."""


def serve(imports: Sequence[str] = (), parent: int = 0) -> None:
    """Answer requests until stdin closes.

    Args:
        imports: modules that the requests are going to need.
        parent: process with which this one ends; 0: none.
    """
    if parent:
        die_with(parent)
    out = os.fdopen(_moved(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    source = _moved(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(source, requests), daemon=True).start()
    sys.breakpointhook = _no_debugger
    watch()
    number, own = 0, os.getpid()

    def send(line: messages.Line) -> None:
        if os.getpid() != own:  # code forked, and the child came back into ours
            os._exit(CANNOT_ANSWER)
        try:
            out.write(readable_json(messages.Numbered(number, line)) + "\n")
            out.flush()
        except BrokenPipeError:  # the parent was killed
            os._exit(0)
        except Exception:  # code has closed the pipe, or replaced what writes JSON
            os._exit(CANNOT_ANSWER)

    def progress(name: str, done: int, total: int) -> None:
        send(messages.Step(name, done, total))

    for module in imports:
        with contextlib.suppress(Exception):  # the request that needs it says so
            importlib.import_module(module)
    gc.freeze()  # what is imported stays
    server = Server(progress)
    with few_collections():
        while True:
            text = requests.get()
            order = from_json(text, messages.Order)
            number = order.number
            send(_answer(server, order.request))


def _answer(server: Server, request: messages.Request) -> messages.Line:
    """The answer, and what the code of the user has left changed in this process; or what went wrong."""
    watched = isinstance(request, messages.Work) and request.do != "prepare" and is_user_code(request.kind)
    before = Snapshot.taken() if watched else None
    try:
        answer = server.answer(request)
        if before is not None and isinstance(answer, (messages.Judged, messages.JudgedPart)):
            answer.changed = before.changes()
        if isinstance(answer, messages.Found) or (isinstance(answer, messages.Judged) and not answer.changed):
            answer.used = used_files()
        return answer
    except UsageError as e:
        return messages.WrongUse(str(e))
    except CameBackTwice as e:
        return messages.Lost(str(e))
    except Exception as e:  # the parent says it in one line and keeps the traceback
        return failure_of(e, before.changes() if before is not None else ())


def _no_debugger(*_: object, **__: object) -> None:
    raise RuntimeError("a debugger cannot be used in a worker process: judge the rule by bp.check in your own")


def _moved(descriptor: int) -> int:
    """A copy with a high number, which what this process starts does not inherit."""
    if sys.platform != "win32":
        import fcntl

        with contextlib.suppress(OSError):
            found: int = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, FIRST_DESCRIPTOR)
            return found
    return os.dup(descriptor)


def _read_requests(source: int, requests: Any) -> None:
    """Hand requests over; when the parent is gone end the process, whatever a rule is doing."""
    with contextlib.suppress(OSError):
        for line in os.fdopen(source, "r", encoding="utf-8"):
            requests.put(line)
    os._exit(0)
