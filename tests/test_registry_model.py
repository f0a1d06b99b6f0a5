"""Random sequences of registrations against a model: what runs is what the model says, always."""

from __future__ import annotations

import gc
import logging
import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)

import gpuops
from gpuops import Library, custom_op, fallthrough_kernel, ops
from gpuops.register import FAKE
from gpuops.registry import registry
from tests import standin_cupy

ONE = "(Array x) -> int"
KEYS: tuple[str | None, ...] = (None, "cpu", "cuda")
_serial = count()


def giving(value: int) -> Any:
    return lambda x: value


@dataclass
class Registered:
    """What the model knows of one registration: where it is on, and whether it still is."""

    keys: tuple[str | None, ...]
    value: int | None  # None stands for fallthrough_kernel
    active: bool = True


@dataclass
class Owner:
    """A library, or a handle, and what goes with it."""

    handle: Any
    owned: list[Registered] = field(default_factory=list)
    fakes: list[Registered] = field(default_factory=list)
    fallbacks: list[Registered] = field(default_factory=list)


class Registrations(RuleBasedStateMachine):
    """One operator, registered for and called in any order."""

    handles = Bundle("handles")
    libraries = Bundle("libraries")

    def __init__(self) -> None:
        super().__init__()
        logging.getLogger("gpuops").disabled = True
        self.stack = ExitStack()
        self.cupy = self.stack.enter_context(standin_cupy.loaded())
        self.ns = f"model_{next(_serial)}"
        self.values = count(1)
        self.contexts: list[tuple[Any, tuple[str | None, bool] | None]] = []
        self.kernels: list[Registered] = []
        self.fakes: list[Registered] = []
        self.fallbacks: list[Registered] = []
        self.saved: list[tuple[Any, Registered]] = []

    @initialize(key=st.sampled_from(KEYS))
    def declare(self, key: str | None) -> None:
        made, kernel = self.new((key,), False)
        self.f = custom_op(
            f"{self.ns}::f", kernel, mutates_args=(), schema=ONE, device_types=key or "default"
        )
        # What was registered for the operator that this one replaces is gone with it.
        for earlier in (*self.kernels, *self.fakes):
            earlier.active = False
        self.kernels = [made]
        self.fakes = []
        self.off: set[str | None] = set()

    # -- what can happen ---------------------------------------------------------------------------

    def new(self, keys: tuple[str | None, ...], skips: bool) -> tuple[Registered, Any]:
        made = Registered(keys, None if skips else next(self.values))
        return made, fallthrough_kernel if skips else giving(made.value or 0)

    @rule(
        target=handles,
        keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True).map(tuple),
        skips=st.sampled_from([False, False, True]),
    )
    def register(self, keys: tuple[str | None, ...], skips: bool) -> Owner:
        made, kernel = self.new(keys, skips)
        handle = gpuops.register_kernel(self.f, [key or "default" for key in keys], kernel)
        self.kernels.append(made)
        return Owner(handle, [made])

    @rule(key=st.sampled_from(KEYS), skips=st.booleans())
    def register_for_good(self, key: str | None, skips: bool) -> None:
        made, kernel = self.new((key,), skips)
        self.f.register_kernel(key, kernel)  # nobody keeps the handle
        self.kernels.append(made)

    @rule(target=handles)
    def register_fake(self) -> Owner:
        made, fake = self.new((None,), False)
        handle = gpuops.register_fake(self.f, fake)
        self.fakes.append(made)
        return Owner(handle, fakes=[made])

    @rule(handle=handles)
    def undo(self, handle: Owner) -> None:
        handle.handle.undo()
        assert not handle.handle.active
        for made in (*handle.owned, *handle.fakes):
            made.active = False

    @rule(handle=consumes(handles))
    def drop(self, handle: Owner) -> None:
        """The handle is gone, the registration stays."""
        handle.handle = None

    @rule(target=libraries, kind=st.sampled_from(["FRAGMENT", "IMPL"]))
    def make_library(self, kind: Any) -> Owner:
        return Owner(Library(self.ns, kind))

    @rule(library=libraries, key=st.sampled_from(KEYS), skips=st.booleans(), fake=st.booleans())
    def register_in(self, library: Owner, key: str | None, skips: bool, fake: bool) -> None:
        if library.handle.destroyed:
            return
        made, kernel = self.new((key,), skips)
        library.handle.impl("f", kernel, key)
        self.kernels.append(made)
        library.owned.append(made)
        if fake:
            made, kernel = self.new((None,), False)
            library.handle.register_fake("f", kernel)
            self.fakes.append(made)
            library.fakes.append(made)

    @rule(library=libraries, key=st.sampled_from(KEYS))
    def add_fallback(self, library: Owner, key: str | None) -> None:
        if library.handle.destroyed:
            return
        made, kernel = self.new((key,), False)
        library.handle.fallback(lambda operator, x: kernel(x), key)
        self.fallbacks.append(made)
        library.fallbacks.append(made)

    @rule(library=libraries)
    def destroy(self, library: Owner) -> None:
        library.handle.destroy()
        self.forget(library)

    @rule(library=consumes(libraries))
    def drop_library(self, library: Owner) -> None:
        library.handle = None
        self.forget(library)

    def forget(self, library: Owner) -> None:
        for made in (*library.owned, *library.fakes, *library.fallbacks):
            made.active = False

    @rule(key=st.sampled_from(KEYS), enabled=st.booleans())
    def enter(self, key: str | None, enabled: bool) -> None:
        context = gpuops.set_kernel_enabled(self.f, key, enabled)
        context.__enter__()
        known = any(key in made.keys and made.active for made in self.kernels)
        change = known and (key in self.off) == enabled
        if change:
            (self.off.discard if enabled else self.off.add)(key)
        self.contexts.append((context, (key, enabled) if change else None))

    @precondition(lambda self: self.contexts)
    @rule()
    def leave(self) -> None:
        context, change = self.contexts.pop()
        context.__exit__(None, None, None)
        if change is not None:
            key, enabled = change
            (self.off.add if enabled else self.off.discard)(key)

    @precondition(lambda self: not self.contexts)
    @rule(key=st.sampled_from(KEYS))
    def declare_again(self, key: str | None) -> None:
        stale = self.f
        self.declare(key)
        with pytest.raises(gpuops.StaleOperatorError, match="was replaced"):
            stale(np.ones(1))

    @rule(key=st.sampled_from(KEYS))
    def save_kernel(self, key: str | None) -> None:
        made = self.find(self.kernels, key) or self.find(self.kernels, None)
        if made is not None:
            self.saved.append((gpuops.get_kernel(self.f, key), made))

    # -- what the model says -----------------------------------------------------------------------

    @staticmethod
    def find(registered: list[Registered], key: str | None) -> Registered | None:
        for made in reversed(registered):
            if made.active and key in made.keys and made.value is not None:
                return made
        return None

    def expected(self, registered: list[Registered], key: str | None) -> int | None:
        made = self.find(registered, key)
        return None if made is None else made.value

    def served(self, device: str) -> int | None:
        for key in (device, None):
            value = None if key in self.off else self.expected(self.kernels, key)
            if value is not None:
                return value
        return self.expected(self.fallbacks, device) or self.expected(self.fallbacks, None)

    @invariant()
    def the_kernel_that_runs_is_the_models(self) -> None:
        for device, array in (("cpu", np.ones(1)), ("cuda", self.cupy.ones(1))):
            for call in (self.f, getattr(ops, self.ns).f):
                try:
                    found: int | None = call(array)
                except gpuops.NoKernelError:
                    found = None
                assert found == self.served(device), device

    @invariant()
    def the_saved_kernel_and_the_fake_are_the_models(self) -> None:
        for key in KEYS:
            expected = self.expected(self.kernels, key) or self.expected(self.kernels, None)
            try:
                found: int | None = gpuops.get_kernel(self.f, key)(np.ones(1))
            except gpuops.NoKernelError:
                found = None
            assert found == expected
        for saved, made in self.saved:
            if made.active:
                assert saved(np.ones(1)) == made.value
            else:
                with pytest.raises(gpuops.RegistrationError, match="has been invalidated"):
                    saved(np.ones(1))
        fake = registry.rule(self.f.operator, FAKE)
        assert (fake and fake.value(None)) == self.expected(self.fakes, None)

    def teardown(self) -> None:
        while self.contexts:
            self.leave()
        if hasattr(self, "f"):
            self.f.undo()
        gc.collect()
        try:
            assert gpuops.operators(self.ns) == []
            assert not [op for op in registry._rules if op.namespace == self.ns]
            kept = {key for made in self.fallbacks if made.active for key in made.keys}
            assert {key for space, key in registry._fallbacks if space == self.ns} == kept
            assert not hasattr(self, "f") or self.f.operator.switched_off == 0
        finally:
            logging.getLogger("gpuops").disabled = False
            self.stack.close()


