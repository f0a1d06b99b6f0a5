"""Section N of the behaviours: registering again, overriding, and how long registrations live."""

from __future__ import annotations

import gc
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Array, Library, custom_op, ops
from gpuops.register import FAKE
from gpuops.registry import registry
from tests.standin_cupy import StandIn

X = np.ones(1)
ONE = "(Array x) -> Array"


def giving(value: float) -> Callable[..., Any]:
    return lambda x: np.full(1, value)


def fake_of(op: Any) -> Any:
    """The fake kernel in force."""
    entry = registry.rule(gpuops.registry.as_operator(op), FAKE)
    return None if entry is None else entry.value


# -- custom_op again -------------------------------------------------------------------------------


# N1
def test_a_second_custom_op_replaces_the_first_and_inherits_nothing(ns: str) -> None:
    first = custom_op(f"{ns}::f", giving(1), mutates_args=(), schema=ONE)
    first.register_fake(giving(0))
    first.register_kernel("cpu", giving(2))
    for token in ("autograd", "vmap", "profile", "effect"):
        registry.add_rule(first.operator, token, giving(0))
    second = custom_op(f"{ns}::f", lambda y: y + 2, mutates_args=(), schema="(Array y) -> Array")
    assert getattr(ops, ns).f is second and second(X) == 3
    assert list(registry.rules(second.operator)) == list(registry.rules(first.operator)) == []
    assert second.operator.kernel_table().keys() == {"default"}


# N2
def test_the_replaced_operator_is_stale(ns: str) -> None:
    first = custom_op(f"{ns}::f", giving(1), mutates_args=(), schema=ONE)
    overload = first.default
    first(X)
    custom_op(f"{ns}::f", giving(2), mutates_args=(), schema=ONE)
    for attempt in (
        lambda: first(X),
        lambda: overload(X),
        lambda: first([1]),
        lambda: first.register_kernel("cpu", giving(3)),
        lambda: first.register_fake(giving(3)),
        lambda: gpuops.get_kernel(first),
        lambda: gpuops.set_kernel_enabled(first, "cpu", False),
    ):
        with pytest.raises(gpuops.StaleOperatorError, match="is stale") as caught:
            attempt()
        text = str(caught.value)
        assert f"{ns}::f (registered at {__file__}:" in text
        assert f"was replaced by the definition at {__file__}:" in text
    assert getattr(ops, ns).f(X) == 2
    first.undo()  # undoing what was replaced already leaves its successor alone
    assert getattr(ops, ns).f(X) == 2


# N2
def test_a_removed_operator_is_stale_and_its_name_is_free(ns: str) -> None:
    f = custom_op(f"{ns}::f", giving(1), mutates_args=(), schema=ONE)
    f.undo()
    f.undo()
    with pytest.raises(gpuops.StaleOperatorError, match="was removed"):
        f(X)
    with pytest.raises(AttributeError, match=f"gpuops.ops.{ns} has no operator 'f'"):
        _ = getattr(ops, ns).f
    with gpuops.define(f"{ns}::f", ONE):
        pass


MODULE = """
import gpuops
from gpuops import Library
handle = gpuops.define("{ns}::f", "(Array x) -> Array")
lib = Library("{ns}", "DEF")
lib.define("g(Array x) -> Array")
lib.impl("g", lambda x: x + {value})

@gpuops.custom_op("{ns}::h", mutates_args=())
def h(x: gpuops.Array) -> gpuops.Array:
    return x + {value}
"""


