"""This module ends the second process in which code that forked comes back, and tells the first one of it.

def forward(x):
    os.fork()               # both processes would go on judging, and answer
    return np.sin(x)

A child that ends by itself, as those of a pool do, is none of our business.
"""

from __future__ import annotations

import contextlib
import os
import select

WAITED = 1.0
"""Seconds in which a forked child may come back from the code that its parent has come back from."""

OFTEN = 3
"""Calls that fork and whose children end by themselves, after which the next ones are not waited for."""


class _Forks:
    """How often this process was forked, and the pipe on which children that come back say so."""

    def __init__(self) -> None:
        self.seen = 0
        self.alone = 0
        self.pipe: tuple[int, int] | None = None

    def before(self) -> None:
        if self.pipe is None:
            with contextlib.suppress(OSError):
                self.pipe = os.pipe()

    def after(self) -> None:
        self.seen += 1


_forks = _Forks()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_forks.before, after_in_parent=_forks.after)


class CameBackTwice(BaseException):
    """Code forked the process, and went on in both; no `Exception`, so that it ends what is judged at once."""


def position() -> tuple[int, int]:
    """The process, and how often it was forked: what `returned` needs to know of the time before a call."""
    return os.getpid(), _forks.seen


def returned(before: tuple[int, int]) -> None:
    """To be called when code comes back; does not return in a forked child.

    Args:
        before: `position()` before the call.

    Raises:
        CameBackTwice: in the parent, where the child has come back too.
    """
    pid, seen = before
    if os.getpid() != pid:
        if _forks.pipe is not None:
            with contextlib.suppress(OSError):
                os.write(_forks.pipe[1], b"!")
        os._exit(0)
    if _forks.seen == seen or _forks.pipe is None:
        return
    ready, _, _ = select.select([_forks.pipe[0]], [], [], WAITED if _forks.alone < OFTEN else 0.0)
    _forks.alone += not ready
    if ready:
        os.read(_forks.pipe[0], 4096)
        raise CameBackTwice("forks, and goes on in both processes; end the child with os._exit inside the function")
