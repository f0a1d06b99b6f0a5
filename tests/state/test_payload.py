"""Payload objects: `make_opaque`, `get_payload`, `set_payload`."""

from __future__ import annotations

import copy
import pickle
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuops
from gpuops import Array, OpaqueObject, custom_op, get_payload, make_opaque, set_payload

PAYLOADS = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


# Y1
def test_the_payload_is_the_object_itself() -> None:
    payload = [1]
    opaque_object = make_opaque(payload)
    assert get_payload(opaque_object) is payload
    payload.append(2)
    assert get_payload(opaque_object) == [1, 2]
    empty = make_opaque()
    assert get_payload(empty) is None
    set_payload(empty, payload)
    assert get_payload(empty) is payload
    assert gpuops.is_opaque_type(OpaqueObject) and gpuops.is_opaque_type("OpaqueObject")


# Y1
def test_operators_push_pop_and_count_through_the_payload() -> None:
    with gpuops.Library("test_payload", "DEF") as library:
        library.define("push(OpaqueObject queue, Array x) -> ()")
        library.define("pop(OpaqueObject queue) -> Array")
        library.define("size(OpaqueObject queue) -> int")
        library.impl("push", lambda queue, x: get_payload(queue).append(x))
        library.impl("pop", lambda queue: get_payload(queue).pop(0))
        library.impl("size", lambda queue: len(get_payload(queue)))
        ops = gpuops.ops.test_payload
        queue = make_opaque()
        set_payload(queue, [])
        first, second = np.zeros(1), np.ones(1)
        ops.push(queue, first)
        ops.push(queue, second)
        assert ops.size(queue) == 2
        assert ops.pop(queue) is first and ops.pop(queue) is second
        assert ops.size(queue) == 0
        with pytest.raises(TypeError, match="argument 'queue' .* must be a OpaqueObject; got list"):
            ops.size([])


# Y2
@given(PAYLOADS, PAYLOADS)
def test_equality_is_that_of_the_payloads(left: Any, right: Any) -> None:
    assert (make_opaque(left) == make_opaque(right)) is (left == right)
    assert (make_opaque(left) != make_opaque(right)) is (left != right)
    assert make_opaque(left) == make_opaque(copy.deepcopy(left))


def test_payloads_with_arrays_are_compared_too() -> None:
    x = np.arange(3.0)
    assert make_opaque(x) == make_opaque(x.copy()) and make_opaque(x) == make_opaque(x)
    assert make_opaque({"a": [x]}) == make_opaque({"a": [x.copy()]})
    for other in (x + 1, x[:2], x.astype("float32")):
        assert make_opaque([x]) != make_opaque([other])
    assert make_opaque(x) != make_opaque(None)


def test_other_objects_are_never_equal_and_there_is_no_hash() -> None:
    assert make_opaque(1) != 1
    not_a_number = make_opaque(float("nan"))
    assert not_a_number == not_a_number
    with pytest.raises(TypeError, match="unhashable"):
        hash(make_opaque(1))
    assert weakref.ref(not_a_number)() is not_a_number


# Y2
@given(PAYLOADS)
def test_copies(payload: Any) -> None:
    original = make_opaque([payload])
    deep, shallow = copy.deepcopy(original), copy.copy(original)
    pickled = pickle.loads(pickle.dumps(original))
    assert deep == shallow == pickled == original
    assert deep is not original and shallow is not original
    assert get_payload(shallow) is get_payload(original)
    get_payload(original).append("changed")
    assert shallow == original
    assert deep == pickled == make_opaque([payload])


def test_a_payload_that_holds_its_own_object_is_copied() -> None:
    ring = make_opaque()
    set_payload(ring, [ring])
    copied = copy.deepcopy(ring)
    assert copied is not ring
    assert get_payload(copied)[0] is copied
    restored = pickle.loads(pickle.dumps(ring))
    assert get_payload(restored)[0] is restored


@pytest.mark.parametrize("wrong", [None, [1], OpaqueObject, 3])
def test_other_objects_have_no_payload(wrong: Any) -> None:
    with pytest.raises(TypeError, match="get_payload takes an OpaqueObject.*got"):
        get_payload(wrong)
    with pytest.raises(TypeError, match="set_payload takes an OpaqueObject.*got"):
        set_payload(wrong, 1)


# Y5
def test_a_fake_kernel_sees_no_payload(ns: str) -> None:
    queue = make_opaque([1])

    @custom_op(f"{ns}::take", mutates_args=())
    def take(queue: OpaqueObject, x: Array) -> Array:
        return x[: get_payload(queue)[0]].copy()

    @take.register_fake
    def _(queue, x):  # type: ignore[no-untyped-def]
        assert isinstance(queue, OpaqueObject)
        return x.new_empty((get_payload(queue)[0],))

    with pytest.raises(
        AttributeError, match=f"Tried to call __getattr__ with attr '_payload' .*{ns}::take"
    ):
        take(queue, gpuops.FakeArray((3,)))

    @take.register_fake
    def _(queue, x):  # type: ignore[no-untyped-def]
        set_payload(queue, [2])
        return x

    with pytest.raises(AttributeError, match="Tried to call __setattr__ with attr '_payload'"):
        take(queue, gpuops.FakeArray((3,)))
    assert get_payload(queue) == [1]
