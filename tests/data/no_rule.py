"""A file without a rule."""

import numpy as np

answer = np.float64(42)
