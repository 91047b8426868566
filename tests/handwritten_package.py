"""A small package with hand-written rules of every form, for the tests of `coverage`."""

from __future__ import annotations

from pathlib import Path

FILES = {
    "__init__.py": "from .ops import softplus\n",
    "compat.py": """\
from functools import partial
import jax
from jax import custom_vjp as cv
fixed_first = partial(jax.custom_jvp, nondiff_argnums=(0,))
""",
    "ops.py": """\
import functools
import jax
import jax.numpy as jnp
from .compat import cv, fixed_first


@jax.custom_jvp
def softplus(x):
    return jnp.logaddexp(x, 0)


@softplus.defjvp
def _(primals, tangents):
    (x,), (t,) = primals, tangents
    return softplus(x), t * jax.nn.sigmoid(x)


@functools.partial(cv, nondiff_argnums=(1,))
def power(x, n):
    return x**n


def power_fwd(x, n):
    return x**n, x


def power_bwd(n, x, g):
    return (1.5 * g * n * x ** (n - 1),)


power.defvjp(power_fwd, power_bwd)


@fixed_first
def scaled(a, x):
    return a * x


@scaled.defjvp
def scaled_jvp(a, primals, tangents):
    return a * primals[0], a * tangents[0]


def make(k):
    inner = cv(lambda x: k * x)
    inner.defvjp(lambda x: (k * x, None), lambda r, g: (k * g,))
    return inner


sine = jax.custom_vjp(jnp.sin)


def sine_bwd(x, g):
    return (g * jnp.cos(x),)


sine.defvjp(lambda x: (jnp.sin(x), x), sine_bwd)
quick = jax.jit(softplus)


@jax.jit
def custom_jvp(x):  # a name alone is no rule
    return x
""",
    "sub/layers.py": """\
import torch
from torch.autograd import Function as F


class Base(F):
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * g


class Square(Base):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x


class NoDerivative(F):
    @staticmethod
    def forward(ctx, x):
        return x


class Module(torch.nn.Module):
    def forward(self, x):
        return x

    def backward(self, g):
        return g


def build():
    class Inside(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 3 * x

        @staticmethod
        def backward(ctx, g):
            return 3 * g

    return Inside
""",
    "broken.py": "def custom_vjp(:\n",
    "unrelated.py": "def broken_too(:\n",
}
RULES = {
    "ops.softplus": ("jax.custom_jvp", 8),
    "ops.power": ("jax.custom_vjp", 19),
    "ops.scaled": ("jax.custom_jvp", 35),
    "ops.make.<locals>.inner": ("jax.custom_vjp", 45),
    "ops.sine": ("jax.custom_vjp", 50),
    "sub.layers.Square": ("torch.autograd.Function", 12),
    "sub.layers.build.<locals>.Inside": ("torch.autograd.Function", 34),
}
"""What is to be found, with its kind and line."""


def write(folder: Path, name: str) -> Path:
    """Write the package into a folder."""
    for file, text in FILES.items():
        path = folder / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / name
