"""Two programs are compared here, bits of constants and parameters included, or written as text."""

from __future__ import annotations

from backprove.harness.core.arrays import Array
from backprove.harness.programs.program import Equation, Params, Program, Var


def same(a: Program, b: Program) -> bool:
    """Whether two programs are equal, bits of the constants and parameters included; False where that is unclear."""
    if (a.inputs, a.outputs, a.constants.keys()) != (b.inputs, b.outputs, b.constants.keys()):
        return False
    for slot, c in a.constants.items():
        d = b.constants[slot]
        if (c.dtype, c.shape, c.tobytes()) != (d.dtype, d.shape, d.tobytes()):
            return False
    return len(a.equations) == len(b.equations) and all(map(_same_equation, a.equations, b.equations))


def _same_equation(a: Equation, b: Equation) -> bool:
    if (a.primitive, a.inputs, a.outputs, a.params.keys()) != (b.primitive, b.inputs, b.outputs, b.params.keys()):
        return False
    return all(_same_parameter(v, b.params[k]) for k, v in a.params.items())


def _same_parameter(a: object, b: object) -> bool:
    if isinstance(a, Program) and isinstance(b, Program):
        return same(a, b)
    if type(a) is tuple and type(b) is tuple:
        return len(a) == len(b) and all(map(_same_parameter, a, b))
    try:
        return type(a) is type(b) and bool(a == b)
    except Exception:
        return False


def fingerprint(program: Program) -> str:
    """A text that two programs share exactly if they differ at most in the numbers of their slots."""
    number: dict[int, str] = {v.slot: f"i{k}" for k, v in enumerate(program.inputs)}

    def name(v: Var) -> str:
        if v.slot in program.constants:
            return constant_text(program.constants[v.slot])
        return number.setdefault(v.slot, f"v{len(number)}")

    lines = [" ".join(f"{v.dtype}{v.shape}" for v in program.inputs)]
    for e in program.equations:
        ins = [name(v) for v in e.inputs]
        lines.append(f"{[name(v) for v in e.outputs]} = {e.primitive} {params_text(e.params)} {ins}")
    lines.append(str([name(v) for v in program.outputs]))
    return "\n".join(lines)


def constant_text(value: Array) -> str:
    """A constant as text, to the last bit."""
    return f"{value.dtype}{value.shape}{value.tobytes().hex()}"


def params_text(params: Params) -> str:
    """Parameters of an equation as text; inner programs by their fingerprints."""

    def text(value: object) -> str:
        if isinstance(value, Program):
            return fingerprint(value)
        return f"({', '.join(map(text, value))})" if type(value) is tuple else repr(value)

    return ", ".join(f"{k}={text(v)}" for k, v in sorted(params.items()) if v is not None)
