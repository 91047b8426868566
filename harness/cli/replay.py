"""`backprove replay ID` evaluates one failing point again."""

from __future__ import annotations

import argparse
import importlib

from backprove.harness.core.verdicts import Exit

EVALUATE = "backprove.harness.explaining.evaluate_again"
"""Module whose `replay` evaluates the point."""

HELP = "evaluate one failing point again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="the id that a counterexample carries")


def run(args: argparse.Namespace) -> Exit:
    from backprove.harness.campaign.store import Store
    from backprove.harness.cli.verify import THEOREMS
    from backprove.harness.core.results import is_user_code
    from backprove.harness.explaining.replay import decode_id

    store = Store()
    payload = decode_id(args.id, store.subjects(), str(store.home))
    if not is_user_code(payload.kind):
        importlib.import_module(THEOREMS).load()
    # The answer is the failure in words, and empty where the point passes now.
    text = importlib.import_module(EVALUATE).replay(payload)
    where = f"{payload.name}, {payload.property}, {payload.dtype}"
    print(text or f"{where}: this point passes now")
    return Exit.FAILED if text else Exit.OK
