"""Rules whose code misbehaves, each between two that do not: `patches_cos`, then `right after patches_cos`.

`ERRORS` cost themselves only; `CHANGES` are judged, and what they leave behind must not reach the next rule.
"""

import atexit
import builtins
import contextlib
import ctypes
import faulthandler
import gc
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np

import backprove as bp
from backprove.harness.core.evidence import Evidence
from backprove.harness.core.verdicts import Verdict

COS = np.cos

SECONDS = "100017"
"""For which children sleep that are left behind: no other process does."""


def sine(name, vjp):
    return bp.Rule(name, forward=np.sin, vjp=vjp, inputs={"x": bp.array("n")})


def right(x, g):
    return g * np.cos(x)


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("it has no text")


def fail(why):
    raise why


def own_thread(target, *arguments, daemon=False):
    threading.Thread(target=target, args=arguments, daemon=daemon).start()


def write_everywhere():
    for descriptor in range(3, 1024):
        with contextlib.suppress(OSError):
            os.write(descriptor, b"garbage\n")


def replace_pipes():
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3, 1024):
        if descriptor != nothing:
            with contextlib.suppress(OSError):
                os.fstat(descriptor)
                os.dup2(nothing, descriptor)


def deep(n=0):
    return deep(n + 1)


def overflow_stack():
    sys.setrecursionlimit(10**6)
    threading.stack_size(0)
    return deep()


ERRORS = {
    "leaves with 0": lambda: os._exit(0),
    "leaves with 1": lambda: os._exit(1),
    "leaves with 97": lambda: os._exit(97),
    "exits": sys.exit,
    "exits with a text": lambda: sys.exit("a text"),
    "raises an interrupt": lambda: fail(KeyboardInterrupt()),
    "raises GeneratorExit": lambda: fail(GeneratorExit()),
    "aborts": os.abort,
    "kills itself": lambda: [os.kill(os.getpid(), signal.SIGKILL), time.sleep(9)],
    "terminates itself": lambda: [os.kill(os.getpid(), signal.SIGTERM), time.sleep(9)],
    "reads at address 0": lambda: ctypes.string_at(0),
    "stops itself": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "stops its group": lambda: os.killpg(0, signal.SIGKILL),
    "loops": lambda: [None for _ in iter(int, 1)],
    "sleeps": lambda: time.sleep(1e5),
    "holds the interpreter": lambda: ctypes.PyDLL(None).sleep(100000),
    "exits with a thread": lambda: [own_thread(time.sleep, 1e5), sys.exit(3)],
    "exits slowly": lambda: [atexit.register(time.sleep, 1e5), sys.exit(0)],
    "ignores signals and loops": lambda: [
        *(signal.signal(s, signal.SIG_IGN) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)),
        time.sleep(1e5),
    ],
    "closes all files": lambda: os.closerange(3, 4096),
    "closes really all files": lambda: os.closerange(0, 4096),
    "writes everywhere": write_everywhere,
    "replaces all pipes": replace_pipes,
    "raises without a text": lambda: fail(Unprintable()),
    "raises a surrogate": lambda: fail(ValueError("\ud800\x1b[31m\0")),
    "raises a long text": lambda: fail(ValueError("x" * 10**6)),
    "raises a base exception": lambda: fail(type("Strange", (BaseException,), {})()),
    "has no memory": lambda: fail(MemoryError()),
    "goes too deep": deep,
    "patches json.dumps": lambda: setattr(json, "dumps", lambda *_, **__: 1 / 0),
    "leaves a child and loops": lambda: [subprocess.Popen(["sleep", SECONDS]), time.sleep(1e5)],
    "leaves a free child and loops": lambda: [
        subprocess.Popen(["sleep", SECONDS], start_new_session=True),
        time.sleep(1e5),
    ],
    "a child holds the pipe": lambda: [os.fork() or time.sleep(1e5), os._exit(5)],
    "has no time": lambda: [resource.setrlimit(resource.RLIMIT_CPU, (1, 1)), [None for _ in iter(int, 1)]],
}

CHANGES = {
    "patches np.cos": lambda: setattr(np, "cos", np.sin),
    "patches np.sin": lambda: setattr(np, "sin", np.cos),
    "deletes np.cos": lambda: delattr(np, "cos"),
    "patches json.loads": lambda: setattr(json, "loads", lambda *_, **__: 1 / 0),
    "patches pickle": lambda: setattr(pickle, "loads", None),
    "patches len": lambda: setattr(builtins, "len", lambda _: 7),
    "patches time": lambda: setattr(time, "monotonic", lambda: 0.0),
    "patches os.getpid": lambda: setattr(os, "getpid", lambda: 1),
    "clears the environment": os.environ.clear,
    "sets a variable": lambda: os.environ.__setitem__("FAKE_WORDS", "false"),
    "moves to another folder": lambda: os.chdir("/"),
    "forks": os.fork,
    "forks twice": lambda: [os.fork(), os.fork()],
    "leaves a thread": lambda: own_thread(time.sleep, 1e5),
    "leaves a daemon": lambda: own_thread(time.sleep, 1e5, daemon=True),
    "leaves a child": lambda: subprocess.Popen(["sleep", SECONDS]),
    "lowers the files": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
    "lowers the stack": lambda: sys.setrecursionlimit(150),
    "takes signals": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "raises at overflow": lambda: np.seterr(all="raise"),
    "closes stdout": lambda: os.close(1),
    "closes stderr": lambda: os.close(2),
    "closes stdin": lambda: os.close(0),
    "has no stdout": lambda: setattr(sys, "stdout", None),
    "prints much": lambda: print("x" * 10**5),
    "prints past Python": lambda: os.write(1, b"::error::no\n"),
    "reads": sys.stdin.read,
    "makes warnings errors": lambda: warnings.simplefilter("error"),
    "collects no garbage": gc.disable,
    "takes the right to write": lambda: os.umask(0o777),
    "patches the checker": lambda: setattr(Evidence, "verdict", lambda *_: (Verdict.HOLDS, "")),
    "will dump and exit": lambda: faulthandler.dump_traceback_later(0.3, exit=True),
    "sets an alarm": lambda: signal.alarm(1),
    "sets a timer": lambda: signal.setitimer(signal.ITIMER_PROF, 0.2),
    "clears the import path": sys.path.clear,
    "traces": lambda: sys.settrace(lambda *_: 1 / 0),
    "holds on to the interpreter": lambda: sys.setswitchinterval(1e4),
}


def misbehaving(action):
    def vjp(x, g):
        found = g * COS(x)
        action()
        return found

    return vjp


RULES = {}
for _name, _action in {**ERRORS, **CHANGES}.items():
    RULES[_name] = sine(_name, misbehaving(_action))
    RULES[f"right after {_name}"] = sine(f"right after {_name}", right)
    RULES[f"wrong after {_name}"] = sine(f"wrong after {_name}", lambda x, g: g * np.sin(x))
