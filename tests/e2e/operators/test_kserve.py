"""
KServe: what its webhooks take, and the pods that its controllers make.

Predictors, transformers and explainers are run as Deployments (`RawDeployment`). What can't be run:

- Serverless, its default: Knative's own controllers would have to make the pods, and they resolve
  every image at its registry.
- ModelMesh: another operator makes the pods of its ServingRuntimes.
- LLMInferenceService, and `spec.canary`: this version of KServe has neither.
- LocalModelCache: its controllers and its agent on the nodes are programs of their own.
"""

import json
from typing import Any

import pytest

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane.client import Manifest
from tests.e2e.operators import foretold

MODE = "serving.kserve.io/deploymentMode"
MULTINODE = "kserve-huggingfaceserver-multinode"
RESOURCES = {
    "requests": {"cpu": "1", "memory": "1Gi"},
    "limits": {"cpu": "1", "memory": "1Gi"},
}


def kserve(
    kind: str, spec: Manifest, *, mode: str = "RawDeployment", name: str = "iris", **wanted: str
) -> Manifest:
    """Write one of KServe's objects."""
    version = "v1beta1" if kind == "InferenceService" else "v1alpha1"
    annotations = acting.intents(**wanted)
    if kind.startswith("Inference"):
        annotations[MODE] = mode
    return {
        "apiVersion": f"serving.kserve.io/{version}",
        "kind": kind,
        "metadata": {"name": name, "annotations": annotations},
        "spec": spec,
    }


def own(replicas: int = 1) -> Manifest:
    """Write a component with a container of one's own."""
    return {
        "minReplicas": replicas,
        "maxReplicas": replicas,
        "containers": [acting.container("kserve-container", resources=RESOURCES)],
    }


def model(uri: str = "pvc://models/iris", **members: Any) -> Manifest:
    """Write a predictor that a runtime of the cluster serves."""
    served = {"modelFormat": {"name": "sklearn"}, "storageUri": uri, "resources": RESOURCES}
    return {"minReplicas": 1, "maxReplicas": 1, "model": {**served, **members}}


def whole(**wanted: str) -> Manifest:
    """Write 2 predictors, a transformer and an explainer."""
    spec = {"predictor": own(2), "transformer": own(), "explainer": own()}
    return kserve("InferenceService", spec, **wanted)


SERVED = {
    "three-components": (whole, 4, 4),
    "a-model-of-a-claim": (
        lambda **wanted: kserve("InferenceService", {"predictor": model()}, **wanted),
        1,
        2,
    ),
    "a-model-of-a-bucket": (
        lambda **wanted: kserve(
            "InferenceService", {"predictor": model("s3://models/iris")}, **wanted
        ),
        1,
        2,
    ),
}


def component(pod: Any) -> tuple[str, int]:
    return pod["metadata"]["labels"]["component"], foretold.devices([pod])


@pytest.mark.parametrize(("made", "count", "gpus"), SERVED.values(), ids=SERVED)
def test_its_pods_are_as_many_and_ask_for_as_much_as_was_foretold(
    enabled: Place, made: Any, count: int, gpus: int
):
    manifest = made(accelerator="a100:2")
    expected = foretold.demand(enabled, manifest)
    enabled.apply(manifest)

    pods = enabled.pods(count)

    assert expected["requests"][foretold.CLASS] == str(gpus)
    assert foretold.asked(pods) == expected


@pytest.mark.parametrize(("made", "count", "gpus"), SERVED.values(), ids=SERVED)
def test_its_webhook_takes_what_render_prints(plain: Place, made: Any, count: int, gpus: int):
    wanted = {"accelerator": "a100:2", "mounts": "scratch://1Gi:/s", "shm": "1Gi"}
    manifest = foretold.folded(plain, made(**wanted, sidecars="logs"))

    plain.apply(manifest)

    assert foretold.devices(plain.pods(count)) == gpus


def test_predictors_alone_receive_and_run_where_the_devices_are(enabled: Place):
    enabled.apply(whole(accelerator="a100:2"))

    pods = enabled.pods(4, lambda pod: pod["spec"].get("nodeName"))

    assert sorted(map(component, pods)) == [
        ("explainer", 0),
        ("predictor", 2),
        ("predictor", 2),
        ("transformer", 0),
    ]
    assert {pod["spec"]["nodeName"] for pod in pods if foretold.devices([pod])} == {"gpu-a100-0"}


