"""What Knative and Dapr would refuse in their annotations is said when a policy is loaded."""

from __future__ import annotations

import pytest

from policies import load, manifests
from policies.errors import InvalidPolicies
from policies.model import PolicySet

HOUR = 'from 0s to 1h; write "10m"'
SCALING = "autoscaling.knative.dev/"


def loaded(family: str, **annotations: str) -> PolicySet:
    document = {
        "kind": "InjectionPolicy",
        "metadata": {"name": "x"},
        "spec": {"inject": {family: annotations}},
    }
    text = manifests.dump(document)
    value = manifests.documents(text.encode())[0]
    return load.policy_set([load.Document(file="a.yaml", number=1, value=value)])


def refusal(family: str, **annotations: str) -> str:
    with pytest.raises(InvalidPolicies) as found:
        loaded(family, **annotations)
    return str(found.value).partition(f"spec.inject.{family}: ")[2]


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        pytest.param("min-scale", "-1", "is not a whole number of 0 or more", id="min"),
        pytest.param("max-scale", "2147483648", "is not a whole number of 0 or more", id="max"),
        pytest.param("initial-scale", "one", "is not a whole number of 0 or more", id="initial"),
        pytest.param("activation-scale", "1", "is not a whole number of 2 or more", id="activate"),
        pytest.param("target", "0.001", "is not a number of at least 0.01", id="target"),
        pytest.param("target", "nan", "is not a number of at least 0.01", id="target-nan"),
        pytest.param("target-utilization-percentage", "0", "is not a number from 1 to 100", id="u"),
        pytest.param(
            "target-burst-capacity", "-2", "is not a number of 0 or more, or -1 for no bound",
            id="burst",
        ),
        pytest.param("window", "5s", 'is not a duration from 6s to 1h; write "60s"', id="window"),
        pytest.param(
            "window", "6500ms", "is finer than a second; write whole seconds", id="window-of-ms"
        ),
        pytest.param("panic-window-percentage", "101", "is not a number from 1 to 100", id="panic"),
        pytest.param(
            "panic-threshold-percentage", "109", "is not a number from 110 to 1000", id="threshold"
        ),
        pytest.param("scale-down-delay", "61m", f"is not a duration {HOUR}", id="delay"),
        pytest.param(
            "scale-to-zero-pod-retention-period", "-1s", f"is not a duration {HOUR}", id="retention"
        ),
        pytest.param(
            "class", "hpa.knative.dev",
            'is none of Knative\'s; write "kpa.autoscaling.knative.dev" or '
            '"hpa.autoscaling.knative.dev"', id="class",
        ),
        pytest.param(
            "metric", "cpu",
            "is not one of concurrency, rps; add autoscaling.knative.dev/class: "
            '"hpa.autoscaling.knative.dev"', id="metric-of-the-other-class",
        ),
    ],
)  # fmt: skip
def test_knative_would_refuse(key: str, value: str, sentence: str) -> None:
    assert refusal("knative", **{SCALING + key: value}) == f'{key} "{value}" {sentence}'


def test_knative_would_refuse_what_policies_write_in_two_ways() -> None:
    assert refusal("knative", **{"min": "5", SCALING + "max-scale": "2"}) == (
        "max-scale=2 is less than min-scale=5"
    )


def test_knative_would_refuse_the_old_spelling_too() -> None:
    assert refusal("knative", **{SCALING + "minScale": "x"}) == (
        'min-scale "x" is not a whole number of 0 or more'
    )


