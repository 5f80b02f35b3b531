"""Calls that are no reviews: a JSON body with a sentence each, and never a 500."""

from __future__ import annotations

import copy
import gzip
import http.client
import random
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from tests.webhook import serving
from tests.webhook.reviews import UID, intents, pod, review

GOOD = review(pod(intents(accelerator="a100:2")))


def changed(**request: Any) -> dict[str, Any]:
    return review(pod(), **request)


def without(member: str) -> dict[str, Any]:
    made = copy.deepcopy(GOOD)
    del made["request"][member]
    return made


BODIES = [
    pytest.param(b"", 400, "the body is empty; an AdmissionReview was expected", "", id="empty"),
    pytest.param(b"{", 400, "the body is not JSON: ", "", id="cut-off"),
    pytest.param(b"\xff\xfe{}", 400, "the body is not JSON: ", "", id="no-utf-8"),
    pytest.param(b'{"a": NaN}', 400, "the body is not JSON: ", "", id="nan"),
    pytest.param(b'{"a": 1e999}', 400, "the body is not JSON: ", "", id="infinite"),
    pytest.param(b'"\\ud800"', 400, "the body is not JSON: ", "", id="lone-surrogate"),
    pytest.param(b"[" * 5000, 400, "the body is not JSON: ", "", id="nesting-bomb"),
    pytest.param(
        b'{"a":' * 500 + b"1" + b"}" * 500,
        400,
        "the body is nested more than 254 levels deep",
        "",
        id="deep",
    ),
    pytest.param(
        b'{"request":{"uid":"deep","object":' + b"[" * 600 + b"]" * 600 + b"}}",
        400,
        "the body is nested more than 254 levels deep",
        "deep",
        id="deep-with-a-uid",
    ),
    pytest.param([], 400, "the body is a list, not an AdmissionReview object", "", id="list"),
    pytest.param(b"null", 400, "the body is null, not an AdmissionReview object", "", id="null"),
    pytest.param(
        {}, 400, 'kind is missing; it must be "AdmissionReview"', "", id="an-empty-object"
    ),
    pytest.param(
        {**GOOD, "kind": "Pod"},
        400,
        'kind is "Pod"; it must be "AdmissionReview"',
        UID,
        id="another-kind",
    ),
    pytest.param(
        {**GOOD, "apiVersion": "admission.k8s.io/v1beta1"},
        400,
        'apiVersion is "admission.k8s.io/v1beta1"; it must be "admission.k8s.io/v1"',
        UID,
        id="another-version",
    ),
    pytest.param(
        {**GOOD, "request": None},
        400,
        "request is missing; it must be an object",
        "",
        id="no-request",
    ),
    pytest.param(
        {**GOOD, "request": [1]}, 400, "request is a list; it must be an object", "", id="a-list"
    ),
    pytest.param(
        without("uid"),
        400,
        "request.uid is missing; it must be a string that isn't empty",
        "",
        id="no-uid",
    ),
    pytest.param(
        changed(uid=5),
        400,
        "request.uid is a number; it must be a string that isn't empty",
        "",
        id="uid-a-number",
    ),
    pytest.param(
        changed(uid=""),
        400,
        "request.uid is an empty string; it must be a string that isn't empty",
        "",
        id="uid-empty",
    ),
    pytest.param(
        without("kind"), 400, "request.kind is missing; it must be an object", UID, id="no-kind"
    ),
    pytest.param(
        changed(kind={"version": "v1"}),
        400,
        "request.kind.kind is missing; it must be a string that isn't empty",
        UID,
        id="no-kind-name",
    ),
    pytest.param(
        without("operation"),
        400,
        "request.operation is missing; it must be CREATE, UPDATE, DELETE or CONNECT",
        UID,
        id="no-operation",
    ),
    pytest.param(
        changed(operation="create"),
        400,
        'request.operation is "create"; it must be CREATE, UPDATE, DELETE or CONNECT',
        UID,
        id="another-operation",
    ),
    pytest.param(
        without("object"),
        400,
        "request.object is missing; it must be an object",
        UID,
        id="no-object",
    ),
    pytest.param(
        changed(object="pod"),
        400,
        'request.object is "pod"; it must be an object',
        UID,
        id="object-a-string",
    ),
    pytest.param(
        changed(oldObject=[1]),
        400,
        "request.oldObject is a list; it must be an object",
        UID,
        id="old-object-a-list",
    ),
    pytest.param(
        changed(namespace=7),
        400,
        "request.namespace is a number; it must be a string",
        UID,
        id="namespace-a-number",
    ),
    pytest.param(
        changed(userInfo={"groups": ["a", 1]}),
        400,
        "request.userInfo.groups is a list; it must be a list of strings",
        UID,
        id="group-a-number",
    ),
    pytest.param(
        changed(dryRun="yes"),
        400,
        'request.dryRun is "yes"; it must be true or false',
        UID,
        id="dry-run-a-string",
    ),
]


