"""Profiles as YAML.

The reader goes by the nodes of the document and constructs nothing: what a plain scalar means is
decided here, key by key, and every complaint has its line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import Any, NoReturn

import numpy as np

import gpuops
from gpuops.profiles.errors import OutdatedProfileError, ProfileError
from gpuops.profiles.model import (
    ArrayMetadata,
    ListProfile,
    OpProfile,
    ScalarProfile,
    checked_profiles,
)
from gpuops.schema import parse_qualname

__all__ = ["FORMAT_VERSION", "LARGEST", "generate_yaml_from_profiles", "read_profiles_from_yaml"]

FORMAT_VERSION = (1, 1)
"""1.1 added the value of a scalar. A file says the least version that has all that is in it."""

LARGEST = 16 << 20
"""How long a file may be, in bytes or characters: some 150,000 profiles. Parsing takes a minute."""

_VERSION = r"([0-9]{1,6})\.([0-9]{1,6})"

# A profile is at most seven levels deep. The parser would recurse for more.
_DEEPEST = 16


def _yaml() -> Any:
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "reading and writing profiles needs PyYAML: pip install 'gpuops[profiles]'",
            name="yaml",
        ) from error
    return yaml


# -- writing ---------------------------------------------------------------------------------------


def generate_yaml_from_profiles(profiles: Mapping[str, Set[OpProfile]]) -> str:
    """The profiles as YAML: sorted, and the same text for equal profiles.

    Raises:
        ProfileError: malformed profiles, or a dtype that has no name, such as a structured one.
        ModuleNotFoundError: PyYAML is not installed.

    >>> x = ArrayMetadata(2, "float32", "cpu")
    >>> text = generate_yaml_from_profiles({"ns::f": {OpProfile((x, None), (x, x))}})
    >>> read_profiles_from_yaml(text) == {"ns::f": {OpProfile((x, None), (x, x))}}
    True
    """
    operators = {}
    minor = 0
    for name, options in checked_profiles(profiles).items():
        try:
            parse_qualname(name)
            if any(_has_value(profile.out_profile) for profile in options):
                minor = 1
            operators[name] = [
                {
                    "args": list(map(_written, profile.args_profile)),
                    "out": _written(profile.out_profile),
                }
                for profile in options
            ]
        except ValueError as error:
            raise ProfileError(f"profiles of {name!r}: {error}") from error
    document = {
        "format": f"{FORMAT_VERSION[0]}.{minor}",
        "gpuops": gpuops.__version__,
        "operators": operators,
    }
    text: str = _yaml().safe_dump(document, sort_keys=False, default_flow_style=None, width=100)
    return text


def _has_value(entry: Any) -> bool:
    if isinstance(entry, (tuple, ListProfile)):
        return any(map(_has_value, entry if isinstance(entry, tuple) else entry.items))
    return isinstance(entry, ScalarProfile) and entry.value is not None


def _written(entry: Any) -> Any:
    if entry is None:
        return None
    if isinstance(entry, tuple):
        return {"tuple": list(map(_written, entry))}
    if isinstance(entry, ListProfile):
        return {"list": list(map(_written, entry.items))}
    if isinstance(entry, ScalarProfile):
        value = {} if entry.value is None else {"value": entry.value}
        return {"scalar": entry.type, **value}
    return {
        "rank": entry.rank,
        "dtype": _dtype_name(entry.dtype),
        "device": entry.device,
        "order": entry.order,
    }


def _dtype_name(dtype: Any) -> str:
    for name in (dtype.name, dtype.str):
        try:
            if np.dtype(name) == dtype:
                return str(name)
        except TypeError:
            continue  # the name is none that NumPy reads; the other may be
    raise ProfileError(f"dtype: {dtype} has no name that could be written")


# -- reading ---------------------------------------------------------------------------------------


def read_profiles_from_yaml(text: str | bytes) -> dict[str, set[OpProfile]]:
    """The profiles in a text of YAML.

    Args:
        text: what `generate_yaml_from_profiles` returned; bytes are UTF-8.

    Raises:
        OutdatedProfileError: a RuntimeError: the format is of another major version.
        ProfileError: a ValueError: anything else is wrong; it names line and key.
        ModuleNotFoundError: PyYAML is not installed.

    >>> read_profiles_from_yaml("format: '1.0'\\ngpuops: 0.1.0\\noperators: [1]")
    Traceback (most recent call last):
    ...
    gpuops.profiles.errors.ProfileError: profiles, line 3, key 'operators': expected a mapping, \