# N3
@pytest.mark.parametrize(
    "files",
    [
        pytest.param(["module.py"] * 3, id="importlib.reload"),
        # A notebook compiles each run of a cell under a new file name.
        pytest.param(["<ipython-input-1-0a>", "<ipython-input-2-0a>"], id="IPython"),
        pytest.param(["/tmp/ipykernel_1/1.py", "/tmp/ipykernel_1/2.py"], id="ipykernel"),
        pytest.param(["<stdin>", "<stdin>"], id="REPL"),
    ],
)
def test_executing_the_same_definitions_again_is_no_error(ns: str, files: list[str]) -> None:
    module = types.ModuleType(f"reloaded_{ns}")
    sys.modules[module.__name__] = module
    try:
        for value, file in enumerate(files):
            code = compile(MODULE.format(ns=ns, value=value), file, "exec")
            exec(code, module.__dict__)
            assert getattr(ops, ns).g(X) == getattr(ops, ns).h(X) == 1 + value
    finally:
        module.lib.destroy()
        module.handle.undo()
        del sys.modules[module.__name__]
    assert [op.name for op in gpuops.operators(ns)] == ["h"]


# N3
def test_a_module_loaded_again_may_have_been_edited(ns: str) -> None:
    """Lines move when a module is edited; two definitions in one module are still two."""
    module = types.ModuleType(f"edited_{ns}")
    sys.modules[module.__name__] = module
    try:
        for value in (0, 1):
            text = "\n" * value + MODULE.format(ns=ns, value=value)
            exec(compile(text, "edited.py", "exec"), module.__dict__)
            assert getattr(ops, ns).g(X) == getattr(ops, ns).h(X) == 1 + value
        again = f"gpuops.define('{ns}::i', '{ONE}')\ngpuops.define('{ns}::i', '{ONE}')\n"
        with pytest.raises(RuntimeError, match="multiple times: first at edited.py:1, now at edit"):
            exec(compile(again, "edited.py", "exec"), module.__dict__)
        other = types.ModuleType(f"other_{ns}")
        with pytest.raises(RuntimeError, match="is defined multiple times"):
            exec(compile(MODULE.format(ns=ns, value=2), "other.py", "exec"), other.__dict__)
    finally:
        module.lib.destroy()
        module.handle.undo()
        del sys.modules[module.__name__]


# -- libraries -------------------------------------------------------------------------------------


# N3, N15
def test_defining_a_name_twice(ns: str) -> None:
    first = Library(ns, "DEF")
    second = Library(ns, "FRAGMENT")
    first.define(f"f{ONE}")
    for attempt in (
        lambda: first.define(f"f{ONE}"),
        lambda: second.define(f"{ns}::f{ONE}"),
        lambda: gpuops.define(f"{ns}::f", ONE),
        lambda: custom_op(f"{ns}::f", giving(1), mutates_args=(), schema=ONE),
    ):
        with pytest.raises(RuntimeError, match="is defined multiple times") as caught:
            attempt()
        assert str(caught.value).count(f"{__file__}:") == 2
    first.destroy()
    second.define(f"{ns}::f{ONE}")
    second.destroy()
    assert gpuops.operators(ns) == []


# N4
def test_impl_again_replaces(ns: str) -> None:
    with Library(ns, "DEF") as lib:
        lib.define(f"f{ONE}")
        f = getattr(ops, ns).f
        first = lib.impl("f", giving(1), "cpu")
        assert f(X) == 1
        second = lib.impl("f", giving(2), "cpu")
        assert f(X) == 2
        with pytest.raises(RuntimeError, match="already a kernel registered for cpu") as caught:
            lib.impl("f", giving(3), "cpu", allow_override=False)
        assert str(caught.value).count(f"{__file__}:") == 2 and f"{ns}::f" in str(caught.value)
        assert f(X) == 2
        lib.impl("f", giving(3), allow_override=False)  # another key
        second.undo()
        assert f(X) == 1
        first.undo()
        assert f(X) == 3


# N4
@pytest.mark.parametrize("wrong", [3, None, X, ["f"]])
def test_what_is_registered_must_be_callable(ns: str, wrong: Any) -> None:
    with Library(ns, "DEF") as lib:
        lib.define(f"f{ONE}")
        with pytest.raises(TypeError, match="required to be a callable"):
            lib.impl("f", wrong)
        with pytest.raises(TypeError, match="required to be a callable"):
            lib.register_fake("f", wrong)
        with pytest.raises(TypeError, match="required to be a callable"):
            lib.fallback(wrong)
        if wrong is not None:
            with pytest.raises(TypeError, match="takes a function"):
                custom_op(f"{ns}::g", wrong, mutates_args=())
        operator = getattr(ops, ns).f.operator
        assert operator.kernel_table() == {} and list(registry.rules(operator)) == []


