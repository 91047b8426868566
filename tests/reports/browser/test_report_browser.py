"""The report in headless Chromium: filter, sort, deep links, narrow screens, no network, no errors, opening time."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backprove.harness.core.results import RunResult
from backprove.reports.html import LATE
from backprove.reports.write import write_reports

CHROMIUM = next((p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), None)
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver (Debian: chromium chromium-driver)"
)

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)


class Browser:
    """A headless Chromium that watches the console and the network."""

    def __init__(self, profile: Path) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM or ""
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver: Any = webdriver.Chrome(options=options, service=Service(DRIVER))

    def cdp(self, command: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, arguments)

    def size(self, width: int, height: int = 900) -> None:
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, path: Path, fragment: str = "") -> None:
        self.driver.get("about:blank")
        self.driver.get(path.as_uri() + fragment)

    def js(self, code: str, *arguments: Any) -> Any:
        return self.driver.execute_script(code, *arguments)

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def console(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """What the page asked for since the last call."""
        messages = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith(("about:", "chrome:"))]

    def visible(self) -> list[str]:
        """Names of the rows shown, in order."""
        code = """
          const rows = [...document.querySelectorAll('#table tr[data-v]')];
          return rows.filter(r => !r.hidden).map(r => r.querySelector('a').title);
        """
        return list(self.js(code))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    b = Browser(tmp_path_factory.mktemp("profile"))
    yield b
    b.driver.quit()


def write(run: RunResult, out: Path) -> Path:
    return write_reports(run, out)[0]


@pytest.fixture
def failing_page(failing_run: RunResult, holding_run: RunResult, tmp_path: Path) -> Path:
    write(holding_run, tmp_path)
    return write(failing_run, tmp_path)


@pytest.mark.parametrize("name", ["holding_run", "failing_run", "user_run", "hostile_run"])
def test_no_error_no_request_no_sideways_scroll(
    name: str, browser: Browser, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    page = write(request.getfixturevalue(name), tmp_path)
    browser.requests()
    for width in (1280, 360):
        browser.size(width)
        browser.open(page)
        browser.js("document.getElementById('openall').click()")
        sideways = "const d = document.documentElement; return [d.scrollWidth - d.clientWidth, innerWidth]"
        assert browser.js(sideways) == [0, width]
        assert "\u00b7 backprove" in browser.driver.title, "no rule changed the title"
    fetched = {r for r in browser.requests() if not r.startswith("data:")}  # the browser's own first page holds one
    assert fetched == {page.as_uri()}
    assert browser.console() == []
    browser.size(1280)


def test_filter_by_words_and_verdict(browser: Browser, failing_page: Path, failing_run: RunResult) -> None:
    browser.open(failing_page)
    everything = browser.visible()
    assert len(everything) == len(failing_run.subjects)
    browser.keys("f", "relu clm")
    found = browser.visible()
    assert found and all("relu" in n.lower() and "clm" in n.lower() for n in found)
    assert (
        browser.js("return document.getElementById('shown').textContent")
        == f"{len(found)} of {len(everything)} theorems"
    )
    browser.keys("zzz")
    assert browser.visible() == [] and browser.js("return document.getElementById('nothing').checkVisibility()")
    assert not browser.js("return document.getElementById('table').checkVisibility()")
    browser.js("document.getElementById('reset').click()")
    assert browser.visible() == everything
    browser.js("document.querySelector('[data-verdict=falsified]').click()")
    assert browser.visible() == [failing_run.subjects[4].name]
    browser.js("document.querySelector('[data-verdict=error]').click()")
    assert len(browser.visible()) == 2


def test_a_search_shows_its_first_hit_and_counts_all(
    browser: Browser, failing_page: Path, failing_run: RunResult
) -> None:
    browser.open(failing_page)
    browser.js("scrollTo({top: 1e6, behavior: 'instant'})")
    browser.keys("f", "loss")
    hits = browser.visible()
    place = """
      const row = [...document.querySelectorAll('#table tr[data-v]')].find(r => !r.hidden).getBoundingClientRect();
      const tools = document.querySelector('.tools').getBoundingClientRect();
      return [row.top >= tools.bottom, row.bottom <= innerHeight];
    """
    assert hits and browser.js(place) == [True, True]
    browser.keys("\ue007")
    assert browser.js("return document.activeElement.title") == hits[0], "Enter leads from the filter to the hit"
    entry = next(e for e in failing_run.not_covered if e["covered_by"])
    browser.keys("f")
    browser.js("document.getElementById('q').value = ''")
    browser.keys(f"{entry['name'].rsplit('.', 1)[-1]} reached")
    said = browser.js("return document.getElementById('shown').textContent")
    assert re.fullmatch(r"0 of 79 theorems, \d+ further entr(y|ies)", said)
    browser.keys("\ue007")
    seen = "const b = document.activeElement.getBoundingClientRect(); return [b.top > 0, b.bottom < innerHeight]"
    assert browser.js(seen) == [True, True] and browser.js("return document.activeElement.tagName") == "LI"


@pytest.mark.parametrize("width", [1280, 390])
def test_statements_stand_there_whole(width: int, browser: Browser, holding_run: RunResult, tmp_path: Path) -> None:
    first = r"L = \textstyle\sum_i x_i, \quad f(x)_i = \alpha x_i + \beta y_i"
    second = r"g(x)_i = \sum_j W_{ij} x_j = h(x)_i, \quad x_i \neq 0, \quad y_i > 0"
    long = rf"{first}, \quad {second}"
    holding_run.subjects[0].latex = rf"{long}, \quad {long}"
    page = write(holding_run, tmp_path)
    browser.size(width)
    browser.open(page)
    browser.js("document.querySelectorAll('#table tr').forEach(r => { r.style.contentVisibility = 'visible'; })")
    cut = """
      return [...document.querySelectorAll('#table tr[data-v]')].filter(r => {
        const box = r.getBoundingClientRect(), f = r.querySelector('.f');
        return [...f.querySelectorAll('math'), f].some(m => m.getBoundingClientRect().right > box.right ||
          m.getBoundingClientRect().bottom > box.bottom);
      }).map(r => r.querySelector('a').title);
    """
    assert browser.js(cut) == []
    browser.size(1280)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing(scheme: str, width: int, browser: Browser, user_run: RunResult, tmp_path: Path) -> None:
    axe = pytest.importorskip("axe_core_python")
    page = write(user_run, tmp_path)
    browser.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.size(width)
    browser.open(page)
    browser.js("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    browser.js("return new Promise(done => requestIdleCallback(() => requestIdleCallback(done)))")  # so does the page
    browser.js((Path(axe.__file__).parent / "axe.min.js").read_text())
    code = "const done = arguments[0]; axe.run({resultTypes: ['violations']}).then(r => done(r.violations))"
    found = browser.driver.execute_async_script(code)
    browser.cdp("Emulation.setEmulatedMedia", features=[])
    browser.size(1280)
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found] == []


def test_statements_are_searched(browser: Browser, failing_page: Path) -> None:
    browser.open(failing_page)
    browser.keys("f", "is never 0")
    assert "Proofs.Autograd.sumExp_ne_zero" in browser.visible()


def test_hide_what_holds(browser: Browser, failing_page: Path, failing_run: RunResult) -> None:
    browser.open(failing_page)
    browser.keys("h")
    assert set(browser.visible()) == {s.name for s in failing_run.subjects if s.verdict.value != "holds"}
    heads = "return [...document.querySelectorAll('.group')].filter(g => g.checkVisibility()).length"
    assert browser.js(heads) == 3
    browser.keys("h")
    assert len(browser.visible()) == len(failing_run.subjects)


def test_sort_within_modules_and_over_all(browser: Browser, failing_page: Path, failing_run: RunResult) -> None:
    browser.open(failing_page)
    sort = "document.querySelector('[data-key=\"%s\"]').click()"
    state = "return document.querySelector('[data-key=\"%s\"]').parentElement.getAttribute('aria-sort')"
    browser.keys("g")
    browser.js(sort % "ulp")
    assert browser.js(state % "ulp") == "descending"
    worst = {s.name: s.worst_factor or -1.0 for s in failing_run.subjects}
    found = [worst[n] for n in browser.visible()]
    assert found == sorted(found, reverse=True)
    browser.js(sort % "verdict")
    assert browser.js(state % "verdict") == "ascending" and browser.js(state % "ulp") == "none"
    assert browser.visible()[:2] == [failing_run.subjects[30].name, failing_run.subjects[4].name]
    browser.js(sort % "name")
    browser.js(sort % "name")
    names = browser.visible()
    assert names == sorted(names, key=str.lower, reverse=True)
    browser.keys("g")
    module = {s.name: s.module for s in failing_run.subjects}
    modules = [module[n] for n in browser.visible()]
    assert len(set(modules)) == sum(a != b for a, b in zip([None, *modules], modules, strict=False))


def test_deep_links_open_and_show_their_theorem(browser: Browser, failing_page: Path) -> None:
    anchor = "t-Proofs.Autograd.logSoftmaxVjp"
    browser.open(failing_page, "#" + anchor)
    seen = f"const d = document.getElementById('{anchor}'); return [d.open, d.getBoundingClientRect().top]"
    assert comes_into_view(browser, seen)
    browser.open(failing_page)
    assert browser.js(seen)[0] is False
    browser.js(f"document.querySelector('#table a[href=\"#{anchor}\"]').click()")
    assert comes_into_view(browser, seen)


def comes_into_view(browser: Browser, seen: str) -> bool:
    """Whether an element is open at the top of the window, once the layout of a long page has settled."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        is_open, top = browser.js(seen)
        if is_open and 0 <= top < 200:
            return True
        time.sleep(0.1)
    return False


