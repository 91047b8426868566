"""The catalogue loader and the coverage count: malformed lists and names that do not exist are refused."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import backprove.rules
from backprove.harness.core.errors import UsageError
from backprove.harness.core.verdicts import Verdict
from backprove.harness.statements.claims import Positivity
from backprove.harness.statements.theorem import REGISTRY, Registry, Theorem, theorem
from backprove.rules.all import load
from backprove.rules.catalogue import Catalogue, coverage, coverage_counts
from backprove.strategies.array import array

ENTRY = """
[[entry]]
name = "{name}"
module = "M"
kind = "theorem"
property = "positivity"
family = "softmax"
executable = {executable}
statement = "S > 0"
hypotheses = "none"
{more}
"""

RIGHT = ENTRY.format(name="a", executable="true", more="")


def listed(*names: str, not_executable: Sequence[str] = (), name: str = "documented") -> Catalogue:
    text = "".join(ENTRY.format(name=n, executable="true", more="") for n in names)
    text += "".join(ENTRY.format(name=n, executable="false", more='why_not = "notation"') for n in not_executable)
    return Catalogue.parse(name, text)


def state(registry: Registry, name: str, covers: Sequence[str] = (), rests_on: Sequence[str] = ()) -> Theorem:
    claim = Positivity(lambda x: x * x)
    inputs = {"x": array("n")}
    return theorem(name, claim, inputs=inputs, covers=list(covers), rests_on=list(rests_on), registry=registry)


def test_the_installed_lists_have_the_declarations_of_the_reference_pages() -> None:
    documented, library = Catalogue.load("documented"), Catalogue.load("library")
    assert len(documented.entries) >= 93 and len(library.entries) >= 724
    assert sum(e.executable for e in documented.entries.values()) >= 81
    for entry in (*documented.entries.values(), *library.entries.values()):
        assert entry.module and entry.property and entry.family and entry.hypotheses, entry.name
    assert documented.conventions["relu"] == "max(x,0); slope at 0 is 0"
    assert library.conventions == {}
    entry = documented.entries["Proofs.Autograd.sumExp_pos"]
    assert (entry.module, entry.kind, entry.property) == (
        "NN.Proofs.Autograd.FDeriv.LogSoftmax",
        "theorem",
        "positivity",
    )
    assert coverage([documented, library], {}).reached_by == {}


def test_an_unknown_list_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no catalogue 'libary'; there are 'documented' and 'library'"):
        Catalogue.load("libary")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[entry", "not readable as TOML"),
        ("[[entries]]", "unknown field `entries`"),
        (RIGHT.replace('statement = "S > 0"', ""), r"missing required field `statement` - at `\$\.entry\[0\]`"),
        (ENTRY.format(name="a", executable="true", more='colour = "red"'), "unknown field `colour`"),
        (
            ENTRY.format(name="a", executable='"yes"', more=""),
            r"Expected `bool`, got `str` - at `\$\.entry\[0\]\.executable`",
        ),
        (ENTRY.format(name="", executable="true", more=""), r"length >= 1 - at `\$\.entry\[0\]\.name`"),
        (RIGHT.replace('"theorem"', '"lemma"'), r"Invalid enum value 'lemma' - at `\$\.entry\[0\]\.kind`"),
        (ENTRY.format(name="a", executable="false", more=""), "executable = false needs why_not"),
        (ENTRY.format(name="a", executable="true", more='why_not = "x"'), "an executable entry has no why_not"),
        (RIGHT * 2, "a stands twice"),
        ('pages = "javascript:alert(1)"', r"Expected `str` matching regex .* at `\$\.pages`"),
    ],
)
def test_a_malformed_list_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Catalogue.parse("documented", text)


def test_a_declaration_has_a_page_where_its_list_names_one() -> None:
    documented = Catalogue.load("documented")
    entry = documented.entries["Proofs.Autograd.logSoftmaxVjp"]
    page = "https://lean-dojo.github.io/TorchLean/docs/NN/Proofs/Autograd/FDeriv/LogSoftmax.html"
    assert documented.page(entry) == f"{page}#Proofs.Autograd.logSoftmaxVjp"
    assert Catalogue.parse("documented", RIGHT).page(entry) == ""
    [left] = coverage([Catalogue.parse("own", f'pages = "https://e.org/"\n{RIGHT}')], {}).not_covered
    assert left["page"] == "https://e.org/M.html#a"


def test_coverage_counts_what_the_theorems_reach() -> None:
    registry = Registry()
    state(registry, "Proofs.a", covers=["Proofs.n"], rests_on=["Proofs.b"])
    state(registry, "Proofs.b", covers=["Proofs.n"])
    first = listed("Proofs.a", "Proofs.b", "Proofs.c", not_executable=["Proofs.n", "Proofs.m"])
    second = listed("Proofs.d", name="library")
    found = coverage([first, second], registry.theorems)
    assert found.reached_by["Proofs.n"] == ("Proofs.a", "Proofs.b")
    alone = {"module": "M", "executable": True, "why_not": "", "covered_by": [], "family": "softmax"}
    assert found.not_covered == [
        {"name": "Proofs.c", **alone},
        {
            "name": "Proofs.n",
            "module": "M",
            "executable": False,
            "why_not": "notation",
            "covered_by": ["Proofs.a", "Proofs.b"],
            "family": "softmax",
        },
        {
            "name": "Proofs.m",
            "module": "M",
            "executable": False,
            "why_not": "notation",
            "covered_by": [],
            "family": "softmax",
        },
        {"name": "Proofs.d", "module": "M", "executable": True, "why_not": "", "covered_by": [], "family": "softmax"},
    ]
    counts = coverage_counts(found, {"Proofs.a": Verdict.HOLDS, "Proofs.b": Verdict.HOLDS})
    assert counts == {
        "documented": {"declared": 5, "executable": 3, "covered": 3, "holds": 3},
        "library": {"declared": 1, "executable": 1, "covered": 0, "holds": 0},
    }


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.HOLDS])
def test_a_theorem_that_does_not_hold_takes_along_what_it_covers(verdict: Verdict) -> None:
    registry = Registry()
    state(registry, "Proofs.a", covers=["Proofs.n"])
    state(registry, "Proofs.b", covers=["Proofs.n"])
    found = coverage([listed("Proofs.a", "Proofs.b", not_executable=["Proofs.n"])], registry.theorems)
    counts = coverage_counts(found, {"Proofs.a": Verdict.HOLDS, "Proofs.b": verdict})
    assert (counts["documented"]["covered"], counts["documented"]["holds"]) == (3, 1)
    assert coverage_counts(found, {})["documented"]["holds"] == 0


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"name": "Proofs.sumExpPos"}, r"sumExpPos .*not in the catalogue; did you mean Proofs\.sumExp_pos\?"),
        ({"name": "Proofs.Old.sumExp_pos"}, r"did you mean Proofs.sumExp_pos\?"),
        ({"name": "Proofs.sumExp_pos", "rests_on": ["Proofs.zzz"]}, "rests_on of .*: Proofs.zzz is not in"),
        ({"name": "Proofs.sumExp_pos", "covers": ["Proofs.zzz"]}, "covers of .*: Proofs.zzz is not in"),
        ({"name": "Proofs.sumExp_pos", "covers": ["Proofs.b"]}, "Proofs.b is executable; state it as a theorem"),
        ({"name": "Proofs.n"}, r"not executable \(notation\); name it in the covers"),
    ],
)
def test_a_theorem_that_the_catalogue_does_not_know_is_refused(stated: dict[str, object], message: str) -> None:
    registry = Registry()
    state(registry, **stated)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=message):
        coverage([listed("Proofs.sumExp_pos", "Proofs.b", not_executable=["Proofs.n"])], registry.theorems)


def test_a_theorem_with_a_statement_of_its_own_needs_no_entry() -> None:
    registry = Registry()
    state(registry, "Proofs.a", rests_on=["Proofs.new"])
    theorem("Proofs.new", Positivity(abs), inputs={"x": array("n")}, statement="|x| > 0", registry=registry)
    found = coverage([listed("Proofs.a")], registry.theorems)
    assert found.reached_by == {"Proofs.a": ("Proofs.a",)}
    state(registry, "Proofs.b")  # without one it may be a slip of the pen
    with pytest.raises(UsageError, match=r"theorem Proofs\.b .*is not in the catalogue"):
        coverage([listed("Proofs.a")], registry.theorems)
    assert coverage([listed("Proofs.a")], registry.theorems, {"Proofs.b"}).reached_by == found.reached_by
    with pytest.raises(UsageError, match=r"covers of .*Proofs\.new is not in"):  # what is covered is an entry
        state(registry, "Proofs.c", covers=["Proofs.new"])
        coverage([listed("Proofs.a", "Proofs.c")], registry.theorems, {"Proofs.b"})


def test_an_old_name_leads_to_the_new_one() -> None:
    text = ENTRY.format(name="Proofs.New.f", executable="true", more='also_named = "Proofs.Old.g (renamed at 1)"')
    registry = Registry()
    state(registry, "Proofs.Old.g")
    with pytest.raises(UsageError, match=r"did you mean Proofs\.New\.f\?"):
        coverage([Catalogue.parse("documented", text)], registry.theorems)


def test_a_name_in_two_lists_is_refused() -> None:
    with pytest.raises(UsageError, match="stands in two catalogues; remove it from library"):
        coverage([listed("Proofs.a"), listed("Proofs.a", name="library")], {})


def test_a_new_file_of_rules_is_found_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "added_here.py").write_text(
        "from backprove.harness.statements.claims import Positivity\n"
        "from backprove.harness.statements.theorem import theorem\n"
        "from backprove.strategies.array import array\n"
        "theorem('added', Positivity(abs), inputs={'x': array('n')}, statement='|x| > 0')\n"
    )
    before = dict(load())
    monkeypatch.setattr(REGISTRY, "theorems", dict(before))
    monkeypatch.setattr(backprove.rules, "__path__", [*backprove.rules.__path__, str(tmp_path)])
    assert set(load()) - set(before) == {"Proofs.Autograd.added"}
    sys.modules.pop("backprove.rules.added_here")
