"""The examples in docs/ run, and print what the pages show."""

from __future__ import annotations

from pathlib import Path

import pytest

import gpuops
from tests.docs_runner import blocks, run_page

DOCS = Path(__file__).resolve().parents[1] / "docs"
# These two have tests of their own, which take back what the pages declare.
ALL = [page for page in sorted(DOCS.glob("*.md")) if page.name not in ("fake.md", "xp.md")]
PAGES = [page for page in ALL if any(blocks(page))]


def remove(before: set[gpuops.Operator]) -> None:
    """Remove the operators that a page declared, not those of a pack that it loaded."""
    for operator in set(gpuops.operators()) - before:
        if operator.location.file.endswith(".py"):
            continue
        undo = getattr(operator.call, "undo", None)
        if undo is not None:
            undo()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_run(page: Path) -> None:
    before = set(gpuops.operators())
    try:
        assert run_page(page) > 0
    finally:
        remove(before)


def test_a_page_that_shows_something_else_is_found_out(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1 + 1)\n```\n\nprints\n\n```text\n3\n```\n")
    with pytest.raises(AssertionError, match="page.md:2 prints:\n2"):
        run_page(page)
    page.write_text("```python\nx = 1\n```\n```python\nprint(x)\n```\n```text\n1\n```\n")
    assert run_page(page) == 2
