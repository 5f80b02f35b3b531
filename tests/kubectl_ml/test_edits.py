"""Changing a YAML text by spans: it says the new value, and keeps the bytes that needn't change."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_ml import edits
from policies import manifests

_SCALARS = st.none() | st.booleans() | st.integers(-99, 99) | st.text("ab #:-\n'\"é", max_size=6)
_KEYS = st.text("abc", min_size=1, max_size=2)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=12,
)

BEFORE = """\
# head
items:
- name: one # the first
  args: ["x",
    "y"]
  script: |
    echo

    hi
  # in between
- name: two
  limits: {}
  env:
  - name: A # mine
    value: 'on'
# tail
other: 0777
"""


@given(old=_VALUES, new=_VALUES)
def test_the_text_says_the_new_value(old: Any, new: Any) -> None:
    text = manifests.dump(old)

    changed = edits.edited(text, new)

    assert manifests.documents(changed) == [new]


@given(value=_VALUES)
def test_the_same_value_leaves_the_text(value: Any) -> None:
    text = "# why\n" + manifests.dump(value)

    assert edits.edited(text, value) == text


def test_new_keys_and_items_stand_below_their_neighbors() -> None:
    [value] = manifests.documents(BEFORE)
    one, two = value["items"]
    one["image"] = "x"
    two["limits"] = {"gpu": "2"}
    two["env"].append({"name": "B"})
    value["items"] = [{"name": "zero"}, one, two, {"name": "three"}]

    assert edits.edited(BEFORE, value) == (
        """\
# head
items:
- name: zero
- name: one # the first
  args: ["x",
    "y"]
  script: |
    echo

    hi
  image: x
  # in between
- name: two
  limits:
    gpu: "2"
  env:
  - name: A # mine
    value: 'on'
  - name: B
- name: three
# tail
other: 0777
"""
    )


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        pytest.param("a: {b: 1} # c\n", {"a": {"b": 2}}, 'a: {"b": 2} # c\n', id="flow"),
        pytest.param("a: # c\nb: 1\n", {"a": 2, "b": 1}, "a: 2 # c\nb: 1\n", id="nothing"),
        pytest.param("a:\r\n  b: 1\r\n", {"a": {"b": 1, "c": 2}}, None, id="windows"),
        pytest.param("a: 1", {"a": 1, "b": 2}, "a: 1\nb: 2", id="no-line-end"),
        pytest.param("a: &x [1]\nb: *x\n", {"a": [1], "b": [2]}, None, id="alias"),
        pytest.param("\ufeffa: 1\n", {"a": 1, "b": 2}, "a: 1\nb: 2\n", id="bom"),
        pytest.param('{"a": 1}', {"a": 2}, '{"a": 2}', id="json"),
        pytest.param("a: 1 # c\nb: 2\n", {"b": 2}, "b: 2\n", id="a-key-goes"),
        pytest.param("a: true # c\n", {"a": 1}, "a: 1 # c\n", id="true-is-not-1"),
        pytest.param("é: ü # ö\n", {"é": "ü", "ä": "ß"}, "é: ü # ö\nä: ß\n", id="letters"),
    ],
)
def test_changes(text: str, value: Any, expected: str | None) -> None:
    changed = edits.edited(text, value)

    assert manifests.documents(changed) == [value]
    assert expected is None or changed == expected
