"""The grammar of intents: each value is read, or refused in a sentence that says how to mend it."""

from __future__ import annotations

from typing import Any

import pytest

from policies import intents
from policies.intents import Device, Fault, Intents, Mount


def read(key: str, value: Any) -> Any:
    """Read one intent; give its value, or its sentence."""
    found = intents.read({f"kubectl-ml.io/{key}": value})
    if found.faults:
        assert found.keys == frozenset()
        return found.faults[0].message
    assert found.keys == {key}
    return getattr(found, key)


def named(source: str, path: str, mode: str = "", sub: str = "", revision: str = "") -> Mount:
    return Mount(source=source, path=path, mode=mode, sub=sub, revision=revision)


def uri(scheme: str, source: str, path: str, mode: str = "") -> Mount:
    return Mount(scheme=scheme, source=source, path=path, mode=mode)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("a100", (Device(device_class="a100"),), id="one-is-the-default"),
        pytest.param("a100:2", (Device(device_class="a100", count=2),), id="count"),
        pytest.param("a100:999", (Device(device_class="a100", count=999),), id="most"),
        pytest.param(
            " a100 : 2 , rdma ",
            (Device(device_class="a100", count=2), Device(device_class="rdma")),
            id="blanks-are-trimmed",
        ),
        pytest.param(
            "a100:2\nrdma:2",
            (Device(device_class="a100", count=2), Device(device_class="rdma", count=2)),
            id="a-newline-parts-items",
        ),
        pytest.param(
            "\n a100\n",
            (Device(device_class="a100"),),
            id="a-block-scalar-ends-with-a-newline",
        ),
        pytest.param("mig-1g.10gb", (Device(device_class="mig-1g.10gb"),), id="dots-are-allowed"),
        pytest.param("8", (Device(device_class="8"),), id="digits-are-a-name"),
    ],
)
def test_reads_accelerators(value: str, expected: tuple[Device, ...]) -> None:
    assert read("accelerator", value) == expected


