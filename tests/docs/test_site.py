"""The site of docs/: what its hooks make, that links lead somewhere, and that its figures are the measured ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import backprove
from scripts import site

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_reference_has_every_public_name_once() -> None:
    named = [line.rsplit(".", 1)[-1] for line in site.reference().splitlines() if line.startswith("::: ")]
    assert sorted(named) == sorted(n for n in backprove.__all__ if not n.startswith("_"))


def test_links_are_turned_to_where_pages_lie_on_the_site() -> None:
    text = (
        "[a](docs/tour.md#x) [b](../CONTRIBUTING.md) [c](LICENSE) [d](tour.md) [e](https://e.org/docs/tour.md) [f](#g)"
    )
    turned = "[a](tour.md#x) [b](contributing.md) [c](license.md) [d](tour.md) [e](https://e.org/docs/tour.md) [f](#g)"
    assert site.relink(text) == turned


def test_links_called_by_their_file_are_called_by_their_title(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "TITLES", {"tour.md": "Ten minutes", "contributing.md": "Contributing"})
    text = "[tour.md](tour.md#x) [docs/tour.md](docs/tour.md) [CONTRIBUTING.md](../CONTRIBUTING.md) [a tour](tour.md)"
    turned = "[Ten minutes](tour.md#x) [Ten minutes](tour.md) [Contributing](contributing.md) [a tour](tour.md)"
    assert site.relink(text) == turned


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_to_files_of_the_checkout(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    lost = [t for t in links if "://" not in t and not (page.parent / t).exists()]
    assert lost == []


def test_pages_that_the_navigation_leaves_out_stand_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "TITLES", {})
    config = {"nav": [{"Tour": "tour.md"}, {"How to": [{"JAX": "jax.md"}]}]}
    site.on_config(config)
    (rest,) = config["nav"][2].values()
    assert "torch.md" in rest and not {"tour.md", "jax.md"} & set(rest)


def test_the_table_of_checkers_has_the_measured_figures() -> None:
    rows = [
        [cell.strip(" *") for cell in line.strip("|").split("|")]
        for line in (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    head, bugs, total = rows[0], [r for r in rows if re.match(r"[BPL]\w+ ", r[0])], rows[-1]
    assert len(bugs) == 17
    page = (ROOT / "docs" / "why-not-gradcheck.md").read_text(encoding="utf-8")
    assert total[2] == "17" and "| backprove (draws its own inputs) | 17 of 17 | 17 of 17 | 0 of 17 |" in page
    for ordinary in range(3, len(head), 2):
        library, checker = head[ordinary].split(":")[0].split()
        refused = sum("right rule refused" in r[ordinary] or "right rule refused" in r[ordinary + 1] for r in bugs)
        seen = f"| {total[ordinary]} of 17 | {total[ordinary + 1]} of 17 | {refused} of 17 |"
        assert f"| {library} `{checker}` {seen}" in page