# N5
def test_fakes(ns: str) -> None:
    f = custom_op(f"{ns}::f", giving(1), mutates_args=(), schema=ONE)
    one, two = giving(1), giving(2)
    assert f.register_fake(one) is one
    handle = gpuops.register_fake(f"{ns}::f", two)
    assert fake_of(f) is two
    with pytest.raises(RuntimeError, match="already has a fake impl") as caught:
        gpuops.register_fake(f, one, allow_override=False)
    assert str(caught.value).count(f"{__file__}:") == 2
    with pytest.raises(RuntimeError, match="already has a fake impl"):
        f.register_fake(one, allow_override=False)
    assert fake_of(f) is two
    handle.undo()
    assert fake_of(f) is one


# N6
def test_a_scoped_library_overrides_and_restores(ns: str) -> None:
    f = custom_op(f"{ns}::f", giving(0), mutates_args=(), schema=ONE)
    f.register_kernel("cpu", giving(1))
    original = f.register_fake(giving(1))
    with Library(ns, "IMPL") as lib:
        lib.impl("f", giving(2), "cpu")
        lib.impl("f", giving(3))
        replacing = giving(2)
        lib.register_fake("f", replacing)
        assert f(X) == 2 and fake_of(f) is replacing
        assert gpuops.get_kernel(f)(X) == 3
        with Library(ns, "IMPL") as inner:
            inner.impl("f", giving(4), "cpu")
            assert f(X) == 4
        assert f(X) == 2
    assert f(X) == 1 and fake_of(f) is original and gpuops.get_kernel(f)(X) == 0


# N7
def test_libraries_leave_each_others_overrides(ns: str, cupy: StandIn) -> None:
    f = custom_op(f"{ns}::f", giving(0), mutates_args=(), schema=ONE)
    g = custom_op(f"{ns}::g", giving(0), mutates_args=(), schema=ONE)
    first, second = Library(ns, "IMPL"), Library(ns, "IMPL")
    first.impl("f", giving(1), "cpu")
    second.impl("g", giving(2), "cpu")
    second.impl("f", lambda x: x.copy(), "cuda")
    first.destroy()
    assert f(X) == 0 and g(X) == 2 and type(f(cupy.ones(1))) is cupy.ndarray
    second.destroy()
    assert f(X) == 0 and g(X) == 0
    # The same key, undone in the order of registration.
    first, second = Library(ns, "IMPL"), Library(ns, "IMPL")
    first.impl("f", giving(1), "cpu")
    second.impl("f", giving(2), "cpu")
    first.destroy()
    assert f(X) == 2
    second.destroy()
    assert f(X) == 0


