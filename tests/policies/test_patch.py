"""The smallest JSON Patch, and edits that never touch the original."""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.patch import Draft, Path, escape, lookup, pointer, tokens


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        pytest.param(lambda draft: None, [], id="nothing"),
        pytest.param(
            lambda draft: draft.set(("spec", "new"), 1),
            [{"op": "add", "path": "/spec/new", "value": 1}],
            id="member",
        ),
        pytest.param(
            lambda draft: draft.set(("spec", "a"), 2),
            [{"op": "replace", "path": "/spec/a", "value": 2}],
            id="changed",
        ),
        pytest.param(lambda draft: draft.set(("spec", "a"), 1), [], id="set-to-what-it-was"),
        pytest.param(
            lambda draft: draft.set(("spec", "a"), True),
            [{"op": "replace", "path": "/spec/a", "value": True}],
            id="true-is-not-one",
        ),
        pytest.param(
            lambda draft: draft.set(("metadata", "labels", "a/b~c"), "x"),
            [{"op": "add", "path": "/metadata", "value": {"labels": {"a/b~c": "x"}}}],
            id="maps-on-the-way-are-made-at-once",
        ),
        pytest.param(
            lambda draft: draft.set(("spec", "x/y~z"), 1),
            [{"op": "add", "path": "/spec/x~1y~0z", "value": 1}],
            id="escaped",
        ),
        pytest.param(
            lambda draft: draft.set(("spec", "null", "a"), 1),
            [{"op": "replace", "path": "/spec/null", "value": {"a": 1}}],
            id="null-counts-as-absent",
        ),
        pytest.param(
            lambda draft: draft.append(("spec", "items"), {"name": "c"}),
            [{"op": "add", "path": "/spec/items/2", "value": {"name": "c"}}],
            id="element",
        ),
        pytest.param(
            lambda draft: draft.append(("spec", "others"), 1),
            [{"op": "add", "path": "/spec/others", "value": [1]}],
            id="list-that-is-made",
        ),
        pytest.param(
            lambda draft: draft.set(("spec", "items", 1, "x"), 1),
            [{"op": "add", "path": "/spec/items/1/x", "value": 1}],
            id="within-an-element",
        ),
        pytest.param(
            lambda draft: draft.set(("spec", "items", ("name", "b"), "x"), 1),
            [{"op": "add", "path": "/spec/items/1/x", "value": 1}],
            id="element-by-name",
        ),
        pytest.param(
            lambda draft: draft.set(("spec", "items", ("name", "z"), "x"), 1),
            [{"op": "add", "path": "/spec/items/2", "value": {"name": "z", "x": 1}}],
            id="element-made-by-name",
        ),
        pytest.param(
            lambda draft: draft.remove(("spec", "items", 0)),
            [{"op": "remove", "path": "/spec/items/0"}],
            id="element-taken-out",
        ),
        pytest.param(
            lambda draft: draft.remove(("spec", "deep", "er")),
            [{"op": "remove", "path": "/spec/deep"}],
            id="what-is-left-empty-goes-too",
        ),
    ],
)
def test_an_edit_is_the_smallest_patch(edit: Any, expected: list[dict[str, Any]]) -> None:
    original = {
        "spec": {
            "a": 1,
            "null": None,
            "items": [{"name": "a"}, {"name": "b"}],
            "deep": {"er": 1},
        }
    }
    before = copy.deepcopy(original)
    draft = Draft(original)

    edit(draft)

    assert draft.patch() == expected
    assert jsonpatch.apply_patch(original, draft.patch()) == draft.object
    assert original == before


def test_a_fork_shares_nothing() -> None:
    draft = Draft({"a": {"b": 1}})
    draft.set(("a", "c"), 2)

    fork = draft.fork()
    fork.set(("a", "c"), 3)
    draft.set(("a", "d"), 4)

    assert draft.object == {"a": {"b": 1, "c": 2, "d": 4}}
    assert fork.object == {"a": {"b": 1, "c": 3}}


@given(st.text(max_size=8))
def test_a_name_survives_its_pointer(name: str) -> None:
    assert tokens(pointer((name, 3))) == [name, "3"]
    assert "/" not in escape(name)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        pytest.param(("a", 0, "b"), 1, id="found"),
        pytest.param(("a", 1), None, id="past-the-end"),
        pytest.param(("a", "b"), None, id="name-in-a-list"),
        pytest.param(("a", ("b", 1), "b"), 1, id="by-key"),
        pytest.param(("s", 0), None, id="index-in-a-string"),
        pytest.param(("s", ("a", "b")), None, id="key-in-a-string"),
        pytest.param((), {"a": [{"b": 1}], "s": "text"}, id="whole"),
    ],
)
def test_looks_up(path: Path, found: Any) -> None:
    assert lookup({"a": [{"b": 1}], "s": "text"}, path) == found
