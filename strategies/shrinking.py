"""Search and shrinking use Hypothesis apart from its test runner: explicit seeds, no database on disk, no output."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from random import Random
from typing import Any, Protocol, TypeVar, runtime_checkable
from unittest import SkipTest

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis.control import BuildContext
from hypothesis.database import ExampleDatabase, choices_to_bytes
from hypothesis.errors import StopTest, Unsatisfiable, UnsatisfiedAssumption
from hypothesis.internal.conjecture import providers
from hypothesis.internal.conjecture.choice import ChoiceTemplate, choices_key
from hypothesis.internal.conjecture.data import ConjectureData
from hypothesis.internal.constants_ast import Constants
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")
Choices = Sequence[bool | int | float]

_ROUNDS = 3
"""Deleting whole rows and Hypothesis's own passes take turns at most so often."""
_TRIES = 4
"""Draws per wanted example: some are rejected, or repeat others."""


@runtime_checkable
class Encodable(Protocol):
    """A drawn value that knows how its strategy draws it, and smaller values of its kind."""

    def choices(self) -> Choices:
        """The choice sequence with which the strategy draws exactly this value."""

    def smaller(self) -> Iterable[Any]:
        """Smaller values of the same strategy, the most reduced first."""


class _OneEntry(ExampleDatabase):
    """Serves one choice sequence under the secondary key; the primary one would mark it as already shrunk."""

    def __init__(self, choices: Choices) -> None:
        super().__init__()
        self._value = choices_to_bytes(choices)

    def fetch(self, key: bytes) -> Iterable[bytes]:
        return [self._value] if key.endswith(b".secondary") else []

    def save(self, key: bytes, value: bytes) -> None:
        """Nothing is kept."""

    def delete(self, key: bytes, value: bytes) -> None:
        """Nothing is kept."""


class _Found(Exception):
    """The predicate holds: a failing example, as Hypothesis sees it."""


class _Stop(BaseException):
    """Leaves Hypothesis at once; not an Exception, which it would take for a failing example."""


class _Watched:
    """A predicate that counts its calls, remembers the last value it held for, and stops at its limits."""

    def __init__(self, predicate: Callable[[Any], bool], max_calls: int, seconds: float) -> None:
        self._predicate = predicate
        self._max_calls = max_calls
        self._deadline = time.monotonic() + seconds
        self.calls = 0
        self.error: Exception | None = None
        self.found: list[Any] = []
        self.first: list[Any] = []

    @property
    def spent(self) -> bool:
        return self.calls >= self._max_calls or time.monotonic() > self._deadline

    def __call__(self, value: Any) -> bool:
        # The first call always counts: without it nothing would be known of the start.
        if self.calls and self.spent:
            raise _Stop
        self.calls += 1
        if not self.first:
            self.first = [value]
        try:
            holds = bool(self._predicate(value))
        except Exception as error:
            self.error = error
            raise _Stop from error
        if holds:
            self.found = [value]
        return holds


def _find(strategy: SearchStrategy[T], watched: _Watched, number: int, options: settings) -> T | None:
    """Like `hypothesis.find`, but None where nothing is found, and the best value so far at a limit."""

    @options
    @given(strategy)
    def run(value: T) -> None:
        if watched(value):
            raise _Found

    # Fixes the order of the shrink passes too. `hypothesis.seed`, which sets the same attribute, drops the database.
    run._hypothesis_internal_use_seed = number  # type: ignore[attr-defined]
    try:
        with _own_constants():
            run()
    except _Found:
        found: T = watched.found[0]
        return found
    except (Unsatisfiable, SkipTest):
        return None
    except _Stop:
        if watched.error is not None:
            raise watched.error from None
        return watched.found[0] if watched.found else None
    return None


_CONSTANTS = type(providers.CONSTANTS_CACHE)(1024)


@contextlib.contextmanager
def _own_constants() -> Iterator[None]:
    """Hide the constants that Hypothesis collects from the modules imported so far: no draw may depend on those."""
    found, cache = providers._get_local_constants, providers.CONSTANTS_CACHE
    providers._get_local_constants, providers.CONSTANTS_CACHE = Constants, _CONSTANTS
    try:
        yield
    finally:
        providers._get_local_constants, providers.CONSTANTS_CACHE = found, cache


