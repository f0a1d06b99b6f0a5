"""The `gpuops` command. It needs the extra `cli` (typer and rich); nothing else imports it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        arguments: what follows the program's name; None takes it from `sys.argv`.

    Returns:
        0 if all went well; 1 if a check failed or something is missing; 2 for wrong arguments,
        with one line about them on standard error; 130 after an interrupt.
    """
    try:
        from gpuops.cli.app import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"rich", "typer"}:
            raise
        print(  # noqa: T201  # there is no console to print with
            f"gpuops: the command line needs {error.name}: pip install 'gpuops[cli]'",
            file=sys.stderr,
        )
        return 1
    return run(sys.argv[1:] if arguments is None else arguments)