def test_details_of_a_large_report_unfold(
    browser: Browser, synthetic_run: Callable[[int], RunResult], tmp_path: Path
) -> None:
    page = write(synthetic_run(LATE + 20), tmp_path)
    anchor = "t-Lib.Part07.theorem0047"
    layers = f"return document.querySelectorAll('[id=\"{anchor}\"] .layers').length"
    browser.open(page)
    assert browser.js(layers) == 0
    browser.keys("f", "statement number 47 about")
    assert sorted(browser.visible()) == ["Lib.Part07.theorem0047", "Lib.Part07.theorem0247", "Lib.Part27.theorem0147"]
    browser.open(page, "#" + anchor)
    assert browser.js(layers) == 1 and browser.js(f"return document.getElementById('{anchor}').open")
    browser.js("document.getElementById('openall').click()")
    browser.js("return new Promise(done => setTimeout(done, 300))")
    assert browser.js("return document.querySelectorAll('.subject > script').length") == 0
    assert browser.console() == []


def test_keyboard(browser: Browser, failing_page: Path, failing_run: RunResult) -> None:
    browser.open(failing_page)
    focused = "return document.activeElement.title"
    browser.keys("j", "j")
    assert browser.js(focused) == failing_run.subjects[1].name
    browser.keys("k")
    assert browser.js(focused) == failing_run.subjects[0].name
    browser.keys("?")
    assert browser.js("return document.getElementById('keys').open")
    browser.keys("\ue00c")
    assert not browser.js("return document.getElementById('keys').open")


