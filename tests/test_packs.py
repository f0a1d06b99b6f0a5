"""Packs of other people: found by entry point, at first use, and told apart when they break."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import gpuops
from gpuops import ops
from tests.made_packs import install

X = np.ones(1)


def test_an_installed_pack_is_found(ns: str, site: Path) -> None:
    name = f"pack_{ns}"
    install(site, name)
    assert name not in sys.modules
    assert getattr(ops, name).triple(X) == 3
    assert name in sys.modules
    assert gpuops.get_kernel(f"{name}::triple")(X) == 3
    assert gpuops.load_packs()[name] is None


def test_a_pack_is_found_by_qualified_name(ns: str, site: Path) -> None:
    name = f"pack_{ns}"
    install(site, name)
    assert gpuops.get_kernel(f"{name}::triple")(X) == 3


def test_several_packs_may_add_to_one_namespace(ns: str, site: Path) -> None:
    install(site, f"one_{ns}", namespace=f"pack_{ns}")
    text = "import gpuops\ngpuops.define('{name}::other', '(Array x) -> Array')\n"
    install(site, f"two_{ns}", text, namespace=f"pack_{ns}")
    assert getattr(ops, f"pack_{ns}").triple(X) == 3
    assert dir(getattr(ops, f"pack_{ns}")) == ["other", "triple"]
    assert gpuops.load_packs()[f"pack_{ns}"] is None


BROKEN = {
    "import no_such_module_anywhere": "ModuleNotFoundError: No module named 'no_such_module_any",
    "1 +": "SyntaxError: invalid syntax",
    "raise KeyError('a')": "KeyError: 'a'",
    "raise SystemExit(3)": "SystemExit: 3",
    "import gpuops\ngpuops.define('{name}::f', '(Aray x) -> Array')": "unknown type specifier",
}


@pytest.mark.parametrize("text", list(BROKEN))
def test_a_broken_pack_hides_no_other(ns: str, site: Path, text: str) -> None:
    install(site, f"broken_{ns}", text)
    install(site, f"pack_{ns}")
    loaded = gpuops.load_packs()
    assert BROKEN[text] in str(loaded[f"broken_{ns}"])
    assert loaded[f"pack_{ns}"] is None
    for _ in range(2):
        with pytest.raises(AttributeError, match="cannot be imported: ") as caught:
            _ = getattr(ops, f"broken_{ns}").f
        assert f"the pack 'broken_{ns}' of the namespace 'broken_{ns}'" in str(caught.value)
        assert BROKEN[text] in str(caught.value)
    assert not hasattr(getattr(ops, f"broken_{ns}"), "f")


def test_a_pack_may_look_into_its_own_namespace(ns: str, site: Path) -> None:
    text = (
        "import gpuops\n"
        "found = hasattr(gpuops.ops.{name}, 'f')\n"
        "gpuops.custom_op('{name}::f', lambda x: x + 1, mutates_args=(), schema='(Array x)->Array')"
    )
    install(site, f"pack_{ns}", text)
    assert getattr(ops, f"pack_{ns}").f(X) == 2
    assert sys.modules[f"pack_{ns}"].found is False


def test_a_pack_that_lacks_the_operator(ns: str, site: Path) -> None:
    install(site, f"pack_{ns}")
    with pytest.raises(AttributeError, match="has no operator 'tripel'.*Did you mean 'triple'"):
        _ = getattr(ops, f"pack_{ns}").tripel
