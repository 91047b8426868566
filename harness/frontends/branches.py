"""Branches that only a call takes are suspected of code that has a way to tell that it is traced.

`isinstance(x, jax.core.Tracer)`, a look at `jax.config`, `try: float(x)`: such code is called plainly at every size.
Other JAX code does under trace what it does in a call, since a tracer stands for any value.
"""

from __future__ import annotations

import dis
import functools
import sys
from types import CodeType
from typing import Any

from backprove.harness.frontends.kept_state import may_keep
from backprove.harness.frontends.reached_code import LIBRARIES, named_packages, reached_code

TELLING = frozenset(
    (
        *("isinstance", "issubclass", "type", "hasattr", "getattr", "callable", "__class__", "__dict__", "dir", "vars"),
        *("str", "repr", "format", "id", "config", "Tracer", "is_concrete", "ensure_compile_time_eval"),
    )
)
"""Names by which code learns what its arguments are, or how JAX is set."""


HARMLESS = {
    "builtins",
    "types",
    "math",
    "functools",
    "operator",
    "typing",
    "collections",
    "dataclasses",
    "__main__",
    "backprove",
}
OTHERS = (sys.stdlib_module_names | set(LIBRARIES)) - {"jax", "jaxlib"} - HARMLESS
"""Packages by which code may do in a call what it does not do under trace: NumPy, random numbers, clocks, files."""


@functools.lru_cache(maxsize=256)
def may_tell_tracing(call: Any) -> bool:
    """Whether code, or a function that it reaches, looks at types or settings, formats values or catches errors."""
    return any(map(_tells, reached_code(call)))


@functools.lru_cache(maxsize=256)
def is_alike_in_calls(call: Any) -> bool:
    """Whether code is JAX's alone and cannot tell that it is traced: a plain call does what its trace says."""
    packages = named_packages(call)
    return "jax" in packages and not packages & OTHERS and not may_tell_tracing(call) and not may_keep(call)


def _tells(code: CodeType) -> bool:
    names = {*code.co_names, *code.co_freevars}
    return bool(
        names & TELLING
        or getattr(code, "co_exceptiontable", b"\0")
        or any(i.opname.startswith("FORMAT") for i in dis.get_instructions(code))
    )
