"""Sampling decides which points one property sees at one dtype, at which sizes and in which order.

There are three sources: systematic special points of a few fixed sizes, examples of Hypothesis with drawn sizes, and
bulk points from the mixture. All special and drawn points and a fixed number of bulk points meet the exact layer.

Special points cost a pass of all layers at every size, whatever their number. The claims of the catalogue are the same
formulas at every dtype, so their sizes are shared out over the dtypes of a run (three at the first dtype, one at each
further one). A user's code meets them at every size at the first dtype, and at two where it is traced at further ones;
code without a trace at every size and dtype. Bulk points are drawn at all sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from backprove.harness.core.amounts import few
from backprove.harness.core.arrays import Array
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.results import PropertyResult
from backprove.harness.core.thresholds.coverage import (
    ELSEWHERE_CALLED,
    EMPTY_POINTS,
    EXTREME_EXACT_POINTS,
    EXTREME_POINTS,
    FIRST_CALLED_POINTS,
    FIRST_LOOK,
    FIRST_POINTS,
    FIRST_SIZES,
    FURTHER_EXACT,
    FURTHER_POINTS,
    MAX_DRAWS,
    PLANTED_EXACT,
    RANDOM_EXACT_POINTS,
    SIZES_COMPARED,
    SPECIAL_POINTS,
)
from backprove.harness.core.thresholds.large import BATCH_ENTRIES, DRAWN_ENTRIES, OTHER_ENTRIES
from backprove.harness.judging.binder import Binder
from backprove.harness.judging.drawing.batch import Batch, Plan, Share
from backprove.harness.judging.drawing.examples import USERS_SHAPES, Examples
from backprove.harness.judging.drawing.hypotheses import Hypotheses, hypotheses
from backprove.harness.judging.drawing.pieces import in_pieces
from backprove.harness.judging.drawing.planted import Place, along_directions, where_code_compares
from backprove.harness.judging.examination import ClaimAt
from backprove.harness.judging.planting.further_sizes import further_sizes
from backprove.strategies.cotangents import draw_directions
from backprove.strategies.points import Points
from backprove.strategies.shapes import Sizes, has_empty, shape_buckets
from backprove.strategies.special import special_points
from backprove.strategies.values import draw_points

CHUNK = 2048
"""Points in one evaluation; part of a work item's identity, since other sizes round differently."""
MANY = 4 * CHUNK
"""From so many points of a size on, what the screen leaves of a chunk waits for that of others."""


