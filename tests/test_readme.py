"""The README's examples do what it says, and its links and commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import gpuops

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_the_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"__name__": "readme"}
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    for number, block in enumerate(blocks):
        exec(compile(block, f"<README, example {number}>", "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    # What the README shows as printed, "..." standing for the rest of a line.
    shown = re.findall(r"print\(.*\) +# (.*)$", "\n".join(blocks), re.MULTILINE)
    shown += re.findall(r"^# (mylib.*)$", "\n".join(blocks), re.MULTILINE)
    assert len(shown) == len(printed) == 3
    for expected, line in zip(shown, printed, strict=True):
        assert line == expected or line.startswith(expected.removesuffix(" ..."))
    names["scale_add"].undo()  # type: ignore[attr-defined]


def test_links_lead_to_files() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^)#]+)\)", prose):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_commands_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z]+)", README)) <= targets
    for name in re.findall(r"`gpuops\.([a-z_]+)", README):
        assert hasattr(gpuops, name), name


def test_every_public_name_has_a_docstring() -> None:
    for name in gpuops.__all__:
        value = getattr(gpuops, name)
        assert callable(value) is False or value.__doc__, name