def over_nodes(**wanted: str) -> Manifest:
    """Write a model over 2 nodes, 4 ranks by 2 devices in each."""
    inner = {"modelFormat": {"name": "huggingface"}, "resources": RESOURCES}
    served = {**inner, "storageUri": "pvc://models/llama", "runtime": MULTINODE}
    workers = {"containers": [{"name": "worker-container", "resources": RESOURCES}]}
    sizes = {"pipelineParallelSize": 2, "tensorParallelSize": 2}
    spec = {"minReplicas": 1, "maxReplicas": 1, "model": served, "workerSpec": {**sizes, **workers}}
    made = kserve("InferenceService", {"predictor": spec}, **wanted)
    made["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] = "none"
    return made


def test_workers_on_other_nodes_are_as_many_and_ask_for_as_much_as_was_foretold(enabled: Place):
    manifest = over_nodes(accelerator="a100:2")
    expected = foretold.demand(enabled, manifest)
    enabled.apply(manifest)

    pods = enabled.pods(2)

    assert expected["requests"][foretold.CLASS] == "4"
    assert foretold.asked(pods) == expected


def test_workers_whose_containers_are_the_runtimes_get_their_devices(enabled: Place):
    """KServe asks for one device in each, and makes more of them, where it finds none."""
    manifest = over_nodes(accelerator="a100:2")
    del manifest["spec"]["predictor"]["workerSpec"]["containers"]
    expected = foretold.demand(enabled, manifest)

    enabled.apply(manifest)

    pods = enabled.pods(2)
    assert (expected["pods"], expected["requests"][foretold.CLASS]) == (2, "4")
    assert [foretold.devices([pod]) for pod in pods] == [2, 2]


def test_workers_are_told_from_their_head_by_their_label(enabled: Place):
    enabled.apply(over_nodes(accelerator="a100:2"))

    pods = enabled.pods(2)

    found = {(*component(pod), pod["metadata"]["labels"]["app"]) for pod in pods}
    assert found == {
        ("predictor", 2, "isvc.iris-predictor"),
        ("predictor", 2, "isvc.iris-predictor-worker"),
    }


def test_its_webhook_takes_workers_that_render_prints(plain: Place):
    manifest = over_nodes(accelerator="a100:2", mounts="scratch://1Gi:/s", sidecars="logs")
    expected = foretold.demand(plain, manifest)

    plain.apply(foretold.folded(plain, manifest))

    assert foretold.devices(plain.pods(2)) == 4
    assert expected["requests"][foretold.CLASS] == "4"


def test_a_runtimes_intent_reaches_the_pods_that_it_serves(enabled: Place):
    spec = {
        "supportedModelFormats": [{"name": "mine", "version": "1", "autoSelect": True}],
        "containers": [acting.container("kserve-container", resources=RESOURCES)],
    }
    enabled.apply(kserve("ServingRuntime", spec, name="mine", accelerator="a100:2"))
    served = {"minReplicas": 1, "model": {"modelFormat": {"name": "mine"}, "runtime": "mine"}}

    enabled.apply(kserve("InferenceService", {"predictor": served}))

    assert component(enabled.pod()) == ("predictor", 2)


@pytest.mark.parametrize("stage", ["template", "admission"])
@pytest.mark.parametrize("kind", ["ServingRuntime", "ClusterServingRuntime"])
def test_its_webhooks_take_a_runtime_with_every_intent(plain: Place, kind: str, stage: str):
    spec = {
        "supportedModelFormats": [{"name": "mine", "version": "1", "autoSelect": True}],
        "containers": [acting.container("kserve-container", resources=RESOURCES)],
    }
    wanted = {"accelerator": "a100:2", "mounts": "scratch://1Gi:/s", "shm": "1Gi"}
    manifest = kserve(kind, spec, name="mine", **wanted)

    rendered = plain.kubectl(
        "ml", "render", "-f", "-", "-ojson", f"--stage={stage}", stdin=manifest
    )

    plain.admin.kubectl("apply", "--dry-run=server", "-n", plain.name, "-f", "-", stdin=rendered)


GRAPH = {
    "nodes": {"root": {"routerType": "Sequence", "steps": [{"serviceUrl": "http://iris"}]}},
    "resources": RESOURCES,
    "minReplicas": 1,
    "maxReplicas": 1,
}


@pytest.mark.parametrize("stage", ["template", "admission"])
def test_a_graphs_router_is_as_was_foretold(plain: Place, stage: str):
    manifest = kserve("InferenceGraph", GRAPH, sidecars="logs")
    expected = foretold.demand(plain, manifest)
    rendered = plain.kubectl(
        "ml", "render", "-f", "-", "-ojson", f"--stage={stage}", stdin=manifest
    )

    plain.kubectl("apply", "-f", "-", stdin=rendered)

    assert foretold.asked(plain.pods(1)) == expected


def test_a_model_of_modelmesh_is_taken_as_it_is_and_makes_no_pods(enabled: Place):
    spec = {"predictor": {"model": {"modelFormat": {"name": "sklearn"}}}}
    manifest = kserve("InferenceService", spec, mode="ModelMesh", accelerator="a100:2")

    said = enabled.try_apply(manifest)
    found = enabled.kubectl("get", "inferenceservice", "iris", "-ojson")

    assert "write the intent there" in said.stderr
    assert foretold.demand(enabled, manifest)["pods"] == 0
    assert "kubectl-ml.io" not in json.dumps(json.loads(found)["spec"])
    assert enabled.all("Pod") == []


def test_a_trained_model_makes_no_pods_of_its_own(enabled: Place):
    inner = {"framework": "sklearn", "storageUri": "s3://models/iris", "memory": "1Gi"}
    spec = {"inferenceService": "iris", "model": inner}

    said = enabled.try_apply(kserve("TrainedModel", spec, accelerator="a100:2"))

    assert said.returncode == 0, said.stderr
    assert "write the intent there" in said.stderr


def test_a_trained_model_is_taken_beside_the_predictor_that_serves_it(enabled: Place):
    enabled.apply(kserve("InferenceService", {"predictor": own()}, accelerator="a100:2"))
    before = enabled.pods(1)
    inner = {"framework": "sklearn", "storageUri": "s3://models/iris", "memory": "1Gi"}
    spec = {"inferenceService": "iris", "model": inner}
    manifest = kserve("TrainedModel", spec, name="one")

    enabled.apply(manifest)

    assert foretold.demand(enabled, manifest)["pods"] == 0
    assert [foretold.devices([pod]) for pod in enabled.pods(1)] == [2]
    assert [pod["metadata"]["name"] for pod in enabled.pods(1)] == [
        pod["metadata"]["name"] for pod in before
    ]


def test_a_graphs_router_gets_no_device_that_its_object_asks_for(enabled: Place):
    manifest = kserve("InferenceGraph", GRAPH, accelerator="a100:2")
    expected = foretold.demand(enabled, manifest)

    enabled.apply(manifest)

    pods = enabled.pods(1)
    assert foretold.asked(pods) == expected
    assert foretold.devices(pods) == 0
