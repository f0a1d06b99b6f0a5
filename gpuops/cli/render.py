"""How the command line's findings look on a terminal."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpuops.overhead import Overhead

__all__ = [
    "console",
    "overhead_table",
    "progress_console",
    "show_broken_packs",
    "show_facts",
    "show_operators",
    "size",
    "table",
    "throughput_table",
]


def console() -> Console:
    """Where results go: standard output, as wide as needed where it is no terminal."""
    found = Console(highlight=False)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        # In a file or a pipe nothing is gained by folding lines at 80 columns.
        found = Console(highlight=False, width=160)
    return found


def progress_console() -> Console:
    """Where progress goes: standard error, so that results can be piped."""
    return Console(stderr=True, highlight=False)


def show_broken_packs(packs: Mapping[str, str | None], out: Console) -> None:
    """Print which packs cannot be imported, and why."""
    for pack, error in packs.items():
        if error is not None:
            out.print(Text(f"the pack {pack} cannot be imported: {error}", style="red"))


def size(count: float) -> str:
    """A number of bytes as people write it.

    >>> size(512), size(1536), size(3 * 2**30)
    ('512 B', '1.5 KiB', '3.0 GiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("the last unit takes everything")


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, text: int = 1
) -> Table:
    """A table whose first `text` columns are text and whose other columns are numbers."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for index, column in enumerate(columns):
        made.add_column(column, justify="left" if index < text else "right", overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def show_facts(facts: Mapping[str, Any], out: Console) -> None:
    """Print what `gpuops info` found."""
    head = [(name, str(facts[name])) for name in ("gpuops", "location", "python", "platform")]
    head += [("numpy", str(facts["numpy"])), ("debug mode", "on" if facts["debug"] else "off")]
    out.print(table("gpuops", ["", ""], head, text=2))

    devices = [(row["device"], _device_text(row)) for row in facts["devices"]]
    if facts["no_cuda_because"]:
        devices.append(("cuda", f"none: {facts['no_cuda_because']}"))
    out.print(table("Devices", ["device", "what"], devices, text=2))

    extras = [
        (extra, ", ".join(f"{name} {version or '(missing)'}" for name, version in parts.items()))
        for extra, parts in facts["extras"].items()
    ]
    extras = extras or [("", "unknown: gpuops runs from a source tree, without being installed")]
    out.print(table("Extras", ["extra", "brings"], extras, text=2))

    packs = [(name, error or "imported") for name, error in facts["packs"].items()]
    out.print(table("Packs", ["pack", "state"], packs or [("", "none installed")], text=2))

    caches = [
        (row["name"], row["folder"], str(row["files"]), size(row["bytes"]))
        for row in facts["caches"]
    ]
    out.print(table("Caches", ["cache", "folder", "files", "size"], caches, text=2))


def _device_text(row: Mapping[str, Any]) -> str:
    if row["device"] == "cpu":
        return f"{row['name']}, {row['cores']} cores"
    return (
        f"{row['name']}, compute capability {row['compute_capability']}, "
        f"{size(row['memory_bytes'])}"
    )


def show_operators(operators: Sequence[Mapping[str, Any]], out: Console) -> None:
    """Print what `gpuops ops` found: each operator with its kernels below it."""
    for row in operators:
        out.print(Text(row["schema"], style="bold"))
        out.print(Text(f"    declared at {row['declared_at']}", style="dim"))
        for device, kernel in row["kernels"].items():
            out.print(Text(f"    {device:8} {kernel}"))
        if not row["kernels"]:
            out.print(Text("    no kernel"))


def overhead_table(rows: Iterable[Overhead]) -> Table:
    """The price of a call."""
    return table(
        "The price of a call, ns",
        ["call", "kernel by hand", "forwarding function", "operator", "added", "of forwarding"],
        [
            (
                row.call,
                f"{row.direct_ns:.0f}",
                f"{row.wrapper_ns:.0f}",
                f"{row.operator_ns:.0f}",
                f"{row.added_ns:.0f}",
                f"{row.ratio:.1f}x",
            )
            for row in rows
        ],
    )


def throughput_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """The kernels beside the NumPy reference."""
    return table(
        "Throughput",
        ["operator", "input", "device", "reference ms", "kernel ms", "GB/s", "speed-up"],
        [
            (
                row["operator"],
                row["shape"],
                row["device"],
                f"{row['reference_ms']:.3f}",
                f"{row['kernel_ms']:.3f}",
                f"{row['gb_per_s']:.1f}",
                f"{row['speedup']:.1f}x",
            )
            for row in rows
        ],
        text=3,
    )
