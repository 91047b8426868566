"""What code prints is kept here and shown once, shortened: `prints (502 times): x is 3.0`."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from typing import Any, cast

SHOWN = 200
"""Characters of what was printed that are shown."""


class Printed(io.RawIOBase):
    """Takes what is written to it: counts the lines and keeps the beginning of the first."""

    def __init__(self) -> None:
        self.lines, self.first = 0, b""

    def writable(self) -> bool:
        return True

    def write(self, text: Any) -> int:
        data = bytes(text)
        if self.lines == 0 and len(self.first) < 4 * SHOWN:
            self.first += data
        self.lines += data.count(b"\n")
        return len(data)

    @property
    def words(self) -> str:
        """How often was printed, and what first; "" where nothing was."""
        line = (self.first.decode("utf-8", "replace").splitlines() or [""])[0]
        shown = line if len(line) <= SHOWN else line[:SHOWN] + "..."
        if not self.lines:
            return f"prints: {shown}" if shown else ""
        return f"prints ({self.lines} times): {shown}" if self.lines > 1 else f"prints: {shown}"


@contextlib.contextmanager
def captured() -> Iterator[tuple[Printed, Callable[[Callable[..., None]], Callable[..., None]]]]:
    """Standard output, taken in; with a function that lets another one print as usual.

    A debugger that `breakpoint()` starts talks to the terminal, and nothing is taken in from then on.
    """
    real, hook, taken = sys.stdout, sys.breakpointhook, Printed()
    stream = io.TextIOWrapper(cast(Any, taken), encoding="utf-8", errors="backslashreplace", write_through=True)

    def outside(function: Callable[..., None]) -> Callable[..., None]:
        def called(*arguments: Any) -> None:
            with contextlib.redirect_stdout(real):
                function(*arguments)

        return called

    def stop(*arguments: Any, **named: Any) -> Any:
        sys.stdout = real
        return hook(*arguments, **named)

    sys.breakpointhook = stop
    try:
        with contextlib.redirect_stdout(stream):
            yield taken, outside
    finally:
        sys.breakpointhook = hook
        with contextlib.suppress(ValueError):  # the code closed it
            stream.detach()