got a list
    """
    root = _parsed(text)
    if root is None:
        raise ProfileError("profiles, line 1: the file is empty; expected the key 'format'")
    try:
        return _profiles(root)
    except ProfileError as error:
        note = _newer(root)
        if not note:
            raise
        raise ProfileError(f"{error}{note}") from None


def _newer(root: Any) -> str:
    """What to say of a file of a later minor version, which may have what is unknown here."""
    pairs = root.value if root.id == "mapping" else []
    texts = [
        value.value for name, value in pairs if name.value == "format" and value.id == "scalar"
    ]
    match = re.fullmatch(_VERSION, texts[0]) if texts else None
    if match is None or int(match[2]) <= FORMAT_VERSION[1]:
        return ""
    ours = ".".join(map(str, FORMAT_VERSION))
    return f". The file has the format {texts[0]}; this gpuops ({gpuops.__version__}) knows {ours}"


def _profiles(root: Any) -> dict[str, set[OpProfile]]:
    document = _mapping(root, "", ("format", "gpuops", "operators"), first="format")
    if _string(document["gpuops"], "gpuops") == "":
        _fail(document["gpuops"], "gpuops", "expected a version, got an empty string")
    found: dict[str, set[OpProfile]] = {}
    for key, node in _items(document["operators"], "operators"):
        try:
            parse_qualname(key.value)
        except ValueError as error:
            _fail(key, key.value, str(error))
        profiles = [_profile(item, key.value) for item in _sequence(node, key.value)]
        found[key.value] = set(profiles)
    return found


def _fail(node: Any, key: str, problem: str) -> NoReturn:
    where = f", key {_cut(key, 60)!r}" if key else ""
    raise ProfileError(f"profiles, line {node.start_mark.line + 1}{where}: {_cut(problem, 400)}")


def _cut(text: str, length: int) -> str:
    """The text on one line and not too long: it may be quoted from any file."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 3] + "..."


def _parsed(text: str | bytes) -> Any:
    yaml = _yaml()
    if isinstance(text, (str, bytes, bytearray)) and len(text) > LARGEST:
        raise ProfileError(f"profiles, line 1: the file is larger than {LARGEST >> 20} MiB")
    if isinstance(text, (bytes, bytearray)):
        data = bytes(text)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            raise ProfileError(f"profiles, line {line}: the file is not UTF-8: {error}") from error
    elif not isinstance(text, str):
        raise ProfileError(f"expected str or bytes of YAML, got {type(text).__name__}")
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                _fail(event, getattr(event, "anchor", "") or "", "anchors and aliases are refused")
            if getattr(event, "tag", None) is not None:
                _fail(event, "", f"tags are refused, got {event.tag!r}")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                _fail(event, "", f"nested deeper than {_DEEPEST} levels")
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except ProfileError:
        raise
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line = 1 if mark is None else mark.line + 1
        problem = getattr(error, "problem", None) or str(error)
        raise ProfileError(f"profiles, line {line}: not YAML: {_cut(str(problem), 400)}") from error
    except Exception as error:
        # The parser lets errors of its own slip: of escapes that are no characters, of versions
        # with too many digits. For whoever reads a file all of them mean the same.
        raise ProfileError(f"profiles, line 1: not YAML: {_cut(str(error), 400)}") from error


_KINDS = {"mapping": "a mapping", "sequence": "a list", "scalar": "a scalar"}
_STR = "tag:yaml.org,2002:str"
_NULL = "tag:yaml.org,2002:null"


def _got(node: Any) -> str:
    return f"{node.value!r}" if node.id == "scalar" else _KINDS[node.id]


