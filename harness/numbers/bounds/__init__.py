"""Running error bounds tell how far the floats of this very code may be from its value over the reals."""
