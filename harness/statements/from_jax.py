"""`from_jax` makes a rule of a `jax.custom_jvp` or `jax.custom_vjp` function."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from backprove.harness.core.arguments import as_given, worded
from backprove.harness.core.arrays import Code, Tree
from backprove.harness.core.errors import UsageError
from backprove.harness.statements.annotations import inputs_of
from backprove.harness.statements.further import Further, bound_further
from backprove.harness.statements.pytrees import flat_inputs, is_structured
from backprove.harness.statements.rule import Rule, shown_as
from backprove.harness.statements.signatures import Bound, Fixed, check_fixed, check_names
from backprove.harness.statements.stated_inputs import check_mapping

if TYPE_CHECKING:
    import jax
    from jax.tree_util import PyTreeDef
    from jax.typing import ArrayLike


@worded("from_jax")
def from_jax(
    fn: Code,
    *,
    inputs: Mapping[str, Tree] | None = None,
    name: str | None = None,
    fixed: Fixed | None = None,
    **further: Unpack[Further],
) -> Rule:
    """The rule of a `jax.custom_jvp` or `jax.custom_vjp` function, checked against the undecorated function.

    ```python
    import jax
    import jax.numpy as jnp
    import backprove as bp

    @jax.custom_vjp
    def square(x):
        return x * x

    square.defvjp(lambda x: (x * x, x), lambda x, g: (2 * x * g,))
    assert bp.check(bp.from_jax(square, inputs={"x": bp.array("n")}), points=20, dtypes=["float64"]).ok
    ```

    So is the primal that the rule returns beside its tangent, or its residuals, in a claim of its own called "primal".

    The rule is applied through `jax.jvp` or `jax.vjp`, so that `nondiff_argnums` and JAX's own checks of structure
    work as they do for its users. Outputs that are pytrees are flattened to tuples of arrays.

    Args:
        fn: the decorated function, a `functools.partial` of one, or a ufunc that `jax.numpy.frompyfunc` made of one.
        inputs: argument name -> `array(...)`; arguments in `nondiff_argnums` are fixed, bound with `functools.partial`,
            left to their defaults, or integers. An argument that is a pytree has a pytree of these. None reads the
            jaxtyping annotations of the undecorated function.
        name: defaults to the function's own name.
        fixed: arguments that are no inputs, by name or position, such as `{"axis": -1}`.
        further: other arguments of `Rule`, such as `surrogate`, `reference` and `examples`.

    Raises:
        UsageError: when `fn` has no custom rule, when the rule is not defined yet, or when an input of floats is in
            `nondiff_argnums`.
    """
    import jax

    given: Any = fn.func if isinstance(fn, functools.partial) else fn
    decorated: Any = _scalar_function(given) if isinstance(given, jax.numpy.ufunc) else given
    forward_mode = isinstance(decorated, jax.custom_jvp)
    if not forward_mode and not isinstance(decorated, jax.custom_vjp):
        raise UsageError(
            f"from_jax: expected a function decorated with jax.custom_jvp or jax.custom_vjp, got {as_given(fn)}; "
            + _instead(fn)
        )
    label = name or str(getattr(decorated, "__name__", "jax rule"))
    if getattr(decorated, "jvp" if forward_mode else "bwd", None) is None:
        how = "@f.defjvp" if forward_mode else "f.defvjp(fwd, bwd)"
        raise UsageError(f"from_jax: {label} has no derivative rule yet; define it with {how} before from_jax")
    undecorated: Code = decorated.fun if given is decorated else _entrywise(decorated.fun, given)
    if isinstance(fn, functools.partial):
        undecorated = functools.partial(undecorated, *fn.args, **fn.keywords)
    who = f"from_jax({label})"
    if inputs is not None:
        check_mapping(who, inputs)
    fixed = {} if fixed is None else fixed
    check_fixed(who, undecorated, fixed, tuple(inputs or ()))
    undecorated = Bound.of(undecorated, fixed)
    if inputs is None:
        inputs = inputs_of(undecorated, who)
    check_names(who, undecorated, tuple(inputs))
    places_fixed = undecorated.positions if isinstance(undecorated, Bound) else {}
    _refuse_nondiff(label, fn, decorated, inputs, places_fixed)
    called = Bound.of(fn, fixed)
    trees: list[PyTreeDef] = [jax.tree.structure(spec) for spec in inputs.values()]
    specs = flat_inputs(inputs)
    places = [i for i, spec in enumerate(specs.values()) if getattr(spec, "differentiable", False)]

    def packed(leaves: Sequence[ArrayLike]) -> list[Tree]:
        rest = iter(leaves)
        return [tree.unflatten([next(rest) for _ in range(tree.num_leaves)]) for tree in trees]

    def flat(values: Tree) -> Tree:
        leaves = jax.tree_util.tree_leaves(values)
        return leaves[0] if len(leaves) == 1 and leaves[0] is values else tuple(leaves)

    def of_differentiable(primals: tuple[ArrayLike, ...]) -> tuple[Code, list[jax.Array]]:
        def restricted(*moved: ArrayLike) -> Tree:
            full = list(primals)
            for i, x in zip(places, moved, strict=True):
                full[i] = x
            return called(*packed(full))

        return restricted, [jax.numpy.asarray(primals[i]) for i in places]

    def forward(*primals: ArrayLike) -> Tree:
        return flat(undecorated(*packed(primals)))

    def jvp(*arguments: ArrayLike) -> Tree:
        f, moved = of_differentiable(arguments[: len(specs)])
        _, moved_out = jax.jvp(f, moved, [jax.numpy.asarray(t) for t in arguments[len(specs) :]])
        # integer outputs have no tangent
        return flat(jax.tree.map(lambda t: None if t.dtype == jax.dtypes.float0 else t, moved_out))

    def primal(*primals: ArrayLike) -> Tree:
        f, moved = of_differentiable(primals)
        if forward_mode:
            return flat(jax.jvp(f, moved, [jax.numpy.zeros_like(x) for x in moved])[0])
        return flat(jax.vjp(f, *moved)[0])

    def vjp(*arguments: ArrayLike) -> Tree:
        f, moved = of_differentiable(arguments[: len(specs)])
        out, pullback = jax.vjp(f, *moved)
        leaves = jax.tree.leaves(out)
        tree: PyTreeDef = jax.tree.structure(out)
        given = iter(arguments[len(specs) :])
        cotangents = [
            jax.numpy.asarray(next(given))
            if jax.numpy.issubdtype(leaf.dtype, jax.numpy.inexact)
            else np.zeros(leaf.shape, jax.dtypes.float0)
            for leaf in leaves
        ]
        found = pullback(tree.unflatten(cotangents))
        return found[0] if len(found) == 1 else tuple(found)

    def of_leaves(label: str, function: Code) -> Code:
        if label == "convention" or not is_structured(inputs):
            return function

        def call(*leaves: ArrayLike) -> Tree:
            return flat(function(*packed(leaves)))

        return shown_as(call, function)

    more = bound_further(who, further, fixed, undecorated, tuple(inputs), of_leaves)
    more.setdefault("complex_convention", "jax")
    # with pytrees the signature of the undecorated function is not that of the leaves
    shown = shown_as(forward, undecorated) if is_structured(inputs) else functools.wraps(undecorated)(forward)
    if forward_mode:
        return Rule(
            label,
            forward=shown,
            jvp=shown_as(jvp, decorated.jvp, under_test=decorated),
            primal=primal,
            inputs=specs,
            **more,
        )
    return Rule(
        label,
        forward=shown,
        vjp=shown_as(vjp, decorated.bwd, 1 + len(decorated.nondiff_argnums), under_test=decorated),
        primal=primal,
        inputs=specs,
        **more,
    )


def _instead(fn: Any) -> str:
    """What to do with something that has no custom rule."""
    import jax

    inner = getattr(fn, "__wrapped__", None)
    if isinstance(inner, (jax.custom_jvp, jax.custom_vjp)):
        return "it is a transformed function: give the decorated function inside, as it is before jax.jit"
    if callable(fn):
        return "state another rule with bp.Rule(...), or judge JAX's own derivative with bp.from_call(fn, example)"
    return "give the function itself, not what it returns"


def _scalar_function(ufunc: Any) -> Any:
    """The function of scalars that `jax.numpy.frompyfunc` made a ufunc of."""
    return ufunc._func  # JAX has no public name for it


def _entrywise(function: Code, ufunc: Any) -> Code:
    """Another function of scalars as a ufunc, which has the function's name and parameters."""
    import jax

    made = jax.numpy.frompyfunc(function, ufunc.nin, ufunc.nout)

    @functools.wraps(function)
    def call(*arguments: ArrayLike) -> Tree:
        return made(*arguments)

    return call


def _refuse_nondiff(name: str, fn: Code, decorated: Any, inputs: Mapping[str, Tree], fixed: Collection[int]) -> None:
    bound = len(fn.args) if isinstance(fn, functools.partial) else 0
    specs = list(inputs.items())
    for position in decorated.nondiff_argnums:
        if position - bound in fixed:
            continue
        k = position - bound - sum(place < position - bound for place in fixed)
        leaves = flat_inputs(dict(specs[k : k + 1])) if k >= 0 else {}
        if any(getattr(spec, "differentiable", False) for spec in leaves.values()):
            raise UsageError(
                f"from_jax: input {specs[k][0]!r} of {name} is in nondiff_argnums and has no derivative; "
                f"leave it out of inputs and bind it, as in from_jax({name}, fixed={{{specs[k][0]!r}: ...}}, ...)"
            )
