"""``gpuops profile record``, ``show`` and ``diff``."""

from __future__ import annotations

import json

import pytest

from gpuops.cli import main
from gpuops.profiles import load_op_profiles

SCRIPT = """
import sys
import numpy as np, gpuops

@gpuops.custom_op("profile_cli::double", mutates_args=())
def double(x: gpuops.Array) -> gpuops.Array:
    return x * 2

double(np.ones(3, sys.argv[1]))
double.undo()
sys.exit(int(sys.argv[2]))
"""


@pytest.fixture
def record(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def run(name, dtype, status=0):
        out = tmp_path / name
        arguments = ["profile", "record", "--out", str(out), "--", "python", str(script)]
        assert main([*arguments, dtype, str(status)]) == status
        return str(out)

    return run


def test_record_show_diff(record, capsys):
    a, b, c = record("a.yaml", "f4"), record("b.yaml", "f4"), record("c.yaml", "f8", 3)
    assert "1 profiles of 1 operators" in capsys.readouterr().err
    assert list(load_op_profiles(a)) == ["profile_cli::double"]
    assert main(["profile", "show", a]) == 0
    line = "(float32 rank 1 order C on cpu) -> float32 rank 1 order C on cpu"
    assert capsys.readouterr().out == f"profile_cli::double\n  {line}\n"
    assert main(["profile", "show", a, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"profile_cli::double": [line]}
    assert main(["profile", "diff", a, b]) == 0
    assert capsys.readouterr().out == ""
    assert main(["profile", "diff", a, c]) == 1
    other = line.replace("32", "64")
    text = f"- profile_cli::double {line}\n+ profile_cli::double {other}\n"
    assert capsys.readouterr().out == text
    assert main(["profile", "diff", a, c, "--json"]) == 1
    assert [found["side"] for found in json.loads(capsys.readouterr().out)] == ["-", "+"]


def test_wrong_files_and_commands_are_one_line(tmp_path, capsys):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("format: '1.0'\n")
    assert main(["profile", "show", str(wrong)]) == 2
    assert "wrong.yaml: profiles, line 1: the key 'gpuops' is missing" in capsys.readouterr().err
    assert main(["profile", "diff", str(wrong), str(tmp_path / "none.yaml")]) == 2
    capsys.readouterr()
    assert main(["profile", "record", "--", "ls", "-l"]) == 2
    assert "profile record runs `python SCRIPT" in capsys.readouterr().err


def test_what_was_done_before_an_error_is_saved(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("double.undo()", "double.undo(); 1 / 0"))
    out = tmp_path / "a.yaml"
    with pytest.raises(ZeroDivisionError):
        main(["profile", "record", "--out", str(out), "--", "python", str(script), "f4", "0"])
    assert list(load_op_profiles(out)) == ["profile_cli::double"]