# N8
def test_a_failed_registration_leaves_nothing_behind(ns: str) -> None:
    def snapshot() -> Any:
        return (
            [
                (op.qualname, op.kernel_table(), list(registry.rules(op)))
                for op in gpuops.operators()
            ],
            dict(registry.definitions),
        )

    f = custom_op(f"{ns}::f", giving(0), mutates_args=(), schema=ONE)
    with Library(ns, "FRAGMENT") as lib:
        before = snapshot()
        attempts: list[Callable[[], Any]] = [
            lambda: custom_op(f"{ns}::g", giving(0), mutates_args=()),  # no type hints
            lambda: custom_op(f"{ns}::g", giving(0), mutates_args={"z"}, schema=ONE),
            lambda: custom_op(f"{ns}::g", giving(0), mutates_args=(), schema="(Array x"),
            lambda: custom_op(f"{ns}::f", giving(0), mutates_args=(), schema="(Array x"),
            lambda: custom_op(f"{ns}::g", giving(0), mutates_args=(), schema=ONE, tags="inplace"),
            lambda: custom_op(f"{ns}::g", giving(0), mutates_args=(), schema=ONE, signature="(n"),
            lambda: custom_op(f"{ns}::g", giving(0), mutates_args=(), schema=ONE, device_types="x"),
            lambda: custom_op(f"{ns}::g", lambda: 0, mutates_args=(), schema=ONE),
            lambda: gpuops.define(f"{ns}::g", "(Strange x) -> Array"),
            lambda: lib.define("g(Strange x) -> Array"),
            lambda: lib.define(ONE),
            lambda: f.register_kernel(["cpu", "tpu"], giving(0)),
            lambda: f.register_kernel(["cpu", "cuda"], lambda x, y: x),
            lambda: f.register_kernel("cpu", "no colon"),
            lambda: f.register_fake(lambda: 0),
            lambda: gpuops.register_fake(f, 3),
            lambda: lib.impl("f", giving(0), allow_override=False),
            lambda: lib.impl("h", giving(0)),
            lambda: Library(ns, "WRONG"),
            lambda: Library("prim", "DEF"),
        ]
        for attempt in attempts:
            with pytest.raises((ValueError, TypeError, RuntimeError, AttributeError)):
                attempt()
            assert snapshot() == before
        assert lib._handles == {}
    assert f(X) == 0


# F9
def test_a_kernel_that_cannot_take_the_arguments_is_refused(ns: str) -> None:
    f = custom_op(
        f"{ns}::f", lambda x, *, s: x, mutates_args=(), schema="(Array x, *, float s) -> Array"
    )
    for kernel in (
        lambda: 0,
        lambda x: x,
        lambda x, y: x,
        lambda x, *, t: x,
        lambda x, *, s, t: x,
        lambda x, s, /: x,
    ):
        with pytest.raises(RuntimeError, match="cannot take the arguments") as caught:
            f.register_kernel("cpu", kernel)
        assert f"{ns}::f(Array x, *, float s) -> Array" in str(caught.value)
        assert f"{__file__}:" in str(caught.value)
    for kernel in (
        lambda a, *, s: a,
        lambda *args, **kwargs: args[0],
        lambda x, *, s, t=1: x,
        lambda x, s: x,
    ):
        f.register_kernel("cpu", kernel)


# N9
def test_library_kinds(ns: str) -> None:
    for kind in ("BLAH", "def", "", None, 3):
        with pytest.raises(ValueError, match="must be one of DEF, FRAGMENT, IMPL"):
            Library(ns, kind)  # type: ignore[arg-type]
    for name in ("", "a.b", "1a", "a::b", "a b", 3):
        with pytest.raises((ValueError, TypeError), match="namespace"):
            Library(name, "FRAGMENT")  # type: ignore[arg-type]
    one, two = Library(ns, "FRAGMENT"), Library(ns, "FRAGMENT")
    one.define(f"f{ONE}"), two.define(f"g{ONE}")
    whole = Library(ns, "DEF")
    whole.define(f"h{ONE}")
    implementing = Library(ns, "IMPL")
    with pytest.raises(RuntimeError, match="can only register kernels"):
        implementing.define(f"i{ONE}")
    implementing.impl("f", giving(1))
    assert getattr(ops, ns).f(X) == 1
    with pytest.raises(RuntimeError, match=f"is for the namespace '{ns}x'"):
        Library(f"{ns}x", "IMPL").impl(f"{ns}::f", giving(1))
    with pytest.raises(ValueError, match=f"defines operators of '{ns}', not 'other::f'"):
        one.define(f"other::f{ONE}")
    with pytest.raises(ValueError, match="Expected one of cpu, cuda"):
        Library(ns, "IMPL", "tpu")
    on_cpu = Library(ns, "IMPL", "cpu")
    on_cpu.impl("g", giving(2))
    assert getattr(ops, ns).g.operator.kernel_table().keys() == {"cpu"}
    with pytest.raises(RuntimeError, match="is for 'cpu' kernels, not for 'cuda'"):
        on_cpu.impl("g", giving(2), "cuda")
    for lib in (one, two, whole, implementing, on_cpu):
        lib.destroy()
    assert gpuops.operators(ns) == []


