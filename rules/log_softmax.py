"""Log-softmax on R^n: its Jacobian, JVP, VJP and their duality (NN.Proofs.Autograd.FDeriv.LogSoftmax).

Throughout y = softmax(x). At n = 0 softmax and log-softmax are the identity.
"""

from __future__ import annotations

from backprove.harness.statements.claims import Derivative, Equality, Positivity
from backprove.harness.statements.theorem import theorem
from backprove.rules.lazy import jax, jnp
from backprove.rules.linalg import Tensor, identity, inner, jacobian, log_softmax, pairing, softmax
from backprove.strategies.array import array

N = array("n")


def sum_exp(x: Tensor) -> Tensor:
    """`S(x) = sum_i e^{x_i}`, unshifted as in the statement: floats may underflow or overflow, the reals do not."""
    return jnp.sum(jnp.exp(x))


def log_softmax_matrix(x: Tensor) -> Tensor:
    """The Jacobian `I - 1 y^T`, shape (n, n)."""
    return identity(x) - softmax(x)[None, :]


def log_softmax_jvp(x: Tensor, dx: Tensor) -> Tensor:
    """`dx_i - s` with `s = <y, dx>`."""
    return dx - inner(softmax(x), dx)


def log_softmax_vjp(x: Tensor, d: Tensor) -> Tensor:
    """`d_i - y_i t` with `t = sum_i d_i`."""
    return d - softmax(x) * jnp.sum(d)


def log_softmax_of_logsumexp(x: Tensor) -> Tensor:
    """`x_i - log sum_j e^{x_j}` through JAX's logsumexp; identity for n = 0."""
    return x - jax.nn.logsumexp(x) if x.size else x


def library_log_softmax(x: Tensor) -> Tensor:
    """JAX's log-softmax; identity for n = 0."""
    return jax.nn.log_softmax(x, axis=-1) if x.size else x


theorem(
    "sumExp_pos",
    Positivity(sum_exp),
    inputs={"x": N},
    where=lambda x: x.size >= 1,
    latex=r"S(x) = \sum_i e^{x_i} > 0",
    words="A sum of at least one exponential is positive.",
)

theorem(
    "sumExp_ne_zero",
    Positivity(sum_exp, nonzero=True),
    inputs={"x": N},
    where=lambda x: x.size >= 1,
    latex=r"S(x) = \sum_i e^{x_i} \neq 0",
    words="A sum of at least one exponential is never zero, so log-softmax may take its logarithm.",
    rests_on=["sumExp_pos"],
)

theorem(
    "logSoftmaxVec",
    Equality(log_softmax, library_log_softmax),
    Equality(log_softmax, log_softmax_of_logsumexp),
    inputs={"x": N},
    latex=r"\operatorname{logsoftmax}(x)_i = x_i - \log \sum_j e^{x_j}",
    words="The log-softmax of the statement is the library's: each entry less the log of the sum of exponentials.",
    rests_on=["sumExp_ne_zero"],
)

theorem(
    "logSoftmaxDerivCoord",
    Equality(lambda x, dx: dx - inner(softmax(x), dx), lambda x, dx: jacobian(log_softmax, x) @ dx),
    Equality(lambda x, dx: log_softmax_matrix(x), lambda x, dx: jacobian(log_softmax, x)),
    inputs={"x": N, "dx": N},
    where=lambda x, dx: x.size >= 1,
    latex=(
        r"dx_i - \langle y, dx \rangle = (J(x)\,dx)_i, \quad J(x) = I - \mathbf{1} y^T,"
        r" \quad y = \operatorname{softmax}(x)"
    ),
    words="For every i the functional dx_i - <y, dx> is row i of the log-softmax Jacobian.",
    rests_on=["logSoftmaxVec"],
)

theorem(
    "logSoftmaxDerivCLM",
    Derivative(log_softmax, lambda x, dx: log_softmax_matrix(x) @ dx, "jvp"),
    inputs={"x": N},
    latex=r"D\operatorname{logsoftmax}(x)\,dx = (I - \mathbf{1} y^T)\,dx, \quad y = \operatorname{softmax}(x)",
    words="The derivative of log-softmax is the matrix I - 1 y^T, with y the softmax of the input.",
    rests_on=["logSoftmaxDerivCoord"],
)

theorem(
    "logSoftmaxJvp",
    Derivative(log_softmax, log_softmax_jvp, "jvp"),
    inputs={"x": N},
    latex=r"\operatorname{jvp}(x, dx)_i = dx_i - s, \quad s = \langle \operatorname{softmax}(x), dx \rangle",
    words="The closed-form JVP, each tangent entry less its softmax-weighted mean, is the JVP of log-softmax.",
    rests_on=["logSoftmaxVec"],
)

theorem(
    "logSoftmaxVjp",
    Derivative(log_softmax, log_softmax_vjp, "vjp"),
    inputs={"x": N},
    latex=(
        r"\operatorname{vjp}(x, \delta)_i = \delta_i - y_i t, \quad t = \sum_i \delta_i,"
        r" \quad y = \operatorname{softmax}(x)"
    ),
    words="The closed-form VJP, the cotangent less softmax times the sum of the cotangent, is the VJP of log-softmax.",
    rests_on=["logSoftmaxVec"],
)

theorem(
    "logSoftmaxJvp_eq_deriv",
    Equality(log_softmax_jvp, lambda x, dx: log_softmax_matrix(x) @ dx),
    inputs={"x": N, "dx": N},
    latex=r"dx_i - \langle y, dx \rangle = ((I - \mathbf{1} y^T)\,dx)_i, \quad y = \operatorname{softmax}(x)",
    words="The closed-form JVP is the matrix I - 1 y^T applied to the tangent.",
    rests_on=["logSoftmaxDerivCLM", "logSoftmaxJvp"],
)

theorem(
    "inner_logSoftmaxJvp_vjp",
    pairing(log_softmax_jvp, log_softmax_vjp),
    inputs={"x": N, "dx": N, "d": N},
    latex=(
        r"\langle dx - \langle y, dx \rangle \mathbf{1},\, \delta \rangle"
        r" = \langle dx,\, \delta - \left(\textstyle\sum_i \delta_i\right) y \rangle,"
        r" \quad y = \operatorname{softmax}(x)"
    ),
    words="The JVP and the VJP of log-softmax are adjoint to each other at every point.",
    rests_on=["logSoftmaxJvp", "logSoftmaxVjp"],
)

theorem(
    "hasFDerivAt_logSoftmaxVec",
    Derivative(log_softmax, lambda x, dx: dx - inner(softmax(x), dx) * jnp.ones_like(x), "jvp"),
    inputs={"x": N},
    latex=r"D\operatorname{logsoftmax}(x)\,dx = dx - \langle \operatorname{softmax}(x), dx \rangle \mathbf{1}",
    words="Log-softmax is differentiable everywhere, with derivative dx - <softmax(x), dx> 1.",
    rests_on=["logSoftmaxDerivCLM", "logSoftmaxJvp_eq_deriv", "sumExp_ne_zero"],
)
