"""`from_fwd_bwd` makes a rule of a forward that keeps residuals and a backward that uses them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Unpack

from backprove.harness.core.arguments import as_given, worded
from backprove.harness.core.arrays import Code, Tree
from backprove.harness.core.errors import UsageError
from backprove.harness.statements.annotations import inputs_of
from backprove.harness.statements.further import Further, bound_further
from backprove.harness.statements.rule import Rule, shown_as
from backprove.harness.statements.signatures import Bound, Fixed, check_fixed, check_names
from backprove.harness.statements.stated_inputs import check_mapping


@worded("from_fwd_bwd")
def from_fwd_bwd(
    fwd: Code,
    bwd: Code,
    *,
    inputs: Mapping[str, Tree] | None = None,
    name: str | None = None,
    fixed: Fixed | None = None,
    **further: Unpack[Further],
) -> Rule:
    """The rule of a forward that keeps residuals and a backward that uses them.

    ```python
    import numpy as np
    import backprove as bp

    rule = bp.from_fwd_bwd(
        lambda x: (np.exp(x), np.exp(x)), lambda out, g: out * g, inputs={"x": bp.array("n", high=9)}, name="exp"
    )
    ```

    Args:
        fwd: `fwd(*inputs) -> (out, residuals)`.
        bwd: `bwd(residuals, cotangent)` -> cotangent of the one differentiable input or a tuple, one per
            differentiable input; with several outputs `cotangent` is a tuple.
        inputs: argument name -> `array(...)`, or a pytree of these; None reads the jaxtyping annotations of fwd.
        name: defaults to fwd's own name.
        fixed: arguments of fwd that are no inputs, by name or position; bwd is given those that it has under the same
            name.
        further: other arguments of `Rule`, such as `surrogate`, `reference` and `examples`.

    Raises:
        UsageError: as `Rule`; and when the rule runs and `fwd` does not return a pair.
    """
    for label, function in (("fwd", fwd), ("bwd", bwd)):
        if not callable(function):
            raise UsageError(f"from_fwd_bwd: {label} must be a function, got {as_given(function)}")
    label = name or str(getattr(fwd, "__name__", "rule"))
    who = f"from_fwd_bwd({label})"
    if inputs is not None:
        check_mapping(who, inputs)
    fixed = {} if fixed is None else fixed
    check_fixed(who, fwd, fixed, tuple(inputs or ()))
    fwd, bwd = Bound.of(fwd, fixed), Bound.of(bwd, {k: v for k, v in fixed.items() if isinstance(k, str)}, fwd)
    stated = inputs_of(fwd, who) if inputs is None else inputs
    check_names(who, fwd, tuple(stated))
    more = bound_further(who, further, fixed, fwd, tuple(stated))

    def pair(*primals: Tree) -> tuple[Tree, object]:
        result = fwd(*primals)
        if not isinstance(result, tuple) or len(result) != 2:
            raise UsageError(f"from_fwd_bwd: fwd of {label} must return (out, residuals), got {type(result).__name__}")
        return result

    @functools.wraps(fwd)
    def forward(*primals: Tree) -> Tree:
        return pair(*primals)[0]

    def vjp(*arguments: Tree) -> Tree:
        _, residuals = pair(*arguments[: len(stated)])
        cotangents = arguments[len(stated) :]
        found = bwd(residuals, cotangents[0] if len(cotangents) == 1 else tuple(cotangents))
        return found[0] if isinstance(found, tuple) and len(found) == 1 else found

    return Rule(label, forward=forward, vjp=shown_as(vjp, bwd, 1), inputs=stated, **more)
