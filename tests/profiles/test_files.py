"""Profiles as YAML: round trips, refusals with their line, and nothing but them for any input."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpuops
from gpuops.profiles import (
    ArrayMetadata,
    ListProfile,
    OpProfile,
    OutdatedProfileError,
    ProfileError,
    ScalarProfile,
    generate_yaml_from_profiles,
    load_op_profiles,
    read_profiles_from_yaml,
    save_op_profiles,
)
from gpuops.profiles.text import LARGEST

metadata = st.builds(
    ArrayMetadata,
    st.integers(0, 9),
    st.sampled_from(["float32", ">f8", "int8", "bool", "complex64", "datetime64[ns]", "U7"]),
    st.sampled_from(["cpu", "cuda"]),
    st.sampled_from(["C", "F", "strided", "any"]),
)
scalars = st.builds(ScalarProfile, st.sampled_from(["int", "float", "none", "str"]))
arg_lists = st.builds(ListProfile, st.lists(metadata | st.none(), max_size=3).map(tuple))
out_lists = st.builds(ListProfile, st.lists(metadata | scalars, max_size=3).map(tuple))
outs = metadata | scalars | out_lists
args = st.lists(metadata | st.none() | arg_lists, max_size=4).map(tuple)
options = st.builds(OpProfile, args, outs | st.lists(outs, max_size=3).map(tuple))
names = st.from_regex(r"n_[a-z_]{0,5}::f_[a-z_]{0,8}", fullmatch=True)
profile_sets = st.dictionaries(names, st.sets(options, max_size=4), max_size=3)

X = ArrayMetadata(2, "float32", "cpu")
VALID = generate_yaml_from_profiles(
    {
        "ns::f": {OpProfile((X, None), X), OpProfile((ListProfile((X,)),), (X, X))},
        "ns::g": {OpProfile((), ScalarProfile("int"))},
    }
)


@settings(max_examples=60, deadline=None)
@given(profile_sets)
def test_round_trip(profiles):  # X4
    text = generate_yaml_from_profiles(profiles)
    assert read_profiles_from_yaml(text) == profiles
    assert generate_yaml_from_profiles(dict(reversed(profiles.items()))) == text  # X8


def test_the_text():
    expected = (
        "format: '1.0'\n"
        f"gpuops: {gpuops.__version__}\n"
        "operators:\n"
        "  ns::f:\n"
        "  - args:\n"
        "    - list:\n"
        "      - {rank: 2, dtype: float32, device: cpu, order: C}\n"
        "    out:\n"
        "      tuple:\n"
        "      - {rank: 2, dtype: float32, device: cpu, order: C}\n"
        "      - {rank: 2, dtype: float32, device: cpu, order: C}\n"
        "  - args:\n"
        "    - {rank: 2, dtype: float32, device: cpu, order: C}\n"
        "    - null\n"
        "    out: {rank: 2, dtype: float32, device: cpu, order: C}\n"
        "  ns::g:\n"
        "  - args: []\n"
        "    out: {scalar: int}\n"
    )
    assert expected == VALID


def test_paths_and_streams(tmp_path):  # X4
    profiles = read_profiles_from_yaml(VALID)
    path = tmp_path / "p.yaml"
    for target in (path, str(path)):
        save_op_profiles(profiles, target)
        assert load_op_profiles(target) == profiles
    for stream in (io.BytesIO(), io.StringIO(), path.open("w+"), path.open("w+b")):
        with stream:
            save_op_profiles(profiles, stream)
            stream.seek(0)
            assert load_op_profiles(stream) == profiles
    for wrong in (3, None, b"x"):
        with pytest.raises(TypeError, match="takes a path or a stream"):
            save_op_profiles(profiles, wrong)
        with pytest.raises(TypeError, match="takes a path or a stream"):
            load_op_profiles(wrong)


def test_writing_is_atomic(tmp_path, monkeypatch):
    path = tmp_path / "p.yaml"
    path.write_text("old")

    def crash(*args):
        raise OSError("crash")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, crash)
            with pytest.raises(OSError, match="crash"):
                save_op_profiles({}, path)
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ProfileError):
        save_op_profiles({"bad name": set()}, path)
    assert path.read_text() == "old"


def test_a_process_that_is_killed_leaves_the_old_file(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("old")
    code = (
        "import os, signal\n"
        "from gpuops.profiles import save_op_profiles\n"
        "os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"save_op_profiles({{}}, {str(path)!r})\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert path.read_text() == "old"


def test_links_permissions_and_long_names_are_kept(tmp_path):
    real = tmp_path / ("x" * 250)
    real.write_text("old")
    real.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(real.name)
    save_op_profiles({}, link)
    assert link.is_symlink() and load_op_profiles(real) == {}
    assert real.stat().st_mode & 0o7777 == 0o640
    dangling = tmp_path / "dangling"
    dangling.symlink_to("later.yaml")
    before = os.umask(0o077)
    try:
        save_op_profiles({}, dangling)
    finally:
        os.umask(before)
    assert (tmp_path / "later.yaml").stat().st_mode & 0o777 == 0o600
    assert len(list(tmp_path.iterdir())) == 4


def test_devices_and_pipes_are_written_to_and_not_replaced(tmp_path):
    save_op_profiles({}, os.devnull)
    assert not Path(os.devnull).is_file()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    save_op_profiles({}, pipe)
    reader.join()
    assert read_profiles_from_yaml(found[0]) == {}
    with pytest.raises(IsADirectoryError):
        save_op_profiles({}, tmp_path)
    with pytest.raises(FileNotFoundError):
        save_op_profiles({}, tmp_path / "none" / "p.yaml")
    assert list(tmp_path.iterdir()) == [pipe]


class Short(io.RawIOBase):
    """Takes a few bytes at a time, as sockets may."""

    def __init__(self):
        self.data = b""

    def writable(self):
        return True

    def write(self, data):
        self.data += bytes(data[:7])
        return len(data[:7])


def test_a_stream_that_takes_a_part_gets_the_rest_too():
    stream = Short()
    save_op_profiles(read_profiles_from_yaml(VALID), stream)
    assert read_profiles_from_yaml(stream.data) == read_profiles_from_yaml(VALID)


def test_a_file_that_is_too_large_is_refused_at_once(tmp_path):
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    for read, source in (
        (load_op_profiles, path),
        (read_profiles_from_yaml, VALID + "#" * LARGEST),
        (read_profiles_from_yaml, b"#" * (LARGEST + 1)),
    ):
        with pytest.raises(ProfileError, match="line 1: the file is larger than 16 MiB"):
            read(source)


def test_other_versions():  # X5
    with pytest.raises(OutdatedProfileError, match="outdated profile.*2.0.*reads 1.x") as caught:
        read_profiles_from_yaml(VALID.replace("'1.0'", "'2.0'"))
    assert isinstance(caught.value, RuntimeError)
    minor = VALID.replace("'1.0'", "'1.7'").replace(gpuops.__version__, "9.9.9")
    assert read_profiles_from_yaml(minor) == read_profiles_from_yaml(VALID)


BOMB = "a: &a [x]\n" + "".join(f"b{i}: &b{i} [*a, *a, *a]\n" for i in range(9))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the file is empty; expected the key 'format'"),
        ("# nothing\n", "empty"),
        ("[1, 2]", "line 1: expected a mapping, got a list"),
        ("a: b: c", "line 1: not YAML"),
        (VALID.replace("format: '1.0'\n", ""), "line 1: the key 'format' is missing"),
        (VALID.replace("'1.0'", "one"), "line 1, key 'format': expected a version"),
        (VALID.replace("    out: {scalar: int}\n", ""), "line 17, key 'ns::g': the key 'out' is"),
        (VALID.replace("scalar: int", "scalar: thing"), "line 18, key 'scalar'"),
        (
            VALID.replace("float32", "float33", 1),
            "line 7, key 'dtype': expected a NumPy dtype, got 'float33'",
        ),
        (VALID.replace("rank: 2", "rank: '2'", 1), "line 7, key 'rank': expected an int"),
        (VALID.replace("rank: 2", "rank: -2", 1), "line 7, key 'rank'"),
        (VALID.replace("rank: 2", "rank: 65", 1), "line 7, key 'rank'"),
        (
            VALID.replace("rank: 2", "rank: [2]", 1),
            "line 7, key 'rank': expected an int from 0 to 64, got a list",
        ),
        (VALID.replace("order: C", "order: D", 1), "line 7, key 'order'"),
        (VALID.replace("device: cpu", "device: pluto", 1), "line 7, key 'device'"),
        (VALID.replace("order: C", "order: C, more: 1", 1), "line 7, key 'more': unknown key"),
        (VALID.replace("ns::g", "nsg"), "line 16, key 'nsg'"),
        (VALID.replace("ns::g", "ns::f"), "line 16, key 'ns::f': the key appears twice"),
        (VALID.replace("args: []", "args: 3"), "line 17, key 'args': expected a list, got '3'"),
        (VALID.replace("args: []", "args: !!python/tuple []"), "line 17: tags are refused"),
        ("!!python/object/apply:os.system ['true']", "line 1: tags are refused"),
        (BOMB, "line 1, key 'a': anchors and aliases are refused"),
        ("[" * 5000, "nested deeper than"),
        ("{a: " * 5000, "nested deeper than"),
        ("? " * 3000, "profiles, line"),
        ('"\\UFFFFFFFF"', "line 1: not YAML"),
        ("%YAML 1." + "9" * 5000 + "\n--- a", "line 1"),
        (b"format: \xff", "line 1: the file is not UTF-8"),
        ("a: \x00", "line 1: not YAML"),
        ("--- a\n--- b", "not YAML"),
        (None, "expected str or bytes"),
    ],
)
def test_refusals(text, message):  # X5
    with pytest.raises(ProfileError, match=message) as caught:
        read_profiles_from_yaml(text)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


def _read(text):
    """Any other exception fails the test, and so does a result that is no profiles."""
    try:
        found = read_profiles_from_yaml(text)
    except (ProfileError, OutdatedProfileError):
        return
    assert read_profiles_from_yaml(generate_yaml_from_profiles(found)) == found


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=200)
    | st.text(max_size=200)
    | st.text(" \n:-[]{}&*!|>'\"%?#,a1", max_size=60)
)
def test_any_input_is_read_or_refused(text):
    _read(text)


edits = st.lists(
    st.tuples(st.integers(0, len(VALID)), st.integers(0, 12), st.text(max_size=4)), max_size=4
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(edits, st.booleans())
def test_damaged_files_are_read_or_refused(edits, as_bytes):
    text = VALID
    for at, cut, new in edits:
        text = text[:at] + new + text[at + cut :]
    _read(text.encode("utf-8", "surrogatepass") if as_bytes else text)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_op_profiles(Path(tmp_path, "none.yaml"))
    with pytest.raises(FileNotFoundError):
        save_op_profiles({}, tmp_path / "no" / "folder.yaml")
