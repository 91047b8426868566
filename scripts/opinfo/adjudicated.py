"""Who is right where an operator of torch is refused, as far as that was looked at by hand."""

from __future__ import annotations

ADJUDICATED: dict[str, str] = {
    "addcdiv": "torch is inaccurate: the backward divides by the square of the divisor, which underflows: 0/0 for 0.",
    **dict.fromkeys(
        ("as_strided", "as_strided.partial_views", "as_strided_copy"),
        "By definition: the operator reads the memory behind its input, whatever its layout.",
    ),
    "as_strided_scatter": (
        "A bug of torch: the gradient of the first argument is kept where it was overwritten and dropped elsewhere."
    ),
    "atan2": "torch is inaccurate: the backward divides by x^2 + y^2, which underflows: inf at (0, 6e-162).",
    "cholesky": "A convention: torch reads the lower triangle and gives the symmetric part of the gradient.",
    "frexp": (
        "A bug of torch: the backward divides by 2^exponent, which it computes in float32 whatever the input's format: "
        "inf for 8.3e121 at 1e-122 in float64."
    ),
    "hypot": "torch is inaccurate: NaN at (0, 0), the backward divides by the result.",
    "normal": "By definition: what is drawn counts as a constant, whatever its mean and deviation.",
    "masked.median": "A bug of torch: along an axis of stride 0 median and nanmedian read memory behind their input.",
    "masked.prod": "torch is inaccurate: the backward divides the product, which underflows, by each factor.",
    "native_group_norm": "A bug of torch: a weight or bias with strides is read as if it had none.",
    "nn.functional.binary_cross_entropy": (
        "torch is inaccurate: the backward divides by no less than 1e-12, so that the slope at 5e-13 for label 0 is "
        "0.5 instead of 1."
    ),
    "nn.functional.cosine_similarity": (
        "A bug of torch: where a norm is below eps forward divides by eps, and the backward differentiates the norm "
        "all the same."
    ),
    "nn.functional.hinge_embedding_loss": "By definition: the sample's labels move, and the loss jumps in them.",
    "nn.functional.max_unpool3d": "By definition: the sample's indices repeat; forward keeps one of the entries.",
    "nn.functional.softshrink": "A bug of torch: with lambd=0 it is the identity, whose slope at 0 it says is 0.",
    "polar": "A bug of torch: the gradient of the modulus is 0 at 0, and has the wrong sign where it is negative.",
    "nn.functional.hardsigmoid": "torch is inaccurate: in float64 its backward multiplies by 1/6 rounded to float32.",
    **dict.fromkeys(
        ("scatter_reduce.amax", "scatter_reduce.amin"),
        "A bug of torch: with include_self=False an entry that equals the one it takes the place of gets half of it.",
    ),
}
"""Operator -> what was found out."""
