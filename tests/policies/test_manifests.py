"""Manifests are read as kubectl reads them, and written so that every reader agrees."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from policies import manifests

TEXT = st.text(st.characters(codec="utf-8"))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
TRICKY = st.from_regex(r"[-+.0-9_:eExXoObTtnyYNfF~<=#!&*|>%@`'\" \n\t]{0,12}", fullmatch=True)


@given(VALUES)
def test_reads_back_what_it_wrote(value: Any) -> None:
    assert manifests.documents(manifests.dump(value)) == [value]


@given(TRICKY)
def test_strings_stay_strings_for_every_reader(text: str) -> None:
    written = manifests.dump({"key": text, text: "value"})

    assert manifests.documents(written) == [{"key": text, text: "value"}]
    assert yaml.safe_load(written) == {"key": text, text: "value"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("yes", True, id="yes-is-true"),
        pytest.param("On", True, id="on-is-true"),
        pytest.param("n", False, id="n-is-false"),
        pytest.param("TRUE", True, id="true-in-capitals"),
        pytest.param("tRue", "tRue", id="mixed-case-is-a-string"),
        pytest.param("'yes'", "yes", id="quoted-is-a-string"),
        pytest.param("~", None, id="tilde-is-null"),
        pytest.param("", None, id="nothing-is-null"),
        pytest.param("0777", 511, id="leading-zero-is-octal"),
        pytest.param("0o17", 15, id="yaml-1.2-octal"),
        pytest.param("08", 8.0, id="not-octal-is-a-float"),
        pytest.param("0x10", 16, id="hexadecimal"),
        pytest.param("-0b11", -3, id="binary"),
        pytest.param("1_000", 1000, id="underscores"),
        pytest.param("1e3", 1000.0, id="exponent"),
        pytest.param("-.5", -0.5, id="float-without-a-leading-digit"),
        pytest.param("1:30", "1:30", id="sexagesimal-is-a-string"),
        pytest.param("2024-01-01", "2024-01-01", id="date-is-a-string"),
        pytest.param("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z", id="time-is-a-string"),
        pytest.param("=", "=", id="equals-sign-is-a-string"),
        pytest.param("1.2.3", "1.2.3", id="version-is-a-string"),
        pytest.param("10Gi", "10Gi", id="quantity-is-a-string"),
        pytest.param("18446744073709551616", 2.0**64, id="beyond-64-bits-is-a-float"),
        pytest.param("1" + "0" * 400, "1" + "0" * 400, id="beyond-a-float-is-a-string"),
        pytest.param("1e999", "1e999", id="infinite-is-a-string"),
        pytest.param("!!str 1", "1", id="tagged-string"),
        pytest.param("!!int '1'", 1, id="tagged-integer"),
        pytest.param("!!float 1", 1.0, id="tagged-float"),
        pytest.param("!!binary aGk=", "hi", id="tagged-binary"),
        pytest.param("!mine x", "x", id="local-tag-is-ignored"),
    ],
)
def test_reads_a_scalar_as_kubectl_does(text: str, value: Any) -> None:
    (found,) = manifests.documents(f"key: {text}")

    assert found == {"key": value}
    assert type(found["key"]) is type(value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("# only words\n", [], id="comments-only"),
        pytest.param("---\n---\na: 1\n", [None, {"a": 1}], id="empty-document-first"),
        pytest.param("on: 1\n2: b\n", [{"true": 1, "2": "b"}], id="keys-become-strings"),
        pytest.param(
            "a: &x {b: 1, c: 2}\nd: {<<: *x, b: 3}",
            [{"a": {"b": 1, "c": 2}, "d": {"b": 3, "c": 2}}],
            id="merge-key-gives-way",
        ),
        pytest.param(
            "a: &x {b: 1}\nc: &y {b: 2, d: 3}\ne: {<<: [*x, *y]}",
            [{"a": {"b": 1}, "c": {"b": 2, "d": 3}, "e": {"b": 1, "d": 3}}],
            id="first-of-several-merged-wins",
        ),
        pytest.param(
            '{"a": "\\ud83d\\ude00\\/", "b": [1.5]}', [{"a": "😀/", "b": [1.5]}], id="json"
        ),
        pytest.param('{"a": 1}\n---\n{"a": 2}', [{"a": 1}, {"a": 2}], id="json-documents"),
        pytest.param('{\n\t"a": 1\n}', [{"a": 1}], id="json-with-tabs"),
        pytest.param(
            '---\n{\n  a: "1",\n  b: [\n    "c",\n  ],\n}\n', [{"a": "1", "b": ["c"]}], id="kyaml"
        ),
        pytest.param("\ufeffa: 1\r\nb: 2\r\n", [{"a": 1, "b": 2}], id="byte-order-mark-and-crlf"),
    ],
)
def test_reads_documents(text: str, found: list[Any]) -> None:
    assert manifests.documents(text) == found
    assert manifests.documents(text.encode()) == found


def test_aliases_share_nothing() -> None:
    (found,) = manifests.documents("a: &x {b: []}\nc: *x")

    found["a"]["b"].append(1)

    assert found == {"a": {"b": [1]}, "c": {"b": []}}


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("a: 1\na: 2", 'line 2: the key "a" is there twice; keep one', id="key-twice"),
        pytest.param("1: a\n'1': b", 'line 2: the key "1" is there twice; keep one', id="same-key"),
        pytest.param(
            "[a]: 1", "line 1: a key is a list or a mapping; write a string", id="list-key"
        ),
        pytest.param("? \n: 1", "line 1: a key is empty or null; write a string", id="null-key"),
        pytest.param(
            "a: .inf",
            'line 1: ".inf" is no number that JSON can hold; quote it if it is text',
            id="infinity",
        ),
        pytest.param(
            "<<: 1", 'line 1: "<<" takes a mapping or a list of mappings', id="merge-number"
        ),
        pytest.param(
            "a: !!python/name:os.system x",
            'line 1: "x" is no !!python/name:os.system',
            id="python-scalar-tag",
        ),
        pytest.param(
            "!!python/object:a.B {}",
            "line 1: the tag !!python/object:a.B is not known; leave it out",
            id="python-object-tag",
        ),
        pytest.param("a: &x [*x]", "line 1: nested deeper than 200 levels", id="recursive-anchor"),
        pytest.param("[" * 300 + "]" * 300, "line 1: nested deeper than 200 levels", id="deep"),
        pytest.param(
            BOMB, "line 1: its aliases stand for more than 100000 values", id="alias-bomb"
        ),
        pytest.param(
            "a: b: c", "line 1: mapping values are not allowed in this context", id="syntax"
        ),
        pytest.param('{"a":1,"a":2}', 'the key "a" is there twice; keep one', id="json-key-twice"),
        pytest.param(
            '{"a":NaN}',
            '"NaN" is no number that JSON can hold; quote it if it is text',
            id="json-nan",
        ),
        pytest.param(
            '{"a":"\\ud83d"}',
            "an escape is half of a surrogate pair; write both halves",
            id="json-half-pair",
        ),
        pytest.param(
            '{"a":' * 300 + "1" + "}" * 300, "nested deeper than 200 levels", id="deep-json"
        ),
        pytest.param("a: *x", "line 1: found undefined alias", id="undefined-alias"),
        pytest.param("a: \x00", "control characters are not allowed", id="control-character"),
    ],
)
def test_says_what_it_cannot_read(text: str, sentence: str) -> None:
    with pytest.raises(manifests.InvalidYAML) as caught:
        manifests.documents(text)

    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000]
)
def test_hostile_nesting_is_refused(text: str) -> None:
    with pytest.raises(manifests.InvalidYAML):
        manifests.documents(text)


def test_writes_as_kubectl_prints() -> None:
    written = manifests.dump(
        {
            "metadata": {"name": "a", "labels": {"on": "1e3", "version": "1.2.3"}},
            "spec": [{"args": ["--a", "1:30", ""], "script": "a\nb\n"}, {"empty": {}, "none": []}],
        }
    )

    assert written == (
        "metadata:\n"
        "  name: a\n"
        "  labels:\n"
        '    "on": "1e3"\n'
        "    version: 1.2.3\n"
        "spec:\n"
        "- args:\n"
        "  - --a\n"
        '  - "1:30"\n'
        '  - ""\n'
        "  script: |\n"
        "    a\n"
        "    b\n"
        "- empty: {}\n"
        "  none: []\n"
    )


def test_does_not_wrap_long_lines() -> None:
    assert manifests.dump({"a": "word " * 60 + "end"}) == "a: " + "word " * 60 + "end\n"


def test_does_not_write_what_json_cannot_hold() -> None:
    with pytest.raises(ValueError, match="JSON has no infinity and no NaN"):
        manifests.dump({"a": float("inf")})
