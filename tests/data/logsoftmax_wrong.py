"""A log-softmax over the rows of a batch whose backward keeps only the diagonal: a classic mistake."""

import numpy as np

import backprove as bp


def logsoftmax(z):
    c = z.max(axis=1, keepdims=True)
    return z - c - np.log(np.exp(z - c).sum(axis=1, keepdims=True))


def logsoftmax_backward(out, g):
    return g * (1 - np.exp(out))


rule = bp.Rule(
    "logsoftmax",
    forward=logsoftmax,
    vjp=lambda z, g: logsoftmax_backward(logsoftmax(z), g),
    inputs={"z": bp.array("m n")},
)
