"""A rule whose forward map always raises."""

import backprove as bp


def forward(x):
    raise RuntimeError("the sensor is not connected")


rule = bp.Rule("sensor", forward=forward, vjp=lambda x, g: g, inputs={"x": bp.array("n")})