# N9, N10
def test_one_def_library_per_namespace(ns: str) -> None:
    first = Library(ns, "DEF")
    with pytest.raises(RuntimeError, match="only one DEF library") as caught:
        Library(ns, "DEF")
    assert str(caught.value).count(f"{__file__}:") == 2
    first.destroy()
    with Library(ns, "DEF") as second:
        second.define(f"f{ONE}")


# N11
@pytest.mark.parametrize("how", ["destroy", "with", "del"])
def test_the_end_of_a_library(ns: str, how: str) -> None:
    base = custom_op(f"{ns}::base", giving(0), mutates_args=(), schema=ONE)
    lib = Library(ns, "FRAGMENT")
    lib.define(f"f{ONE}")
    lib.impl("f", giving(1))
    lib.impl("base", giving(1), "cpu")
    lib.register_fake("base", giving(1))
    registration = lib.fallback(lambda op, *args: X)
    reference = weakref.ref(lib)
    assert base(X) == 1 and getattr(ops, ns).f(X) == 1
    if how == "destroy":
        lib.destroy()
        lib.destroy()
    elif how == "with":
        with lib:
            assert base(X) == 1
    if how != "del":
        assert lib.destroyed
        for attempt in (
            lambda lib: lib.define(f"g{ONE}"),
            lambda lib: lib.impl("base", giving(1)),
            lambda lib: lib.register_fake("base", giving(1)),
            lambda lib: lib.fallback(giving(1)),
            lambda lib: lib.__enter__(),
        ):
            with pytest.raises(RuntimeError, match="has been destroyed"):
                attempt(lib)
        assert repr(lib).endswith(f"made at {lib.location}>")
    del lib
    gc.collect()
    assert reference() is None, "something keeps the library alive"
    assert base(X) == 0 and fake_of(base) is None and not registration.active
    assert [op.name for op in gpuops.operators(ns)] == ["base"]


# N11
def test_a_library_in_a_reference_cycle_is_collected(ns: str) -> None:
    class Holder:
        pass

    holder: Any = Holder()
    holder.self = holder
    holder.lib = Library(ns, "DEF")
    holder.lib.define(f"f{ONE}")
    holder.lib.impl("f", lambda x, _=holder: x.copy())
    del holder
    gc.collect()
    # The kernel held the holder, the registry holds the kernel: nobody can tell that it is unused.
    # A kernel must not refer to its library; one that does not is collected:
    (operator,) = gpuops.operators(ns)
    operator.kernels[None][0].value.__defaults__[0].lib.destroy()
    holder = Holder()
    holder.self = holder
    holder.lib = Library(ns, "DEF")
    holder.lib.define(f"g{ONE}")
    del holder
    gc.collect()
    assert gpuops.operators(ns) == []


# N12
def test_saved_kernels(ns: str, cupy: StandIn) -> None:
    lib = Library(ns, "DEF")
    lib.define(f"f{ONE}")
    lib.impl("f", giving(1), "cpu")
    with pytest.raises(NotImplementedError, match=f"no kernel for CUDA for {ns}::f; it has: cpu"):
        gpuops.get_kernel(f"{ns}::f", "cuda")
    with pytest.raises(NotImplementedError, match=f"no kernel for DEFAULT for {ns}::f"):
        gpuops.get_kernel(f"{ns}::f")
    saved = gpuops.get_kernel(f"{ns}::f", "cpu")
    other = lib.impl("f", giving(2), "cpu")
    assert saved(X) == 1 and gpuops.get_kernel(f"{ns}::f", "cpu")(X) == 2
    over = gpuops.get_kernel(f"{ns}::f", "cpu")
    other.undo()
    with pytest.raises(RuntimeError, match="has been invalidated") as caught:
        over(X)
    assert f"{ns}::f" in str(caught.value) and __file__ in str(caught.value)
    assert saved(X) == 1 and saved.device_type == "cpu"
    lib.destroy()
    with pytest.raises(RuntimeError, match="has been invalidated"):
        saved(X)
    with pytest.raises(AttributeError, match="does not exist"):
        gpuops.get_kernel(f"{ns}::f", "cpu")


