"""Errors here are the user's to mend; each message says what was given, what was expected and what to do."""

from __future__ import annotations


class BackproveError(Exception):
    """Base class of every error that this project raises on purpose."""


class UsageError(BackproveError):
    """Wrong use: a bad option, an unreadable file, a malformed rule (exit status 2)."""


class UnsupportedPrimitive(BackproveError):
    """A number system has no meaning for a primitive; the layer is skipped and the primitive named.

    Args:
        primitive: name of the JAX primitive.
        system: name of the number system that lacks it.
    """

    def __init__(self, primitive: str, system: str) -> None:
        super().__init__(f"the {system} have no rule for the primitive '{primitive}'")
        self.primitive = primitive
        self.system = system

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return (type(self), (self.primitive, self.system))


class ContractError(BackproveError):
    """A rule's code does not do what rules must; the text says what, and is the finding of verdict `error`."""
