"""Threads of torch are held to one while rules are judged: points are small, and threads that wait burn processors."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Torch, where something has imported it, computes in one thread; afterwards in as many as before."""
    torch: Any = sys.modules.get("torch")
    before = torch.get_num_threads() if hasattr(torch, "get_num_threads") else 1
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
