"""Binders of whole subjects are made here: one for each claim, and for each law worth running beside a user's rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backprove.harness.core.cache import Cache
from backprove.harness.judging.binder import Binder, binder_of
from backprove.harness.judging.derivative import DerivativeAt
from backprove.harness.judging.examination import Unsupported
from backprove.harness.oracles.joint_xla import JointXla
from backprove.harness.statements.laws import laws_of
from backprove.harness.statements.rule import Rule
from backprove.harness.statements.subject import Subject


def binders_of(subject: Subject, cache: Cache | None = None) -> list[Binder]:
    """One binder per property of a subject.

    Args:
        cache: keeps traces from run to run; for subjects that are not user code.
    """
    flat = subject.flat
    binders = [
        binder_of(name, claim, flat.inputs, flat.batched, is_user_code=flat.is_user_code, cache=cache)
        for name, claim in flat.named_claims()
    ]
    if isinstance(flat, Rule):
        return binders + _laws(flat, binders)
    joint = JointXla(len(flat.inputs), lambda shapes, dtype: [m for b in binders for m in b.compiled(shapes, dtype)])
    for binder in binders:
        binder.compile_with(joint)
        binder.siblings = binders
    return binders


def _laws(rule: Rule, claims: list[Binder]) -> list[Binder]:
    """Binders of the laws that can tell something beside the claims of a rule."""
    in_jax: dict[str, Callable[..., Any]] = {}
    shapes = None
    for binder in claims:
        claim_at = small_claim(binder, "float64")
        if isinstance(claim_at, DerivativeAt):
            in_jax |= claim_at.in_jax
            shapes = claim_at.output_shapes
    if shapes is None:
        return []
    return [
        binder_of(name, law, rule.inputs, rule.batched, is_user_code=True)
        for name, law in laws_of(rule, in_jax, shapes)
    ]


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
        return binder.bind([s.shape(sizes) for s in specs.values()], dtype)
    except (Unsupported, KeyError):
        return None
