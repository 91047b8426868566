"""`python -m backprove` is the command `backprove`."""

import os
import sys

# `python -m` puts the working directory first, and a json.py in it would be taken for the library's.
_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if sys.path and sys.path[0] in ("", os.getcwd()) and os.getcwd() != _HOME:
    del sys.path[0]

from backprove.harness.cli.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
