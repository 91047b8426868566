"""The quick form runs one test of each module, and counts what it leaves out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests import quick

HERE = Path(quick.__file__).parent


class Item:
    """A test as pytest collects it, as far as the hook looks at it."""

    def __init__(self, module: str, *marks: str) -> None:
        self.path, self.marks = HERE / module, set(marks)
        self.nodeid = f"tests/{module}::test"

    def add_marker(self, name: str) -> None:
        self.marks.add(name)

    def get_closest_marker(self, name: str) -> object:
        return name if name in self.marks else None


class Config:
    """The settings of a run, as far as the hooks look at them."""

    def __init__(self, asked: bool, everything: bool = False, args: tuple[str, ...] = ("tests",)) -> None:
        self.asked, self.stash = asked, {quick._LEFT_OUT: 0}
        self.everything, self.args = everything, list(args)
        self.left: list[Any] = []
        self.hook = SimpleNamespace(pytest_deselected=self.deselected)

    def deselected(self, items: list[Any]) -> None:
        self.left += items

    def getoption(self, name: str) -> bool:
        return self.everything if name == "all_tests" else self.asked and name == "--quick"


def chosen(asked: bool) -> tuple[Config, list[Any]]:
    config = Config(asked)
    items: list[Any] = [Item(f"{m}.py") for m in "aabbb"] + [Item(quick.SLOW[0]), Item(quick.SLOW[0], "quick")]
    quick.pytest_collection_modifyitems(config, items)  # type: ignore[arg-type]
    return config, [i.path.relative_to(HERE).as_posix() for i in items]


def test_one_test_of_each_module_is_run_and_the_others_are_counted() -> None:
    config, kept = chosen(asked=True)
    assert kept == ["a.py", "b.py", quick.SLOW[0]]
    assert config.stash[quick._LEFT_OUT] == len(config.left) == 4


def test_all_tests_are_run_where_nothing_is_asked() -> None:
    config, kept = chosen(asked=False)
    assert len(kept) == 7 and not config.left


def test_long_tests_are_left_out_unless_they_are_asked_for() -> None:
    long, other = Item("trial/test_kills.py"), Item("a.py")
    for everything, args, count in ((False, ("tests",), 1), (True, ("tests",), 0), (False, ("tests/a.py::test",), 0)):
        config, items = Config(False, everything, args), [long, other]
        quick.pytest_collection_modifyitems(config, items)  # type: ignore[arg-type]
        assert config.stash[quick._LEFT_OUT] == len(config.left) == count == 2 - len(items)
        assert other in items


def test_slow_modules_are_modules_of_today() -> None:
    assert all((HERE / name).is_file() for name in quick.SLOW)
