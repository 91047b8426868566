"""Derivatives and gradients of a two-layer network with squared error (NN.Proofs.Autograd.FDeriv.MlpMse).

z1 = W1 x + b1, a1 = relu(z1), y = W2 a1 + b2, L = (1/out) ||y - t||^2 and G = (2/out)(y - t). Shapes per sample: W1
(h, in), b1 (h), W2 (out, h), b2 (out), x (in), t (out). In W2 and b2 nothing is assumed; in b1, x and W1 every
coordinate of z1 is nonzero.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from backprove.harness.statements.claims import Derivative, Equality
from backprove.harness.statements.theorem import theorem
from backprove.rules.lazy import jax, jnp
from backprove.rules.linalg import Tensor, mask, outer
from backprove.rules.mlp_mse import mse, mse_grad
from backprove.strategies.array import array

NETWORK = {
    "W1": array("h in"),
    "b1": array("h"),
    "W2": array("out h"),
    "b2": array("out"),
    "x": array("in"),
}
SAMPLE = {**NETWORK, "t": array("out")}


def preactivation(W1: Tensor, b1: Tensor, x: Tensor) -> Tensor:
    """`z1 = W1 x + b1`."""
    return W1 @ x + b1


def hidden(W1: Tensor, b1: Tensor, x: Tensor) -> Tensor:
    """`a1 = relu(W1 x + b1)`."""
    return jnp.maximum(preactivation(W1, b1, x), 0)


def mlp(W1: Tensor, b1: Tensor, W2: Tensor, b2: Tensor, x: Tensor) -> Tensor:
    """`y = W2 relu(W1 x + b1) + b2`."""
    return W2 @ hidden(W1, b1, x) + b2


def loss(W1: Tensor, b1: Tensor, W2: Tensor, b2: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """`L = (1/out) ||y - t||^2`."""
    return mse(mlp(W1, b1, W2, b2, x), t)


def loss_grad(W1: Tensor, b1: Tensor, W2: Tensor, b2: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """`G = (2/out) (y - t)`."""
    return mse_grad(mlp(W1, b1, W2, b2, x), t)


def off_kinks(W1: Any, b1: Any, W2: Any, b2: Any, x: Any, t: Any = None) -> bool:
    """Every coordinate of `z1 = W1 x + b1` is nonzero, over the reals."""
    w, b, v = (np.asarray(a, dtype=np.float64) for a in (W1, b1, x))
    clear = np.abs(w @ v + b) > CLEAR * (np.abs(w) @ np.abs(v) + np.abs(b))
    return bool(np.all(clear)) or _nonzero(w, b, v)


CLEAR = 2.0**-40
"""A float sum beyond this share of the sizes of its terms is no rounding error."""


def _nonzero(w: Any, b: Any, v: Any) -> bool:
    """The same in rational numbers: a float product that cancels may leave a rounding error, or lose its last digit."""
    if not all(np.isfinite(a).all() for a in (w, b, v)):
        return False
    fractions = [Fraction(value) for value in v.tolist()]
    rows = zip(w.tolist(), b.tolist(), strict=True)
    return all(sum((Fraction(p) * q for p, q in zip(row, fractions, strict=True)), Fraction(c)) != 0 for row, c in rows)


def by_coordinates(W1: Tensor, b1: Tensor, W2: Tensor, b2: Tensor, x: Tensor) -> Tensor:
    """`y_i = sum_k W2_ik max(sum_j W1_kj x_j + b1_k, 0) + b2_i`, with JAX's relu."""
    a1 = jax.nn.relu(jnp.sum(W1 * x, axis=1) + b1)
    return jnp.sum(W2 * a1, axis=1) + b2


theorem(
    "mlpVecMat",
    Equality(mlp, by_coordinates),
    inputs=NETWORK,
    latex=r"y = W_2 \operatorname{relu}(W_1 x + b_1) + b_2",
    words="The two-layer network is an affine map, ReLU, and another affine map, whichever way its sums are written.",
    covers=["affineMat", "z1", "a1", "y"],
)

# W2 and b2: no hypothesis, kinks of ReLU included

theorem(
    "hasFDerivAt_mlp_wrt_W2",
    Derivative(mlp, lambda W1, b1, W2, b2, x, dW2: dW2 @ hidden(W1, b1, x), "jvp", wrt=("W2",)),
    inputs=NETWORK,
    latex=r"D_{W_2} y\, dW_2 = dW_2\, a_1",
    words="The output is linear in W2: its derivative is dW2 times the hidden activation, at ReLU kinks too.",
    rests_on=["mlpVecMat"],
)
theorem(
    "grad_W2_mse",
    Derivative(
        loss,
        lambda W1, b1, W2, b2, x, t: outer(loss_grad(W1, b1, W2, b2, x, t), hidden(W1, b1, x)),
        "vjp",
        wrt=("W2",),
        unit_cotangent=True,
    ),
    inputs=SAMPLE,
    latex=r"\nabla_{W_2} L = G\, a_1^T, \quad G = \tfrac{2}{n_{out}} (y - t)",
    words="The gradient of the loss in W2 is the outer product of G and the hidden activation, at ReLU kinks too.",
    rests_on=["hasFDerivAt_mlp_wrt_W2", "mseGrad_eq_adjoint_fderiv", "adjoint_fderiv_comp_apply_one"],
)
theorem(
    "grad_b2_mse",
    Derivative(loss, loss_grad, "vjp", wrt=("b2",), unit_cotangent=True),
    inputs=SAMPLE,
    latex=r"\nabla_{b_2} L = G = \tfrac{2}{n_{out}} (y - t)",
    words="The gradient of the loss in b2 is G itself, at ReLU kinks too.",
    rests_on=["mlpVecMat", "mseGrad_eq_adjoint_fderiv", "adjoint_fderiv_comp_apply_one"],
)

