"""Gufunc signatures: NumPy's grammar, checked against NumPy, and against the operator's schema."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuops
from gpuops import Array, Library, custom_op
from gpuops.gufunc import CoreDimension, parse_signature


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("(m,k),(k,n)->(m,n)", "(m,k),(k,n)->(m,n)"),
        ("(),()->()", "(),()->()"),
        ("(n)->(n),()", "(n)->(n),()"),
        ("(m?,k),(k,n?)->(m?,n?)", "(m?,k),(k,n?)->(m?,n?)"),
        ("(3),(3)->(3)", "(3),(3)->(3)"),
        ("(n)->(2)", "(n)->(2)"),
        ("  ( m , k ) , ( k )  ->  ( m ) ", "(m,k),(k)->(m)"),
        ("(long_name1,_x)->(_x)", "(long_name1,_x)->(_x)"),
    ],
)
def test_what_is_a_signature(text: str, canonical: str) -> None:
    assert str(parse_signature(text)) == canonical
    assert parse_signature(canonical) == parse_signature(text)


def test_what_a_signature_says() -> None:
    found = parse_signature("(m,3),(k?)->(k?)")
    assert found.inputs == (
        (CoreDimension("m"), CoreDimension("3", 3)),
        (CoreDimension("k", optional=True),),
    )
    assert found.outputs == ((CoreDimension("k", optional=True),),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "exactly one '->'"),
        ("(n)", "exactly one '->'"),
        ("(n)->(n)->(n)", "exactly one '->'"),
        ("(n)->", "at least one output"),
        ("n->n", "parenthesised dimensions"),
        ("(n,(m))->(n)", "parenthesised dimensions"),
        ("(n)(m)->(n)", "parenthesised dimensions"),
        ("(n),->(n)", "parenthesised dimensions"),
        ("(n->(n)", "parenthesised dimensions"),
        ("(n,)->(n)", "'' is not a dimension"),
        ("(m n)->(m)", "'m n' is not a dimension"),
        ("(m-n)->(m)", "'m-n' is not a dimension"),
        ("(0)->()", "'0' is not a dimension: expected a name or a size above 0"),
        ("(1a)->()", "'1a' is not a dimension"),
        ("(n??)->()", "'n\\?\\?' is not a dimension"),
        ("(n)->(m)", "output dimension 'm' is in no input"),
        ("->(n)", "output dimension 'n' is in no input"),
        ("(n?)->(n)", "'n' is optional in one place only"),
    ],
)
def test_what_is_no_signature(ns: str, text: str, message: str) -> None:
    with pytest.raises(gpuops.SchemaError, match=message) as caught:
        custom_op(f"{ns}::f", lambda x: x, mutates_args=(), schema="(Array x)->()", signature=text)
    assert f"gufunc signature {text!r}" in str(caught.value)
    assert not gpuops.operators(ns)


def numpy_accepts(text: str) -> bool:
    """Whether NumPy's own parser of signatures takes it (for functions of one Python argument)."""
    try:
        np.vectorize(lambda *args: args, signature=text)
    except ValueError:
        return False
    return True


_operands = st.lists(st.lists(st.sampled_from("mnk"), max_size=3), min_size=1, max_size=3)


@given(_operands, _operands)
def test_every_signature_that_numpy_takes_is_read_as_numpy_reads_it(
    inputs: list[list[str]], outputs: list[list[str]]
) -> None:
    text = "->".join(",".join(f"({','.join(o)})" for o in side) for side in (inputs, outputs))
    assert numpy_accepts(text)
    known = {name for operand in inputs for name in operand}
    if not {name for operand in outputs for name in operand} <= known:
        with pytest.raises(gpuops.SchemaError, match="is in no input"):
            parse_signature(text)
        return
    found = parse_signature(text)
    assert [[d.name for d in operand] for operand in found.inputs] == inputs
    assert [[d.name for d in operand] for operand in found.outputs] == outputs


@given(st.text("()mn,->? 3", max_size=14))
def test_any_text_is_read_or_refused_with_one_kind_of_error(text: str) -> None:
    try:
        found = parse_signature(text)
    except gpuops.SchemaError as error:
        message = str(error)
    else:
        message = f"gufunc signature {text!r}"
        assert parse_signature(str(found)) == found
    assert message.startswith(f"gufunc signature {text!r}")


def two(x: Array, y: Array, s: float = 1.0) -> Array: ...
def optional(x: Array, y: Array | None) -> Array: ...
def listed(xs: list[Array]) -> Array: ...
def number(x: Array) -> float: ...
def pair(x: Array) -> tuple[Array, Array]: ...


@pytest.mark.parametrize(
    ("function", "signature", "message"),
    [
        (two, "(n)->(n)", "it has 1 inputs, the schema 2 arrays"),
        (two, "(n),(n),()->(n)", "it has 3 inputs, the schema 2 arrays"),
        (two, "(n),(n)->(n),(n)", "it has 2 outputs, the schema 1"),
        (optional, "(n),(n)->(n)", "parameter 'y' is Array\\?; only Array can have one"),
        (listed, "(n)->(n)", "parameter 'xs' is Array\\[\\]; only Array can have one"),
        (number, "(n)->()", "a return of type float cannot have core dimensions"),
        (pair, "(n)->(n)", "it has 1 outputs, the schema 2"),
    ],
)
def test_a_signature_has_to_describe_the_operators_arrays(
    ns: str, function: Any, signature: str, message: str
) -> None:
    with pytest.raises(gpuops.SchemaError, match=message):
        custom_op(f"{ns}::f", function, mutates_args=(), signature=signature)
    assert not gpuops.operators(ns)


def test_an_operator_keeps_its_signature(ns: str) -> None:
    f = custom_op(f"{ns}::f", two, mutates_args=(), signature="(m,n),(n)->(m)")
    assert str(f.operator.signature) == "(m,n),(n)->(m)"
    g = custom_op(f"{ns}::g", pair, mutates_args=(), signature="(n)->(n),()")
    assert len(g.operator.signature.outputs) == 2
    with Library(ns, "FRAGMENT") as lib:
        lib.define("h(Array x) -> Array")
        assert getattr(gpuops.ops, ns).h.operator.signature is None
    with pytest.raises(gpuops.SchemaError, match="must be a string, got int"):
        custom_op(f"{ns}::k", two, mutates_args=(), signature=3)  # type: ignore[call-overload]
