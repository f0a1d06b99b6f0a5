"""What fake kernels see of opaque objects."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Array, FakeArray, MemberType, OpaqueBase, custom_op, register_opaque_type
from gpuops.opaque_fakes import FakeOpaque, fake_of, is_fake, real_of

X = FakeArray((4,), "float32")


class Pool(OpaqueBase):
    """Declares some of its members, and lacks one that it declares."""

    def __init__(self, size: int = 3, parent: Pool | None = None) -> None:
        self.size = size
        self.parent = parent
        self.secret = 7

    def doubled(self) -> int:
        return self.size * 2

    def leaking(self) -> int:
        return self.secret

    @property
    def half(self) -> int:
        return self.size // 2

    def plus(self, number: int) -> int:
        return self.secret + number

    def itself(self) -> Pool:
        return self

    @staticmethod
    def unit() -> int:
        return 1

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> int:
        return index


class Config:
    """A value type."""

    def __init__(self, width: int) -> None:
        self.width = width

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self.width == other.width

    def __hash__(self) -> int:
        return hash(self.width)

    def __repr__(self) -> str:
        return f"Config({self.width})"


register_opaque_type(
    Pool,
    "test_fakes.Pool",
    typ="reference",
    members={
        "size": MemberType.USE_REAL,
        "plus": "use_real",
        "itself": "use_real",
        "doubled": MemberType.INLINED,
        "leaking": MemberType.INLINED,
        "half": "inlined",
        "unit": "inlined",
        "parent": "inlined",
        "missing": "use_real",
        "__len__": "use_real",
    },
)
register_opaque_type(Config, "test_fakes.Config", typ="value")


def seen_by_a_fake(ns: str, look: Any, pool: Any = None) -> Any:
    """What `look(pool)` gives inside of a fake kernel."""
    found: list[Any] = []

    @custom_op(f"{ns}::look", mutates_args=())
    def op(pool: Pool, x: Array) -> Array:
        raise AssertionError("the real kernel must not run")

    @op.register_fake
    def _(pool, x):  # type: ignore[no-untyped-def]
        found.append(look(pool))
        return x.new_empty(x.shape)

    op(Pool() if pool is None else pool, X)
    return found[0]


# Y6
@pytest.mark.parametrize(
    ("look", "expected"),
    [
        (lambda pool: pool.size, 3),
        (lambda pool: pool.plus(1), 8),
        (lambda pool: pool.doubled(), 6),
        (lambda pool: pool.half, 1),
        (lambda pool: pool.unit(), 1),
        (len, 3),
        (bool, True),
        (lambda pool: isinstance(pool, Pool), True),
        (lambda pool: isinstance(pool, Config), False),
        (lambda pool: hasattr(pool, "secret"), False),
    ],
)
def test_declared_members_are_seen(ns: str, look: Any, expected: Any) -> None:
    assert seen_by_a_fake(ns, look) == expected


# Y5
@pytest.mark.parametrize(
    ("look", "message"),
    [
        (lambda pool: pool.secret, "Tried to call __getattr__ with attr 'secret'"),
        (lambda pool: pool.leaking(), "Tried to call __getattr__ with attr 'secret'"),
        (lambda pool: pool[0], "Tried to call __getattr__ with attr '__getitem__'"),
        (lambda pool: pool(), "Tried to call __getattr__ with attr '__call__'"),
        (lambda pool: pool._real, "Tried to call __getattr__ with attr '_real'"),
        (lambda pool: pool.__dict__, "Tried to call __getattr__ with attr '__dict__'"),
        (lambda pool: setattr(pool, "size", 4), "Tried to call __setattr__ with attr 'size'"),
        (lambda pool: setattr(pool, "new", 4), "Tried to call __setattr__ with attr 'new'"),
        (lambda pool: delattr(pool, "size"), "Tried to call __delattr__ with attr 'size'"),
        (pickle.dumps, "Tried to call __reduce_ex__"),
    ],
)
def test_nothing_else_is_seen(ns: str, look: Any, message: str) -> None:
    with pytest.raises(AttributeError, match=message) as caught:
        seen_by_a_fake(ns, look)
    assert isinstance(caught.value, gpuops.OpaqueAccessError)
    text = str(caught.value)
    assert f"argument 'pool' of {ns}::look" in text and "test_fakes.Pool" in text
    if "__getattr__" in text:
        # What to do: declare the member, and where.
        assert "members={" in text and __file__ in text


# Y6
def test_a_declared_member_that_is_missing_is_named(ns: str) -> None:
    with pytest.raises(AttributeError, match="test_fakes.Pool declares the member 'missing'"):
        seen_by_a_fake(ns, lambda pool: pool.missing)


# Y6
def test_reference_objects_are_no_constants(ns: str) -> None:
    with pytest.raises(AttributeError, match="'itself' .* is declared as USE_REAL, but it gives a"):
        seen_by_a_fake(ns, lambda pool: pool.itself())


# Y6
def test_inlined_attributes_are_opaque_objects(ns: str) -> None:
    nested = Pool(5, parent=Pool(8))
    assert seen_by_a_fake(ns, lambda pool: pool.parent.size, nested) == 8
    assert is_fake(seen_by_a_fake(ns, lambda pool: pool.parent, nested))
    with pytest.raises(AttributeError, match="member 'secret' of argument|with attr 'secret'"):
        seen_by_a_fake(ns, lambda pool: pool.parent.secret, nested)
    with pytest.raises(
        AttributeError, match="'parent' .* is declared as INLINED, but it is neither"
    ):
        seen_by_a_fake(ns, lambda pool: pool.parent, Pool())


def test_lists_and_optional_ones_are_fakes_and_values_are_real(ns: str) -> None:
    got: list[Any] = []
    config, pool = Config(2), Pool()

    @custom_op(f"{ns}::several", mutates_args=())
    def op(
        x: Array, pools: list[Pool], gaps: list[Pool | None], *, maybe: Pool | None, config: Config
    ) -> Array:
        return x.copy()

    @op.register_fake
    def _(x, pools, gaps, *, maybe, config):  # type: ignore[no-untyped-def]
        got[:] = [*pools, *gaps, maybe, config]
        return x.new_empty((config.width,))

    assert op(X, [pool], [None, pool], maybe=None, config=config).shape == (2,)
    assert [is_fake(value) for value in got] == [True, False, True, False, False]
    assert got[0] == got[2] and got[4] is config
    op(X, [], [], maybe=pool, config=config)
    assert is_fake(got[0]) and real_of(got[0]) is pool


def test_fakes_go_on_to_other_fake_kernels_and_to_no_real_one(ns: str) -> None:
    @custom_op(f"{ns}::inner", mutates_args=())
    def inner(pool: Pool, x: Array) -> Array:
        return x * pool.secret

    @inner.register_fake
    def _(pool, x):  # type: ignore[no-untyped-def]
        return x.new_empty((pool.size,))

    @custom_op(f"{ns}::counts", mutates_args=())
    def counts(pool: Pool) -> int:
        return pool.secret

    @counts.register_fake
    def _(pool):  # type: ignore[no-untyped-def]
        return len(pool)

    def look(pool: Any) -> Any:
        with pytest.raises(gpuops.GpuopsError, match=f"{ns}::inner: argument 'pool' is the fake"):
            inner(pool, np.ones(2))
        return inner(pool, X).shape, counts(pool)

    assert seen_by_a_fake(ns, look) == ((3,), 3)
    assert inner(Pool(), np.ones(2)).tolist() == [7, 7]


def test_a_real_kernel_refuses_a_fake_that_was_kept(ns: str) -> None:
    kept = seen_by_a_fake(ns, lambda pool: pool)

    @custom_op(f"{ns}::real", mutates_args=())
    def real(pools: list[Pool], pool: Pool | None = None) -> int:
        raise AssertionError("the kernel must not run")

    for arguments in ([kept],), ([], kept):
        with pytest.raises(gpuops.GpuopsError, match="is the fake of an opaque object"):
            real(*arguments)


def test_fakes_compare_by_the_object_they_stand_for() -> None:
    pool = Pool()
    fake = fake_of(pool)
    assert fake == fake_of(pool) and hash(fake) == hash(fake_of(pool))
    assert fake != fake_of(Pool()) and fake != pool
    assert fake_of(fake) is fake and copy.copy(fake) is copy.deepcopy(fake) is fake
    assert type(fake) is FakeOpaque and repr(fake) == "<fake of an opaque test_fakes.Pool>"
    assert fake_of(3) == 3 and real_of(3) == 3


def test_generators_give_away_nothing(ns: str) -> None:
    @custom_op(f"{ns}::draw", mutates_args=())
    def draw(rng: np.random.Generator, x: Array) -> Array:
        return rng.random(x.shape)

    @draw.register_fake
    def _(rng, x):  # type: ignore[no-untyped-def]
        rng.random(3)
        return x

    with pytest.raises(AttributeError, match="__getattr__ with attr 'random' .*gives away nothing"):
        draw(np.random.default_rng(1), X)
