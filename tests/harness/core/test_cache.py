"""What one run of a theorem leaves for the next, and when it is not used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backprove.harness.campaign import subjects
from backprove.harness.core import cache as module
from backprove.harness.core.cache import Cache, cache_of
from backprove.harness.core.records import to_plain
from backprove.harness.core.results import SubjectResult
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.function import Function
from backprove.harness.frontends.registry import NUMPY
from backprove.harness.statements.claims import Derivative
from backprove.harness.statements.theorem import Theorem
from backprove.strategies.array import array

SIGNATURE = (((3,), "float64"),)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("BACKPROVE_CACHE", str(tmp_path / "cache"))
    module.folder.cache_clear()
    yield tmp_path / "cache"
    module.folder.cache_clear()


def square(x):
    return x * x


def square_vjp(x, g):
    return 2.0 * x * g


def theorem() -> Theorem:
    claims = (Derivative(square, square_vjp, "vjp"),)
    return Theorem("square", {"x": array("n")}, claims, latex="", words="", rests_on=(), covers=(), source=("", 0))


def run() -> SubjectResult:
    return subjects.run(theorem(), points=200, dtypes=("float64", "float32"))


def without_times(result: SubjectResult) -> object:
    for p in result.properties:
        p.seconds = 0.0
    return to_plain(result)


def test_a_second_run_traces_draws_and_compiles_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run()
    assert list(home.glob("*/*.pickle"))

    def never(*_: object, **__: object) -> None:
        raise AssertionError("done again")

    monkeypatch.setattr("backprove.harness.frontends.jax_code.trace", never)
    monkeypatch.setattr("backprove.harness.judging.derivative_functions.derivative_program", never)
    monkeypatch.setattr("backprove.harness.judging.drawing.examples.draw", never)
    monkeypatch.setattr("backprove.harness.frontends.compiled.CompiledFunction.__call__", never)
    second = run()
    assert all(p.layer("compiled").agreed for p in second.properties)  # those of the first run
    assert without_times(second) == without_times(first)


@pytest.mark.parametrize("folder", ["harness", "rules", "strategies"])
def test_changed_code_starts_an_empty_cache(
    folder: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    for name in ("harness", "rules", "strategies"):
        (package / name).mkdir(parents=True)
        (package / name / "code.py").write_text("x = 1\n")
    monkeypatch.setattr(module, "__file__", str(package / "harness" / "core" / "cache.py"))
    before = module._digest()
    (package / folder / "code.py").write_text("x = 2\n")
    assert module._digest() != before


@pytest.mark.parametrize("package", ["jax", "jaxlib", "numpy", "hypothesis"])
def test_another_version_starts_an_empty_cache(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = module._digest()
    known = module.describe()
    monkeypatch.setattr(module, "describe", lambda: {**known, package: "0.0.1"})
    assert module._digest() != before


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"\x80\x05]\x94."])
def test_a_broken_file_counts_as_empty_and_is_replaced(content: bytes, home: Path) -> None:
    file = cache_of("square").file
    assert file is not None
    file.write_bytes(content)
    assert run().verdict is Verdict.HOLDS
    assert file.read_bytes() != content
    assert Cache(file).entries


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BACKPROVE_CACHE", str(tmp_path / "file"))
    module.folder.cache_clear()
    assert run().verdict is Verdict.HOLDS
    module.folder.cache_clear()


def test_off_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKPROVE_CACHE", "off")
    module.folder.cache_clear()
    assert cache_of("square").file is None
    module.folder.cache_clear()


def test_two_writers_keep_what_both_found(tmp_path: Path) -> None:
    file = tmp_path / "a.pickle"
    one, two = Cache(file), Cache(file)
    one.put("a", 1)
    two.put("b", 2)
    one.save()
    two.save()
    assert Cache(file).entries == {"a": 1, "b": 2}
    assert [p.name for p in tmp_path.iterdir()] == ["a.pickle"]


def test_only_the_latest_folders_stay(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for k in range(6):
        monkeypatch.setattr(module, "_digest", lambda k=k: f"{k:024d}")
        module.folder.cache_clear()
        assert module.folder() is not None
    assert len(list(home.iterdir())) == module.FOLDERS_KEPT


def test_a_restricted_function_is_traced_anew() -> None:
    kept = Cache()
    f = Function(square, "forward", cache=kept, key="f")
    assert f.front_end(SIGNATURE).name == "jax"
    f.restrict(NUMPY)
    assert f.front_end(SIGNATURE).name == "numpy"
    assert kept.get(("f", SIGNATURE))[0] == "jax"


def test_callables_are_named_in_order() -> None:
    kept = Cache()
    assert [kept.name(f) for f in (square, square_vjp, square)] == ["callable 0", "callable 1", "callable 0"]
