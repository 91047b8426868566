"""Messages are what a run asks of a worker and what it answers: one record a message, one line of JSON each.

{"number":1,"request":{"ask":"load","target":"rules.py"}}
{"number":1,"line":{"type":"found","rules":[{"name":"softplus","claims":["vjp"],"source":["rules.py",12],"code":"..."}]}}
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

from msgspec import field

from backprove.harness.core.handwritten import Survey
from backprove.harness.core.records import Record
from backprove.harness.core.results import Kind, PropertyResult, SubjectResult
from backprove.harness.explaining.replay import Payload
from backprove.harness.statements.statement import Statement

Do: TypeAlias = Literal["prepare", "run", "part", "conclude"]


Examples: TypeAlias = dict[str, list[dict[str, Any]]]
"""Points of the user's own by the name of their rule: `{"label": how reports call it, "point": {"x": 1.5}}`."""


class EngineOptions(TypedDict):
    """Keyword arguments for the engine."""

    points: int
    dtypes: list[str]
    seed: int
    accuracy: float | None
    examples: NotRequired[Examples]


class Load(Record, tag_field="ask", tag="load"):
    """Which rules stand in `FILE[::NAME]`, and do these points belong to them?"""

    target: str
    examples: Examples = field(default_factory=dict)


class State(Record, tag_field="ask", tag="state"):
    """Which theorems does the module `target` give, or the file `FILE[::NAME]` of a user (kind "own theorem")?"""

    target: str
    kind: Kind = "theorem"


class Cover(Record, tag_field="ask", tag="cover"):
    """Which hand-written rules of a package do the rules in `FILE[::NAME]` put under test?"""

    target: str
    survey: Survey


class Work(Record, tag_field="ask", tag="work"):
    """One work item.

    Attributes:
        do: "prepare": load what it needs; "run": judge all of it; "part": judge the part `part` at `dtype`; "conclude"
            from the parts' merged results `properties`.
        kind, name, target, place: of the job, see `work.Job`.
        engine: module whose functions do the work.
        fingerprint: of the code that the worker must have, see `files.fingerprint`; "" where it is this process's own.
    """

    do: Do
    kind: Kind
    name: str
    target: str
    place: int
    engine: str
    fingerprint: str
    options: EngineOptions
    dtype: str = ""
    part: int = 0
    properties: list[PropertyResult] = field(default_factory=list)


class Again(Record, tag_field="ask", tag="again"):
    """What is wrong now at the point of an id?

    Attributes:
        evaluate: module whose `replay` evaluates the point.
        prepare: module whose `load` states the theorems; "" for a rule of a file.
    """

    evaluate: str
    prepare: str
    payload: Payload


Request: TypeAlias = Load | State | Cover | Work | Again


class FoundRule(Record):
    """A rule of a file; see `work.Job`."""

    name: str
    claims: tuple[str, ...]
    source: tuple[str, int]
    code: str


class Found(Record, tag_field="type", tag="found"):
    """The rules of a file, in its order, and the files that they rest on (see `Judged`)."""

    rules: list[FoundRule]
    used: dict[str, str] | None = None


class Stated(Record, tag_field="type", tag="stated"):
    """The theorems of a module or file, in its order."""

    theorems: list[Statement]


class Covered(Record, tag_field="type", tag="covered"):
    """Of each rule of the file that covers one: its position, that of the hand-written rule, and how that is known."""

    found: list[tuple[int, int, str]]


class SeenAgain(Record, tag_field="type", tag="again"):
    """What is wrong at the point, in words; "" where it passes now."""

    text: str


class Ready(Record, tag_field="type", tag="ready"):
    """What an item needs is loaded."""


class Judged(Record, tag_field="type", tag="judged"):
    """The result of a whole rule or theorem, what it left changed in the process, and the files that it rests on (None:
    not to be told, see `used_files`).
    """

    subject: SubjectResult
    changed: tuple[str, ...] = ()
    used: dict[str, str] | None = None


class JudgedPart(Record, tag_field="type", tag="part"):
    """The results of one part, and what it left changed in the process."""

    properties: list[PropertyResult]
    changed: tuple[str, ...] = ()


class Lost(Record, tag_field="type", tag="lost"):
    """The item ended its process, or overran its time."""

    reason: str


class EngineFailed(Record, tag_field="type", tag="internal"):
    """The engine failed at the item, or met what code had left changed in its process.

    Attributes:
        message: one line that says how it failed.
        changed: see `changes.Snapshot`.
    """

    message: str
    traceback: str
    changed: tuple[str, ...] = ()


Answer: TypeAlias = Found | Stated | Covered | SeenAgain | Ready | Judged | JudgedPart | Lost | EngineFailed


class Step(Record, tag_field="type", tag="step"):
    """`done` of `total` steps of what is under way are through; the answer is still to come."""

    name: str
    done: int
    total: int


class WrongUse(Record, tag_field="type", tag="usage"):
    """The user's file or rule is at fault."""

    message: str


Line: TypeAlias = Answer | Step | WrongUse
"""What a worker says."""


class Order(Record):
    """What a worker reads: a request and its number."""

    number: int
    request: Request


class Numbered(Record):
    """What a worker writes: a line and the number of the request that it belongs to."""

    number: int
    line: Line
