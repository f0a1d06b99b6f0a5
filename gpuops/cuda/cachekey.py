"""What a compiled kernel depends on, as a digest; and which compiler made it.

In the digest: the source, the headers it includes that do not come with CUDA, the options, the
kernel's name and the architecture. Not in it: where the source lies, when it was written, where the
headers were found. CUDA's own headers and the compiler are a second key, `toolchain`, so that a
machine without a compiler can use what another one compiled.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from gpuops.cuda import nvrtc
from gpuops.cuda.bindings import package_folders

__all__ = ["digest", "toolchain"]

# Raised when the way sources are compiled changes, so that older files are not found.
_FORMAT = 1

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)', re.MULTILINE)
# One whose header a macro names: what it stands for only the compiler knows.
_MACRO_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]+[A-Za-z_]", re.MULTILINE)
_HEADERS = {".cuh", ".h", ".hh", ".hpp", ".hxx", ".inc", ".inl", ".cu"}
_FOLDER_OPTION = re.compile(r"(?:-I|--include-path)=?(.*)", re.DOTALL)
_HEADER_OPTION = re.compile(r"(?:-include|--pre-include)=?(.*)", re.DOTALL)


def digest(source: str, folder: Path | None, options: Sequence[str], name: str, arch: str) -> str:
    """A text of 32 hexadecimal digits, the same wherever the source lies.

    Args:
        source: CUDA C++.
        folder: where it lies, for the headers beside it; None for text.
        options: of NVRTC, with folders of headers among them.
        name: of the kernel.
        arch: such as ``"sm_90"``.

    >>> one = digest("__global__ void f() {}", None, ["-DN=1"], "f", "sm_80")
    >>> one == digest("__global__ void f() {}", Path("/elsewhere"), ["-DN=1", "-I/x"], "f", "sm_80")
    True
    >>> one == digest("__global__ void f() {}", None, ["-DN=2"], "f", "sm_80")
    False
    """
    folders, headers, others = _sort_options(options)
    # The option `-include` is a line of its own before the source.
    text = "".join(f'#include "{header}"\n' for header in headers) + source
    included = sorted(_included(text, folder, folders, set()))
    content = [_FORMAT, nvrtc.STANDARD, source, headers, included, others, name, arch]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def _sort_options(options: Sequence[str]) -> tuple[list[Path], list[str], list[str]]:
    """Folders of headers, headers to include first, and the other options."""
    folders: list[Path] = []
    headers: list[str] = []
    others: list[str] = []
    left = iter(options)
    for option in left:
        if found := _FOLDER_OPTION.fullmatch(option):
            folders.append(Path(found[1] or next(left, "")))
        elif found := _HEADER_OPTION.fullmatch(option):
            headers.append(found[1] or next(left, ""))
        else:
            others.append(option)
    return folders, headers, others


def _included(
    text: str, folder: Path | None, folders: Sequence[Path], seen: set[Path]
) -> Iterator[tuple[str, str]]:
    """Name and content of every header that is found; a condition around it does not count."""
    for quoted, angled in _INCLUDE.findall(text):
        name = quoted or angled
        beside = [folder] if quoted and folder is not None else []
        for place in (*beside, *folders):
            path = place / name
            if path in seen:
                break
            if not path.is_file():
                continue
            seen.add(path)
            content = path.read_text(encoding="utf-8", errors="replace")
            yield name, hashlib.sha256(content.encode()).hexdigest()
            yield from _included(content, path.parent, folders, seen)
            break
    if _MACRO_INCLUDE.search(text):
        for place in (*([] if folder is None else [folder]), *folders):
            yield from _all_headers(place)


def _all_headers(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and content of everything below a folder that looks like a header.

    Where a macro names what is included, any of them may be meant: a change of one that is not
    compiles once more than needed, which is better than once less.
    """
    for path in sorted(folder.rglob("*")):
        if path.suffix in _HEADERS and path.is_file():
            content = path.read_bytes()
            yield path.relative_to(folder).as_posix(), hashlib.sha256(content).hexdigest()


def toolchain() -> str | None:
    """A short name of the compiler and its headers; None where NVRTC is not installed."""
    try:
        major, minor = nvrtc.version()
    except nvrtc.NvrtcNotFoundError:
        return None
    return f"nvrtc{major}.{minor}-{_wheels()}"


@cache
def _wheels() -> str:
    """A digest of the versions of the wheels that compiler and headers come from."""
    names = []
    for package, wheels in (("nvidia", "nvidia_cuda_*.dist-info"), ("cupy", "cupy*.dist-info")):
        for place in package_folders(package):
            names += sorted(path.name for path in place.parent.glob(wheels))
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]