@dataclass(frozen=True)
class _Size:
    """Sizes of the names, and how many bulk points they have.

    Attributes:
        claim_at: the claim there.
        entries: those of the inputs and directions of one point.
        share: bulk points wanted.
        limited: whether there are fewer than asked for, since a point is large.
    """

    sizes: Sizes
    claim_at: ClaimAt
    entries: int
    share: int
    limited: bool

    @property
    def chunk(self) -> int:
        """Bulk points of one batch."""
        return few(min(CHUNK, self.share), self.entries, BATCH_ENTRIES)

    @property
    def chunks(self) -> int:
        """Batches that may be drawn until there are enough points."""
        return -(-(1 if self.limited else MAX_DRAWS) * self.share // self.chunk)


@dataclass
class Batches:
    """The batches of one claim at one dtype.

    Attributes:
        binder, where, plan: see `Judge`.
        claim_at: the claim at given shapes; None where forward does not support them.
        bounds: those asked for so far.
        examples: inputs drawn for all claims of the rule; None: for this one alone.
    """

    binder: Binder
    where: Callable[..., Any] | None
    plan: Plan
    claim_at: Callable[[Sequence[tuple[int, ...]]], ClaimAt | None]
    claims_at: dict[tuple[tuple[int, ...], ...], ClaimAt | None]
    examples: Examples | None = None
    _hypotheses: Hypotheses | None = field(default=None, init=False)

    def __call__(self, result: PropertyResult) -> Iterator[Batch]:
        """The batches in order; `result` tells when there are enough points, and counts what is left out."""
        for batch in self._whole(result):
            yield from in_pieces(batch)

    def _whole(self, result: PropertyResult) -> Iterator[Batch]:
        specs, plan = dict(self.binder.specs), self.plan
        buckets = []
        if self.binder.is_user_code and not plan.part and not plan.further_dtype:
            yield from self._first_look()
        for sizes in shape_buckets(specs):
            claim_at = self.claim_at([s.shape(sizes) for s in specs.values()])
            if claim_at is None:
                result.count("unsupported", 0 if plan.part else 1)
            else:
                buckets.append((sizes, claim_at))
        some = [(s, b) for s, b in buckets if not has_empty(specs, s)] or buckets
        full = [self._size(s, b, len(some)) for s, b in some]
        if plan.part:
            yield from self._further(full, result)
            return
        every = list(range(len(full)))
        # what has no trace is judged by calls alone, at every size
        shared_out = not self.binder.is_user_code or (
            plan.further_dtype and all(None not in s.claim_at.traced for s in full)
        )
        turns = sizes_with_special_points(len(full), plan.dtype, plan.further_dtype) if shared_out else every
        if self.binder.is_user_code and shared_out:
            turns = list(dict.fromkeys([0, *turns]))
        drawn = {str(dict(p.sizes)): p for p in self._drawn([s.sizes for s in full], turns)}
        # those with all layers first: all claims of a theorem compile their code at the first size
        for k in (*turns, *(k for k in every if k not in turns)):
            here = full[k]
            if k in turns:
                own = drawn.pop(str(dict(here.sizes)), None)
                first = self.binder.is_user_code or turns.index(k) < SIZES_COMPARED
                yield self._first(here, k, len(full), own, first)
            else:
                called = self.binder.is_user_code and not here.claim_at.is_its_program
                yield self._bulk(here, 0, screened_from=ELSEWHERE_CALLED if called else 0)
        for sizes, claim_at in buckets:
            if (sizes, claim_at) not in some and (not shared_out or not plan.further_dtype):
                points = special_points(specs, sizes, plan.dtype, self._specials(sizes), limit=EMPTY_POINTS)
                yield self._joined(
                    [self._share(points, claim_at, ("special", str(sizes)), exact=points.count)], claim_at
                )
        for points in drawn.values():
            claim_at = self.claim_at([s.shape(points.sizes) for s in specs.values()])
            if claim_at is None:
                result.count("unsupported", points.count)
            else:
                item = ("drawn", str(dict(points.sizes)))
                yield self._joined([self._share(points, claim_at, item, exact=points.count)], claim_at, drawn=True)
        yield from self._at_further_sizes([s for s, _ in buckets], result)
        yield from self._further(full, result)

    def _first_look(self) -> Iterator[Batch]:
        """A few points of one size: most wrong rules are refused here, before their code is traced at any other."""
        specs, plan = dict(self.binder.specs), self.plan
        sizes = next((s for s in shape_buckets(specs) if not has_empty(specs, s)), None)
        claim_at = None if sizes is None else self.claim_at([s.shape(sizes) for s in specs.values()])
        if sizes is None or claim_at is None:
            return
        item, constants = ("first look", self.binder.name, str(sizes)), self._specials(sizes)
        special, bulk = (few(n, self._size(sizes, claim_at, 1).entries, OTHER_ENTRIES) for n in FIRST_LOOK)
        points = [
            special_points(specs, sizes, plan.dtype, constants, special),
            draw_points(specs, sizes, plan.dtype, bulk, plan.seed, _shared(item), constants),
        ]
        parts = [self._share(p, claim_at, (*item, k), exact=p.count) for k, p in enumerate(points)]
        yield self._joined(parts, claim_at)

    def _size(self, sizes: Sizes, claim_at: ClaimAt, number: int) -> _Size:
        """One of so many sizes that share the points."""
        shapes = [*(s.shape(sizes) for s in self.binder.specs.values()), *claim_at.direction_shapes]
        entries, share = sum(map(math.prod, shapes)), -(-self.plan.share // number)
        drawn = few(share, entries, DRAWN_ENTRIES // number)
        return _Size(sizes, claim_at, entries, drawn, drawn < share)

    def _at_further_sizes(self, tried: Sequence[Sizes], result: PropertyResult) -> Iterator[Batch]:
        """Few points at each of the further sizes of a user's derivative claim, at the first dtype."""
        if not self.binder.is_user_code or self.plan.further_dtype or self.binder.kind != "derivative":
            return
        specs, plan = dict(self.binder.specs), self.plan
        further = further_sizes(specs, tried, self.binder.constants)
        for sizes in further.sizes:
            claim_at = self.claim_at([s.shape(sizes) for s in specs.values()])
            if claim_at is None:
                result.count("unsupported")
                continue
            item, constants = ("further", self.binder.name, str(sizes)), self._specials(sizes)
            points = draw_points(specs, sizes, plan.dtype, FURTHER_POINTS, plan.seed, _shared(item), constants)
            yield self._joined([self._share(points, claim_at, item, exact=FURTHER_EXACT)], claim_at)
        if further.untried:
            told = ", ".join(map(str, further.untried))
            result.remark(f"untried sizes: the code compares sizes with {told}, where no point was judged")

    def _further(self, full: Sequence[_Size], result: PropertyResult) -> Iterator[Batch]:
        """Bulk points until the wanted ones are reached; in the first part the first chunks have been drawn."""
        plan = self.plan
        for k in range(0 if plan.part else 1, max((s.chunks for s in full), default=0)):
            for here in full:
                if result.points >= plan.share:
                    return
                if k < here.chunks:
                    batch = self._bulk(here, k, 0 if k else self._unscreened(here.claim_at))
                    batch.hold = here.share >= MANY
                    yield batch
        if any(s.limited for s in full) and result.points < plan.share:
            largest = max(s.entries for s in full)
            result.remark(
                f"large arrays: {plan.points:,} points were asked for, and fewer were judged, since one with its "
                f"directions has up to {largest:,} entries",
                "large arrays",
            )

    def _bulk(self, at: _Size, chunk: int, screened_from: int) -> Batch:
        """Bulk points of one size and nothing else."""
        part = self._bulk_share(at, chunk, exact=0)
        part.screened[screened_from:] = True
        batch = self._joined([part], at.claim_at)
        batch.compared = self.binder.is_user_code
        return batch

    def _bulk_share(self, at: _Size, chunk: int, exact: int) -> Share:
        specs, plan = dict(self.binder.specs), self.plan
        item = ("bulk", self.binder.name, str(at.sizes), chunk, *([plan.part] if plan.part else ()))
        extreme = any(s.extreme for s in specs.values())
        specials = self._specials(at.sizes)
        points = draw_points(specs, at.sizes, plan.dtype, at.chunk, plan.seed, _shared(item), specials, extreme)
        return self._share(points, at.claim_at, item, exact)

    def _first(self, at: _Size, turn: int, turns: int, drawn: Points | None, first: bool) -> Batch:
        """The first points of one size: bulk ones, some of them exact, special ones, drawn ones, and some far out.

        Args:
            turn, turns: place of the size, and number of all: each has its share of the special points.
            first: whether the first bulk points meet all layers.
        """
        specs, plan, name = dict(self.binder.specs), self.plan, self.binder.name
        sizes, claim_at = at.sizes, at.claim_at
        extreme = any(s.extreme for s in specs.values())
        specials = self._specials(sizes)
        # the first chunk of a small run is cut to its share; the size is part of the item's identity
        bulk = self._bulk_share(at, 0, exact=-(-RANDOM_EXACT_POINTS // turns))
        bulk.screened[self._unscreened(claim_at) if first else 0 :] = True
        bulk.screened[bulk.exact] = False
        parts = [bulk]
        # each special point at one of the sizes
        number = few(SPECIAL_POINTS, at.entries, OTHER_ENTRIES)
        points = special_points(specs, sizes, plan.dtype, specials, number, turn, turns)
        special = self._share(points, claim_at, ("special", name, str(sizes)), exact=points.count)
        parts.append(special)
        if drawn is not None:
            parts.append(self._share(drawn, claim_at, ("drawn", name, str(sizes)), exact=drawn.count))
        if not extreme:
            item = ("extreme", name, str(sizes))
            count = few(EXTREME_POINTS // turns, at.entries, OTHER_ENTRIES)
            far = draw_points(specs, sizes, plan.dtype, count, plan.seed, _shared(item), specials, True)
            beyond = self._share(far, claim_at, item, exact=min(EXTREME_EXACT_POINTS, far.count), beyond=True)
            if not first:
                beyond.screened[:] = ~beyond.exact
            parts.append(beyond)
        parts += self._planted(at, turn, turns)
        batch = self._joined(parts, claim_at)
        batch.compared = first
        return batch

    def _planted(self, at: _Size, turn: int, turns: int) -> Iterator[Share]:
        """Points that bring their directions along: of all magnitudes, and where a user's code compares something."""
        plan, user = self.plan, self.binder.is_user_code and not self.plan.further_dtype
        sizes, claim_at = at.sizes, at.claim_at
        place = Place(
            dict(self.binder.specs), sizes, plan.dtype, plan.seed, claim_at.direction_shapes, self._specials(sizes)
        )
        found = [] if claim_at.unit else [along_directions(place, turn, turns, None not in claim_at.traced)]
        if user and self.binder.kind == "derivative" and turn < SIZES_COMPARED:
            found.append(where_code_compares(place, claim_at.traced, self.binder.constants.numbers))
        for k, planted in enumerate(found):
            item = ("planted", k, self.binder.name, str(sizes))
            share = self._share(planted.points, claim_at, item, exact=PLANTED_EXACT)
            yield replace(share, beyond=planted.beyond, directions=planted.directions)

    def _specials(self, sizes: Sizes) -> tuple[float, ...]:
        """Constants of interest at these sizes."""
        return self.binder.specials([s.shape(sizes) for s in self.binder.specs.values()], self.plan.dtype)

    @staticmethod
    def _unscreened(claim_at: ClaimAt) -> int:
        """Bulk points of one size that meet all layers in any case; they alone call NumPy code as it is."""
        if claim_at.is_its_program:
            return FIRST_POINTS
        return CHUNK if None in claim_at.traced else FIRST_CALLED_POINTS

    def _share(self, points: Points, claim_at: ClaimAt, item: object, exact: int, beyond: bool = False) -> Share:
        """Points of one source."""
        if self._hypotheses is None:
            self._hypotheses = hypotheses(self.where, self.binder.cache)
        keep = self._hypotheses.admit(points)
        mask = np.zeros(points.count, dtype=bool)
        mask[np.flatnonzero(keep)[:exact]] = True
        return Share(points, item, keep, mask, np.full(points.count, beyond), np.zeros(points.count, dtype=bool))

    def _joined(self, parts: Sequence[Share], claim_at: ClaimAt, drawn: bool = False) -> Batch:
        """Parts of one size, with their directions, as one batch: a point costs less, the more there are."""
        points = parts[0].points if len(parts) == 1 else Points.join([p.points for p in parts])
        if claim_at.unit:
            directions = tuple(np.ones((*s, points.count)) for s in claim_at.direction_shapes)
        else:
            directions = self._directions(parts, claim_at)
        return Batch(
            claim_at,
            points,
            directions,
            np.concatenate([p.keep for p in parts]),
            np.concatenate([p.exact for p in parts]),
            np.concatenate([p.beyond for p in parts]),
            drawn,
            parts[0].item,
            np.concatenate([p.screened for p in parts]),
        )

    def _directions(self, parts: Sequence[Share], claim_at: ClaimAt) -> tuple[Array, ...]:
        """Drawn directions, and after them the planted ones of the last parts."""
        item = tuple((p.item, p.points.count) for p in parts if p.directions is None)
        count, plan = sum(n for _, n in item), self.plan
        drawn = draw_directions(claim_at.direction_shapes, count, plan.seed, item, plan.dtype)
        planted = [p.directions for p in parts if p.directions is not None]
        return tuple(np.concatenate(c, axis=-1) for c in zip(drawn, *planted, strict=True)) if planted else drawn

    def _drawn(self, sizes: Sequence[Sizes], turns: Sequence[int]) -> list[Points]:
        """Examples of Hypothesis, those of one shape together: of the sizes in turn, at the first dtype of new ones."""
        specs, plan = dict(self.binder.specs), self.plan
        if not specs:
            return []
        if self.examples is None:
            self.examples = Examples(specs, plan.seed, plan.examples, new_shapes=USERS_SHAPES)
        specials = sorted({c for b in self.claims_at.values() if b is not None for c in b.specials})
        extreme = any(s.extreme for s in specs.values())
        in_turn = [sizes[k] for k in turns]

        def wanted(s: Sizes) -> bool:
            return s in in_turn or (not plan.further_dtype and s not in sizes)

        return self.examples.at(plan.dtype, plan.examples, specials, extreme, wanted)


def _shared(item: tuple[object, ...]) -> tuple[object, ...]:
    """The item without the name of the claim: all claims of a theorem meet the same points, which are drawn once."""
    return (item[0], *item[2:])


def sizes_with_special_points(count: int, dtype: str, further_dtype: bool) -> list[int]:
    """Places among `count` sizes (`shapes.shape_buckets`), in the order in which special points are given to them.

    Args:
        further: an earlier dtype of the same run has had its sizes.
    """
    order = list(dict.fromkeys([0, count - 1, *range(1, count - 1)])) if count else []
    if not further_dtype:
        return order[:FIRST_SIZES]
    rest = order[FIRST_SIZES:] or order
    return [rest[list(FORMATS).index(dtype) % len(rest)]] if rest else []
