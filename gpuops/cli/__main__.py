"""`python -m gpuops.cli`: the `gpuops` command of one certain Python."""

import sys

from gpuops.cli import main

if __name__ == "__main__":
    sys.exit(main())
