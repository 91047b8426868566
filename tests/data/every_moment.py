"""Run a small campaign again and again in forked processes; each ends another way, one file operation later.

    every_moment.py kill|interrupt|full FOLDER STRIDE

The campaign is of the stand-in for the engine. After each ending everything there must be whole, and the same command
with `--resume` must give the results of a run that nothing disturbed. Prints how many endings were tried.
"""

import json
import os
import resource
import signal
import sys
import traceback
from pathlib import Path

from backprove.harness.campaign import parts, workers
from backprove.harness.cli import verify
from backprove.harness.cli.main import main

WRITES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.utime"}
NEVER = 10**9
ACCEPTED = {"kill": {-signal.SIGKILL}, "interrupt": {4}, "full": {1, 2}}
"""Exit statuses; 1 is that of the undisturbed run."""

workers.ENGINE = verify.THEOREMS = "fake_engine"
parts.PART_POINTS = 100


class Ending:
    """How the campaign ends, and before which of the operations that change a file or folder."""

    def __init__(self, how):
        self.how, self.seen, self.at = how, 0, NEVER

    def count(self, event, arguments):
        """An audit hook: is called before each operation."""
        if event == "open":
            flags = arguments[2]
            changes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR) and arguments[0] != os.devnull
        else:
            changes = event in WRITES
        self.seen += bool(changes)
        if changes and self.seen == self.at:
            self.end()

    def end(self):
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.how == "interrupt":
            signal.raise_signal(signal.SIGINT)
        else:  # no file may grow beyond these bytes: writes stop in the middle
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))


def campaign(folder, *options):
    os.environ["BACKPROVE_HOME"] = str(folder / "home")
    arguments = ["verify", "--points", "300", "--dtype", "float64", "--executor", "serial"]
    return main([*arguments, "--out", str(folder / "out"), *options])


def run(ending, folder, at, *options):
    """The exit status of the campaign in a process of its own, ended before its operation `at`."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 99
    try:
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        folder.mkdir(exist_ok=True)
        ending.seen, ending.at = 0, at
        status = campaign(folder, *options)
    except BaseException:
        ending.at = NEVER
        Path(folder / "traceback").write_text(traceback.format_exc())
    finally:
        os._exit(status)


def results(folder):
    """The bytes of the stored run without times and host facts."""
    found = json.loads((folder / "out" / "results.json").read_text())
    for name in ("started", "seconds", "environment"):
        del found[name]
    for subject in found["subjects"]:
        for p in subject["properties"]:
            del p["seconds"]
    return json.dumps(found)


def check_whole(folder):
    for file in folder.rglob("*.json"):
        json.loads(file.read_text())
    for file in folder.rglob("*.html"):
        assert file.read_text().rstrip().endswith("</html>"), file


def try_all(how, folder, stride):
    ending = Ending(how)
    (folder / "undisturbed").mkdir()
    sys.addaudithook(ending.count)
    assert campaign(folder / "undisturbed") == 1
    operations = ending.seen
    expected = results(folder / "undisturbed")
    tried = range(1, operations + 1, stride)
    for k in tried:
        here = folder / str(k)
        status, log = run(ending, here, k), here / "traceback"
        assert status in ACCEPTED[how], (k, status, log.exists() and log.read_text())
        check_whole(here)
        status = run(ending, here, NEVER, "--resume")
        assert status == 1 and results(here) == expected, (k, status)
        left = [str(p) for p in here.rglob(".*") if p.name != ".gitignore"]
        assert not left, (k, left)
    print(operations, len(tried))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try_all(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
