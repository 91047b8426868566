"""Branches that only a call takes are suspected of code that has a way to tell that it is traced.

`isinstance(x, jax.core.Tracer)`, a look at `jax.config`, `try: float(x)`: such code is called plainly at every size.
Other JAX code does under trace what it does in a call, since a tracer stands for any value.
"""

from __future__ import annotations

import dis
import functools
from types import CodeType
from typing import Any

from backprove.harness.frontends.reached_code import reached_code

TELLING = frozenset(
    (
        *("isinstance", "issubclass", "type", "hasattr", "getattr", "callable", "__class__", "__dict__", "dir", "vars"),
        *("str", "repr", "format", "id", "config", "Tracer", "is_concrete", "ensure_compile_time_eval"),
    )
)
"""Names by which code learns what its arguments are, or how JAX is set."""


@functools.lru_cache(maxsize=256)
def may_tell_tracing(call: Any) -> bool:
    """Whether code, or a function that it reaches, looks at types or settings, formats values or catches errors."""
    return any(map(_tells, reached_code(call)))


def _tells(code: CodeType) -> bool:
    names = {*code.co_names, *code.co_freevars}
    return bool(
        names & TELLING
        or getattr(code, "co_exceptiontable", b"\0")
        or any(i.opname.startswith("FORMAT") for i in dis.get_instructions(code))
    )
