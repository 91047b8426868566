"""Theorems can be stated, and kept traces of them run, without what takes long to import."""

from __future__ import annotations

import subprocess
import sys

import jax.numpy

from backprove.rules.lazy import jnp


def test_the_engine_and_the_theorems_import_nothing_that_takes_long() -> None:
    code = (
        "import sys, backprove.harness.campaign.subjects, backprove.rules.all as rules; assert len(rules.load()) > 80\n"
        "print(sorted({'hypothesis', 'jax', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_a_function_named_before_jax_is_imported_is_that_of_jax() -> None:
    code = (
        "import sys; from backprove.rules.lazy import jnp; f = jnp.exp; assert f is jnp.exp\n"
        "assert 'jax' not in sys.modules; print(float(f(0.0)), f is jnp.exp)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "1.0 False\n"
    assert jnp.exp is jax.numpy.exp
