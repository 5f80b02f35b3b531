"""Which backend serves, and what each says of how far it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from kubectl_ml import serving
from kubectl_ml.backends import deployment, knative, kserve
from kubectl_ml.backends import serving as backends
from kubectl_ml.backends.backend import Backend, Phase, State
from kubectl_ml.errors import NotFound, PluginError
from kubectl_ml.serving import ServeSpec

MODEL: dict[str, Any] = {"model": "s3://models/iris", "format_": "sklearn", "port": None}
IMAGE: dict[str, Any] = {"model": "", "format_": "", "image": "app:1", "port": 8000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster in which these kinds are known and these objects are."""

    kinds: tuple[str, ...] = ()
    objects: list[dict[str, Any]] = field(default_factory=list)

    def serves(self, api_version: str, kind: str) -> bool:
        return api_version == "apps/v1" or api_version.partition("/")[0] in self.kinds

    def get(self, api_version: str, kind: str, name: str) -> dict[str, Any]:
        for found in self.objects:
            if (found["kind"], found["metadata"]["name"]) == (kind, name):
                return found
        raise NotFound(f'{kind} "{name}" was not found')

    def find_all(self, api_version: str, kind: str, *, labels: str = "") -> list[dict[str, Any]]:
        return [found for found in self.objects if found["kind"] == kind]


def spec(**given: Any) -> ServeSpec:
    return serving.spec(
        **{"name": "app", **given, "scale": serving.read_scale(given.get("scale", ""))}
    )


KSERVE, KNATIVE, KEDA = "serving.kserve.io", "serving.knative.dev", "keda.sh"


@pytest.mark.parametrize(
    ("kinds", "given", "chosen"),
    [
        pytest.param((), MODEL, "deployment", id="nothing is installed"),
        pytest.param((KSERVE,), MODEL, "kserve", id="a model where KServe is"),
        pytest.param((KSERVE, KNATIVE), MODEL, "kserve", id="a model where both are"),
        pytest.param((KNATIVE,), MODEL, "deployment", id="a model where only Knative is"),
        pytest.param((KSERVE, KNATIVE), IMAGE, "knative", id="an image where both are"),
        pytest.param((KSERVE,), IMAGE, "deployment", id="an image where only KServe is"),
        pytest.param(
            (KNATIVE,), MODEL | {"scale": "min=0,max=3"}, "knative", id="a model that is to sleep"
        ),
        pytest.param(
            (KSERVE,), MODEL | {"scale": "max=3,metric=cpu"}, "kserve", id="a model by load"
        ),
        pytest.param(
            (KSERVE, KNATIVE, KEDA),
            MODEL | {"scale": "min=0,max=3", "triggers": ({"type": "cron", "metadata": {}},)},
            "deployment",
            id="with a trigger of KEDA",
        ),
    ],
)
def test_auto_takes_the_first_that_is_installed_and_can(
    kinds: tuple[str, ...], given: dict[str, Any], chosen: str
) -> None:
    backend, _ = backends.choose("auto", spec(**given), Cluster(kinds=kinds))

    assert backend.name == chosen


def test_a_backend_that_is_not_installed_is_told() -> None:
    with pytest.raises(PluginError) as refused:
        backends.choose("kserve", spec(**MODEL), Cluster())

    assert (refused.value.message, refused.value.hint) == (
        "--backend kserve: this cluster doesn't know InferenceService (serving.kserve.io/v1beta1)",
        "--backend auto takes what is installed",
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        pytest.param(
            {"canary": 10},
            "--canary needs KServe on Knative, which isn't installed in this cluster",
            id="a canary",
        ),
        pytest.param(
            {"scale": "min=0,max=3"},
            "--scale min=0 needs KServe on Knative, which isn't installed in this cluster",
            id="scale to zero",
        ),
        pytest.param(
            {"scale": "target=10"},
            "--scale target without a metric needs KServe on Knative, which isn't installed in "
            "this cluster",
            id="requests",
        ),
    ],
)
def test_kserve_without_knative_says_what_it_cannot(given: dict[str, Any], sentence: str) -> None:
    backend, known = backends.choose("kserve", spec(**MODEL, **given), Cluster(kinds=(KSERVE,)))

    assert backend.cannot(known) == (sentence,)


# --- how far it is ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Here(Cluster):
    """A cluster that commands are told to come to."""

    flags: str = " -n ml"