@pytest.mark.parametrize(
    ("annotations", "sentence"),
    [
        pytest.param(
            {"min-scale": "3", "max-scale": "2"}, "max-scale=2 is less than min-scale=3", id="min"
        ),
        pytest.param(
            {"activation-scale": "3", "max-scale": "2"},
            "max-scale=2 is less than activation-scale=3",
            id="activation",
        ),
        pytest.param(
            {"activation-scale": "3", "min-scale": "4"},
            "activation-scale=3 is less than min-scale=4",
            id="activation-under-min",
        ),
        pytest.param(
            {"min-scale": "x", "minScale": "5"},
            'min-scale "x" is not a whole number of 0 or more',
            id="todays-spelling-wins",
        ),
        pytest.param(
            {"class": "kpa.autoscaling.knative.dev", "metric-aggregation-algorithm": "mean"},
            'metric-aggregation-algorithm "mean" is not one of linear, weightedExponential',
            id="algorithm",
        ),
        pytest.param(
            {"class": "hpa.autoscaling.knative.dev", "metric": ""},
            'metric "" is empty; write "cpu" or "memory"',
            id="empty-metric",
        ),
        pytest.param(
            {"min-scal": "3"},
            'there is no autoscaling.knative.dev/min-scal; did you mean "min-scale"?',
            id="misspelt",
        ),
    ],
)
def test_knative_would_refuse_together(annotations: dict[str, str], sentence: str) -> None:
    assert refusal("knative", **{SCALING + key: annotations[key] for key in annotations}) == (
        sentence
    )


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        pytest.param(
            "serving.knative.dev/progress-deadline", "0s",
            'is not a duration of a second or more; write "600s"', id="deadline",
        ),
        pytest.param(
            "serving.knative.dev/rollout-duration", "1500ms",
            "is finer than a second; write whole seconds", id="rollout",
        ),
        pytest.param(
            "queue.sidecar.serving.knative.dev/resource-percentage", "0",
            "is not a number from 0.1 to 100", id="share",
        ),
        pytest.param(
            "queue.sidecar.serving.knative.dev/memory-resource-limit", "some",
            'is not a quantity; write "100m" or "128Mi"', id="quantity",
        ),
        pytest.param(
            "networking.knative.dev/visibility", "private", 'is not "cluster-local"', id="label"
        ),
    ],
)  # fmt: skip
def test_knative_would_refuse_elsewhere(key: str, value: str, sentence: str) -> None:
    assert refusal("knative", **{key: value}) == f'{key} "{value}" {sentence}'


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        pytest.param("enabled", "maybe", 'is neither "true" nor "false"', id="flag"),
        pytest.param(
            "app-id", "Reco",
            'is not a name Dapr takes; use at most 58 lower case letters, digits and "-"', id="id",
        ),
        pytest.param("app-port", "http", "is not a port from 1 to 65535", id="port"),
        pytest.param("metrics-port", "0", "is not a port from 1 to 65535", id="port-of-zero"),
        pytest.param(
            "app-protocol", "tcp", "is not one of http, grpc, https, grpcs, h2c", id="protocol"
        ),
        pytest.param(
            "log-level", "loud", "is not one of debug, info, warn, error, fatal", id="level"
        ),
        pytest.param(
            "app-max-concurrency", "0", "is not a whole number of 1 or more, or -1 for the default",
            id="concurrency",
        ),
        pytest.param(
            "sidecar-liveness-probe-delay-seconds", "1s", "is not a whole number of 0 or more",
            id="probe",
        ),
        pytest.param("sidecar-cpu-limit", "much", 'is not a quantity; write "1"', id="cpu"),
        pytest.param("max-body-size", "16MB", 'is not a quantity; write "16Mi"', id="size"),
        pytest.param(
            "sidecar-seccomp-profile-type", "none",
            "is not one of RuntimeDefault, Localhost, Unconfined", id="seccomp",
        ),
        pytest.param("block-shutdown-duration", "30", 'is not a duration; write "30s"', id="time"),
        pytest.param("config", "My Config", "is not the name of an object", id="name"),
        pytest.param(
            "app-health-check-path", "healthz", 'is not a path; write it from "/"', id="path"
        ),
        pytest.param("env", "A", 'has the item "A"; write "NAME=value"', id="env"),
        pytest.param(
            "env", "A=1,B=x=y", 'has the item "B=x=y"; write "NAME=value"', id="env-with-two-equals"
        ),
        pytest.param(
            "env", "A=1,1B=2", 'has the item "A=1,1B=2"; write "NAME=value"', id="env-no-name"
        ),
        pytest.param(
            "env-from-secret", "A=one:two:three",
            'has the item "A=one:two:three"; write "NAME=secret:key"', id="secret-of-three",
        ),
        pytest.param(
            "env-from-secret", "A=", 'has the item "A="; write "NAME=secret:key"', id="secret"
        ),
        pytest.param(
            "volume-mounts", "models", 'has the item "models"; write "models:/models"', id="mounts"
        ),
        pytest.param(
            "disable-init-endpoints", "all", 'has the item "all"; write "config,subscribe"',
            id="endpoints",
        ),
        pytest.param("sidecar-image", "", "is empty; write a value or take it out", id="image"),
    ],
)  # fmt: skip
def test_dapr_would_not_read(key: str, value: str, sentence: str) -> None:
    assert refusal("dapr", **{f"dapr.io/{key}": value}) == f'dapr.io/{key} "{value}" {sentence}'


def test_a_probe_of_daprs_may_not_outlast_its_interval() -> None:
    assert refusal("dapr", **{"dapr.io/app-health-probe-timeout": "6000"}) == (
        "dapr.io/app-health-probe-timeout is 6000 milliseconds, longer than "
        "dapr.io/app-health-probe-interval, 5 seconds"
    )


