"""`Functions` makes every function of a subject once: its claims share traces, and what real calls have shown.

The forward map of a rule with a jvp and a vjp stands in three claims, and is traced, compiled and called for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from backprove.harness.core.arrays import Array, Code
from backprove.harness.core.cache import Cache
from backprove.harness.frontends.function import Function, one_point
from backprove.harness.judging.real_calls.own_calls import OwnCalls
from backprove.harness.programs.program import Signature


@dataclass
class Functions:
    """The functions of one subject.

    Attributes:
        is_user_code: the code is a user's; its traces are held against real calls.
        cache: keeps traces from run to run.
        inside: see `Function`.
        own: calls of a user's code beside what the layers evaluate.
    """

    is_user_code: bool = False
    cache: Cache | None = None
    inside: Callable[[Signature], Iterable[list[Array]]] = one_point
    own: OwnCalls = field(default_factory=OwnCalls)
    _made: dict[tuple[Any, ...], tuple[Function, tuple[Code | None, ...]]] = field(default_factory=dict, repr=False)

    def name(self, call: Code | None) -> str:
        """A name of a callable in the cache; "" where there is none."""
        return "" if self.cache is None or call is None else self.cache.name(call)

    def of(self, call: Code, label: str, key: str | None = None, stand_in: Code | None = None) -> Function:
        """The function of a callable.

        Args:
            call, label, stand_in: see `Function`.
            key: its name in the cache, where its own would not tell it apart.
        """
        which = id(call), label, key, id(stand_in)
        if which not in self._made:
            users = self.is_user_code
            made = Function(
                call,
                label,
                stand_in=stand_in,
                cache=self.cache,
                key=self.name(call) if key is None else key,
                generic=not users,
                called_first=users,
                inside=self.inside,
            )
            self._made[which] = made, (call, stand_in)  # the callables live on, so that no other has their place
        return self._made[which][0]