EMPTY = "an item of the list is empty; take the extra comma out"
NOTHING = "it is empty; name something, or take the annotation out"
A_COUNT = "is not a whole number from 1 to 999"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        pytest.param("", f'"": {NOTHING}', id="nothing"),
        pytest.param("  ", f'"": {NOTHING}', id="blanks"),
        pytest.param("a100,", f'"a100,": {EMPTY}', id="comma-at-the-end"),
        pytest.param(",a100", f'",a100": {EMPTY}', id="comma-first"),
        pytest.param("a100,,rdma", f'"a100,,rdma": {EMPTY}', id="two-commas"),
        pytest.param("a100,\nrdma,", f'"a100, rdma,": {EMPTY}', id="shown-in-one-line"),
        pytest.param("a100:0", f'"a100:0": the count "0" {A_COUNT}', id="none-of-them"),
        pytest.param("a100:1000", f'"a100:1000": the count "1000" {A_COUNT}', id="too-many"),
        pytest.param("a100:-1", f'"a100:-1": the count "-1" {A_COUNT}', id="negative"),
        pytest.param("a100:1.5", f'"a100:1.5": the count "1.5" {A_COUNT}', id="a-half"),
        pytest.param("a100:", f'"a100:": the count "" {A_COUNT}', id="count-left-out"),
        pytest.param("a100:two", f'"a100:two": the count "two" {A_COUNT}', id="a-word"),
        pytest.param("a100:²", f'"a100:²": the count "²" {A_COUNT}', id="digits-of-other-scripts"),
        pytest.param("a100:٢", f'"a100:٢": the count "٢" {A_COUNT}', id="arabic-digits"),
        pytest.param(
            "a100:1,a100:2",
            '"a100:1,a100:2": class "a100" is named twice; name it once, with the sum',
            id="twice",
        ),
        pytest.param(
            "A100",
            '"A100": "A100" is not the name of a device class; write "a100:2"',
            id="upper-case",
        ),
        pytest.param(
            "a100 2",
            '"a100 2": "a100 2" is not the name of a device class; write "a100:2"',
            id="blank-within",
        ),
        pytest.param(
            "-a100",
            '"-a100": "-a100" is not the name of a device class; write "a100:2"',
            id="dash-first",
        ),
        pytest.param(
            "a..b",
            '"a..b": "a..b" is not the name of a device class; write "a100:2"',
            id="empty-label",
        ),
    ],
)
def test_refuses_accelerators(value: str, sentence: str) -> None:
    assert read("accelerator", value) == f"kubectl-ml.io/accelerator {sentence}"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("imagenet:/data", named("imagenet", "/data"), id="name"),
        pytest.param("imagenet:/data:ro", named("imagenet", "/data", "ro"), id="read-only"),
        pytest.param("imagenet:/data:rw", named("imagenet", "/data", "rw"), id="read-write"),
        pytest.param("imagenet:/ro", named("imagenet", "/ro"), id="a-path-named-as-a-mode"),
        pytest.param("imagenet:/rw:ro", named("imagenet", "/rw", "ro"), id="and-its-mode"),
        pytest.param("ro:/data", named("ro", "/data"), id="a-source-named-as-a-mode"),
        pytest.param("imagenet:/data/", named("imagenet", "/data"), id="slash-at-the-end"),
        pytest.param("imagenet:/a//b", named("imagenet", "/a/b"), id="slashes-are-one"),
        pytest.param(
            "imagenet/train:/data", named("imagenet", "/data", sub="train"), id="sub-path"
        ),
        pytest.param(
            "bert/a/b@v2:/model:ro",
            named("bert", "/model", "ro", sub="a/b", revision="v2"),
            id="sub-path-and-revision",
        ),
        pytest.param("bert@refs/pr/1:/m", named("bert", "/m", revision="refs/pr/1"), id="revision"),
        pytest.param("pvc://claim/sub:/data", uri("pvc", "claim/sub", "/data"), id="pvc"),
        pytest.param("s3://b/key:/data:ro", uri("s3", "b/key", "/data", "ro"), id="s3"),
        pytest.param("gs://b:/data", uri("gs", "b", "/data"), id="gs"),
        pytest.param("hf://org/m@main:/m", uri("hf", "org/m@main", "/m"), id="hf"),
        pytest.param(
            "oci://host:5000/model:1.0:/m",
            uri("oci", "host:5000/model:1.0", "/m"),
            id="colons-in-the-source-are-split-at-the-last-before-a-slash",
        ),
        pytest.param(
            "oci://host/m@sha256:0123:/m:ro",
            uri("oci", "host/m@sha256:0123", "/m", "ro"),
            id="image-by-digest",
        ),
        pytest.param(
            "scratch://100Gi:/tmp/work",
            uri("scratch", "100Gi", "/tmp/work"),  # noqa: S108 -- a path in a pod
            id="scratch",
        ),
        pytest.param("memory://4Gi:/cache", uri("memory", "4Gi", "/cache"), id="memory"),
        pytest.param("configmap://c:/etc/c", uri("configmap", "c", "/etc/c"), id="configmap"),
        pytest.param("secret://s:/etc/s", uri("secret", "s", "/etc/s"), id="secret"),
        pytest.param("s3://b/a%2Cb:/d", uri("s3", "b/a,b", "/d"), id="comma-as-percent-2C"),
        pytest.param("s3://b/a%2cb:/d", uri("s3", "b/a,b", "/d"), id="lower-case-too"),
        pytest.param("s3://b/a%20b:/d", uri("s3", "b/a%20b", "/d"), id="no-other-escape"),
        pytest.param("s3://b/x:/y:/d", uri("s3", "b/x:/y", "/d"), id="the-last-colon-slash-parts"),
    ],
)
def test_reads_a_mount(value: str, expected: Mount) -> None:
    assert read("mounts", value) == (expected,)


