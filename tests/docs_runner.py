"""Running the examples of a page: its ``python`` blocks in order, in one namespace.

Where a ``text`` block follows a ``python`` block, it is what that block prints. Blocks that show a
session (``>>> ``) are `doctest`'s.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["blocks", "run_page"]

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> Iterator[tuple[int, str, str | None]]:
    """Line, code, and the output that is shown, of each python block."""
    found = list(_BLOCK.finditer(page.read_text(encoding="utf-8")))
    for number, match in enumerate(found):
        if match[1] != "python" or match[2].startswith(">>> "):
            continue
        after = found[number + 1] if number + 1 < len(found) else None
        between = page.read_text(encoding="utf-8")[match.end() : after.start() if after else None]
        shown = after[2] if after and after[1] == "text" and len(between.strip()) < 60 else None
        line = page.read_text(encoding="utf-8")[: match.start(2)].count("\n") + 1
        yield line, match[2], shown


def run_page(page: Path) -> int:
    """Run a page's examples and compare what they print with what the page shows; how many.

    Raises:
        AssertionError: an example prints something else.
    """
    names: dict[str, Any] = {"__name__": "docs"}
    count = 0
    for line, code, shown in blocks(page):
        printed = io.StringIO()
        # The line numbers of the page in tracebacks.
        compiled = compile("\n" * (line - 1) + code, page.name, "exec")
        with contextlib.redirect_stdout(printed):
            exec(compiled, names)
        if shown is not None:
            got = printed.getvalue()
            assert got.split() == shown.split(), f"{page.name}:{line} prints:\n{got}"
        count += 1
    return count