@pytest.mark.parametrize(
    ("annotations", "sentence"),
    [
        pytest.param(
            {"app-port": "3500"}, 'dapr.io/app-port "3500" is the port that Dapr itself listens on',
            id="http",
        ),
        pytest.param(
            {"app-port": "50007", "grpc-port": "50007"},
            'dapr.io/app-port "50007" is the port that Dapr itself listens on',
            id="grpc",
        ),
        pytest.param(
            {"sidecar-cpu-request": "2", "sidecar-cpu-limit": "1500m"},
            "dapr.io/sidecar-cpu-request is 2, more than dapr.io/sidecar-cpu-limit, 1500m",
            id="cpu",
        ),
        pytest.param(
            {"sidecar-memory-request": "1Gi", "sidecar-memory-limit": "512Mi"},
            "dapr.io/sidecar-memory-request is 1Gi, more than dapr.io/sidecar-memory-limit, 512Mi",
            id="memory",
        ),
    ],
)  # fmt: skip
def test_dapr_would_not_take_together(annotations: dict[str, str], sentence: str) -> None:
    assert refusal("dapr", **{f"dapr.io/{key}": annotations[key] for key in annotations}) == (
        sentence
    )


def test_dapr_takes_what_it_documents() -> None:
    annotations = {
        f"dapr.io/{key}": value
        for key, value in {
            "enabled": "yes",
            "app-max-concurrency": "-1",
            "graceful-shutdown-seconds": "-1",
            "placement-host-address": " ",
            "sidecar-listen-addresses": "[::1],127.0.0.1",
            "env": "A=1,2, B=x y,_C=",
            "env-from-secret": "A=secret:key, B=secret",
            "app-protocol": "GRPC",
            "log-level": "Debug",
            "disable-init-endpoints": "CONFIG,,Subscribe",
            "volume-mounts-rw": "models:/models,cache:/tmp/cache",
            "block-shutdown-duration": "1.5m",
            "something-of-tomorrow": "x",
        }.items()
    }

    assert loaded("dapr", **annotations).injections[0].inject.dapr == annotations


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        pytest.param(
            "sidecar.istio.io/nativeSidecar", "yes", 'is neither "true" nor "false"', id="flag"
        ),
        pytest.param("istio.io/dataplane-mode", "on", "is not one of ambient, none", id="mode"),
        pytest.param(
            "traffic.sidecar.istio.io/excludeInboundPorts", "29500,nccl",
            'is not a list of ports; write "29500,9090"', id="ports",
        ),
        pytest.param(
            "proxy.istio.io/config", "hold",
            'is not a mapping; write "holdApplicationUntilProxyStarts: true"', id="config",
        ),
    ],
)  # fmt: skip
def test_istio_would_not_read(key: str, value: str, sentence: str) -> None:
    assert refusal("mesh", **{key: value}) == f'{key} "{value}" {sentence}'


def test_knative_takes_what_it_documents() -> None:
    annotations = {
        SCALING + "class": "kpa.autoscaling.knative.dev",
        SCALING + "metric": "rps",
        SCALING + "metric-aggregation-algorithm": "weighted-exponential",
        SCALING + "maxScale": "0",
        SCALING + "min-scale": "3",
        SCALING + "target": "1e2",
        SCALING + "target-burst-capacity": "-1",
        SCALING + "window": "1.5m",
        SCALING + "scale-to-zero-pod-retention-period": "1m5.5s",
        SCALING + "something-of-tomorrow": "x",
        "features.knative.dev/podspec-volumes-emptydir": "enabled",
    }

    assert loaded("knative", **annotations).injections[0].inject.knative == annotations


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param(SCALING + "target", "0x1p3", id="hexadecimal"),
        pytest.param(SCALING + "target", "1_0", id="underscore"),
        pytest.param(SCALING + "target-burst-capacity", "1e-400", id="tiny"),
        pytest.param(SCALING + "initial-scale", "2147483648", id="long"),
        pytest.param(
            SCALING + "scale-to-zero-pod-retention-period", "59m59.9999999995s", id="picoseconds"
        ),
        pytest.param("serving.knative.dev/progress-deadline", "", id="default"),
    ],
)
def test_knative_takes_numbers_as_go_reads_them(key: str, value: str) -> None:
    assert loaded("knative", **{key: value}).injections[0].inject.knative == {key: value}


def test_another_autoscaler_has_its_own_metrics() -> None:
    annotations = {SCALING + "class": "keda.example.com", SCALING + "metric": "queue-length"}

    assert loaded("knative", **annotations).injections[0].inject.knative == annotations