def test_reads_several_mounts() -> None:
    found = read("mounts", "imagenet:/data:ro, scratch://100Gi:/tmp/work\nsecret://s:/s\n")

    assert found == (
        named("imagenet", "/data", "ro"),
        uri("scratch", "100Gi", "/tmp/work"),  # noqa: S108 -- a path in a pod
        uri("secret", "s", "/s"),
    )


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        pytest.param("", f'"": {NOTHING}', id="nothing"),
        pytest.param("a:/a,,b:/b", f'"a:/a,,b:/b": {EMPTY}', id="two-commas"),
        pytest.param(
            "imagenet",
            '"imagenet": "imagenet" has no path; write "imagenet:/path"',
            id="no-path",
        ),
        pytest.param(
            "imagenet:ro",
            '"imagenet:ro": "imagenet:ro" has no path; write "imagenet:/path"',
            id="mode-but-no-path",
        ),
        pytest.param(
            "s3://bucket/key",
            '"s3://bucket/key": "s3://bucket/key" has no path; write "s3://bucket/key:/path"',
            id="uri-without-a-path",
        ),
        pytest.param(
            "s3:///data",
            '"s3:///data": "s3:///data" has no path; write "s3:///data:/path"',
            id="uri-of-nothing",
        ),
        pytest.param(
            "s3:///key:/data",
            '"s3:///key:/data": "s3:///key:/data" names nothing after "s3://"',
            id="uri-without-a-bucket",
        ),
        pytest.param(
            "imagenet:data",
            '"imagenet:data": "imagenet:data" has no path; write "imagenet:data:/path"',
            id="relative-path",
        ),
        pytest.param(
            ":/data", '":/data": ":/data" names no source; write "NAME:/data"', id="no-source"
        ),
        pytest.param(
            "imagenet:/",
            '"imagenet:/": "imagenet:/" would mount over "/"; name a path below it',
            id="the-root",
        ),
        pytest.param(
            "imagenet:/a:b",
            '"imagenet:/a:b": the path of "imagenet:/a:b" holds a ":"; '
            "the mode after it is ro or rw",
            id="colon-in-the-path",
        ),
        pytest.param(
            "imagenet:/data:r",
            '"imagenet:/data:r": the path of "imagenet:/data:r" holds a ":"; '
            "the mode after it is ro or rw",
            id="unknown-mode",
        ),
        pytest.param(
            "imagenet:/data/../x",
            '"imagenet:/data/../x": the path of "imagenet:/data/../x" has a ".."; write it out',
            id="dots-in-the-path",
        ),
        pytest.param(
            "imagenet/../x:/data",
            '"imagenet/../x:/data": "imagenet/../x:/data" leaves its source with ".."; '
            "name a path inside it",
            id="dots-in-the-sub-path",
        ),
        pytest.param(
            "Imagenet:/data",
            '"Imagenet:/data": "Imagenet:/data" does not begin with a data source; '
            'write "NAME:/data"',
            id="upper-case",
        ),
        pytest.param(
            "bert@:/m",
            '"bert@:/m": "bert@:/m" does not begin with a data source; write "NAME:/m"',
            id="empty-revision",
        ),
        pytest.param(
            "a:/data, b:/data/",
            '"a:/data, b:/data/": path "/data" is mounted twice, from "a" and "b"; '
            "give each a path of its own",
            id="one-path-twice",
        ),
    ],
)
def test_refuses_mounts(value: str, sentence: str) -> None:
    assert read("mounts", value) == f"kubectl-ml.io/mounts {sentence}"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        pytest.param("containers", "trainer, logger", ("trainer", "logger"), id="containers"),
        pytest.param("roles", "worker,Launcher", ("worker", "launcher"), id="roles-in-any-case"),
        pytest.param("sidecars", "tensorboard\nlogs", ("tensorboard", "logs"), id="sidecars"),
        pytest.param("profile", "ddp,debug", ("ddp", "debug"), id="profile"),
        pytest.param("shm", "16Gi", "16Gi", id="shm"),
        pytest.param("shm", " 1e9 ", "1e9", id="shm-with-an-exponent"),
        pytest.param("dapr", "true", {}, id="dapr-with-defaults"),
        pytest.param(
            "dapr",
            "app-id=reco, app-port=8080",
            {"app-id": "reco", "app-port": "8080"},
            id="dapr-pairs",
        ),
        pytest.param("dapr", "config=tracing.v2", {"config": "tracing.v2"}, id="dapr-config"),
        pytest.param(
            "scale",
            "min=0,max=5,target=10,metric=concurrency,window=60s,initial=1,retention=1h30m",
            {
                "min": "0", "max": "5", "target": "10", "metric": "concurrency", "window": "60s",
                "initial": "1", "retention": "1h30m",
            },
            id="scale",
        ),
        pytest.param("scale", "target=0.5", {"target": "0.5"}, id="a-fraction-as-target"),
        pytest.param("queue", " team-a ", "team-a", id="queue"),
        pytest.param("experiment", "BERT fine-tuning", "BERT fine-tuning", id="experiment"),
        pytest.param("mesh", "false", "false", id="mesh"),
        pytest.param("inject", "false", False, id="inject-not"),
        pytest.param("inject", "true", True, id="inject"),
    ],
)  # fmt: skip
def test_reads_the_other_intents(key: str, value: str, expected: Any) -> None:
    assert read(key, value) == expected


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        pytest.param("containers", "a,,b", EMPTY, id="an-empty-name"),
        pytest.param(
            "containers",
            "Trainer",
            '"Trainer" is not a name (lower case letters, digits, "-", ".")',
            id="not-a-name",
        ),
        pytest.param("shm", "lots", '"lots" is not a quantity of memory; write "16Gi"', id="word"),
        pytest.param("shm", "0", '"0" is not a quantity of memory; write "16Gi"', id="zero"),
        pytest.param("shm", "-1Gi", '"-1Gi" is not a quantity of memory; write "16Gi"', id="minus"),
        pytest.param("shm", "16GB", '"16GB" is not a quantity of memory; write "16Gi"', id="unit"),
        pytest.param(
            "dapr",
            "yes",
            '"yes" is neither "true" nor pairs; write "app-id=NAME,app-port=8080"',
            id="dapr-yes",
        ),
        pytest.param(
            "dapr",
            "config=a=b",
            'config "a=b" is not the name of a Configuration; use lower case letters, digits, "-" '
            'and "."',
            id="split-at-the-first-equals-sign",
        ),
        pytest.param(
            "dapr", "appid=x", 'unknown key "appid"; did you mean "app-id"?', id="unknown-key"
        ),
        pytest.param("dapr", "app-id=x,app-id=y", 'key "app-id" is given twice', id="key-twice"),
        pytest.param(
            "dapr", "app-id=", '"app-id=" is not key=value; write "app-id=…"', id="no-value"
        ),
        pytest.param(
            "dapr", "app-id=x,", '"" is not key=value; write "app-id=…"', id="extra-comma"
        ),
        pytest.param("scale", "2", '"2" is not key=value; write "min=…"', id="a-number-alone"),
        pytest.param(
            "scale",
            "replicas=2",
            'unknown key "replicas"; known are min, max, target, metric, window, initial, '
            "retention",
            id="no-key-is-near",
        ),
        pytest.param("scale", "min=-1", 'min="-1" is not a whole number', id="negative-minimum"),
        pytest.param("scale", "max=x", 'max="x" is not a whole number', id="maximum-is-a-word"),
        pytest.param("scale", "min=3,max=2", "max=2 is less than min=3", id="max-below-min"),
        pytest.param(
            "scale", "target=0", 'target="0" is not a number of at least 0.01', id="target"
        ),
        pytest.param(
            "scale",
            "metric=gpu",
            'metric="gpu" is unknown; known are concurrency, rps, cpu, memory',
            id="unknown-metric",
        ),
        pytest.param(
            "scale", "window=2h", 'window="2h" is not a duration from 6s to 1h', id="long-window"
        ),
        pytest.param(
            "scale", "window=5", 'window="5" is not a duration from 6s to 1h', id="without-unit"
        ),
        pytest.param(
            "scale",
            "retention=soon",
            'retention="soon" is not a duration; write "10m"',
            id="retention",
        ),
        pytest.param("queue", "Team A", '"Team A" is not the name of a queue', id="queue"),
        pytest.param(
            "queue", "q" * 64, f'"{"q" * 64}" is not the name of a queue', id="long-queue"
        ),
        pytest.param("experiment", " ", "the experiment has no name", id="experiment"),
        pytest.param("mesh", "on", '"on" is neither "true" nor "false"', id="mesh"),
        pytest.param("inject", "no", '"no" is neither "true" nor "false"', id="inject"),
        pytest.param("inject", "False", '"False" is neither "true" nor "false"', id="inject-case"),
    ],
)
def test_refuses_the_other_intents(key: str, value: str, sentence: str) -> None:
    assert read(key, value) == f'kubectl-ml.io/{key} "{" ".join(value.split())}": {sentence}'


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        pytest.param("accelerater", '; did you mean "accelerator"?', id="a-letter-off"),
        pytest.param("accelerators", '; did you mean "accelerator"?', id="plural"),
        pytest.param("SHM", '; did you mean "shm"?', id="in-capitals"),
        pytest.param("mount", '; did you mean "mounts"?', id="singular"),
        pytest.param("xyz", "", id="nothing-near"),
        pytest.param("", "", id="no-key-at-all"),
        pytest.param("enabled", "", id="what-namespaces-carry"),
    ],
)
def test_unknown_intents_are_refused_with_the_nearest(key: str, hint: str) -> None:
    assert read(key, "x") == f'unknown intent "{key}"{hint}'


