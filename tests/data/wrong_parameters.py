"""A rule whose vjp takes no cotangent."""

import backprove as bp

rule = bp.Rule("square", forward=lambda x: x * x, vjp=lambda x: 2 * x, inputs={"x": bp.array("n")})
