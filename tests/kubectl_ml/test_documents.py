"""What `render` leaves alone comes out as it went in; what it can't read is said in a sentence."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_ml import documents
from tests.kubectl_ml.program import invoke

POD = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a  # the first\n"
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {clusterIP: None}\n"
KYAML = """\
---
{
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: {
    name: "k",
  },
  data: {
    # kept
    on: "yes",
  },
}
"""

UNTOUCHED = [
    pytest.param(POD, id="one-document"),
    pytest.param(POD.rstrip("\n"), id="no-newline-at-the-end"),
    pytest.param("---\n" + POD, id="separator-first"),
    pytest.param(POD + "---\n", id="separator-last"),
    pytest.param(POD + "---\n---\n\n---\n" + SERVICE, id="empty-documents-between"),
    pytest.param("# head\n\n" + POD + "\n# foot\n---  # mine\n" + SERVICE, id="comments"),
    pytest.param("", id="nothing"),
    pytest.param("# only a comment", id="only-a-comment"),
    pytest.param("\n\n---\n\n", id="only-blank-lines"),
    pytest.param(POD.replace("\n", "\r\n") + "---\r\n" + SERVICE, id="crlf-and-lf"),
    pytest.param("\ufeff---\n" + POD, id="byte-order-mark-before-a-separator"),
    pytest.param("\ufeff" + POD, id="byte-order-mark"),
    pytest.param(POD + "...\n# between\n---\n" + SERVICE + "...\n", id="end-markers"),
    pytest.param("%YAML 1.1\n---\n" + POD + "...\n%YAML 1.1\n---\n" + SERVICE, id="directives"),
    pytest.param("%TAG !k! tag:k.io,2026:\n---\nkind: !k!x Pod\napiVersion: v1\n", id="tag"),
    pytest.param("--- {apiVersion: v1, kind: Pod}\n" + "---\n" + SERVICE, id="on-the-marker-line"),
    pytest.param(KYAML + KYAML, id="kyaml"),
    pytest.param('{"apiVersion": "v1",\n\t"kind": "Pod"}', id="json-with-tabs"),
    pytest.param(
        '{"apiVersion":"v1","kind":"Pod"}\n{"apiVersion":"v1","kind":"Pod"}', id="json-lines"
    ),
    pytest.param(
        "apiVersion: v1\nkind: ConfigMap\ndata:\n"
        "  a: |\n    x\n    ---\n    y\n\n  b: |+\n    z\n\n\n",
        id="separator-in-a-block-scalar",
    ),
    pytest.param(
        "apiVersion: v1\nkind: X\nsay: ----\nmore: '--- x'\n", id="dashes-that-separate-nothing"
    ),
    pytest.param(
        "apiVersion: example.com/v1\nkind: Whatever\nspec: [1, 0x1F, yes]\n", id="unknown-kind"
    ),
    pytest.param(
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod} # x\n", id="list"
    ),
    pytest.param(
        'apiVersion: v1\nkind: Pod\nmetadata: {name: é, labels: {a: "\\u2028"}}\n', id="unicode"
    ),
]


@pytest.mark.parametrize("text", UNTOUCHED)
@pytest.mark.parametrize("stage", ["template", "admission"])
def test_untouched_documents_come_out_byte_for_byte(text: str, stage: str) -> None:
    outcome = invoke("render", "-f", "-", "--no-library", "--stage", stage, stdin=text.encode())

    assert (outcome.err, outcome.code, outcome.out) == ("", 0, text)


DOCUMENTS = st.sampled_from(
    [
        "",
        "\n",
        "# comment\n",
        "# no: newline: at the end",
        POD,
        SERVICE,
        SERVICE.replace("\n", "\r\n"),
        '{"apiVersion": "v1", "kind": "Pod"}\n',
        "{apiVersion: v1, kind: Pod, metadata: {name: 'a---b'}}",
        "apiVersion: v1\nkind: ConfigMap\ndata:\n  a: |\n    ---\n    ...\n",
        'apiVersion: v1\nkind: ConfigMap\ndata: {a: "x\n  --- y"}\n\n\n',
    ]
)
MARKERS = st.sampled_from(["\n---\n", "\n--- \n", "\r\n---\r\n", "\n---\t# x\n", "\n...\n---\n"])


@given(st.lists(st.tuples(DOCUMENTS, MARKERS), max_size=8), DOCUMENTS)
def test_any_row_of_untouched_documents_comes_out_byte_for_byte(
    parts: list[tuple[str, str]], last: str
) -> None:
    text = "".join(document + marker for document, marker in parts) + last

    outcome = invoke("render", "-f", "-", "--no-library", stdin=text.encode())

    assert (outcome.err, outcome.code, outcome.out) == ("", 0, text)


@given(st.binary(max_size=200) | st.text("-.\n\r #a{}:%\ufeff", max_size=60).map(str.encode))
def test_the_pieces_of_any_text_are_the_text(text: bytes) -> None:
    pieces = list(documents.split(io.BytesIO(text)))

    assert b"".join(raw for _, raw in pieces) == text
    assert [line for line, _ in pieces] == [
        text[: len(b"".join(raw for _, raw in pieces[:count]))].count(b"\n") + 1
        for count in range(len(pieces))
    ]


JOINED = [
    pytest.param([POD, SERVICE], POD + "---\n" + SERVICE, id="a-separator-between"),
    pytest.param([POD.rstrip(), SERVICE], POD.rstrip() + "\n---\n" + SERVICE, id="a-newline-first"),
    pytest.param([POD, "---\n" + SERVICE], POD + "---\n" + SERVICE, id="it-has-its-separator"),
    pytest.param([POD, "\ufeff" + SERVICE], POD + "---\n" + SERVICE, id="byte-order-mark-goes"),
    pytest.param(
        [POD, "%YAML 1.1\n---\n" + SERVICE],
        POD + "...\n%YAML 1.1\n---\n" + SERVICE,
        id="a-directive-needs-the-end-of-a-document",
    ),
]


@pytest.mark.parametrize(("texts", "expected"), JOINED)
def test_documents_of_several_files_are_separated(
    texts: list[str], expected: str, tmp_path: Path
) -> None:
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.yaml").write_text(text, newline="")

    outcome = invoke("render", "-f", tmp_path, "--no-library")

    assert (outcome.err, outcome.out) == ("", expected)


UNREADABLE = [
    pytest.param(
        POD + "---\na: [1\nb: 2\n",
        "error: standard input: line 7: did not find expected ',' or ']'",
        id="broken-yaml",
    ),
    pytest.param(
        "apiVersion: v1\nkind: Pod\nmetadata:\n\tname: a\n",
        "error: standard input: line 4: found character that cannot start any token",
        id="tabs",
    ),
    pytest.param(
        "\n# x\n---\n- a\n",
        "error: standard input: line 3: this document is no Kubernetes object but a list",
        id="a-list",
    ),
    pytest.param(
        "hello\n",
        "error: standard input: line 1: this document is no Kubernetes object but the plain value"
        " 'hello'",
        id="a-word",
    ),
    pytest.param(
        POD + "---\nresources: [a.yaml]\n",
        "error: standard input: line 5: this document is no Kubernetes object:"
        ' it has no "apiVersion"',
        id="a-kustomization",
    ),
    pytest.param(
        "apiVersion: v1\nkind: 7\n",
        'error: standard input: line 1: this document is no Kubernetes object: it has no "kind"',
        id="a-kind-that-is-no-string",
    ),
    pytest.param(
        "apiVersion: v1\nkind: List\nitems: [7]\n",
        "error: standard input: line 1: this document: item 1 is no Kubernetes object"
        " but the plain value 7",
        id="a-list-of-numbers",
    ),
    pytest.param(
        '{"apiVersion": "v1", "kind": "Pod", }\n{]\n',
        "error: standard input: line 2: did not find expected <document start>",
        id="broken-json",
    ),
]


@pytest.mark.parametrize(("text", "sentence"), UNREADABLE)
def test_what_cannot_be_read_is_one_sentence_and_one_hint(text: str, sentence: str) -> None:
    outcome = invoke("render", "-f", "-", "--no-library", stdin=text.encode())

    said, hint = outcome.err.splitlines()
    assert (outcome.code, outcome.out, said) == (1, "", sentence)
    assert hint.startswith("hint: ")


def test_says_so_where_a_file_is_no_utf_8() -> None:
    outcome = invoke("render", "-f", "-", "--no-library", stdin=POD.encode("utf-16"))

    assert (outcome.code, outcome.out, outcome.err) == (
        1,
        "",
        "error: standard input: this is UTF-16\nhint: save the file as UTF-8\n",
    )


def test_recognises_a_helm_template() -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Release.Name }}\n"

    outcome = invoke("render", "-f", "-", "--no-library", stdin=text.encode())

    assert outcome.err.splitlines()[-1] == (
        "hint: this looks like a Helm template: helm template CHART | kubectl ml render -f -"
    )
