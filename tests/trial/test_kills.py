"""A campaign whose main process or workers are killed at random moments is resumed to the results of a quiet one."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.harness.campaign.test_campaign_safety import PARTS, Campaign, children, ended, expected, linux

KILLS = int(os.environ.get("BACKPROVE_TRIAL_KILLS", "3"))
"""Forty and more were tried; a few stand in the suite."""

__all__ = ["expected"]  # a fixture

pytestmark = [linux, pytest.mark.skipif(not hasattr(os, "killpg"), reason="kills")]


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_kill_at_a_random_moment(seed: int, root: Path, tmp_path: Path, expected: Any) -> None:
    chance = random.Random(seed)
    campaign = Campaign(root, tmp_path)
    process = campaign.start(hold=chance.randrange(1, 2 * PARTS))
    with ended(process):
        moment = time.monotonic() + chance.uniform(0.2, 2.5)
        while time.monotonic() < moment and process.poll() is None:
            time.sleep(0.02)
        workers = children(process.pid)
        victim = chance.choice([process.pid, *workers])
        os.kill(victim, signal.SIGKILL)
        if victim == process.pid:
            process.communicate(timeout=30)
            for pid in workers:
                until = time.monotonic() + 5
                while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
                    time.sleep(0.02)
                assert not Path(f"/proc/{pid}").exists()
        else:
            campaign.go_on()
            process.communicate(timeout=120)
    campaign.finish(expected, again=2 * PARTS)
