"""This module counts how many broken variants of each rule the properties of the catalogue refuse.

Every theorem states rules: the rule of a derivative claim, the left side of an identity, the value of a positivity
claim, and both sides of a duality pairing unless they are built from the rule of a derivative claim. The variants of a
rule go to all claims that use it. One that no claim refuses is compared with the original in ball arithmetic: if the
two are equal there, it is another way to write the same rule; if not, it is a survivor.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from time import perf_counter
from typing import Any

from backprove.harness.campaign.progress import Progress, make_progress
from backprove.harness.mutation import record
from backprove.harness.mutation.claims import Property, defined, equivalent, overflows, properties
from backprove.harness.mutation.edits import Mutant, mutants
from backprove.harness.mutation.record import MutationResult, OfRule, OfTheorem, Weak
from backprove.harness.mutation.splice import Match, find, rest, substitute
from backprove.harness.programs.equality import fingerprint
from backprove.harness.programs.program import Program
from backprove.harness.statements.theorem import Theorem

PREFIX = "Proofs.Autograd."
PAIRING = frozenset({"mul", "reduce_sum", "add", "broadcast_in_dim"})
"""What a pairing may do with a rule: inner products, and zeros in the slots that are not read."""
CHUNK = 40
"""Variants of one rule that are judged in one go."""
SERIAL = 6
"""Up to this many chunks starting other processes costs more than it saves."""


@dataclass
class Use:
    """A claim that uses a rule: `places` are those of its programs in which the rule stands."""

    property: Property
    places: tuple[int, ...]
    states: bool = True
    """False where the theorem only rests on the one that states the rule."""

    _matches: dict[int, list[Match] | None] = field(default_factory=dict)

    def matches(self, rule: Program) -> dict[int, list[Match] | None]:
        """Where the rule stands in each of the places; None where it is the whole program."""
        if not self._matches:
            key = fingerprint(rule)
            for k in self.places:
                host = self.property.programs[k]
                self._matches[k] = None if fingerprint(host) == key else find(host, rule)
        return self._matches

    def programs(self, rule: Program, variant: Program) -> dict[int, Program] | None:
        """The claim's programs with the variant in the place of the rule; None where it does not fit."""
        found = {}
        for k, places in self.matches(rule).items():
            changed = variant if places is None else substitute(self.property.programs[k], rule, places, variant)
            if changed is None:
                return None
            found[k] = changed
        return found


@dataclass
class MutatedRule:
    """A rule of the catalogue, its variants, and the claims that use it."""

    name: str
    program: Program
    uses: list[Use] = field(default_factory=list)

    @property
    def theorems(self) -> tuple[str, ...]:
        """Names of the theorems that state it."""
        return tuple(dict.fromkeys(u.property.theorem for u in self.uses if u.states))

    @property
    def whole(self) -> list[Property]:
        """Claims made of the rule itself, one of each theorem; their points are its domain."""
        found: dict[str, Property] = {}
        for u in self.uses:
            if any(m is None for m in u.matches(self.program).values()):
                found.setdefault(u.property.theorem, u.property)
        return list(found.values())


def run(
    only: str | None = None, *, catalogue: str = "", theorems: Mapping[str, Theorem] | None = None
) -> MutationResult:
    """Judge the variants of all rules that the chosen theorems state; the result is also stored for the reports.

    Args:
        only: pattern for names of theorems, with or without `Proofs.Autograd.`.
        catalogue: module whose `load()` gives the theorems by name; worker processes load it, too.
        theorems: what to take the rules from instead, in this process.

    Returns:
        What `mutate --json` writes. An identity over the reals says nothing of overflow, see `float_only`. A theorem's
        `killed` counts what its own claims refuse of the rules that it states.
    """
    started = perf_counter()
    stated = _load(catalogue) if theorems is None else dict(theorems)
    rules = collect(stated)
    chosen = [n for n in stated if only is None or fnmatchcase(n, only) or fnmatchcase(short(n), only)]
    todo = [k for k, r in enumerate(rules) if set(r.theorems) & set(chosen)]
    progress = make_progress("rules", len(todo))
    with progress:
        rows = _rows(rules, todo, progress, catalogue if theorems is None else "")
    found = [rows[k] for k in todo]
    result: MutationResult = {
        "rules": found,
        "theorems": [_of_theorem(n, found) for n in chosen if any(n in r["theorems"] for r in found)],
        "weak": _weak(chosen, found, rules),
        "seconds": perf_counter() - started,
    }
    if theorems is None:
        record.store(result, partial=only is not None)
    return result


