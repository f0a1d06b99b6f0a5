"""Verdicts of `gpuops check` as a JUnit report, which CI servers read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from gpuops.cli.check import Verdict

__all__ = ["write_junit"]

# What XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Elements of a test case, by status. A failure that is expected is JUnit's skipped test, as pytest
# writes it.
_ELEMENTS = {"failed": "failure", "error": "error", "expected": "skipped", "skipped": "skipped"}


def write_junit(verdicts: Sequence[Verdict], path: Path) -> None:
    """Write a report with a test case for each verdict.

    Raises:
        OSError: it cannot be written.
    """
    found = [_ELEMENTS.get(verdict.status) for verdict in verdicts]
    suite = ET.Element(
        "testsuite",
        name="opcheck",
        tests=str(len(verdicts)),
        failures=str(found.count("failure")),
        errors=str(found.count("error")),
        skipped=str(found.count("skipped")),
        time=f"{sum(verdict.seconds for verdict in verdicts):.3f}",
    )
    for verdict, element in zip(verdicts, found, strict=True):
        name = f"{verdict.check}[{verdict.case}]" if verdict.case else verdict.check
        entry = ET.SubElement(
            suite,
            "testcase",
            classname=_text(verdict.operator),
            name=_text(name),
            time=f"{verdict.seconds:.3f}",
        )
        if element is not None:
            problem = _text(verdict.problem or "")
            first = problem.split("\n", 1)[0]
            ET.SubElement(entry, element, message=first).text = problem
    ET.indent(suite)
    ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def _text(value: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", value)