@pytest.mark.parametrize("key", ["injected", "name"])
def test_our_own_keys_are_no_intents(key: str) -> None:
    assert intents.read({f"kubectl-ml.io/{key}": "x"}) == Intents()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(True, "true", id="true"),
        pytest.param(2, "2", id="number"),
        pytest.param(None, "null", id="null"),
        pytest.param(["a100"], '["a100"]', id="list"),
    ],
)
def test_values_that_are_no_strings_are_refused(value: Any, shown: str) -> None:
    assert read("accelerator", value) == (
        f"kubectl-ml.io/accelerator is {shown}, which is not a string; put it in quotes"
    )


def test_a_value_of_4_kib_is_read_and_one_more_byte_is_not() -> None:
    longest = "é" * 2048

    assert read("experiment", longest) == longest
    assert read("experiment", longest + "x") == (
        "kubectl-ml.io/experiment is longer than 4 KiB; name fewer things"
    )


def test_a_long_value_is_shortened_in_the_sentence() -> None:
    found = read("accelerator", "a100," * 100)

    assert found == f'kubectl-ml.io/accelerator "{("a100," * 16)[:79]}…": {EMPTY}'


def test_all_faults_are_found_and_the_rest_is_read() -> None:
    found = intents.read(
        {
            "kubectl-ml.io/shm": "x",
            "kubectl-ml.io/queue": "q",
            "kubectl-ml.io/mesh": "y",
            "a/b": "c",
        }
    )

    assert found == Intents(
        keys=frozenset({"queue"}),
        queue="q",
        faults=(
            Fault(
                key="shm",
                message='kubectl-ml.io/shm "x": "x" is not a quantity of memory; write "16Gi"',
            ),
            Fault(key="mesh", message='kubectl-ml.io/mesh "y": "y" is neither "true" nor "false"'),
        ),
    )


@pytest.mark.parametrize("annotations", [None, [], "x", 1, {}, {"a": "b"}])
def test_annotations_without_intents_ask_for_nothing(annotations: Any) -> None:
    assert intents.read(annotations) == Intents()


def test_intents_are_picked_out_as_they_stand() -> None:
    found = intents.written(
        {"kubectl-ml.io/shm": 5, "kubectl-ml.io/odd": "x", "kubectl-ml.io/injected": "{}", "a": "b"}
    )

    assert found == {"shm": 5, "odd": "x"}
