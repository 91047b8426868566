"""Binders of whole subjects: one for each claim of a theorem, or for each claim and law of a rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from backprove.harness.core.cache import Cache
from backprove.harness.judging.binder import Binder
from backprove.harness.judging.derivative import DerivativeAt
from backprove.harness.judging.examination import Unsupported
from backprove.harness.oracles.joint_xla import JointXla
from backprove.harness.statements.claims import Adjointness, Claim, Derivative, Equality
from backprove.harness.statements.laws import laws_of
from backprove.harness.statements.theorem import Theorem

if TYPE_CHECKING:
    from backprove.harness.statements.rule import Rule


def rule_binders(rule: Rule) -> list[Binder]:
    """One binder per property of a rule: its claims, and the laws that are worth running beside them."""
    from backprove.harness.statements.rule import to_claims

    rule = rule.flat
    binders = [Binder(name, claim, rule.inputs, rule.batched, is_user_code=True) for name, claim in to_claims(rule)]
    in_jax: dict[str, Callable[..., Any]] = {}
    shapes = None
    for binder in binders:
        claim_at = small_claim(binder, "float64")
        if isinstance(claim_at, DerivativeAt):
            in_jax |= claim_at.in_jax
            shapes = claim_at.output_shapes
    if shapes is None:
        return binders
    return binders + [
        Binder(name, law, rule.inputs, rule.batched, is_user_code=True) for name, law in laws_of(rule, in_jax, shapes)
    ]


def theorem_binders(theorem: Theorem, cache: Cache | None = None) -> list[Binder]:
    """One binder per claim of a theorem, named by what it claims."""
    names = [_claim_name(c) for c in theorem.claims]
    out = []
    for i, (name, claim) in enumerate(zip(names, theorem.claims, strict=True)):
        unique = name if names.count(name) == 1 else f"{name} {names[: i + 1].count(name)}"
        out.append(Binder(unique, claim, theorem.inputs, cache=cache))
    joint = JointXla(len(theorem.inputs), lambda shapes, dtype: [m for b in out for m in b.compiled(shapes, dtype)])
    for binder in out:
        binder.compile_with(joint)
        binder.siblings = out
    return out


def _claim_name(claim: Claim) -> str:
    if isinstance(claim, Derivative):
        return "gradient" if claim.unit_cotangent else claim.mode
    if isinstance(claim, Adjointness):
        return "adjointness"
    if isinstance(claim, Equality):
        return "equality"
    return "nonzero" if claim.nonzero else "positivity"


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
