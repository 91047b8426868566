"""A rule whose vjp returns a scalar where a cotangent of the input's shape is due."""

import backprove as bp

rule = bp.Rule("square", forward=lambda x: x * x, vjp=lambda x, g: (2 * x * g).sum(), inputs={"x": bp.array("n")})
