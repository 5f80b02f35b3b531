"""Quantities as k8s.io/apimachinery reads them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", "0"),
        ("2", "2"),
        ("+2", "2"),
        ("-2", "-2"),
        (".5", "0.5"),
        ("2.", "2"),
        ("500m", "0.5"),
        ("100n", "0.0000001"),
        ("3u", "0.000003"),
        ("1k", "1000"),
        ("1Ki", "1024"),
        ("64Gi", "68719476736"),
        ("1.5Gi", "1610612736"),
        ("1E", "1000000000000000000"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("1e-3", "0.001"),
    ],
)
def test_reads(text: str, value: str) -> None:
    assert quantity.parse(text) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    ["", " ", "2 Gi", "Gi", "16GB", "1K", "0x10", "1,5", "two", "1ee3", "٢", "9" * 65, "1e9999"],
)
def test_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        quantity.parse(text)


@pytest.mark.parametrize(
    ("one", "other", "equal", "at_least"),
    [
        ("1", "1000m", True, True),
        (1, "1", True, True),
        ("1Gi", "1024Mi", True, True),
        ("2", "1", False, True),
        ("1", "2", False, False),
        ("x", "x", True, False),
        (None, "1", False, False),
        ({}, "1", False, False),
    ],
)
def test_compares(one: Any, other: Any, equal: bool, at_least: bool) -> None:
    assert (quantity.equal(one, other), quantity.at_least(one, other)) == (equal, at_least)


@pytest.mark.parametrize(
    ("text", "count", "product"),
    [
        ("8Gi", 4, "32Gi"),
        ("500m", 3, "1500m"),
        ("2", 10, "20"),
        ("1.5Gi", 2, "3Gi"),
        ("0.1", 10, "1"),
        ("1e3", 2, "2e3"),
        ("100", 10, "1000"),
    ],
)
def test_multiplies_and_keeps_the_suffix(text: str, count: int, product: str) -> None:
    assert quantity.times(text, count) == product


@given(st.integers(0, 10**6), st.sampled_from(("", "m", "k", "Ki", "Gi", "M")), st.integers(1, 999))
def test_a_product_is_the_product(number: int, suffix: str, count: int) -> None:
    text = f"{number}{suffix}"

    assert quantity.parse(quantity.times(text, count)) == quantity.parse(text) * count