def look(status: dict[str, str], scale: str) -> None:
    wanted = spec(**MODEL, scale=scale)
    [made] = kserve.BACKEND.objects(wanted)
    cluster = Here(kinds=(KSERVE,), objects=[{**made, "status": status}])
    backends.check_room(kserve.BACKEND, wanted, [made], cluster)


@pytest.mark.parametrize(
    ("status", "scale"),
    [
        pytest.param({}, "max=3,metric=cpu", id="not yet run"),
        pytest.param({"deploymentMode": "RawDeployment"}, "max=3,metric=cpu", id="the same"),
        pytest.param({"deploymentMode": "Standard"}, "max=3,metric=cpu", id="by its newer name"),
        pytest.param({"deploymentMode": "Serverless"}, "max=3", id="either does"),
    ],
)
def test_what_runs_in_the_mode_that_is_needed_is_changed(
    status: dict[str, str], scale: str
) -> None:
    look(status, scale)


def test_kserve_changes_the_mode_of_nothing_that_runs() -> None:
    with pytest.raises(PluginError) as refused:
        look({"deploymentMode": "Serverless"}, "max=3,metric=cpu")

    assert (refused.value.message, refused.value.hint) == (
        '"app" runs as Serverless, which KServe doesn\'t change, and what is asked for needs '
        "RawDeployment",
        "first: kubectl ml delete app -n ml",
    )


def found(status: Any, *, generation: int = 2, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": "app", "generation": generation, **more}, "status": status}


def condition(type_: str, status: str, **more: str) -> dict[str, str]:
    return {"type": type_, "status": status, **more}


@pytest.mark.parametrize("backend", [knative.BACKEND, kserve.BACKEND], ids=["knative", "kserve"])
@pytest.mark.parametrize(
    ("object_", "state"),
    [
        pytest.param(found({}), State(phase=Phase.PENDING), id="new"),
        pytest.param(
            found({"observedGeneration": 2, "conditions": [condition("Ready", "True")]}),
            State(phase=Phase.READY),
            id="ready",
        ),
        pytest.param(
            found({"observedGeneration": 1, "conditions": [condition("Ready", "True")]}),
            State(phase=Phase.PENDING),
            id="ready as it was before",
        ),
        pytest.param(
            found(
                {
                    "observedGeneration": 2,
                    "conditions": [
                        condition("Ready", "False", reason="RevisionFailed", message="no image")
                    ],
                }
            ),
            State(phase=Phase.NOT_READY, reason="RevisionFailed", message="no image"),
            id="failed",
        ),
        pytest.param(
            found({}, deletionTimestamp="2026-01-01T00:00:00Z"),
            State(phase=Phase.DELETING),
            id="being deleted",
        ),
    ],
)
def test_state_by_the_condition_ready(
    backend: Backend[ServeSpec], object_: dict[str, Any], state: State
) -> None:
    assert backend.state(object_) == state


def replicas(count: int, status: dict[str, Any]) -> dict[str, Any]:
    return found({"observedGeneration": 2} | status) | {"spec": {"replicas": count}}


@pytest.mark.parametrize(
    ("object_", "state"),
    [
        pytest.param(
            found({}) | {"spec": {}}, State(phase=Phase.PENDING, pods=1), id="not seen yet"
        ),
        pytest.param(
            replicas(2, {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2}),
            State(phase=Phase.READY, pods=2),
            id="ready",
        ),
        pytest.param(
            replicas(2, {"replicas": 3, "updatedReplicas": 1, "readyReplicas": 2}),
            State(phase=Phase.PENDING, pods=2),
            id="rolling out",
        ),
        pytest.param(
            replicas(0, {}),
            State(phase=Phase.READY, reason="ScaledToZero"),
            id="asleep",
        ),
        pytest.param(
            replicas(
                1,
                {
                    "conditions": [
                        condition("Available", "False", reason="MinimumReplicasUnavailable"),
                        condition("ReplicaFailure", "True", reason="FailedCreate", message="quota"),
                    ]
                },
            ),
            State(phase=Phase.NOT_READY, pods=1, reason="FailedCreate", message="quota"),
            id="refused by a quota",
        ),
        pytest.param(
            found({}, deletionTimestamp="2026-01-01T00:00:00Z"),
            State(phase=Phase.DELETING),
            id="being deleted",
        ),
    ],
)
def test_state_of_a_deployment(object_: dict[str, Any], state: State) -> None:
    assert deployment.BACKEND.state(object_) == state
