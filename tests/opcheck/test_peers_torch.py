"""The operators of the zoo, written for torch: the same operators, as far as can be told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from zoo import alive

from bench import torch_zoo
from bench.opcheck_peers import _ask_torch, animals, zoo_modules

torch = pytest.importorskip("torch", reason="torch is a peer: make bench installs it")

MODULES = zoo_modules()
ZOO = {animal.name: animal for animal in animals(MODULES)}


def written(name: str) -> Any:
    return torch_zoo.TorchAnimal(ZOO[name], MODULES, "test_peers")


def values(result: Any) -> list[Any]:
    """The single values of a result, arrays of either library as NumPy's."""
    if isinstance(result, (list, tuple)):
        return [value for item in result for value in values(item)]
    return [result.detach().numpy() if isinstance(result, torch.Tensor) else result]


COMPARABLE = [
    name
    for name, animal in ZOO.items()
    if not animal.check and torch_zoo.reason_against(animal) is None
]


@pytest.mark.parametrize("name", COMPARABLE)
def test_it_computes_the_same(name: str) -> None:
    animal = ZOO[name]
    ours = animal.sample()
    theirs, kwargs = written(name).sample()
    with torch.no_grad():
        got = getattr(torch.ops.test_peers, name)(*theirs, **kwargs)
    with alive(animal, "zoo_peers") as op:
        expected = op(*ours, **(animal.kwargs or {}))
    for left, right in zip(values(expected), values(got), strict=True):
        np.testing.assert_array_equal(left, right, strict=isinstance(left, np.ndarray))
    for left, right in zip(values(ours), values(list(theirs)), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    ("name", "shared"),
    [
        ("returns_input", True),
        ("returns_view", True),
        ("returns_transposed", True),
        # As hidden as it is from NumPy: another storage at the same place.
        ("hidden_alias", False),
    ],
)
def test_aliases_are_those_of_torch(name: str, shared: bool) -> None:
    (x,), _ = written(name).sample()
    result = torch_zoo.TorchAnimal._kernel(written(name), x)
    assert torch._C._is_alias_of(result, x) == shared
    x.fill_(7)
    assert (result == 7).all()


def test_a_kept_output_is_the_same_tensor() -> None:
    animal = written("kept_output")
    (x,), _ = animal.sample()
    assert animal._kernel(x) is animal._kernel(x)


def test_mutation_reaches_the_tensor() -> None:
    animal = written("integers")
    (x,), _ = animal.sample()
    animal._kernel(x)
    assert (x == 5).all()


def test_what_the_zoo_knows_is_put_back() -> None:
    import zoo_wrong

    before = dict(vars(zoo_wrong))
    with written("fake_low_bound")._in_torchs_words():
        assert zoo_wrong.get_ctx is not before["get_ctx"]
        assert zoo_wrong.np is not np
    assert dict(vars(zoo_wrong)) == before


@pytest.mark.parametrize(
    ("name", "passes", "note"),
    [
        ("cube", True, ""),
        ("fake_shape", False, "on FakeTensor and concrete Tensors"),
        ("fake_sample_shape", True, ""),
        ("gradient_shape", False, "invalid gradient at index 0"),
        ("gradient_sign", True, ""),
        ("vmap_values", True, ""),
    ],
)
def test_verdicts(name: str, passes: bool, note: str) -> None:
    was_written, said = _ask_torch(ZOO[name], MODULES)
    assert was_written
    assert (said is None) == passes
    assert note in (said or "")