# N13
def test_a_kernel_can_call_the_one_it_wraps(ns: str) -> None:
    f = custom_op(f"{ns}::f", lambda x: x + 1, mutates_args=(), schema=ONE)

    def wrap() -> Library:
        original = gpuops.get_kernel(f, "cpu")
        lib = Library(ns, "IMPL")
        lib.impl("f", lambda x: original(x) * 10 if x[0] > 0 else original(x), "cpu")
        return lib

    outer = wrap()
    assert f(X) == 20 and f(-X) == 0
    inner = wrap()
    assert f(X) == 200 and f(-X) == 0
    inner.destroy()
    assert f(X) == 20
    outer.destroy()
    assert f(X) == 2


# K6, N9
@pytest.mark.parametrize(
    ("devices", "error", "message"),
    [
        (3, gpuops.UsageError, "must be a string, a sequence of strings or None, got int 3"),
        (gpuops.Device("cpu"), gpuops.UsageError, "must be a string, a sequence of"),
        ([3], gpuops.DeviceError, "Expected one of cpu, cuda as a device type, got int 3"),
        (["cpu", "tpu"], gpuops.DeviceError, "Expected one of cpu, cuda as a device type, got 'tp"),
        ([], gpuops.SchemaError, "device types must not be empty"),
        ("tpu", gpuops.DeviceError, "Expected one of cpu, cuda as a device type, got 'tpu'"),
    ],
)
def test_a_library_refuses_bad_device_types(
    ns: str, devices: Any, error: type[Exception], message: str
) -> None:
    with Library(ns, "DEF") as lib:
        lib.define("f(Array x) -> Array")
        with pytest.raises(error, match=message):
            lib.register_kernel("f", devices, lambda x: x)
        assert not getattr(ops, ns).f.operator.kernel_table()
        lib.register_kernel("f", ("cpu", "default"), lambda x: x)
        assert sorted(getattr(ops, ns).f.operator.kernel_table()) == ["cpu", "default"]


# N14
def test_fallbacks(ns: str, cupy: StandIn) -> None:
    seen: list[Any] = []

    def fallback(operator: gpuops.Operator, *args: Any, **kwargs: Any) -> Any:
        seen.append((operator.qualname, args, kwargs))
        return args[0].copy()

    lib = Library(ns, "DEF")
    lib.define("f(Array x, float s=2.0, *, int n=3) -> Array")
    f = getattr(ops, ns).f
    lib.fallback(fallback, "cpu")
    assert f(X, 1) == 1
    assert seen == [(f"{ns}::f", (X, 1.0), {"n": 3})]
    with pytest.raises(NotImplementedError):
        f(cupy.ones(1))
    everywhere = Library("_", "IMPL")
    everywhere.fallback(lambda operator, *args, **kwargs: args[0] + 5)
    assert f(cupy.ones(1)).host == 6
    assert f(X) == 1, "the namespace's own fallback is nearer"
    lib.impl("f", lambda x, s, *, n: x + 7, "cpu")
    assert f(X) == 8, "a kernel comes before a fallback"
    everywhere.destroy()
    with pytest.raises(NotImplementedError):
        f(cupy.ones(1))
    lib.destroy()


# N14
def test_the_nearest_fallback_serves(ns: str) -> None:
    """That of the namespace before that of all, that of the device before that of any."""
    with Library(ns, "FRAGMENT") as lib, Library("_", "IMPL") as everywhere:
        lib.define(f"f{ONE}")
        f = getattr(ops, ns).f
        handles = []
        for value, (library, device) in enumerate(
            [(everywhere, None), (everywhere, "cpu"), (lib, None), (lib, "cpu")]
        ):
            handles.append(library.fallback(lambda op, x, v=value: np.full(1, v), device))
            library.fallback(lambda op, x: np.full(1, -1), "cuda")
            assert f(X) == value
        for value in (3, 2, 1):
            handles[value].undo()
            assert f(X) == value - 1


