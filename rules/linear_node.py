"""The linear-layer tape node on a rank-1 slot of the context (Tape.Nodes.Elementwise).

A context is a list of tensors, here (x, z): the node reads x. Reading a slot and writing a vector into it, with zeros
in the others, are adjoint maps, which is why the node's VJP is zero outside its slot.
"""

from __future__ import annotations

from backprove.harness.statements.claims import Derivative, Equality
from backprove.harness.statements.theorem import theorem
from backprove.rules.lazy import jnp
from backprove.rules.linalg import Tensor, inner
from backprove.strategies.array import array

Context = tuple[Tensor, Tensor]


def get_vec(context: Context) -> Tensor:
    """Read the first slot of the context."""
    return context[0]


def single_vec(v: Tensor, context: Context) -> Context:
    """`v` in the first slot of a context shaped like `context`, zeros elsewhere."""
    return v, jnp.zeros_like(context[1])


theorem(
    "TapeNodes.linear",
    Equality(lambda W, dx, dz, d: inner(W @ dx, d), lambda W, dx, dz, d: inner(dx, W.T @ d)),
    Equality(
        lambda W, dx, dz, d: inner(W @ get_vec((dx, dz)), d),
        lambda W, dx, dz, d: inner((dx, dz), single_vec(W.T @ d, (dx, dz))),
    ),
    inputs={"W": array("out in"), "dx": array("in"), "dz": array("k"), "d": array("out")},
    latex=r"\langle W\,dx, \delta \rangle = \langle dx, W^T \delta \rangle = \langle (dx, dz), (W^T \delta, 0) \rangle",
    words="The linear node's JVP W dx and VJP W^T d are adjoint, the latter with zeros in the slots not read.",
    covers=[
        "TapeNodes.getVec",
        "TapeNodes.getVecCLM",
        "TapeNodes.getCLM_apply_ofLp",
        "TapeNodes.singleVec",
        "TapeNodes.unaryOp",
    ],
)

theorem(
    "TapeNodes.linearFderiv",
    Derivative(lambda W, b, x: W @ x + b, lambda W, b, x, dx: W @ dx, "jvp", wrt=("x",)),
    Derivative(lambda W, b, x: W @ x + b, lambda W, b, x, d: W.T @ d, "vjp", wrt=("x",)),
    inputs={"W": array("out in"), "b": array("out"), "x": array("in")},
    latex=r"D_x(W x + b)\,dx = W\,dx",
    words="A linear layer, as a function of its input, has the derivative dx -> W dx everywhere.",
    rests_on=["TapeNodes.linear"],
    covers=["TapeNodes.unaryOpFderiv"],
)