@pytest.mark.parametrize(("body", "status", "sentence", "uid"), BODIES)
def test_says_what_is_wrong(
    served: serving.Served, body: Any, status: int, sentence: str, uid: str
) -> None:
    got, answer = served.call("/mutate", body)

    assert got == answer["code"] == status
    assert answer["error"] == answer["message"]
    assert answer["error"].startswith(sentence)
    assert sentence.endswith(": ") or answer["error"] == sentence
    assert answer.get("uid", "") == uid


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "sentence"),
    [
        pytest.param(
            "POST",
            "/mutate",
            {"Content-Type": "text/plain"},
            415,
            'Content-Type is "text/plain"; it must be "application/json"',
            id="content-type",
        ),
        pytest.param(
            "POST",
            "/mutate",
            {},
            415,
            'Content-Type is "application/octet-stream"; it must be "application/json"',
            id="no-content-type",
        ),
        pytest.param(
            "PUT",
            "/validate",
            serving.JSON,
            405,
            "PUT is not allowed here; POST an AdmissionReview",
            id="method",
        ),
        pytest.param(
            "POST",
            "/",
            serving.JSON,
            404,
            "there is nothing here; reviews go to /mutate and /validate",
            id="path",
        ),
        pytest.param(
            "POST", "/readyz", serving.JSON, 405, "POST is not allowed here; use GET", id="ready"
        ),
        pytest.param(
            "POST",
            "/mutate",
            {**serving.JSON, "Content-Encoding": "gzip"},
            415,
            "Content-Encoding is not understood; send the review as it is",
            id="encoding",
        ),
    ],
)
def test_refuses_calls_of_another_sort(
    served: serving.Served, method: str, path: str, headers: Any, status: int, sentence: str
) -> None:
    got, answer = served.call(path, GOOD, method=method, headers=headers)

    assert (got, answer["code"], answer["error"]) == (status, status, sentence)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/mutate", "POST"), ("PUT", "/validate", "POST"), ("POST", "/healthz", "GET, HEAD")],
)
def test_says_which_methods_are_allowed(
    served: serving.Served, method: str, path: str, allowed: str
) -> None:
    connection = served.connect()

    connection.request(method, path, b"{}", serving.JSON)
    answer = connection.getresponse()

    assert (answer.status, answer.headers["Allow"]) == (405, allowed)
    connection.close()


def test_echoes_the_uid_with_another_content_type(served: serving.Served) -> None:
    _, answer = served.call("/mutate", GOOD, headers={"Content-Type": "text/plain"})

    assert answer["uid"] == UID


def test_a_charset_is_no_other_content_type(served: serving.Served) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}

    assert served.call("/mutate", GOOD, headers=headers)[0] == 200


@pytest.mark.parametrize(
    ("megabytes", "status"),
    [pytest.param(6.5, 200, id="6.5-MiB-pass"), pytest.param(7.5, 413, id="7.5-MiB-do-not")],
)
@pytest.mark.parametrize("chunked", [False, True], ids=["with-length", "chunked"])
def test_the_body_limit_is_7_mib(
    served: serving.Served, megabytes: float, status: int, chunked: bool
) -> None:
    large = pod()
    large["metadata"]["annotations"]["note"] = "x" * int(megabytes * 1024 * 1024)
    body = orjson.dumps(review(large))
    connection = served.connect()
    pieces = (body[at : at + 65536] for at in range(0, len(body), 65536))

    connection.request("POST", "/mutate", pieces if chunked else body, serving.JSON)
    answer = connection.getresponse()

    assert answer.status == status
    assert orjson.loads(answer.read()).get("code", 200) == status
    connection.close()


