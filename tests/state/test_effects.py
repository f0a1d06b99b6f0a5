"""Effects: what graphs keep, and `register_effect`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Array, EffectType, OpaqueBase, OpaqueObject, custom_op, register_effect, trace
from gpuops.effects import effect_of


class Log(OpaqueBase):
    pass


gpuops.register_opaque_type(Log, "test_effects.Log", typ="reference")

X = np.arange(3.0)


def _declare(ns: str) -> dict[str, Any]:
    @custom_op(f"{ns}::pure", mutates_args=())
    def pure(x: Array) -> Array:
        return x + 1

    @custom_op(f"{ns}::typed", mutates_args=())
    def typed(log: Log | None, x: Array) -> Array:
        return x + 1

    @custom_op(f"{ns}::listed", mutates_args=())
    def listed(logs: list[Log], x: Array) -> Array:
        return x + 1

    @custom_op(f"{ns}::payload", mutates_args=())
    def payload(log: OpaqueObject, x: Array) -> Array:
        return x + 1

    @custom_op(f"{ns}::nothing", mutates_args=())
    def nothing(x: Array) -> None:
        return None

    @custom_op(f"{ns}::write", mutates_args=("x",))
    def write(x: Array) -> None:
        x += 1

    return {op.operator.name: op for op in (pure, typed, listed, payload, nothing, write)}


# AA11. Of the two kinds of opaque arguments torch orders the payload objects' operators only; here
# everything that takes a reference object is ordered, since both have state.
def test_operators_that_take_state_are_ordered_by_default(ns: str) -> None:
    effects = {name: effect_of(op.operator) for name, op in _declare(ns).items()}
    ordered = EffectType.ORDERED
    assert effects == {
        "pure": None,
        "typed": ordered,
        "listed": ordered,
        "payload": ordered,
        "nothing": ordered,
        "write": None,  # the schema says what it does
    }


def _calls(graph: gpuops.Graph) -> list[str]:
    return [node.operator.name for node in graph.nodes]


# AA11
def test_graphs_keep_ordered_calls_in_order_and_drop_the_others(ns: str) -> None:
    ops = _declare(ns)
    log = Log()

    def function(x):  # type: ignore[no-untyped-def]
        ops["pure"](x)
        ops["typed"](log, x)
        ops["nothing"](x)
        ops["typed"](log, x)  # no result is used, and the second is not merged with the first
        return ops["pure"](x)

    assert _calls(trace(function)(X)) == ["typed", "nothing", "typed", "pure"]
    with gpuops.Library(ns, "IMPL") as lib:
        register_effect(ops["typed"], None, lib=lib)
        register_effect(ops["nothing"], None, lib=lib)
        register_effect(ops["pure"], EffectType.ORDERED, lib=lib)
        assert _calls(trace(function)(X)) == ["pure", "pure"]
    # AA12: it dies with the library.
    assert _calls(trace(function)(X)) == ["typed", "nothing", "typed", "pure"]


def test_writing_to_an_array_stays_an_effect(ns: str) -> None:
    ops = _declare(ns)
    register_effect(ops["write"], None)

    def function(x):  # type: ignore[no-untyped-def]
        ops["write"](x)

    assert _calls(trace(function)(X.copy())) == ["write"]


# AA12
def test_it_is_registered_by_name_overload_or_operator(ns: str) -> None:
    op = _declare(ns)["pure"]
    overload = gpuops.ops.__getattr__(ns).pure.default
    for named in (op, overload, op.operator, f"{ns}::pure", f"{ns}::pure.default"):
        handle = register_effect(named, EffectType.ORDERED)
        assert effect_of(op.operator) is EffectType.ORDERED
        handle.undo()
        assert effect_of(op.operator) is None


# AA12
def test_the_effect_goes_with_the_operators_library() -> None:
    for _ in range(2):
        with gpuops.Library("test_effects_lib", "DEF") as lib:
            lib.define("f(Array x) -> Array")
            operator = gpuops.ops.test_effects_lib.f.default
            assert effect_of(operator) is None
            register_effect("test_effects_lib::f", EffectType.ORDERED)
            assert effect_of(operator) is EffectType.ORDERED
        with pytest.raises(RuntimeError, match="stale"):
            register_effect(operator, None)


# AA12
@pytest.mark.parametrize("op", [None, 3, len, ["a::b"], object()])
def test_what_is_no_operator_is_refused(op: Any) -> None:
    with pytest.raises(
        ValueError, match="register_effect: expected an operator .* or its name, got"
    ):
        register_effect(op, EffectType.ORDERED)


def test_an_unknown_or_malformed_name_is_refused() -> None:
    with pytest.raises(gpuops.OperatorNotFoundError):
        register_effect("test_effects_lib::nowhere", EffectType.ORDERED)
    with pytest.raises(ValueError, match="is not a name for an operator"):
        register_effect("nowhere", EffectType.ORDERED)


# AA12
@pytest.mark.parametrize("effect", ["ordered", "ORDERED", 1, True, EffectType])
def test_what_is_no_effect_is_refused(ns: str, effect: Any) -> None:
    op = _declare(ns)["pure"]
    with pytest.raises(ValueError, match="effect must be EffectType.ORDERED or None, got"):
        register_effect(op, effect)
    assert effect_of(op.operator) is None