def _options(phases: Sequence[Phase], max_examples: int, database: ExampleDatabase | None = None) -> settings:
    return settings(
        database=database,
        phases=list(phases),
        max_examples=max_examples,
        deadline=None,
        derandomize=False,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )


def shrink(
    strategy: SearchStrategy[T],
    predicate: Callable[[T], bool],
    start_choices: Choices,
    max_calls: int = 2000,
    seconds: float = 10.0,
    start: T | None = None,
) -> tuple[T, int]:
    """The simplest value of `strategy` found for which `predicate` holds, starting from an encoded one.

    Values that are `Encodable` also lose whole rows and columns, which Hypothesis cannot delete.

    Args:
        strategy: what the value is drawn from.
        predicate: True where the failure persists; called with values of the strategy.
        start_choices: choice sequence of the value to start from.
        max_calls: most calls of the predicate.
        seconds: time after which the best value so far is returned.
        start: the value that `start_choices` stands for; returned where the choices do not replay.

    Returns:
        The value and the number of calls. Where the predicate does not hold for the replayed value, that value.

    Raises:
        Exception: whatever the predicate raises.
        ValueError: if the choices do not replay and no `start` was given.
    """
    watched = _Watched(predicate, max_calls, seconds)
    choices = start_choices
    best: Any = None
    for turn in range(_ROUNDS):
        database = _OneEntry(choices)
        # On the first turn replay only: rows are cheapest to delete before anything else.
        phases = [Phase.reuse] if turn == 0 else [Phase.reuse, Phase.shrink]
        value = _find(strategy, watched, 0, _options(phases, max_calls, database))
        if value is None:
            break
        if turn == 0 and not isinstance(value, Encodable):
            again = _find(strategy, watched, 0, _options([Phase.reuse, Phase.shrink], max_calls, database))
            best = value if again is None else again
            break
        smaller = _fewer_entries(value, watched)
        best = smaller
        if watched.spent or (turn and smaller is value):
            break
        choices = smaller.choices()
    if best is not None:
        return best, watched.calls
    if start is not None:
        return start, watched.calls
    if watched.first:
        return watched.first[0], watched.calls
    raise ValueError(f"the strategy cannot draw the {len(start_choices)} choices given; encode the value it came from")


def _fewer_entries(value: Any, watched: _Watched) -> Any:
    """`value` after every deletion of rows and axes for which the predicate still holds."""
    try:
        while True:
            smaller = next((v for v in value.smaller() if watched(v)), None)
            if smaller is None:
                return value
            value = smaller
    except _Stop:
        if watched.error is not None:
            raise watched.error from None
        return value


def search(
    strategy: SearchStrategy[T], predicate: Callable[[T], bool], max_examples: int = 100, seed: int = 0
) -> T | None:
    """The simplest value found for which `predicate` holds, or None after `max_examples` examples.

    The same seed draws the same examples.

    Raises:
        Exception: whatever the predicate raises.
    """
    unlimited = _Watched(predicate, 2**62, float("inf"))
    value = _find(strategy, unlimited, seed, _options([Phase.generate], max_examples))
    if value is None:
        return None
    if isinstance(value, Encodable):
        # Encoded plainly: a value found as a special one or as a tie is shrunk like any other number.
        return shrink(strategy, predicate, value.choices(), start=value)[0]
    return _find(strategy, unlimited, seed, _options([Phase.generate, Phase.shrink], max_examples))


def sample(strategy: SearchStrategy[T], count: int, seed: int = 0) -> list[T]:
    """`count` examples drawn from an explicit seed, the simplest first, all different; fewer where there are no more.

    Every example is a draw of its own. Hypothesis's runner would spend half of its time on mutants of earlier ones,
    which strategies with ties and special values of their own have no use for.
    """
    drawn: list[T] = []
    seen: set[Hashable] = set()
    random = Random(seed)
    with _own_constants():
        for turn in range(_TRIES * count):
            simplest = None if turn else (ChoiceTemplate("simplest", count=None),)
            data = ConjectureData(random=random, prefix=simplest)
            try:
                with BuildContext(data, wrapped_test=sample):
                    value = data.draw(strategy)
            except (StopTest, UnsatisfiedAssumption):  # the strategy rejects what it drew, or draws without end
                continue
            key = choices_key(data.choices)
            if key not in seen:
                seen.add(key)
                drawn.append(value)
                if len(drawn) == count:
                    break
    return drawn
