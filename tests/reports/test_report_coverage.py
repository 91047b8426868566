"""The page of hand-written rules says what covers each, escapes what it shows, and links to the run."""

from __future__ import annotations

from html.parser import HTMLParser

from backprove.harness.core.handwritten import Cover, Handwritten, Span, Survey, Unread
from backprove.harness.core.results import PropertyResult, RunResult, SubjectResult
from backprove.harness.core.verdicts import Verdict
from backprove.reports.handwritten import to_coverage_html

HOSTILE = "<script>alert(1)</script>"


def run() -> tuple[RunResult, Survey]:
    span = Span("map", 3, 4, f"def f(x):\n    return x  # {HOSTILE}")
    both = [Cover("one", "it is"), Cover("two", "it is")]
    rules = [
        Handwritten("pkg.a", "jax.custom_jvp", "/folder/pkg/a.py", 3, [span], both),
        Handwritten(f"pkg.{HOSTILE}", "jax.custom_vjp", "/folder/pkg/a.py", 9, [span]),
        Handwritten("pkg.C", "torch.autograd.Function", "/folder/pkg/b.py", 1, [span], [Cover("not judged", "it is")]),
    ]  # fmt: skip
    survey = Survey("pkg", "/folder", 2, [Unread(f"/folder/pkg/{HOSTILE}.py", HOSTILE)], rules)
    verdicts = {"one": Verdict.HOLDS, "two": Verdict.FALSIFIED}
    subjects = [SubjectResult("rule", n, properties=[PropertyResult("vjp", "float64", v)]) for n, v in verdicts.items()]
    gate = {"passed": False, "reasons": [f"too little {HOSTILE}"]}
    return RunResult("coverage", "1", 0, subjects, survey=survey, gate=gate), survey  # type: ignore[arg-type]


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_shows_every_rule_with_what_covers_it() -> None:
    html = to_coverage_html(*run())
    page = Elements()
    page.feed(html)
    assert "2 of 3 hand-written rules of pkg are covered" in html and "The gate is not passed." in html
    assert HOSTILE not in html and "script" not in {tag for tag, _ in page.found}
    opened = [a for tag, a in page.found if tag == "details"]
    assert [a["class"] for a in opened] == ["subject v-falsified", "subject v-uncovered", "subject v-covered"]
    assert [a["id"] for a in opened] == ["r-1", "r-2", "r-3"]
    links = [a["href"] for tag, a in page.found if tag == "a"]
    assert "#r-2" in links and sum(str(link).startswith("index.html#") for link in links) == 2
    assert html.count("pkg/a.py") == 1 and "counter-reset:l 2" in html