def test_what_is_no_http_gets_json_too(served: serving.Served) -> None:
    tls = ssl.create_default_context(cafile=str(served.directory / "ca.crt"))
    with (
        socket.create_connection(("127.0.0.1", served.port)) as plain,
        tls.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        secure.sendall(b"BREW /mutate COFFEE\r\n\r\n")
        answer = http.client.HTTPResponse(secure)
        answer.begin()

        assert answer.status == 400
        assert orjson.loads(answer.read())["code"] == 400


# --- by the thousand -----------------------------------------------------------------------

ATOMS: list[Any] = [None, True, False, 0, -1, 2**63, 1.5, "", "x", "\0", "é" * 9, [], {}]
ATOMS += [[None], {"": None}, "x" * 5000, [[[[]]]], {"a": {"b": [1, "2"]}}, "kubectl-ml.io/"]
HEADERS = [serving.JSON] * 9 + [{"Content-Type": "text/plain"}, {"Content-Type": "\x7f;;=,"}, {}]
INTENTS = [
    "a100:0",
    "a100:2",
    ",,",
    "s3://",
    "x:y:z",
    "/",
    "=",
    "true,false",
    "\n",
    "é",
    "a" * 5000,
]


def malformed(rng: random.Random) -> bytes:
    """Make one body: a review with something wrong in it, or no review at all."""
    sort = rng.randrange(8)
    if sort < len(NO_REVIEWS):
        return NO_REVIEWS[sort](rng)
    made = copy.deepcopy(rng.choice([GOOD, changed(operation="UPDATE", oldObject=pod())]))
    annotations = made["request"]["object"]["metadata"]["annotations"]
    for key in rng.sample(["accelerator", "mounts", "scale", "dapr", "shm", "inject"], 2):
        annotations[f"kubectl-ml.io/{key}"] = rng.choice(INTENTS)
    for _ in range(rng.randrange(1, 4)):
        spoil(made, rng)
    body = orjson.dumps(made)
    return BROKEN[sort](rng, body) if sort in BROKEN else body


def nested(rng: random.Random) -> bytes:
    depth = rng.randrange(rng.choice([2_000, 100_000]))
    return rng.choice([b"[", b'{"a":']) * depth + b"1" + rng.choice([b"]", b"}"]) * depth


def flipped(rng: random.Random, body: bytes) -> bytes:
    made = bytearray(body)
    for _ in range(rng.randrange(1, 5)):
        made[rng.randrange(len(made))] = rng.randrange(256)
    return bytes(made)


NO_REVIEWS: list[Callable[[random.Random], bytes]] = [
    lambda rng: rng.randbytes(rng.randrange(300)),
    lambda rng: orjson.dumps(rng.choice(ATOMS)),
    nested,
]
BROKEN: dict[int, Callable[[random.Random, bytes], bytes]] = {
    3: lambda rng, body: body[: rng.randrange(len(body))],
    4: flipped,
    5: lambda _, body: gzip.compress(body, compresslevel=1),
}


def spoil(value: Any, rng: random.Random) -> None:
    """Replace, remove or add something somewhere in a document."""
    while isinstance(value, (dict, list)) and value:
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        if rng.random() < 0.3 or not isinstance(value[key], (dict, list)):
            if rng.random() < 0.3:
                del value[key]
            else:
                value[key] = rng.choice(ATOMS)
            return
        value = value[key]


def answers(
    served: serving.Served, count: int, rng: random.Random
) -> Iterator[tuple[int, Any, bytes]]:
    for _ in range(count):
        body = malformed(rng)
        path = rng.choice(["/mutate", "/validate"])
        status, answer = served.call(path, body, headers=rng.choice(HEADERS))
        yield status, answer, body


def test_ten_thousand_malformed_reviews_are_answered_with_json_and_no_more_memory(
    served: serving.Served,
) -> None:
    rng = random.Random(20261122)  # noqa: S311 -- reproducible
    for _ in answers(served, 500, rng):
        pass  # what is allocated once
    before = served.rss_kib()
    seen = set()

    for status, answer, body in answers(served, 10_000, rng):
        assert status < 500, (status, answer, body)
        assert isinstance(answer, dict)
        seen.add(status)

    assert seen == {200, 400, 415}
    assert served.rss_kib() - before < 8 * 1024
    assert not [line for line in served.lines() if line["level"] == "error"]


def test_long_intents_are_not_kept_in_memory(served: serving.Served) -> None:
    def send(numbers: range) -> None:
        for number in numbers:
            long = intents(accelerator=f"a100-{number}-{'x' * 100_000}")
            assert served.call("/mutate", review(pod(long)))[0] == 200

    send(range(20))
    before = served.rss_kib()
    send(range(20, 220))

    assert served.rss_kib() - before < 5 * 1024
