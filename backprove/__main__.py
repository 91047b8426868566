"""`python -m backprove` is the command `backprove`."""

import sys

from backprove.harness.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