def _items(node: Any, key: str) -> list[tuple[Any, Any]]:
    if node.id != "mapping":
        _fail(node, key, f"expected a mapping, got {_got(node)}")
    seen = set()
    for name, _ in node.value:
        if name.id != "scalar":
            _fail(name, key, f"expected names as keys, got {_got(name)}")
        if name.value in seen:
            _fail(name, name.value, "the key appears twice")
        seen.add(name.value)
    return list(node.value)


def _mapping(node: Any, key: str, names: tuple[str, ...], first: str = "") -> dict[str, Any]:
    found = {name.value: value for name, value in _items(node, key)}
    if first in found:
        _check_version(found[first])
    for name in names:
        if name not in found:
            _fail(node, key, f"the key {name!r} is missing")
    for name, _ in node.value:
        if name.value not in names:
            _fail(name, name.value, f"unknown key; expected {', '.join(names)}")
    return found


def _check_version(node: Any) -> None:
    text = node.value if node.id == "scalar" else ""
    match = re.fullmatch(_VERSION, text)
    if match is None:
        _fail(node, "format", f"expected a version such as '1.0', got {_got(node)}")
    if int(match[1]) != FORMAT_VERSION[0]:
        major, minor = FORMAT_VERSION
        raise OutdatedProfileError(
            f"Unable to load outdated profile: it has the format version {text}, and this gpuops "
            f"({gpuops.__version__}) reads {major}.x (it writes {major}.0 to {major}.{minor})"
        )


def _sequence(node: Any, key: str) -> list[Any]:
    if node.id != "sequence":
        _fail(node, key, f"expected a list, got {_got(node)}")
    return list(node.value)


def _string(node: Any, key: str, expected: str = "text") -> str:
    # A version or a name that looks like a number is still text.
    if node.id != "scalar" or node.tag == _NULL:
        _fail(node, key, f"expected {expected}, got {_got(node)}")
    return str(node.value)


def _profile(node: Any, key: str) -> OpProfile:
    parts = _mapping(node, key, ("args", "out"))
    args = tuple(_entry(item, "args", argument=True) for item in _sequence(parts["args"], "args"))
    try:
        return OpProfile(args, _entry(parts["out"], "out"))
    except ProfileError as error:
        if str(error).startswith("profiles, line"):
            raise
        _fail(node, key, str(error))


def _entry(node: Any, key: str, *, argument: bool = False, inner: bool = False) -> Any:
    if node.id == "scalar" and node.tag == _NULL and (argument or inner):
        return None
    items = _items(node, key)
    names = [name.value for name, _ in items]
    if names in (["list"], ["tuple"]):
        if inner and names == ["tuple"]:
            _fail(node, key, "a tuple within a tuple or a list")
        held = tuple(
            _entry(item, names[0], argument=argument, inner=True)
            for item in _sequence(items[0][1], names[0])
        )
        if names == ["list"]:
            return ListProfile(held)
        if argument:
            _fail(node, key, "arguments are arrays, lists or null, got a tuple")
        return held
    if "scalar" in names and not argument:
        found = {name.value: _string(value, name.value) for name, value in items}
        if found.keys() <= {"scalar", "value"}:
            _made(items[names.index("scalar")][1], "scalar", ScalarProfile, found["scalar"])
            where = items[names.index("value")][1] if "value" in found else node
            return _made(where, "value", ScalarProfile, found["scalar"], found.get("value"))
    parts = _mapping(node, key, ("rank", "dtype", "device", "order"))
    rank = _string(parts["rank"], "rank", "an int from 0 to 64")
    if re.fullmatch(r"[0-9]{1,3}", rank) is None or parts["rank"].tag == _STR:
        _fail(parts["rank"], "rank", f"expected an int from 0 to 64, got {rank!r}")
    texts = {name: _string(parts[name], name) for name in ("dtype", "device", "order")}
    for name, value in texts.items():
        base = {"dtype": "float32", "device": "cpu", "order": "C", name: value}
        _made(parts[name], name, ArrayMetadata, 0, **base)
    return _made(parts["rank"], "rank", ArrayMetadata, int(rank), **texts)


def _made(node: Any, key: str, cls: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return cls(*args, **kwargs)
    except ProfileError as error:
        _fail(node, key, str(error).removeprefix(f"{key}: "))