# N14
def test_fallthrough(ns: str) -> None:
    skip = gpuops.fallthrough_kernel
    with Library(ns, "DEF") as lib:
        lib.define(f"f{ONE}")
        f = getattr(ops, ns).f
        lib.impl("f", skip, "cpu")
        with pytest.raises(NotImplementedError):
            f(X)
        default = lib.impl("f", giving(1))
        assert f(X) == 1
        default.undo()
        lib.fallback(lambda operator, x: x + 1)
        assert f(X) == 2
        lib.fallback(skip)
        assert f(X) == 2
        real = lib.impl("f", giving(3), "cpu")
        assert f(X) == 3
        lib.impl("f", skip, "cpu")
        assert f(X) == 3, "a fallthrough skips to what it covers"
        real.undo()
        assert f(X) == 2
    with pytest.raises(RuntimeError, match="never called"):
        skip(X)


# -- the rule table and handles --------------------------------------------------------------------


def test_rules_of_any_token_follow_the_same_rules(ns: str) -> None:
    operator = custom_op(f"{ns}::f", giving(0), mutates_args=(), schema=ONE).operator
    table = registry.rule_table(operator)
    for token in ("fake", "autograd", "vmap", "profile", "effect"):
        first = registry.add_rule(operator, token, 1)
        with pytest.raises(RuntimeError, match=f"already has a {token} rule, registered at"):
            registry.add_rule(operator, token, 2, allow_override=False)
        with registry.add_rule(operator, token, 2) as second:
            assert registry.rule(operator, token).value == 2
            # The table that a caller holds is always that of now.
            assert [entry.value for entry in table[token]] == [1, 2]
        assert not second.active and registry.rule(operator, token).value == 1
        first.undo()
        assert registry.rule(operator, token) is None
        assert not table and registry.rule_table(operator) is table


def test_handles(ns: str) -> None:
    f = custom_op(f"{ns}::f", giving(0), mutates_args=(), schema=ONE)
    first = f.register_kernel("cpu", giving(1))
    second = f.register_kernel("cpu", giving(2))
    third = f.register_kernel("cpu", giving(3))
    second.undo()
    assert f(X) == 3
    third.undo()
    assert f(X) == 1
    third.undo()
    first.undo()
    assert f(X) == 0
    assert repr(first) == f"<Registration at {first.location}, undone>"
    assert str(first.location).startswith(f"{__file__}:")


def test_registering_for_ever_does_not_grow(ns: str) -> None:
    f = custom_op(f"{ns}::f", giving(0), mutates_args=(), schema=ONE)
    for value in range(100):
        f.register_kernel("cpu", giving(value))
        f.register_fake(giving(value))
    assert f(X) == 99
    assert len(f.operator.kernels["cpu"]) <= 2
    assert len(registry._rules[f.operator][FAKE]) <= 2


def test_nothing_keeps_a_removed_operator_alive(ns: str) -> None:
    def declare() -> weakref.ref[Any]:
        f = custom_op(f"{ns}::f", giving(0), mutates_args=(), schema=ONE)
        f(X), f([1.0]) if False else None
        with f.set_kernel_enabled(None, False), pytest.raises(NotImplementedError):
            f(X)
        with gpuops.debug():
            f(X)
        f.undo()
        return weakref.ref(f.operator)

    reference = declare()
    gc.collect()
    assert reference() is None


def test_custom_op_and_library_agree_on_the_type_of_an_array(ns: str) -> None:
    @custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array) -> Array:
        return x.copy()

    with Library(ns, "FRAGMENT") as lib:
        lib.define("g(Array x) -> Array")
        assert getattr(ops, ns).g.schema.parameters == f.schema.parameters
