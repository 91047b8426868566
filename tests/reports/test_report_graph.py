"""States of theorems and the layered layout."""

from __future__ import annotations

import itertools
import random
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from backprove.harness.core.results import PropertyResult, RunResult, SubjectResult
from backprove.harness.core.verdicts import Verdict
from backprove.reports import graph_svg
from backprove.reports.graph import Layout, edges, layered, module_edges, states


def subject(
    name: str, verdict: Verdict = Verdict.HOLDS, rests_on: tuple[str, ...] = (), module: str = ""
) -> SubjectResult:
    return SubjectResult("theorem", name, module, [PropertyResult("a", "float64", verdict, 1)], rests_on=list(rests_on))


def run(*subjects: SubjectResult, **more: object) -> RunResult:
    return RunResult("verify", "0", 0, list(subjects), **more)  # type: ignore[arg-type]


def test_holding_alone_is_not_holding_with_all_below() -> None:
    found = states(
        run(
            subject("base"),
            subject("bad", Verdict.FALSIFIED),
            subject("top", rests_on=("middle",)),
            subject("middle", rests_on=("base", "bad")),
            subject("fine", rests_on=("base",)),
            subject("unknown", rests_on=("elsewhere",)),
            subject("open", Verdict.INCONCLUSIVE),
        )
    )
    assert found == {
        "base": "holds-all",
        "bad": "falsified",
        "top": "holds",
        "middle": "holds",
        "fine": "holds-all",
        "unknown": "holds",
        "open": "inconclusive",
    }


def test_a_circle_of_what_holds_holds() -> None:
    assert set(states(run(subject("a", rests_on=("b",)), subject("b", rests_on=("a",)))).values()) == {"holds-all"}


def test_entries_reached_through_others() -> None:
    def entry(name: str, *by: str) -> dict[str, object]:
        return {"name": name, "module": "m", "executable": False, "why_not": "", "covered_by": list(by)}

    found = states(
        run(
            subject("good", rests_on=("x",)),
            subject("bad", Verdict.ERROR),
            not_covered=[entry("x", "good", "bad"), entry("y", "bad"), entry("z"), entry("w", "elsewhere")],
        )
    )
    assert (found["x"], found["y"], found["z"], found["w"]) == ("reached", "error", "uncovered", "reached")


def test_edges_between_theorems_and_modules() -> None:
    r = run(
        subject("a", module="M"),
        subject("b", rests_on=("a", "a", "b", "gone"), module="N"),
        subject("c", rests_on=("b",), module="N"),
    )
    assert edges(r) == [("a", "b"), ("b", "c")]
    assert module_edges(r) == [("M", "N")]


def check(layout: Layout, nodes: list[str]) -> None:
    assert sorted(k for layer in layout.layers for k in layer if k is not None) == sorted(nodes)
    for (a, b), route in layout.routes.items():
        ends = [layout.layers[i][j] for i, j in route]
        assert ends[0] == a and ends[-1] == b and set(ends[1:-1]) <= {None}
        steps = {y[0] - x[0] for x, y in itertools.pairwise(route)}
        assert steps in ({1}, {-1})


def test_longest_path_decides_the_layer() -> None:
    nodes = list("abcd")
    layout = layered(nodes, [("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")])
    check(layout, nodes)
    assert [len(layer) for layer in layout.layers] == [2, 3, 1]
    assert layout.layers[2] == ["c"] and len(layout.routes[("a", "c")]) == 3


def test_barycentres_undo_crossings() -> None:
    nodes = [f"a{i}" for i in range(6)] + [f"b{i}" for i in range(6)]
    layout = layered(nodes, [(f"a{i}", f"b{5 - i}") for i in range(6)])
    first = [n[1] for n in layout.layers[0] if n]
    assert [n[1] for n in layout.layers[1] if n] == [str(5 - int(i)) for i in first]


@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=30))
def test_any_graph_can_be_laid_out(n: int, pairs: list[tuple[int, int]]) -> None:
    nodes = [str(i) for i in range(n)]
    layout = layered(nodes, [(str(a), str(b)) for a, b in pairs])
    check(layout, nodes)
    wanted = {frozenset((str(a), str(b))) for a, b in pairs if a != b and a < n and b < n}
    assert {frozenset(e) for e in layout.routes} == wanted


def test_the_drawing_is_well_formed_and_boxes_do_not_overlap() -> None:
    rng = random.Random(2)
    nodes = [
        graph_svg.Node(
            f"n<{i}>", f"n<{i}>" + "x" * i, f"t-{i}", "holds-all", f'"{i}"', {"holds-all": 2, "falsified": 1}
        )
        for i in range(40)
    ]
    links = [(nodes[i].key, nodes[rng.randrange(i)].key) for i in range(1, 40) for _ in range(2)]
    root = ET.fromstring(graph_svg.draw(nodes, links, "a graph"))
    boxes = [r for r in root.iter("rect") if "class" not in r.attrib]
    assert len(boxes) == 40
    columns: dict[str, list[float]] = {}
    for b in boxes:
        columns.setdefault(b.attrib["x"], []).append(float(b.attrib["y"]))
    for ys in columns.values():
        ys.sort()
        assert all(b - a >= graph_svg.ROW - 0.2 for a, b in itertools.pairwise(ys))


def test_no_edge_no_drawing() -> None:
    assert graph_svg.draw([graph_svg.Node("a", "a", "t-a", "holds", "a")], [], "nothing") == ""


def test_a_module_is_as_bad_as_its_worst() -> None:
    counts = graph_svg.tally(["a", "b", "c"], {"a": "holds-all", "b": "inconclusive", "c": "holds-all"})
    assert counts == {"holds-all": 2, "inconclusive": 1}
    assert graph_svg.overall(counts) == "inconclusive" and graph_svg.overall({}) == "uncovered"
    assert graph_svg.tally_words(counts) == "holds with all it rests on: 2 entries; inconclusive: 1 entry"
