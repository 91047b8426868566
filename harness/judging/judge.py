"""The judge examines the points of one property at one dtype, shrinks what fails, and says the verdict.

The first bulk points of every size go through all float layers, and what one of them finds suspicious meets the exact
layer. Of the points beyond, those go there that the screen does not let pass; all of them where `accuracy` is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from backprove.harness.core.amounts import few
from backprove.harness.core.arrays import Array, quiet
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.results import PropertyResult
from backprove.harness.core.thresholds.coverage import EXACT_CAP
from backprove.harness.core.thresholds.large import EXACT_ENTRIES
from backprove.harness.core.verdicts import Verdict
from backprove.harness.judging.drawing.batch import Batch
from backprove.harness.judging.drawing.examples import Examples
from backprove.harness.judging.drawing.own_points import known_batch, own_batches
from backprove.harness.judging.drawing.pieces import entries_of
from backprove.harness.judging.drawing.sampling import CHUNK, Batches
from backprove.harness.judging.examination import Unsupported
from backprove.harness.judging.minimal import minimal, raising
from backprove.harness.judging.rests_on import enter_agreed, enter_approximation, enter_left_out, enter_objections
from backprove.harness.judging.screens.claims import ClaimScreen
from backprove.harness.judging.single_points import Failure, SinglePoints
from backprove.harness.judging.tally import enter, enter_places
from backprove.harness.numbers.floats.runs import on_device
from backprove.harness.oracles.problem import Outcome
from backprove.harness.statements.own_points import OwnPoint
from backprove.strategies.philox import generator
from backprove.strategies.points import DrawnPoint
from backprove.strategies.shapes import has_empty

Progress = Callable[[str, int, int], None]

FEW_LEFT = 512
"""If the screen leaves more points than this, the first ones are examined before them."""
FEW_COMPARED = 64
"""So many points are cheaper in the exact layer than in the wide format."""


@dataclass(frozen=True)
class _Left:
    """What a screen left: the points, and which of them it suspects in float64 already (None: there is no screen)."""

    points: Array
    formula: Array | None = None


@dataclass
class Judge(SinglePoints):
    """Judges one claim at one dtype; `run` gives the result, `failure` holds the minimal failing point if any."""

    progress: Progress | None = None
    examples: Examples | None = None
    """Inputs drawn for all claims of the rule; drawn for this one alone where there are none."""
    own: Sequence[OwnPoint] = ()
    """Points of a user's own, which come first."""
    known: DrawnPoint | None = None
    """The minimal point at which the claim was falsified at another dtype: a wrong formula is wrong there again."""
    failure: Failure | None = None
    _screens: dict[int, ClaimScreen | None] = field(default_factory=dict)
    _held: dict[int, list[tuple[Batch, Array]]] = field(default_factory=dict)

    def run(self) -> PropertyResult:
        result = PropertyResult(self.binder.name, self.plan.dtype)
        with quiet():
            self._judge_own(result)
            known = self._judge_known(result)
            drawn = Batches(self.binder, self.where, self.plan, self.claim_at, self.claims_at, self.examples)
            for batch in () if self._decided else drawn(result):
                self._take(batch, result)
                if self.progress:
                    self.progress(self.binder.name, min(result.points, self.plan.share), self.plan.share)
                if self._decided:
                    break
            for claim_at in list(self._held):
                self._release(claim_at, result)
            enter_left_out(self, result)
            if self.failure and self.failure.violation.verdict is Verdict.FALSIFIED and self.binder.is_user_code:
                self.failure = raising(self, self.failure.violation) or self.failure
            if self.failure and not known:
                self.failure = minimal(self, self.failure)
        self._conclude(result)
        return result

    def _judge_own(self, result: PropertyResult) -> None:
        """The points of a user's own, one by one."""
        for batch in own_batches(self.own, self.binder, self.plan, self.claim_at, self.notes.append):
            before = result.points
            self._take(batch, result)
            if result.points > before:
                result.count("examples")
            else:
                self.notes.append(f"{batch.example} was not judged: forward has no finite value there")
            if self._decided:
                return

    def _judge_known(self, result: PropertyResult) -> bool:
        """Whether the claim is falsified at the point where it was at another dtype; it is minimal already."""
        if self.known is None or self._decided or self.plan.part:
            return False
        batch = known_batch(self.known, self.binder, self.where, self.plan, self.claim_at, self.space())
        if batch is not None:
            self._take(batch, result)
        return self._decided

    # -- results ---------------------------------------------------------------------------------------------------

    def _take(self, batch: Batch, result: PropertyResult) -> None:
        """Screen what is to be screened of a batch, examine the rest and enter what was seen."""
        keep = np.flatnonzero(batch.keep)
        result.count("discarded", batch.points.count - keep.size)
        if not batch.screened[keep].any():
            self._examine(batch, keep, result)
            return
        screened, first = keep[batch.screened[keep]], keep[~batch.screened[keep]]
        if self.binder.is_user_code:  # a trace of user code is held against real calls before a screen may use it
            self._examine(batch, first, result)
            first = keep[:0]
            if self._decided:
                return
        left = self._left(batch, screened, result)
        if left.points.size > FEW_LEFT:  # a wrong rule, as a rule: the first points tell
            self._examine(batch, first, result)
            first = keep[:0]
            if self._decided:
                return
        compared = None
        if left.formula is not None and not batch.compared:
            compared = np.concatenate([np.zeros(first.size, bool), left.formula])
            if batch.hold and 0 < left.points.size <= FEW_LEFT:
                self._hold(batch.take(left.points), left.formula, result)
                left, compared = _Left(keep[:0]), compared[: first.size]
        self._examine(batch, np.concatenate([first, left.points]), result, compared)

    def _hold(self, batch: Batch, formula: Array, result: PropertyResult) -> None:
        """Keep points back until there are enough of their size."""
        held = self._held.setdefault(id(batch.claim_at), [])
        held.append((batch, formula))
        if sum(b.points.count for b, _ in held) >= CHUNK:
            self._release(id(batch.claim_at), result)

    def _release(self, claim_at: int, result: PropertyResult) -> None:
        """Examine what was held back of one size."""
        held = self._held.pop(claim_at)
        batch = Batch.join([b for b, _ in held])
        self._examine(batch, np.arange(batch.points.count), result, np.concatenate([f for _, f in held]))

    @property
    def _decided(self) -> bool:
        """Whether a failure was found that nothing can make worse."""
        return self.failure is not None and self.failure.violation.verdict in (Verdict.ERROR, Verdict.FALSIFIED)

    def _examine(self, batch: Batch, keep: Array, result: PropertyResult, compared: Array | None = None) -> None:
        """The layers look at the points `keep` of a batch.

        Args:
            compared: which of them are compared in the wide format (None: all); few go to the exact layer instead.
        """
        if not keep.size:
            return
        exact = batch.exact[keep]
        if compared is not None and compared.sum() <= FEW_COMPARED:
            exact, compared = exact | compared, np.zeros(keep.size, bool)
        points, beyond = batch.points.take(keep), batch.beyond[keep]
        directions = [d[..., keep] for d in batch.directions]
        cap = 0 if batch.drawn else few(EXACT_CAP, entries_of(batch), EXACT_ENTRIES)
        try:
            seen = batch.claim_at.examine(points.arrays, directions, exact, cap=cap, compared=compared)
        except Unsupported as why:
            result.count("unsupported", points.count)
            self.notes.append(f"unsupported sizes: {dict(points.sizes)}: {why}")
            self.left_out[points.shapes] = why
            return
        if self.plan.accuracy is not None:
            seen.factor[beyond] = np.nan
            self.hold_to_accuracy(seen, batch.claim_at)
        if has_empty(dict(self.binder.specs), points.sizes) and any(f is not None for f in seen.violations):
            # code that cannot handle size 0 is unsupported there, nothing worse
            result.count("unsupported", points.count)
            what = next(f.what for f in seen.violations if f is not None)
            self.notes.append(f"unsupported sizes: {dict(points.sizes)}: {what}")
            return
        inside = ~seen.outside
        result.count("outside_domain", int(seen.outside.sum()))
        if beyond.any():
            result.count("beyond_range", int((inside & beyond).sum()))
        result.points += int((inside & ~beyond).sum())
        result.count("balls_only", int((seen.balls_only & ~beyond).sum()))
        enter(seen, points, result, beyond, tuple(self.binder.specs))
        agreed = {name: tally.agreed for name, tally in seen.layers.items()}
        enter_agreed(points, int((inside & ~beyond).sum()), agreed, self.binder, result)
        enter_objections(seen, beyond, result)
        enter_approximation(seen, result)
        for how, times in seen.calls.items():
            result.evidence.call(how, times)
        result.evidence.ask(seen.asked, seen.answered)
        order = sorted(
            (f.verdict.rank, _is_at_kink(seen.outcomes[i]), i)
            for i, f in enumerate(seen.violations)
            if f is not None and (not beyond[i] or f.verdict is Verdict.FALSIFIED)
        )
        if order:
            *_, i = order[0]
            violation = seen.violations[i]
            assert violation is not None
            if self.failure is None or violation.verdict.rank < self.failure.violation.verdict.rank:
                drawn = self.space().at(points, i, [d[..., i] for d in directions])
                self.failure = Failure(violation, drawn, seen.outcomes[i], batch.example)

    def _left(self, batch: Batch, keep: Array, result: PropertyResult) -> _Left:
        """The points of `keep` that the screen does not let pass, ascending; the others are counted."""
        claim_at = batch.claim_at
        if id(claim_at) not in self._screens:
            self._screens[id(claim_at)] = claim_at.screen(
                further_dtype=self.plan.further_dtype and not self.binder.is_user_code
            )
        screen = self._screens[id(claim_at)]
        if screen is None or self.plan.accuracy is not None:
            return _Left(keep)
        chosen = batch if keep.size == batch.points.count else batch.take(keep)
        points, beyond = chosen.points, chosen.beyond
        rng = generator("screen", self.plan.seed, batch.item, self.plan.dtype)
        try:
            seen = screen.look(points.arrays, chosen.directions, rng)
        except UnsupportedPrimitive:
            self._screens[id(claim_at)] = None
            return _Left(keep)
        passed = ~seen.outside & ~seen.suspicious
        suspicious = int((seen.suspicious & ~seen.outside).sum())
        tally = result.layer("screen")
        tally.checked += int(passed.sum()) + suspicious
        tally.agreed += int(passed.sum())
        tally.suspicious += suspicious
        if beyond.any():
            result.count("beyond_range", int((passed & beyond).sum()))
        result.points += int((passed & ~beyond).sum())
        done = passed
        if claim_at.is_its_program and not on_device():  # the layers would find the same values of forward
            result.count("outside_domain", int(seen.outside.sum()))
            done = passed | seen.outside
        enter_places(points, done & ~beyond, result)
        enter_agreed(
            points, int((passed & ~beyond).sum()), {"screen": int((passed & ~beyond).sum())}, self.binder, result
        )
        return _Left(keep[~done], (seen.formula & ~seen.outside)[~done])

    def _conclude(self, result: PropertyResult) -> None:
        result.notes += [n for n in dict.fromkeys(self.notes) if n not in result.notes][:4]
        result.evidence.beside = self.binder.is_aside
        verdict, why = result.evidence.verdict(result.points, self.notes[0] if self.notes else "")
        if self.failure is not None and self.failure.violation.verdict.rank <= verdict.rank:
            result.verdict = self.failure.violation.verdict
            named = f"{self.failure.example}: " if self.failure.example else ""
            result.reason = named + self.failure.violation.what
            return
        result.verdict, result.reason = verdict, why


def _is_at_kink(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.at_kink
