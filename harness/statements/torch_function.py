"""`TorchFunction` runs differentiable torch code on NumPy arrays, and holds its backward to torch's contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from backprove.harness.core.arrays import Array, Code
from backprove.harness.core.thresholds.called_code import ANOTHER_WAY
from backprove.harness.statements.rule import UnderContract
from backprove.strategies.array import ArraySpec

Tensor = Any
"""A tensor of torch, which need not be installed."""

ALL_SUBSETS = 5
"""Up to so many differentiable inputs every subset is tried; of more, each input alone and all but each."""


def on_tensors(function: Any, code: Callable[..., Sequence[Tensor]]) -> None:
    """Say what `function`, a callable of arrays, does on tensors, so that its code can be traced."""
    function.on_tensors = code


class TorchFunction:
    """Differentiable torch code, such as a `torch.autograd.Function`, as functions of NumPy arrays.

    Attributes:
        apply: the code, on tensors.
        label: what messages call it.
        specs: the inputs, in order.
        moving: positions of the differentiable inputs.
    """

    def __init__(
        self,
        torch: ModuleType,
        apply: Callable[..., Any],
        label: str,
        specs: dict[str, ArraySpec],
    ) -> None:
        self.torch, self.apply, self.label, self.specs = torch, apply, label, specs
        self.names = tuple(specs)
        self.moving = tuple(i for i, s in enumerate(specs.values()) if s.differentiable)
        self._kept: tuple[int, ...] | None = None
        """Positions of the outputs that can be differentiated; learnt from the first call."""
        self._in_place = False
        """Forward writes into its inputs and says so (`mark_dirty`): torch then wants no leaves."""

    def as_rule(self) -> tuple[Code, UnderContract]:
        """Forward and backward as functions of a rule, which know what they do on tensors."""

        def forward(*arrays: Array) -> Array | tuple[Array, ...]:
            return self.forward(arrays)

        def vjp(*arguments: Array) -> Array | tuple[Array, ...]:
            return self.vjp(arguments)

        backward = UnderContract(vjp, self.contract)
        on_tensors(forward, self.forward_on_tensors)
        on_tensors(backward, self.vjp_on_tensors)
        return forward, backward

    def forward(self, arrays: Sequence[Array]) -> Array | tuple[Array, ...]:
        """The differentiable outputs: an array, or a tuple of arrays.

        Raises:
            Exception: whatever forward raises, and TypeError where no output can be differentiated.
        """
        if self._kept is None:
            outs, _, _ = self._apply(arrays, self.moving)
        else:
            with self.torch.no_grad():
                found = self.apply(*(self.tensor(a) for a in arrays))
            outs = found if isinstance(found, tuple) else (found,)
        assert self._kept is not None
        kept = [self.array(outs[k]) for k in self._kept]
        return kept[0] if len(kept) == 1 else tuple(kept)

    def vjp(self, arguments: Sequence[Array]) -> Array | tuple[Array, ...]:
        """The cotangents of the differentiable inputs, from inputs and cotangents of the differentiable outputs."""
        n = len(self.names)
        found = self._pull(arguments[:n], [self.tensor(g) for g in arguments[n:]], self.moving)
        return found[0] if len(found) == 1 else tuple(found)

    def as_jvp(self) -> Code:
        """The forward-mode derivative (a static method `jvp`) as a function of a rule."""

        def jvp(*arguments: Array) -> Array | tuple[Array, ...]:
            found = [self.array(t) for t in self.jvp_on_tensors(*map(self.tensor, arguments))]
            return found[0] if len(found) == 1 else tuple(found)

        on_tensors(jvp, self.jvp_on_tensors)
        return jvp

    def jvp_on_tensors(self, *tensors: Tensor) -> list[Tensor]:
        """The tangents of the differentiable outputs, from inputs and tangents of the differentiable inputs."""
        forward_ad = self.torch.autograd.forward_ad
        inputs = [t.detach() for t in tensors[: len(self.names)]]
        with forward_ad.dual_level():
            for i, tangent in zip(self.moving, tensors[len(self.names) :], strict=True):
                inputs[i] = forward_ad.make_dual(_of_its_own(inputs[i]), tangent)
            found = self.apply(*([t.clone() for t in inputs] if self._in_place else inputs))
            outs = [o for o in (found if isinstance(found, tuple) else (found,)) if _is_float(self.torch, o)]
            pairs = [forward_ad.unpack_dual(o) for o in outs]
            return [self.torch.zeros_like(p.primal) if p.tangent is None else p.tangent for p in pairs]

    def contract(self, *arguments: Array) -> str | None:
        """What of torch's contract the backward breaks at a point, in words; None where it keeps to it.

        It leaves its inputs and cotangents alone; it can be called again on the same graph; each cotangent is the same
        whatever other inputs require grad (`ctx.needs_input_grad`); and a cotangent that torch leaves out, since only
        another output was used, counts as zero.
        """
        arrays = [np.array(a) for a in arguments[: len(self.names)]]
        cotangents = [np.array(g) for g in arguments[len(self.names) :]]
        whole = self._pull(arrays, [self.tensor(g) for g in cotangents], self.moving)
        for check in (self._left_alone, self._twice, self._subsets, self._single_outputs):
            said = check(arrays, cotangents, whole)
            if said is not None:
                return said
        return None

    def forward_on_tensors(self, *tensors: Tensor) -> list[Tensor]:
        """The differentiable outputs, for the tracer."""
        outs, _ = self.followed(tensors)
        return [o.detach() for o in outs]

    def vjp_on_tensors(self, *tensors: Tensor) -> list[Tensor]:
        """The cotangents of the differentiable inputs, for the tracer."""
        n = len(self.names)
        outs, leaves = self.followed(tensors[:n])
        moved = [leaves[i] for i in self.moving]
        found = self.torch.autograd.grad(outs, moved, list(tensors[n:]), allow_unused=True)
        return [self.torch.zeros_like(m) if g is None else g for m, g in zip(moved, found, strict=True)]

    def followed(self, tensors: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Differentiable outputs and the leaves that led to them, of tensors that may hold no data."""
        leaves = [t.detach() for t in tensors]
        for i in self.moving:
            leaves[i].requires_grad_(True)
        found = self.apply(*([t.clone() for t in leaves] if self._in_place else leaves))
        outs = found if isinstance(found, tuple) else (found,)
        return [o for o in outs if isinstance(o, self.torch.Tensor) and o.requires_grad], leaves

    # -- the contract ------------------------------------------------------------------------------------------------

    def _left_alone(self, arrays: list[Array], cotangents: list[Array], whole: list[Array]) -> str | None:
        outs, leaves, primals = self._apply(arrays, self.moving)
        given = [self.tensor(g) for g in cotangents]
        for name, a, t in zip(self.names, arrays, primals, strict=True):
            if not any(o is t for o in outs) and not _equal(a, self.array(t)):
                return f"forward changed its argument {name} without ctx.mark_dirty"
        before = [self.array(t).copy() for t in primals]
        self._grad([outs[k] for k in self._kept or ()], [leaves[i] for i in self.moving], given)
        for k, (g, t) in enumerate(zip(cotangents, given, strict=True)):
            if not _equal(g, self.array(t)):
                which = "its cotangent" if len(given) == 1 else f"cotangent {k}"
                return f"backward changed {which} in place; torch may pass the same tensor on to other functions"
        for name, a, t in zip(self.names, before, primals, strict=True):
            if not _equal(a, self.array(t)):
                return f"backward changed the input {name}"
        return None

    def _twice(self, arrays: list[Array], cotangents: list[Array], whole: list[Array]) -> str | None:
        outs, leaves, _ = self._apply(arrays, self.moving)
        kept, moved = [outs[k] for k in self._kept or ()], [leaves[i] for i in self.moving]
        for _ in range(2):
            found = self._grad(kept, moved, [self.tensor(g) for g in cotangents], again=True)
            said = self._apart(found, whole, self.moving)
            if said is not None:
                return f"backward gives another result when it is called again on the same graph: {said}"
        return None

    def _subsets(self, arrays: list[Array], cotangents: list[Array], whole: list[Array]) -> str | None:
        for subset in _proper_subsets(self.moving):
            where = f"where only {' and '.join(self.names[i] for i in subset)} require{'s' * (len(subset) == 1)} grad"
            try:
                found = self._pull(arrays, [self.tensor(g) for g in cotangents], subset)
            except Exception as why:
                return f"backward raised {type(why).__name__}: {why}, {where} (ctx.needs_input_grad)"
            said = self._apart(found, [whole[self.moving.index(i)] for i in subset], subset)
            if said is not None:
                return f"backward gives another cotangent {where} (ctx.needs_input_grad): {said}"
        return None

    def _single_outputs(self, arrays: list[Array], cotangents: list[Array], whole: list[Array]) -> str | None:
        for k in range(len(cotangents) if len(cotangents) > 1 else 0):
            alone = [g if j == k else np.zeros_like(g) for j, g in enumerate(cotangents)]
            given = [self.tensor(g) for g in cotangents]
            where = f"where only output {k} is used (the other cotangents are left out)"
            try:
                expected = self._pull(arrays, [self.tensor(g) for g in alone], self.moving)
                found = self._pull(arrays, [g if j == k else None for j, g in enumerate(given)], self.moving)
            except Exception as why:
                return f"backward raised {type(why).__name__}: {why}, {where}"
            said = self._apart(found, expected, self.moving)
            if said is not None:
                return f"backward gives another result {where}: {said}"
        return None

    def _apart(self, found: Sequence[Array], expected: Sequence[Array], subset: Sequence[int]) -> str | None:
        """Which cotangents differ by more than rounding, in words."""
        for i, f, e in zip(subset, found, expected, strict=True):
            if not _near(f, e):
                return f"{_short(f)} for {self.names[i]} instead of {_short(e)}"
        return None

    # -- torch -------------------------------------------------------------------------------------------------------

    def _apply(
        self, arrays: Sequence[Array], requiring: Sequence[int]
    ) -> tuple[tuple[Tensor, ...], list[Tensor], list[Tensor]]:
        """Outputs, the leaves that led to them, and what forward was given: the leaves, or clones of them.

        Leaves at `requiring` require grad.
        """
        leaves = [self.tensor(a) for a in arrays]
        for i in requiring:
            leaves[i].requires_grad_(True)
        inputs = leaves
        if self._in_place:
            inputs = [t.clone() for t in leaves]
        try:
            found = self.apply(*inputs)
        except RuntimeError as why:
            if self._in_place or "leaf Variable" not in str(why):
                raise
            self._in_place = True
            return self._apply(arrays, requiring)
        outs = found if isinstance(found, tuple) else (found,)
        if tuple(requiring) == self.moving:
            kept = tuple(k for k, o in enumerate(outs) if isinstance(o, self.torch.Tensor) and o.requires_grad)
            if not kept:
                raise TypeError(f"no output of {self.label} can be differentiated")
            self._kept = kept
        return outs, leaves, inputs

    def _pull(self, arrays: Sequence[Array], cotangents: Sequence[Tensor | None], subset: Sequence[int]) -> list[Array]:
        outs, leaves, _ = self._apply(arrays, subset)
        if self._kept is None:
            self._apply(arrays, self.moving)
        kept = [outs[k] for k in self._kept or ()]
        return self._grad(kept, [leaves[i] for i in subset], cotangents)

    def _grad(
        self, outs: Sequence[Tensor], moved: Sequence[Tensor], cotangents: Sequence[Tensor | None], again: bool = False
    ) -> list[Array]:
        """Cotangents of `moved`; outputs whose cotangent is None are left out."""
        # an output that no moved input reaches passes nothing on
        pairs = [(o, g) for o, g in zip(outs, cotangents, strict=True) if g is not None and o.requires_grad]
        if not pairs:
            return [self.array(self.torch.zeros_like(m)) for m in moved]
        found = self.torch.autograd.grad(
            [o for o, _ in pairs], moved, [g for _, g in pairs], allow_unused=True, retain_graph=again
        )
        return [self.array(self.torch.zeros_like(m) if g is None else g) for m, g in zip(moved, found, strict=True)]

    def tensor(self, array: Array) -> Tensor:
        """A tensor with a copy of `array`; torch reads no bfloat16 of NumPy, but its bits."""
        a = np.array(array, order="C")
        if a.dtype.kind == "V":
            made = self.torch.from_numpy(a.view(np.int16)).view(self.torch.bfloat16)
        else:
            made = self.torch.from_numpy(a)
        return made if array.flags.c_contiguous else self._laid_out(made, array)

    def _laid_out(self, tensor: Tensor, like: Array) -> Tensor:
        """A tensor of the same values with the strides of an array; torch has no negative ones."""
        strides = [s // like.itemsize for s in like.strides]
        if any(s < 0 for s in strides):
            return tensor
        still = [s == 0 for s in strides]
        one = tensor[tuple(slice(0, 1) if s else slice(None) for s in still)]
        out = self.torch.empty_strided(one.shape, [s or 1 for s in strides], dtype=tensor.dtype)
        return out.copy_(one).expand(tensor.shape).detach()

    def array(self, tensor: Tensor) -> Array:
        t = tensor.detach().cpu().resolve_conj().resolve_neg()
        if t._is_zerotensor():
            t = self.torch.zeros_like(t)
        if t.dtype == self.torch.bfloat16:
            import ml_dtypes

            bits: Array = t.contiguous().view(self.torch.int16).numpy()
            return bits.view(ml_dtypes.bfloat16)
        found: Array = t.numpy()
        return found


def _of_its_own(tensor: Tensor) -> Tensor:
    """A tensor whose entries share no memory, as torch's dual numbers want it; others keep their layout."""
    shared = any(n > 1 and step == 0 for n, step in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.clone() if shared else tensor


def _is_float(torch: ModuleType, value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _proper_subsets(moving: Sequence[int]) -> Iterator[tuple[int, ...]]:
    n = len(moving)
    sizes = range(1, n) if n <= ALL_SUBSETS else sorted({1, n - 1})
    for size in sizes:
        yield from combinations(moving, size)


def _equal(a: Array, b: Array) -> bool:
    return a.shape == b.shape and np.array_equal(a.astype(np.float64), b.astype(np.float64), equal_nan=True)


def _near(a: Array, b: Array) -> bool:
    """Equal up to rounding at the size of the largest entry."""
    if a.shape != b.shape:
        return False
    v, w = a.astype(np.float64), b.astype(np.float64)
    u = 0.5 * float(_eps(a.dtype))
    with np.errstate(all="ignore"):
        size = np.abs(w[np.isfinite(w)]).max(initial=0.0)
        near = (v == w) | (np.isnan(v) & np.isnan(w)) | (np.abs(v - w) <= ANOTHER_WAY * u * size)
    return bool(near.all())


def _eps(dtype: DTypeLike) -> float:
    import ml_dtypes

    return float(ml_dtypes.finfo(dtype).eps)


def _short(a: Array) -> str:
    """The first entries of an array."""
    flat = [f"{v:.6g}" for v in np.ravel(a)[:4].astype(np.float64).tolist()] + ["..."] * (a.size > 4)
    return f"[{', '.join(flat)}]" if a.ndim else flat[0]
