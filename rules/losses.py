"""Scalar loss nodes: forward map, JVP and VJP of each (Tape.Nodes.Losses).

Every loss has two arguments and is differentiated in both. Targets are any reals, not only one-hot or normalised
rows. MSE and BCE divide by the number N of all entries, the others by the number m of rows.
"""

from __future__ import annotations

from backprove.harness.statements.claims import Derivative
from backprove.harness.statements.theorem import theorem
from backprove.rules.lazy import jnp
from backprove.rules.linalg import Tensor, inner, log_softmax, over, pairing, softmax
from backprove.rules.scalar_functions import inv, log, sigmoid, softplus
from backprove.strategies.array import array

ANY = array("*shape")
ROWS = array("m n")
SCALAR = array("")


# ---- mean squared error: L = (1/N) ||yhat - t||^2, N := 1 for an empty shape


def mse(yhat: Tensor, t: Tensor) -> Tensor:
    return inner(yhat - t, yhat - t) / max(t.size, 1)


def mse_jvp(yhat: Tensor, t: Tensor, dyhat: Tensor, dt: Tensor) -> Tensor:
    return 2 * inner(yhat - t, dyhat - dt) / max(t.size, 1)


def mse_vjp(yhat: Tensor, t: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    g = 2 * d * (yhat - t) / max(t.size, 1)
    return g, -g


theorem(
    "TapeNodes.mseLoss",
    pairing(mse_jvp, mse_vjp, tangents=2),
    inputs={"yhat": ANY, "t": ANY, "dyhat": ANY, "dt": ANY, "d": SCALAR},
    latex=(
        r"\tfrac{2}{N} \langle \hat y - t, d\hat y - dt \rangle\, \delta"
        r" = \langle d\hat y, \tfrac{2\delta}{N} (\hat y - t) \rangle"
        r" - \langle dt, \tfrac{2\delta}{N} (\hat y - t) \rangle"
    ),
    words="The JVP and VJP of the mean squared error are adjoint, in prediction and target together.",
)
theorem(
    "TapeNodes.mseLossFderiv",
    Derivative(mse, mse_jvp, "jvp"),
    Derivative(
        mse,
        lambda yhat, t: (2 * (yhat - t) / max(t.size, 1), -(2 * (yhat - t)) / max(t.size, 1)),
        "vjp",
        unit_cotangent=True,
    ),
    inputs={"yhat": ANY, "t": ANY},
    latex=(
        r"L = \tfrac{1}{N} \|\hat y - t\|^2, \quad \nabla_{\hat y} L = \tfrac{2}{N} (\hat y - t),"
        r" \quad \nabla_t L = -\tfrac{2}{N} (\hat y - t)"
    ),
    words="The gradient of the mean squared error is (2/N)(yhat - t) in the prediction and its negative in the target.",
    rests_on=["TapeNodes.mseLoss"],
)


# ---- cross entropy on logits: L = -(1/m) <t, l>, l = logsoftmax(x) row by row


def cross_entropy(x: Tensor, t: Tensor) -> Tensor:
    return -over(inner(t, log_softmax(x)), x.shape[0])


def cross_entropy_jvp(x: Tensor, t: Tensor, dx: Tensor, dt: Tensor) -> Tensor:
    y, logp = softmax(x), log_softmax(x)
    dlogp = dx - jnp.sum(y * dx, axis=-1, keepdims=True)
    return -over(inner(t, dlogp) + inner(dt, logp), x.shape[0])


def cross_entropy_vjp(x: Tensor, t: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    row_sum = jnp.sum(t, axis=-1, keepdims=True)
    m = x.shape[0]
    return -over(d * (t - softmax(x) * row_sum), m), -over(d * log_softmax(x), m)


def cross_entropy_gradients(x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    row_sum = jnp.sum(t, axis=-1, keepdims=True)
    m = x.shape[0]
    return over(softmax(x) * row_sum - t, m), -over(log_softmax(x), m)


theorem(
    "TapeNodes.crossEntropyOneHotLast",
    pairing(cross_entropy_jvp, cross_entropy_vjp, tangents=2),
    inputs={"x": ROWS, "t": ROWS, "dx": ROWS, "dt": ROWS, "d": SCALAR},
    latex=(
        r"-\tfrac{\delta}{m} \left(\langle t, d\ell \rangle + \langle dt, \ell \rangle\right)"
        r" = -\tfrac{\delta}{m} \textstyle\sum_i \left(\langle dx_i, t_i - y_i \sum_j t_{ij} \rangle"
        r" + \langle dt_i, \ell_i \rangle\right),"
        r" \quad \ell = \operatorname{logsoftmax}(x), \quad d\ell_i = dx_i - \langle y_i, dx_i \rangle \mathbf{1}"
    ),
    words="The JVP and VJP of cross entropy are adjoint, in logits and targets together, for any real targets.",
    rests_on=["logSoftmaxJvp", "logSoftmaxVjp"],
)
theorem(
    "TapeNodes.crossEntropyOneHotLastFderiv",
    Derivative(cross_entropy, cross_entropy_jvp, "jvp"),
    Derivative(cross_entropy, cross_entropy_gradients, "vjp", unit_cotangent=True),
    inputs={"x": ROWS, "t": ROWS},
    latex=(
        r"L = -\tfrac{1}{m} \textstyle\sum_{ij} t_{ij} \operatorname{logsoftmax}(x_i)_j,"
        r" \quad \nabla_{x_i} L = \tfrac{1}{m} \left(y_i \textstyle\sum_j t_{ij} - t_i\right),"
        r" \quad \nabla_t L = -\tfrac{1}{m} \operatorname{logsoftmax}(x)"
    ),
    words="The gradient of cross entropy in the logits is (softmax times the row sum of t, less t)/m, for any real t.",
    rests_on=["TapeNodes.crossEntropyOneHotLast", "hasFDerivAt_logSoftmaxVec"],
)


# ---- negative log-likelihood: L = -(1/m) <t, lp>


def nll(lp: Tensor, t: Tensor) -> Tensor:
    return -over(inner(t, lp), lp.shape[0])


def nll_jvp(lp: Tensor, t: Tensor, dlp: Tensor, dt: Tensor) -> Tensor:
    return -over(inner(t, dlp) + inner(dt, lp), lp.shape[0])


def nll_vjp(lp: Tensor, t: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    return -over(d * t, lp.shape[0]), -over(d * lp, lp.shape[0])


theorem(
    "TapeNodes.nllOneHotLast",
    pairing(nll_jvp, nll_vjp, tangents=2),
    inputs={"lp": ROWS, "t": ROWS, "dlp": ROWS, "dt": ROWS, "d": SCALAR},
    latex=(
        r"-\tfrac{\delta}{m} \left(\langle t, dp \rangle + \langle dt, p \rangle\right)"
        r" = \langle dp, -\tfrac{\delta}{m} t \rangle + \langle dt, -\tfrac{\delta}{m} p \rangle"
    ),
    words="The JVP and VJP of the negative log-likelihood are adjoint, in log-probabilities and targets together.",
)
theorem(
    "TapeNodes.nllOneHotLastFderiv",
    Derivative(nll, nll_jvp, "jvp"),
    Derivative(nll, lambda lp, t: (-over(t, lp.shape[0]), -over(lp, lp.shape[0])), "vjp", unit_cotangent=True),
    inputs={"lp": ROWS, "t": ROWS},
    latex=(
        r"L = -\tfrac{1}{m} \textstyle\sum_{ij} t_{ij} p_{ij},"
        r" \quad \nabla_p L = -\tfrac{1}{m} t, \quad \nabla_t L = -\tfrac{1}{m} p"
    ),
    words="The negative log-likelihood is bilinear: its gradient is -t/m in the log-probabilities lp and -lp/m in t.",
    rests_on=["TapeNodes.nllOneHotLast"],
)


# ---- binary cross entropy on logits: L = (1/N) sum softplus(x) - t x


def bce(x: Tensor, t: Tensor) -> Tensor:
    return over(jnp.sum(softplus(x) - t * x), x.size)


def bce_jvp(x: Tensor, t: Tensor, dx: Tensor, dt: Tensor) -> Tensor:
    return over(jnp.sum(sigmoid(x) * dx - dt * x - t * dx), x.size)


def bce_vjp(x: Tensor, t: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    return over(d * (sigmoid(x) - t), x.size), -over(d * x, x.size)


theorem(
    "TapeNodes.bceWithLogits",
    pairing(bce_jvp, bce_vjp, tangents=2),
    inputs={"x": ANY, "t": ANY, "dx": ANY, "dt": ANY, "d": SCALAR},
    latex=(
        r"\tfrac{\delta}{N} \textstyle\sum_i \left(\sigma(x_i)\,dx_i - dt_i\,x_i - t_i\,dx_i\right)"
        r" = \langle dx, \tfrac{\delta}{N} (\sigma(x) - t) \rangle + \langle dt, -\tfrac{\delta}{N} x \rangle"
    ),
    words="The JVP and VJP of binary cross entropy on logits are adjoint, in logits and targets together.",
)
theorem(
    "TapeNodes.bceWithLogitsFderiv",
    Derivative(bce, bce_jvp, "jvp"),
    Derivative(bce, lambda x, t: (over(sigmoid(x) - t, x.size), -over(x, x.size)), "vjp", unit_cotangent=True),
    inputs={"x": ANY, "t": ANY},
    latex=(
        r"L = \tfrac{1}{N} \textstyle\sum_i \left(\operatorname{softplus}(x_i) - t_i x_i\right),"
        r" \quad \nabla_x L = \tfrac{1}{N} (\sigma(x) - t), \quad \nabla_t L = -\tfrac{1}{N} x"
    ),
    words="The gradient of binary cross entropy is (sigmoid(x) - t)/N in the logits x and -x/N in the targets t.",
    rests_on=["TapeNodes.bceWithLogits", "TapeNodes.softplusFderiv"],
)


# ---- Kullback-Leibler divergence: L = (1/m) <q, log|q| - lp>, log 0 = 0 and 1/0 = 0


def kl_div(lp: Tensor, q: Tensor) -> Tensor:
    return over(inner(q, log(q) - lp), lp.shape[0])


def kl_div_jvp(lp: Tensor, q: Tensor, dlp: Tensor, dq: Tensor) -> Tensor:
    """`(1/m) (<dq, log|q| - lp> + <q, dq/q - dlp>)`, with `<q, dq/q>` as `<q (1/q), dq>`, the form of the VJP.

    As it is written in the statement, `dq/q` overflows in floats where `|q| < |dq|/max`.
    """
    return over(inner(dq, log(q) - lp) + inner(q * inv(q), dq) - inner(q, dlp), lp.shape[0])


def kl_div_vjp(lp: Tensor, q: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    return -over(d * q, lp.shape[0]), over(d * (log(q) - lp + q * inv(q)), lp.shape[0])


theorem(
    "TapeNodes.klDivLast",
    pairing(kl_div_jvp, kl_div_vjp, tangents=2),
    inputs={"lp": ROWS, "q": ROWS, "dlp": ROWS, "dq": ROWS, "d": SCALAR},
    latex=(
        r"\tfrac{\delta}{m} \left(\langle dq, \log|q| - p \rangle + \langle q, \tfrac{dq}{q} - dp \rangle\right)"
        r" = \langle dp, -\tfrac{\delta}{m} q \rangle"
        r" + \langle dq, \tfrac{\delta}{m} \left(\log|q| - p + q \cdot \tfrac{1}{q}\right) \rangle"
    ),
    words="The JVP and VJP of the KL divergence are adjoint everywhere, zero and negative targets included.",
)
theorem(
    "TapeNodes.klDivLastFderivAt",
    Derivative(kl_div, kl_div_jvp, "jvp"),
    Derivative(
        kl_div,
        lambda lp, q: (-over(q, lp.shape[0]), over(log(q) - lp + 1, lp.shape[0])),
        "vjp",
        unit_cotangent=True,
    ),
    inputs={"lp": ROWS, "q": array("m n", nonzero=True)},
    latex=(
        r"L = \tfrac{1}{m} \textstyle\sum_{ij} q_{ij} (\log|q_{ij}| - p_{ij}),"
        r" \quad \nabla_p L = -\tfrac{1}{m} q, \quad \nabla_q L = \tfrac{1}{m} (\log|q| - p + 1), \quad q_{ij} \neq 0"
    ),
    words="Where no target is zero, the gradient of the KL divergence is -q/m in lp and (log|q| - lp + 1)/m in q.",
    rests_on=["TapeNodes.klDivLast", "TapeNodes.logFderivAt"],
)