TestRegistrations = Registrations.TestCase
# GPUOPS_EXAMPLES=1000 looks further.
TestRegistrations.settings = settings(
    max_examples=int(os.environ.get("GPUOPS_EXAMPLES", "20")), stateful_step_count=20, deadline=None
)


def test_all_handles_undone_leave_what_was_there_before(ns: str) -> None:
    f = custom_op(f"{ns}::f", giving(0), mutates_args=(), schema=ONE)
    before = dict(f.operator.kernels)
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)):
        handles = [
            f.register_kernel(["cpu", "cuda"], giving(1)),
            f.register_kernel(None, giving(2)),
            f.register_kernel("cpu", fallthrough_kernel),
            gpuops.register_fake(f, giving(3)),
        ]
        for index in order:
            handles[index].undo()
        assert f.operator.kernels == before and not registry.rule_table(f.operator)
    assert f(np.ones(1)) == 0


def test_a_kernel_skipped_to_outlives_what_is_registered_and_undone_above_it(ns: str) -> None:
    f = custom_op(f"{ns}::f", giving(0), mutates_args=(), schema=ONE)
    f.register_kernel("cpu", giving(1))
    for _ in range(20):
        f.register_kernel("cpu", fallthrough_kernel)
    handle = f.register_kernel("cpu", giving(2))
    assert f(np.ones(1)) == 2
    handle.undo()
    assert f(np.ones(1)) == 1
    assert len(f.operator.kernels["cpu"]) <= 3, "what is registered again and again must not grow"
