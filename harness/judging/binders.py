"""Binders of whole subjects are made here: one for each claim, and for each law worth running beside user code."""

from __future__ import annotations

from typing import Any

from backprove.harness.core.cache import Cache
from backprove.harness.judging.binder import Binder, binder_of
from backprove.harness.judging.derivative import DerivativeAt
from backprove.harness.judging.examination import Unsupported
from backprove.harness.judging.real_calls.functions import Functions
from backprove.harness.oracles.joint_xla import JointXla
from backprove.harness.statements.laws import Law, laws_of
from backprove.harness.statements.subject import Subject
from backprove.strategies.dimensions import bounds_of
from backprove.strategies.inside import Inside


def binders_of(subject: Subject, cache: Cache | None = None) -> list[Binder]:
    """One binder per property of a subject.

    Args:
        cache: keeps traces from run to run; for subjects that are not user code.
    """
    flat = subject.flat
    shared = Functions(flat.is_user_code, cache, Inside(flat.inputs, flat.where))
    common: dict[str, Any] = {"is_user_code": flat.is_user_code, "where": flat.where, "shared": shared}
    binders = [
        binder_of(name, claim, flat.inputs, flat.batched, cache=cache, **common) for name, claim in flat.named_claims()
    ]
    if flat.is_user_code:
        return binders + _laws(flat, binders, common)
    joint = JointXla(len(flat.inputs), lambda shapes, dtype: [m for b in binders for m in b.compiled(shapes, dtype)])
    for binder in binders:
        binder.compile_with(joint)
        binder.siblings = binders
    return binders


def _laws(flat: Subject, claims: list[Binder], common: dict[str, Any]) -> list[Binder]:
    """Binders of the laws that can tell something beside the claims of user code."""
    found: list[tuple[str, Law]] = []
    for binder in claims:
        claim_at = small_claim(binder, "float64")
        if isinstance(claim_at, DerivativeAt):
            found += laws_of(binder.name, claim_at.claim, flat.inputs, claim_at.in_jax, claim_at.output_shapes)
    found.sort(key=lambda named: (bool(named[1].smooth), named[1].tangents))  # of a vjp first, second order last
    return [binder_of(name, law, flat.inputs, flat.batched, **common) for name, law in found]


def small_claim(binder: Binder, dtype: str, last: int = 3) -> Any:
    """The claim at the sizes 1, with the last name of each input at `last`."""
    specs = binder.specs
    sizes: dict[str, Any] = {}
    for spec in specs.values():
        for d in spec.dims:
            if isinstance(d, str):
                sizes.setdefault(d.lstrip("*"), () if d.startswith("*") else 1)
        if spec.dims and isinstance(spec.dims[-1], str) and not spec.dims[-1].startswith("*"):
            sizes[spec.dims[-1]] = last
    try:
        sizes = bounds_of(specs).adapted(sizes)
        return binder.bind([s.shape(sizes) for s in specs.values()], dtype)
    except (Unsupported, KeyError):
        return None
