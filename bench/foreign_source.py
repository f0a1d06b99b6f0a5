"""The device part of a CUDA program: what NVRTC can compile of a file that also holds host code.

Includes of the project's own headers are followed, CUDA's are kept, all others are dropped; host
functions are cut out. Nothing is rewritten: kernels run as their authors wrote them.
"""

from __future__ import annotations

import re
from pathlib import Path

# What such programs take from headers that NVRTC does not have.
PRELUDE = """\
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
typedef unsigned long long uintptr_t;
#define INFINITY __int_as_float(0x7f800000)
#ifndef FLT_MAX
#define FLT_MAX 3.402823466e+38f
#define FLT_MIN 1.175494351e-38f
#endif
#define M_PI 3.14159265358979323846
"""

_KEPT_HEADERS = re.compile(r"cooperative_groups|cuda_fp16|cuda_bf16|cuda_pipeline|cuda/|mma\.h")
_INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')
_DEVICE = re.compile(r"__(global|device|constant|shared)__")
# Of the samples: error checks and files. `helper_math.h` is vector arithmetic.
_HOST_HEADERS = re.compile(r"helper_(?!math)|exception\.h")
_HOST_API = re.compile(r"\bcu(da|blas)[A-Z]\w*|\bstd::(vector|string)|\bFILE\b|\bmalloc\s*\(")
_DECLARATION = re.compile(
    r"\s*(template\s*<[^{;]*>\s*)?((static\s+)?(inline\s+)?const(expr)?\b|typedef|using|struct|union|enum|class"
    r"|namespace)\b"
)


def device_source(
    root: Path, file: str, *, without: tuple[str, ...] = (), first: tuple[str, ...] = ()
) -> str:
    """The device code of `file`.

    Args:
        root: of the checkout.
        file: relative to it.
        without: preprocessor lines to leave out, such as ``"#define ENABLE_BF16"``.
        first: lines to put first, such as ``"#include <cuda_fp16.h>"``.

    Raises:
        FileNotFoundError: there is no such file.
    """
    text = _strip_comments(_inline(root / file, root, set(), without))
    kept = [chunk for chunk in _chunks(text) if _is_device(chunk)]
    headers = [chunk for chunk in kept if _INCLUDE.match(chunk)]
    code = [chunk for chunk in kept if not _INCLUDE.match(chunk)]
    return "\n".join((*first, *headers, PRELUDE, *code)) + "\n"


def _inline(path: Path, root: Path, seen: set[Path], without: tuple[str, ...]) -> str:
    """The text of a file with the project's own headers in place of their includes."""
    seen.add(path.resolve())
    lines = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.strip() in without:
            continue
        include = _INCLUDE.match(line)
        if include is None or _KEPT_HEADERS.match(include[2]):
            lines.append(line)
        else:
            found = _find(include[2], path.parent, root)
            host = _HOST_HEADERS.match(include[2])
            if found is not None and not host and found.resolve() not in seen:
                lines.append(_inline(found, root, seen, without))
    return "\n".join(lines)


def _find(header: str, beside: Path, root: Path) -> Path | None:
    for folder in (beside, beside / "inc", root / "Common"):
        if (folder / header).is_file():
            return folder / header
    return None


def _strip_comments(text: str) -> str:
    """Without comments; strings stay, so does the number of lines in a comment."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def replace(match: re.Match[str]) -> str:
        found = match[0]
        return found if found[0] in "\"'" else " " + "\n" * found.count("\n")

    return pattern.sub(replace, text)


def _chunks(text: str) -> list[str]:
    """The top level of a file: a preprocessor line, a declaration or a function each."""
    chunks: list[str] = []
    current: list[str] = []
    depth = 0
    lines = iter(text.splitlines())
    for line in lines:
        if depth == 0 and line.lstrip().startswith("#"):
            if "".join(current).strip():
                chunks.append("".join(current))
            current = []
            while line.endswith("\\"):
                line += "\n" + next(lines, "")
            chunks.append(line)
            continue
        for character in line + "\n":
            current.append(character)
            depth += (character == "{") - (character == "}")
            if depth == 0 and (character == ";" or (character == "}" and _is_function(current))):
                chunks.append("".join(current))
                current = []
    return [*chunks, "".join(current)]


def _is_function(chunk: list[str]) -> bool:
    """Whether braces that just closed were a function's body; else a `;` is still to come."""
    head = "".join(chunk).partition("{")[0]
    if re.match(r"\s*(typedef|struct|union|enum|class)\b", head):
        return False
    return "namespace" in head or bool(re.search(r"\)\s*(const|noexcept)?\s*$", head))


def _is_device(chunk: str) -> bool:
    if chunk.lstrip().startswith("#"):
        return not chunk.lstrip().startswith(("#error", "#pragma once"))
    if "<<<" in chunk:
        return False
    head = chunk.partition("{")[0]
    if _DEVICE.search(head):
        return True
    if not _DECLARATION.match(chunk) or _HOST_API.search(chunk):
        return False
    # What is left are types and constants; host variables and functions of their own are not.
    is_type = re.search(r"\b(typedef|using|struct|union|enum|class|namespace)\b", head)
    return bool(is_type) or ("*" not in head and "(" not in head and "[" not in head)