def collect(theorems: Mapping[str, Theorem]) -> list[MutatedRule]:
    """The rules that the theorems state, each with the claims that use it."""
    claims = [p for t in theorems.values() for p in properties(t)]
    rules: dict[str, MutatedRule] = {}

    def state(p: Property, place: int, name: str) -> None:
        program = p.programs[place].without_dead_code()
        rule = rules.setdefault(fingerprint(program), MutatedRule(f"{short(p.theorem)}: {name}", program))
        if not any(u.property is p for u in rule.uses):
            rule.uses.append(Use(p, (place,)))

    for p in sorted(claims, key=lambda p: p.kind != "derivative"):
        if p.kind != "pairing":
            state(p, 0, p.name)
    for p in claims:
        rule = rules.get(fingerprint(p.programs[1])) if p.kind == "equality" else None
        if rule is not None and not any(u.property is p for u in rule.uses):
            rule.uses.append(Use(p, (1,)))
    known = list(rules.values())
    for p in claims:
        if p.kind == "pairing":
            _pairing(p, known, state)
    for rule in rules.values():
        if all(u.property.kind == "positivity" for u in rule.uses):
            rule.uses += _resting(rule, claims, theorems)
    return list(rules.values())


def _pairing(p: Property, known: Sequence[MutatedRule], state: Any) -> None:
    """A pairing uses the rules from which its sides are built; a side built from none is a rule of its own."""
    for k, side in enumerate(p.programs):
        fitting = [r for r in known if _built_from(side, r.program)]
        if fitting:
            rule = max(fitting, key=lambda r: len(r.program.equations))
            if not any(u.property is p for u in rule.uses):
                places = tuple(j for j, s in enumerate(p.programs) if _built_from(s, rule.program))
                rule.uses.append(Use(p, places))
        else:
            state(p, k, f"{p.name}, {('left', 'right')[k]} side")


def _built_from(side: Program, rule: Program) -> bool:
    places = find(side, rule)
    return bool(places) and all(e.primitive in PAIRING for e in rest(side, rule, places))


def _resting(rule: MutatedRule, claims: Sequence[Property], theorems: Mapping[str, Theorem]) -> Iterator[Use]:
    """Claims in which the rule is used, of theorems that rest on one that states it."""
    for p in claims:
        rests = _rests_on(p.theorem, theorems)
        used = any(u.property is p for u in rule.uses)
        if not used and rests & set(rule.theorems) and find(p.programs[0], rule.program):
            yield Use(p, (0,), states=False)


def _rests_on(name: str, theorems: Mapping[str, Theorem]) -> set[str]:
    found: set[str] = set()
    todo = [name]
    while todo:
        for n in theorems[todo.pop()].rests_on:
            if n in theorems and n not in found:
                found.add(n)
                todo.append(n)
    return found


def judge(rule: MutatedRule, variants: Sequence[Mutant] | None = None) -> OfRule:
    """What the claims say of the variants of one rule; see `run` for the result."""
    variants = mutants(rule.program) if variants is None else variants
    killed_by: dict[str, int] = dict.fromkeys(rule.theorems, 0)
    killed, same = 0, 0
    survivors, float_only = [], []
    # Where the rule itself has a value; a variant without one there is another function.
    domain = [(p.arguments, defined(rule.program, p.arguments)) for p in rule.whole] if variants else []
    for variant in variants:
        killers = list(_killers(rule, variant.program))
        for name in killers:
            killed_by[name] = killed_by.get(name, 0) + 1
        if killers:
            killed += 1
        elif all(equivalent(rule.program, variant.program, x, known) for x, known in domain):
            same += 1
            if any(overflows(rule.program, variant.program, x) for x, _ in domain):
                float_only.append(variant.label)
        else:
            survivors.append(variant.label)
    return {
        "name": rule.name,
        "mutants": len(variants),
        "equivalent": same,
        "killed": killed,
        "survivors": survivors,
        "float_only": float_only,
        "theorems": list(rule.theorems),
        "killed_by": killed_by,
    }


def _killers(rule: MutatedRule, variant: Program) -> Iterator[str]:
    """Names of the theorems that refuse the variant; those that only rest on the rule are asked last, if need be."""
    killed: set[str] = set()
    for use in sorted(rule.uses, key=lambda u: not u.states):
        name = use.property.theorem
        if name in killed or (killed and not use.states):
            continue
        programs = use.programs(rule.program, variant)
        if programs is not None and use.property.refuses(programs) is not None:
            killed.add(name)
            yield name


