"""What the mutant suite is made of: right rules in several forms, and wrong ones that are judged in their place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax

import backprove as bp
from backprove.harness.statements.rule import Rule
from backprove.strategies.array import ArraySpec

Formula = Callable[..., Any]


@dataclass(frozen=True)
class Problem:
    """A forward map with its right VJPs.

    Attributes:
        name: what the forward map is called.
        forward: JAX code.
        inputs: argument name -> description.
        forms: "stable", "textbook" (right, but it may lose digits) and "jax" (JAX's own reverse mode) -> VJP.
    """

    name: str
    forward: Formula
    inputs: Mapping[str, ArraySpec]
    forms: Mapping[str, Formula]

    @staticmethod
    def of(
        name: str,
        forward: Formula,
        inputs: Mapping[str, ArraySpec],
        stable: Formula,
        textbook: Formula | None = None,
        jax_form: Formula | None = None,
        *,
        autodiff: bool = True,
    ) -> Problem:
        """A problem from its forms.

        Args:
            jax_form: what is differentiated for the third form, if not `forward` itself.
            autodiff: False leaves the third form out.
        """
        forms = {"stable": stable}
        if textbook is not None:
            forms["textbook"] = textbook
        if autodiff:
            forms["jax"] = by_autodiff(jax_form or forward, len(inputs))
        return Problem(name, forward, inputs, forms)

    @property
    def scalar(self) -> bool:
        """Whether the map takes one number."""
        return len(self.inputs) == 1 and all(spec.dims == () for spec in self.inputs.values())

    def rule(self, vjp: Formula | str = "stable", name: str = "") -> Rule:
        """This forward map with one of its forms, or with any other VJP."""
        formula = self.forms[vjp] if isinstance(vjp, str) else vjp
        label = name or (f"{self.name}_{vjp}" if isinstance(vjp, str) else self.name)
        return bp.Rule(label, forward=self.forward, vjp=formula, inputs=self.inputs)


@dataclass(frozen=True)
class Mutant:
    """A wrong VJP.

    Attributes:
        name: unique over the suite.
        problem: name of the problem whose rule it stands for.
        wrong: what is wrong, in words.
        vjp: the wrong formula.
        verdict: "falsified" (wrong over the reals) or "inaccurate" (right over the reals, not in floats).
        equivalent: dtypes in which it is no mistake: after rounding its constants to the dtype it is the program of a
            right form, or computes in a format at least as wide.
        base: the right form it was made from.
    """

    name: str
    problem: str
    wrong: str
    vjp: Formula
    verdict: str = "falsified"
    equivalent: frozenset[str] = field(default_factory=frozenset)
    base: str = "stable"


def by_autodiff(forward: Formula, inputs: int) -> Formula:
    """JAX's reverse mode as a rule `(*inputs, cotangent)`; one cotangent, or a tuple of them."""

    def vjp(*arguments: Any) -> Any:
        found = jax.vjp(forward, *arguments[:inputs])[1](arguments[inputs])
        return found[0] if inputs == 1 else found

    return vjp
