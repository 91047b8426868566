"""`backprove replay ID` evaluates one failing point again, in a process of its own with a time limit."""

from __future__ import annotations

import argparse
import sys

from backprove.harness.cli.options import positive
from backprove.harness.core.verdicts import Exit

EVALUATE = "backprove.harness.explaining.evaluate_again"
"""Module whose `replay` evaluates the point."""

HELP = "evaluate one failing point again; runs the file that the id names, so replay only ids that you trust"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="the id that a counterexample carries")
    parser.add_argument("--timeout", type=positive, metavar="S", help="stop after S seconds (default 600)")


def run(args: argparse.Namespace) -> Exit:
    from backprove.harness.campaign import messages
    from backprove.harness.campaign.store import Store
    from backprove.harness.campaign.workers import START_UP, TIME_LIMIT, Worker, WorkerLost
    from backprove.harness.cli.verify import THEOREMS
    from backprove.harness.core.results import is_user_code, noun
    from backprove.harness.explaining.replay import decode_id

    store = Store()
    payload = decode_id(args.id, store.subjects(), str(store.home))
    limit = args.timeout or TIME_LIMIT
    own = is_user_code(payload.kind)
    if own:
        print(f"backprove replay: running {payload.file!r}, which the id names", file=sys.stderr)
    where = f"{payload.name}, {payload.property}, {payload.dtype}"
    worker = Worker()
    try:
        request = messages.Again(EVALUATE, "" if own else THEOREMS, payload)
        # The answer is the failure in words, and empty where the point passes now.
        text = worker.request(request, messages.SeenAgain, timeout=limit + START_UP).text
    except WorkerLost as e:
        text = f"{where}: the {noun(payload.kind)} {e}"
    finally:
        worker.stop()
    print(text or f"{where}: this point passes now")
    return Exit.FAILED if text else Exit.OK
