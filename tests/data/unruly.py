"""Rules that end the interpreter, hang or print, between rules that behave."""

import os
import time

import backprove as bp


def stated(name, vjp):
    return bp.Rule(name, forward=lambda x: 2 * x, vjp=vjp, inputs={"x": bp.array("n")})


def crash(x, g):
    os._exit(7)


def abort(x, g):
    os.abort()


def hang(x, g):
    while True:
        time.sleep(0.05)


def loud(x, g):
    print('{"type": "result"}')
    return 2 * g


before = stated("before", lambda x, g: 2 * g)
crashes = stated("crashes", crash)
aborts = stated("aborts", abort)
hangs = stated("hangs", hang)
prints = stated("prints", loud)
after = stated("after", lambda x, g: 2 * g)