def test_light_and_dark(browser: Browser, failing_page: Path) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    colours = []
    for scheme in ("light", "dark"):
        browser.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.open(failing_page)
        browser.js("localStorage.clear()")
        browser.open(failing_page)
        colours.append(browser.js(ground))
    browser.js("document.getElementById('theme').click()")
    assert browser.js(ground) == colours[0] != colours[1]
    browser.open(failing_page)
    assert browser.js(ground) == colours[0], "the choice is kept"
    browser.js("localStorage.clear()")
    browser.cdp("Emulation.setEmulatedMedia", features=[])


def test_what_a_screen_reader_needs(browser: Browser, failing_page: Path) -> None:
    browser.open(failing_page)
    browser.js("document.getElementById('openall').click()")
    assert browser.js("return document.documentElement.lang") == "en"
    nameless = """
      const named = e => (e.ariaLabel || e.textContent || e.labels?.[0]?.textContent || '').trim();
      return [...document.querySelectorAll('a, button, input, summary, th[scope], svg[role=img], [role=region]')]
        .filter(e => !named(e) && !e.getAttribute('aria-label')).map(e => e.outerHTML.slice(0, 120));
    """
    assert browser.js(nameless) == []
    assert browser.js("return [...document.querySelectorAll('table')].filter(t => !t.caption).length") == 0
    levels = browser.js(
        "return [...document.querySelectorAll('h1,h2,h3,h4,h5')]"
        ".filter(h => h.checkVisibility()).map(h => +h.tagName[1])"
    )
    assert levels[0] == 1 and all(b - a <= 1 for a, b in itertools.pairwise(levels))
    browser.open(failing_page)
    browser.keys("\ue004")
    assert browser.js("return document.activeElement.className") == "skip"
    assert browser.js("return getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_pictures(browser: Browser, failing_page: Path, user_run: RunResult, tmp_path: Path) -> None:
    user_page = write(user_run, tmp_path / "user")
    for scheme in ("light", "dark"):
        browser.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        for width in (1280, 360):
            browser.size(width, 1600)
            for page in (failing_page, user_page):
                browser.open(page)
                assert len(browser.driver.get_screenshot_as_png()) > 20_000
    browser.cdp("Emulation.setEmulatedMedia", features=[])
    browser.size(1280)


def main_thread_seconds(browser: Browser, page: Path) -> float:
    """Processor time of the page's main thread until it has loaded, best of three.

    Unlike the time on the clock it does not grow when the machine has other things to do.
    """
    browser.cdp("Performance.enable", timeDomain="threadTicks")
    best = 1e9
    for _ in range(3):
        browser.open(page)
        metrics = {m["name"]: m["value"] for m in browser.cdp("Performance.getMetrics")["metrics"]}
        best = min(best, metrics["TaskDuration"])
    browser.cdp("Performance.disable")
    return best


def test_opening_time(
    browser: Browser, holding_run: RunResult, synthetic_run: Callable[[int], RunResult], tmp_path: Path
) -> None:
    assert main_thread_seconds(browser, write(holding_run, tmp_path / "small")) < 0.3
    assert main_thread_seconds(browser, write(synthetic_run(1000), tmp_path / "large")) < 1.5