# b1, x and W1: every coordinate of z1 nonzero


def delta1(W1: Tensor, b1: Tensor, W2: Tensor, b2: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """`m(z1) * (W2^T G)`, the gradient that arrives at the pre-activation."""
    return mask(preactivation(W1, b1, x)) * (W2.T @ loss_grad(W1, b1, W2, b2, x, t))


theorem(
    "hasFDerivAt_mlp_wrt_b1",
    Derivative(mlp, lambda W1, b1, W2, b2, x, db1: W2 @ (mask(preactivation(W1, b1, x)) * db1), "jvp", wrt=("b1",)),
    inputs=NETWORK,
    where=off_kinks,
    latex=r"D_{b_1} y\, db_1 = W_2 \left(m(z_1) \odot db_1\right), \quad (z_1)_k \neq 0",
    words="Off the kinks, the derivative of the output in b1 is W2 applied to the masked tangent.",
    rests_on=["mlpVecMat", "reluDerivCLM_apply"],
)
theorem(
    "grad_b1_mse",
    Derivative(loss, delta1, "vjp", wrt=("b1",), unit_cotangent=True),
    inputs=SAMPLE,
    where=off_kinks,
    latex=r"\nabla_{b_1} L = m(z_1) \odot (W_2^T G), \quad (z_1)_k \neq 0",
    words="Off the kinks, the gradient of the loss in b1 is W2^T G masked by the active units.",
    rests_on=["hasFDerivAt_mlp_wrt_b1", "reluDerivCLM_adjoint_apply", "mseGrad_eq_adjoint_fderiv"],
)
theorem(
    "hasFDerivAt_mlp_wrt_x",
    Derivative(mlp, lambda W1, b1, W2, b2, x, dx: W2 @ (mask(preactivation(W1, b1, x)) * (W1 @ dx)), "jvp", wrt=("x",)),
    inputs=NETWORK,
    where=off_kinks,
    latex=r"D_x y\, dx = W_2 \left(m(z_1) \odot (W_1\, dx)\right), \quad (z_1)_k \neq 0",
    words="Off the kinks, the derivative of the output in x is W2 applied to the masked W1 dx.",
    rests_on=["mlpVecMat", "reluDerivCLM_apply"],
)
theorem(
    "grad_x_mse",
    Derivative(
        loss,
        lambda W1, b1, W2, b2, x, t: W1.T @ delta1(W1, b1, W2, b2, x, t),
        "vjp",
        wrt=("x",),
        unit_cotangent=True,
    ),
    inputs=SAMPLE,
    where=off_kinks,
    latex=r"\nabla_x L = W_1^T \left(m(z_1) \odot (W_2^T G)\right), \quad (z_1)_k \neq 0",
    words="Off the kinks, the gradient of the loss in x is W1^T applied to the masked W2^T G.",
    rests_on=["hasFDerivAt_mlp_wrt_x", "getScalarE_linear_input_deriv_spec_eq_adjoint", "mseGrad_eq_adjoint_fderiv"],
)
theorem(
    "hasFDerivAt_mlp_wrt_W1",
    Derivative(
        mlp, lambda W1, b1, W2, b2, x, dW1: W2 @ (mask(preactivation(W1, b1, x)) * (dW1 @ x)), "jvp", wrt=("W1",)
    ),
    inputs=NETWORK,
    where=off_kinks,
    latex=r"D_{W_1} y\, dW_1 = W_2 \left(m(z_1) \odot (dW_1\, x)\right), \quad (z_1)_k \neq 0",
    words="Off the kinks, the derivative of the output in W1 is W2 applied to the masked dW1 x.",
    rests_on=["mlpVecMat", "reluDerivCLM_apply"],
)
theorem(
    "grad_W1_mse",
    Derivative(
        loss,
        lambda W1, b1, W2, b2, x, t: outer(delta1(W1, b1, W2, b2, x, t), x),
        "vjp",
        wrt=("W1",),
        unit_cotangent=True,
    ),
    inputs=SAMPLE,
    where=off_kinks,
    latex=r"\nabla_{W_1} L = \left(m(z_1) \odot (W_2^T G)\right) x^T, \quad (z_1)_k \neq 0",
    words="Off the kinks, the gradient of the loss in W1 is the outer product of the masked W2^T G and the input.",
    rests_on=["hasFDerivAt_mlp_wrt_W1", "mseGrad_eq_adjoint_fderiv", "adjoint_fderiv_comp_apply_one"],
)