def _rows(rules: Sequence[MutatedRule], todo: Sequence[int], progress: Progress, catalogue: str) -> dict[int, OfRule]:
    """The row of each rule in `todo`, by its number."""
    counts = {k: len(mutants(rules[k].program)) for k in todo}
    jobs = [(k, start) for k in todo for start in range(0, counts[k], CHUNK)]
    parts: dict[tuple[int, int], OfRule] = {}
    rows: dict[int, OfRule] = {}
    for k, start, part in _parts(rules, jobs, catalogue):
        parts[k, start] = part
        mine = [parts[job] for job in jobs if job[0] == k and job in parts]
        name, done = rules[k].name, sum(p["mutants"] for p in mine)
        if done < counts[k]:
            progress.update(name, done, counts[k])
        else:
            rows[k] = _merged(mine)
            progress.finished(name, "holds")
    for k in todo:
        rows.setdefault(k, judge(rules[k], []))
    return rows


def _parts(
    rules: Sequence[MutatedRule], jobs: Sequence[tuple[int, int]], catalogue: str
) -> Iterator[tuple[int, int, OfRule]]:
    """Judge the chunks here, or in worker processes that load the catalogue for themselves ("": here)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(cores, len(jobs))
    if not catalogue or workers < 2 or len(jobs) <= SERIAL:
        for k, start in jobs:
            yield k, start, judge(rules[k], mutants(rules[k].program)[start : start + CHUNK])
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        for job in as_completed([pool.submit(_job, catalogue, *job) for job in jobs]):
            yield job.result()


_RULES: list[MutatedRule] = []
"""The catalogue's rules in a worker process."""


def _job(catalogue: str, index: int, start: int) -> tuple[int, int, OfRule]:
    if not _RULES:
        _RULES.extend(collect(_load(catalogue)))
    rule = _RULES[index]
    return index, start, judge(rule, mutants(rule.program)[start : start + CHUNK])


def _merged(parts: Sequence[OfRule]) -> OfRule:
    """One row from those of the chunks: counts are added, lists joined."""
    names = dict.fromkeys(n for p in parts for n in p["killed_by"])
    return {
        "name": parts[0]["name"],
        "mutants": sum(p["mutants"] for p in parts),
        "equivalent": sum(p["equivalent"] for p in parts),
        "killed": sum(p["killed"] for p in parts),
        "survivors": [label for p in parts for label in p["survivors"]],
        "float_only": [label for p in parts for label in p["float_only"]],
        "theorems": parts[0]["theorems"],
        "killed_by": {n: sum(p["killed_by"].get(n, 0) for p in parts) for n in names},
    }


def _load(catalogue: str) -> dict[str, Theorem]:
    found: dict[str, Theorem] = importlib.import_module(catalogue).load()
    return found


def _of_theorem(name: str, rows: Sequence[OfRule]) -> OfTheorem:
    mine = [r for r in rows if name in r["theorems"]]
    return {
        "name": name,
        "mutants": sum(r["mutants"] for r in mine),
        "equivalent": sum(r["equivalent"] for r in mine),
        "killed": sum(r["killed_by"].get(name, 0) for r in mine),
        "survivors": [f"{r['name']}, {s}" for r in mine for s in r["survivors"]],
    }


def _weak(chosen: Sequence[str], rows: Sequence[OfRule], rules: Sequence[MutatedRule]) -> list[Weak]:
    """Theorems whose own claims refuse none of their rules' variants, with the reason."""
    found: list[Weak] = []
    for name in chosen:
        own = _of_theorem(name, rows)
        if own["mutants"] > own["equivalent"] and not own["killed"]:
            kinds = {u.property.kind for r in rules for u in r.uses if u.property.theorem == name and u.states}
            others = sorted({short(t) for r in rows if name in r["theorems"] for t, n in r["killed_by"].items() if n})
            by = f"; refused through {', '.join(others)}" if others else ""
            found.append({"name": name, "reason": _reason(kinds) + by})
    return found


def _reason(kinds: set[str]) -> str:
    if kinds == {"pairing"}:
        return "duality alone cannot see a wrong pair: JVP and VJP with the same wrong factor are adjoint as well"
    if kinds == {"positivity"}:
        return "a wrong value that is still positive satisfies the claim"
    return "none of the edits changes what its claims compare"


def short(name: str) -> str:
    return name.removeprefix(PREFIX)
