"""ReLU, the linear layer, the mean squared error and the scalar chain rule (NN.Proofs.Autograd.FDeriv.MlpMse).

The network that these make up has its gradients in `mlp_gradients`.
"""

from __future__ import annotations

from collections.abc import Callable

from backprove.harness.statements.claims import Derivative, Equality
from backprove.harness.statements.theorem import theorem
from backprove.rules.lazy import jax, jnp
from backprove.rules.linalg import Tensor, diagonal, inner, log_softmax, mask, over, pairing, softmax
from backprove.strategies.array import array

N = array("n")


# ---- the derivative map of ReLU, a diagonal matrix


def relu_derivative(x: Tensor, dx: Tensor) -> Tensor:
    """`(dx_i m(x_i))_i`."""
    return dx * mask(x)


theorem(
    "reluDerivCLM_apply",
    Equality(relu_derivative, lambda x, dx: diagonal(mask(x)) @ dx),
    Equality(relu_derivative, lambda x, dx: jax.jvp(jax.nn.relu, (x,), (dx,))[1]),
    inputs={"x": N, "dx": N},
    latex=(
        r"\operatorname{diag}(m(x))\,dx = (dx_i\, m(x_i))_i,"
        r" \quad m(x_i) = \begin{cases} 1 & x_i > 0 \\ 0 & x_i \le 0 \end{cases}"
    ),
    words="The derivative map of ReLU multiplies the tangent by the mask of the positive entries.",
)

theorem(
    "reluDerivCLM_inner",
    pairing(relu_derivative, relu_derivative),
    inputs={"x": N, "dx": N, "d": N},
    latex=r"\langle m(x) \odot dx, \delta \rangle = \langle dx, m(x) \odot \delta \rangle",
    words="The mask map of ReLU is symmetric, kinks included.",
    rests_on=["reluDerivCLM_apply"],
)

theorem(
    "reluDerivCLM_adjoint_apply",
    Equality(lambda x, d: jax.linear_transpose(lambda dx: relu_derivative(x, dx), x)(d)[0], relu_derivative),
    Equality(lambda x, d: diagonal(mask(x)).T @ d, relu_derivative),
    inputs={"x": N, "d": N},
    latex=r"\operatorname{diag}(m(x))^T\,\delta = m(x) \odot \delta",
    words="The transpose of the mask map of ReLU is the map itself.",
    rests_on=["reluDerivCLM_inner"],
)


# ---- the input gradient of a linear layer

theorem(
    "getScalarE_linear_input_deriv_spec_eq_adjoint",
    Equality(lambda W, x, d: d @ W, lambda W, x, d: jax.linear_transpose(lambda v: W @ v, x)(d)[0]),
    Equality(lambda W, x, d: inner(W @ x, d), lambda W, x, d: inner(x, d @ W)),
    inputs={"W": array("out in"), "x": array("in"), "d": array("out")},
    latex=r"(\delta^T W)^T = W^T \delta, \quad \langle W x, \delta \rangle = \langle x, W^T \delta \rangle",
    words="The stored input gradient of a linear layer, d^T W as a vector, is the transpose of x -> W x applied to d.",
    covers=["toMatE", "toMatrix_toMatE"],
)


# ---- mean squared error of a vector, L(y) = (1/n) ||y - t||^2 with 1/0 := 0


def mse(y: Tensor, t: Tensor) -> Tensor:
    """`(1/n) ||y - t||^2`."""
    return over(inner(y - t, y - t), y.shape[0])


def mse_grad(y: Tensor, t: Tensor) -> Tensor:
    """`G(y, t) = (2/n) (y - t)`."""
    return over(2 * (y - t), y.shape[0])


def mse_grad_by_jax(y: Tensor, t: Tensor) -> Tensor:
    """The gradient in `y`, by automatic differentiation."""
    gradient: Tensor = jax.grad(mse)(y, t)
    return gradient


theorem(
    "mse",
    Equality(mse, lambda y, t: jnp.mean(jnp.square(y - t)) if y.size else jnp.sum(y)),
    inputs={"y": N, "t": N},
    latex=r"L(y) = \tfrac{1}{n} \|y - t\|_2^2",
    words="The mean squared error is the mean of the squared differences, without a factor 1/2.",
)

theorem(
    "mseGrad",
    Equality(mse_grad, mse_grad_by_jax),
    inputs={"y": N, "t": N},
    latex=r"G(y, t) = \tfrac{2}{n} (y - t) = \nabla_y L",
    words="The gradient of the mean squared error is 2/n times the difference.",
    rests_on=["mse"],
)

theorem(
    "hasFDerivAt_mse",
    Derivative(mse, lambda y, t, dy: over(2 * inner(y - t, dy), y.shape[0]), "jvp", wrt=("y",)),
    inputs={"y": N, "t": N},
    latex=r"DL(y)\,dy = \tfrac{2}{n} \langle y - t, dy \rangle",
    words="The mean squared error changes in the direction dy by (2/n) <y - t, dy>.",
    rests_on=["mse"],
)

theorem(
    "mseGrad_eq_adjoint_fderiv",
    Derivative(mse, mse_grad, "vjp", wrt=("y",), unit_cotangent=True),
    inputs={"y": N, "t": N},
    latex=r"DL(y)^{*}\,1 = \tfrac{2}{n} (y - t)",
    words="The VJP of the mean squared error with seed 1 is the gradient (2/n)(y - t).",
    rests_on=["mseGrad", "hasFDerivAt_mse"],
)


# ---- the scalar chain rule in reverse form, for several f: R^n -> R^m and g: R^m -> R


def chain_rule(
    f: Callable[..., Tensor], f_adjoint: Callable[..., Tensor], g: Callable[..., Tensor], g_grad: Callable[..., Tensor]
) -> Derivative:
    """`grad (g o f)(x) = J_f(x)^T (grad g)(f(x))` with `f_adjoint(W, x, c) = J_f(x)^T c`."""
    return Derivative(
        lambda W, x: g(f(W, x)),
        lambda W, x: f_adjoint(W, x, g_grad(f(W, x))),
        "vjp",
        wrt=("x",),
        unit_cotangent=True,
    )


def square_norm(v: Tensor) -> Tensor:
    return inner(v, v)


theorem(
    "adjoint_fderiv_comp_apply_one",
    chain_rule(lambda W, x: W @ x, lambda W, x, c: W.T @ c, square_norm, lambda v: 2 * v),
    chain_rule(
        lambda W, x: jnp.tanh(x),
        lambda W, x, c: c * (1 - jnp.tanh(x) ** 2),
        lambda v: jnp.sum(v**3),
        lambda v: 3 * v**2,
    ),
    chain_rule(
        lambda W, x: softmax(x),
        lambda W, x, c: softmax(x) * (c - inner(softmax(x), c)),
        square_norm,
        lambda v: 2 * v,
    ),
    chain_rule(
        lambda W, x: log_softmax(x),
        lambda W, x, c: c - softmax(x) * jnp.sum(c),
        lambda v: jnp.sum(jnp.sin(v)),
        jnp.cos,
    ),
    inputs={"W": array("m n"), "x": N},
    latex=r"\nabla (g \circ f)(x) = J_f(x)^T\, \nabla g(f(x))",
    words="The gradient of a scalar function of f(x) is the transposed Jacobian of f applied to its gradient at f(x).",
)
