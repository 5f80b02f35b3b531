"""
`kubectl ml serve`: flags become objects, told by the files in `testdata/serve`.

`UPDATE_GOLDEN=1` writes what comes out. What the policies make of the objects is tested elsewhere:
here they are as a cluster with a webhook gets them, with intents alone.
"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from policies import manifests
from tests.kubectl_ml.program import Outcome, invoke

GOLDEN = Path(__file__).parent / "testdata" / "serve"
CRDS = Path(__file__).parents[3] / "shared" / "crds"

IMAGE = "serve app --image registry.example.com/app:1 --port 8000"
IRIS = "serve iris --model s3://models/iris --format sklearn"
TRIGGER = (
    "'{type: prometheus, metadata: {serverAddress: http://prometheus.monitoring:9090, "
    'query: "sum(rate(requests_total[1m]))", threshold: 10}}\''
)

CASES = {
    "deployment-image": f"{IMAGE} --backend deployment",
    "deployment-everything": (
        f"{IMAGE} --backend deployment --accelerator a100:1,rdma --cpus 4 --memory 16Gi --shm 8Gi "
        "--env MODE=fast --env EMPTY= --mount imagenet:/data:ro --mount scratch://10Gi:/tmp/work "
        "--sidecar logs --dapr app-port=8000 --run-as-user 1000 --expose app.example.com "
        "--scale min=1,max=5,metric=cpu,target=70,window=2m -- --workers 2"
    ),
    "deployment-own-server-of-a-model": f"{IMAGE} --backend deployment --model pvc://claim/nets",
    "deployment-sklearn": f"{IRIS} --backend deployment --memory 2Gi --scale min=3,max=3",
    "deployment-language-model": (
        "serve llm --model hf://Qwen/Qwen2.5-7B-Instruct@main --format huggingface "
        "--accelerator a100:1 --memory 64Gi --backend deployment -- --max-model-len=8192"
    ),
    "deployment-memory": (
        f"{IRIS} --backend deployment --scale min=1,max=4,metric=memory,target=2048"
    ),
    "deployment-tensorflow": (
        "serve flowers --model flowers/v2 --format TensorFlow --backend deployment"
    ),
    "deployment-to-zero": (
        f"{IMAGE} --backend deployment --scale min=0,max=5,retention=5m,window=1m "
        f"--trigger {TRIGGER}"
    ),
    "knative-image": f"{IMAGE} --backend knative --scale min=0,max=5,target=10",
    "knative-exposed": f"{IMAGE} --backend knative --expose app.example.com --accelerator t4",
    "knative-model": f"{IRIS} --backend knative --env LEVEL=debug",
    "deployment-dapr": (
        f"{IMAGE} --backend deployment --dapr app-id=reco,app-port=8000 "
        "--dapr-subscribe pubsub/orders.eu:/orders "
        "--dapr-resiliency timeout=30s,retries=3,breaker=5"
    ),
    "kserve-dapr": (
        f"{IMAGE} --backend kserve --dapr true --dapr-subscribe pubsub/orders.eu:/eu "
        "--dapr-subscribe pubsub/orders-eu:/eu2 --dapr-subscribe other/orders:/ "
        "--dapr-resiliency retries=0"
    ),
    "knative-limits": (f"{IMAGE} --backend knative --concurrency 4 --timeout 5m --tag next"),
    "kserve-extras": (
        f"{IRIS} --backend kserve --concurrency 4 --timeout 5m --mode raw --autoscaler external "
        "--transformer registry.example.com/transform:1 --explainer registry.example.com/explain:1 "
        "--log-requests http://broker.logs/default,request --batch size=32,latency=500 "
        "--storage-key models"
    ),
    "kserve-over-nodes": (
        "serve llm --model pvc://models/llama --format huggingface --backend kserve --nodes 2 "
        "--accelerator a100:8,rdma"
    ),
    "kserve-keda": (
        f"{IRIS} --backend kserve --autoscaler keda --scale min=1,max=3,metric=memory,target=70"
    ),
    "kserve-oci": "serve iris --model oci://registry.example.com/iris:1 --format sklearn "
    "--backend kserve --mode serverless --scale min=0,max=3,metric=rps,target=0.5",
    "kserve-sklearn": f"{IRIS} --backend kserve --scale min=1,max=3 --cpus 1 --memory 2Gi",
    "kserve-language-model": (
        "serve llm --model hf://Qwen/Qwen2.5-7B-Instruct@main --format huggingface "
        "--accelerator a100:1 --backend kserve --scale min=0,max=5,target=10 -- --dtype=half"
    ),
    "kserve-data-source": "serve net --model nets/resnet --format onnx --backend kserve",
    "kserve-image": f"{IMAGE} --backend kserve --model gs://models/net",
    "kserve-canary": f"{IRIS} --backend kserve --canary 10 --expose iris.example.com",
    "kserve-cpu": f"{IRIS} --backend kserve --scale min=1,max=3,metric=cpu,target=70",
    "kserve-own-image-of-a-server": (
        f"{IRIS} --backend kserve --image registry.example.com/sklearnserver:2"
    ),
}


def serve(command: str, *more: str) -> Outcome:
    return invoke(*shlex.split(command.partition(" -- ")[0]), *more, *_after(command))


def _after(command: str) -> list[str]:
    rest = command.partition(" -- ")[2]
    return ["--", *shlex.split(rest)] if rest else []


def uninjected(command: str) -> Outcome:
    return serve(command, "--dry-run=client", "--inject=server", "-o", "yaml")


OFFLINE = ("--dry-run=client", "--inject", "server", "-o", "json")


@pytest.mark.parametrize("case", CASES)
def test_flags_become_objects(case: str) -> None:
    file = GOLDEN / f"{case}.yaml"

    outcome = uninjected(CASES[case])

    assert (outcome.code, outcome.err.splitlines()[:-1]) == (0, [])
    text = f"# kubectl ml {CASES[case]}\n{outcome.out}"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text()


def test_every_golden_file_is_a_case() -> None:
    assert {file.stem for file in GOLDEN.glob("*.yaml")} == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_objects_are_what_their_definitions_ask_for(case: str) -> None:
    custom = [
        (found, _definition(found))
        for found in manifests.documents((GOLDEN / f"{case}.yaml").read_bytes())
    ]

    for found, schema in custom:
        if schema:
            jsonschema.Draft202012Validator(schema).validate(found)


def _definition(found: Any) -> Any:
    """Give the schema of a kind that a CRD defines; None for Kubernetes' own."""
    group, _, version = found["apiVersion"].rpartition("/")
    if found["kind"] == "DomainMapping" or "." not in group or group.endswith(".k8s.io"):
        return None
    plural = f"{found['kind'].lower()}s".replace("ys", "ies")
    file = CRDS / f"{plural}.{group}.json"
    if not file.exists():
        pytest.skip(f"needs ../shared/crds/{file.name} beside the checkout")
    versions = json.loads(file.read_text())["spec"]["versions"]
    return next(each["schema"]["openAPIV3Schema"] for each in versions if each["name"] == version)


# --- what is decided --------------------------------------------------------------------------


def test_without_a_cluster_a_deployment_serves_and_that_is_said() -> None:
    outcome = serve(IRIS, "--dry-run=client", "-o", "name")

    assert (outcome.code, outcome.out) == (0, "deployment.apps/iris\nservice/iris\n")
    assert outcome.err.splitlines()[0] == (
        "backend deployment: --dry-run=client asks no cluster; --backend names another"
    )


def test_without_a_cluster_the_plugin_injects() -> None:
    outcome = serve(f"{IRIS} --accelerator a100:2", "--dry-run=client", "-o", "json")

    workload = json.loads(outcome.out)["items"][0]
    pod = workload["spec"]["template"]["spec"]
    [server] = pod["containers"]
    [fetch] = pod["initContainers"]
    assert server["resources"]["limits"] == {"nvidia.com/gpu": "2"}
    assert "/mnt/models" in [mount["mountPath"] for mount in server["volumeMounts"]]
    assert fetch["args"] == ["s3://models/iris", "/mnt/data"]


def test_a_variable_without_a_value_is_taken_from_here() -> None:
    outcome = invoke(
        *shlex.split(f"{IMAGE} --env TOKEN --dry-run=client -o json"), env={"TOKEN": "a=b"}
    )

    container = json.loads(outcome.out)["items"][0]["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [{"name": "TOKEN", "value": "a=b"}]


def test_a_dry_run_says_that_it_was_one() -> None:
    outcome = serve(IMAGE, "--dry-run=client", "-n", "ml")

    assert outcome.out.splitlines()[0] == "deployment.apps/app applied (dry run)"
    assert outcome.err.splitlines()[-1] == "next: the same without --dry-run"


COMPONENTS = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: statestore}
spec: {type: state.redis, version: v1, metadata: [{name: redisHost, value: "redis:6379"}]}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: shared}
spec: {type: pubsub.redis, version: v1}
scopes: [reco, other]
---
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata: {name: traced}
spec: {tracing: {samplingRate: "1"}}
"""


def test_components_are_scoped_and_the_configuration_is_named(tmp_path: Path) -> None:
    file = tmp_path / "dapr.yaml"
    file.write_text(COMPONENTS)

    outcome = serve(f"{IMAGE} --backend deployment --dapr true --dapr-file {file}", *OFFLINE)

    made = {each["metadata"]["name"]: each for each in json.loads(outcome.out)["items"]}
    assert made["statestore"]["scopes"] == ["app"]
    assert made["shared"]["scopes"] == ["reco", "other"]
    assert made["traced"]["metadata"]["labels"]["kubectl-ml.io/name"] == "app"
    assert "scopes" not in made["traced"]


def test_a_component_whose_scopes_are_empty_is_this_apps(tmp_path: Path) -> None:
    file = tmp_path / "dapr.yaml"
    file.write_text(
        "{apiVersion: dapr.io/v1alpha1, kind: Component, metadata: {name: a}, scopes: []}"
    )

    outcome = serve(f"{IMAGE} --backend deployment --dapr true --dapr-file {file}", *OFFLINE)

    made = {each["kind"]: each for each in json.loads(outcome.out)["items"]}
    assert made["Component"]["scopes"] == ["app"]


def test_a_configuration_that_the_app_does_not_use_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "dapr.yaml"
    file.write_text(COMPONENTS)

    outcome = serve(
        f"{IMAGE} --backend deployment --dapr config=other --dapr-file {file}", *OFFLINE
    )

    assert (outcome.code, outcome.err.splitlines()[0]) == (
        2,
        "error: --dapr names the Configuration other, and --dapr-file has traced; "
        "leave one of them out",
    )


@pytest.mark.parametrize(
    ("flags", "intent"),
    [
        ("--dapr true --dapr-subscribe p/t:/a", "app-port=8000"),
        ("--dapr app-id=reco --dapr-subscribe p/t:/a", "app-id=reco,app-port=8000"),
        ("--dapr app-port=9 --dapr-subscribe p/t:/a", "app-port=9"),
        ("--dapr true --dapr-resiliency retries=3", "true"),
    ],
)
def test_messages_need_a_port_which_is_the_servers(flags: str, intent: str) -> None:
    outcome = serve(f"{IMAGE} --backend deployment {flags}", *OFFLINE)

    deployment = json.loads(outcome.out)["items"][0]
    assert deployment["metadata"]["annotations"]["kubectl-ml.io/dapr"] == intent


def test_the_configuration_that_comes_along_is_the_intents(tmp_path: Path) -> None:
    file = tmp_path / "dapr.yaml"
    file.write_text(COMPONENTS)

    outcome = serve(f"{IMAGE} --backend deployment --dapr true --dapr-file {file}", *OFFLINE)

    deployment = json.loads(outcome.out)["items"][0]
    assert deployment["metadata"]["annotations"]["kubectl-ml.io/dapr"] == "config=traced"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param(
            "{kind: Secret, apiVersion: v1, metadata: {name: a}}",
            "Secret is no Component and no Configuration of dapr.io/v1alpha1; apply it by itself",
            id="another-kind",
        ),
        pytest.param(
            "{kind: Component, apiVersion: dapr.io/v1alpha1}",
            "a Component has no metadata.name; add it",
            id="no-name",
        ),
        pytest.param(
            "{kind: Component, apiVersion: dapr.io/v1alpha1, metadata: {name: a, labels: [b]}}",
            "the labels of the Component a are no mapping",
            id="labels",
        ),
        pytest.param(
            "{kind: Component, apiVersion: dapr.io/v1alpha1, metadata: {name: a}, scopes: b}",
            "the scopes of the Component a are no list of app ids",
            id="scopes",
        ),
        pytest.param(
            "{kind: Configuration, apiVersion: dapr.io/v1alpha1, metadata: {name: a}}\n---\n"
            "{kind: Configuration, apiVersion: dapr.io/v1alpha1, metadata: {name: b}}",
            "Configuration b besides a; an app uses one",
            id="two-configurations",
        ),
        pytest.param(
            "{kind: Component, apiVersion: dapr.io/v1alpha1, metadata: {name: a}}\n---\n"
            "{kind: Component, apiVersion: dapr.io/v1alpha1, metadata: {name: a}}",
            "the Component a is there twice",
            id="twice",
        ),
    ],
)
def test_other_documents_than_daprs_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "dapr.yaml"
    file.write_text(text)

    outcome = serve(f"{IMAGE} --dapr true --dapr-file {file}", *OFFLINE)

    assert outcome.code == 2
    assert f"--dapr-file {file}: {sentence}" in outcome.err


# --- what is refused --------------------------------------------------------------------------


USAGE = {
    "serve app": (
        "nothing to serve: give --model URI --format FORMAT, or --image IMAGE --port PORT"
    ),
    "serve App --image i --port 1": (
        '"App" can\'t be a name: up to 63 lower case letters, digits and "-", '
        "beginning with a letter"
    ),
    "serve app --image i --port 1 --timeout soon": '--timeout "soon" is not a duration; write 5m',
    "serve app --image i --port 1 --tag latest": (
        '--tag "latest" can\'t be a tag: lower case letters, digits and "-", beginning with a '
        'letter, and not "latest"'
    ),
    "serve app --image i --port 1 --log-requests broker": (
        '--log-requests "broker" is not a URL; write http://broker/default'
    ),
    "serve app --image i --port 1 --log-requests http://b,some": (
        '--log-requests: "some" is not one of all, request, response'
    ),
    "serve app --image i --port 1 --batch sise=3": (
        '--batch: unknown key "sise"; did you mean "size"?'
    ),
    "serve app --image i --port 1 --batch size=0": (
        '--batch size="0" is not a whole number of 1 or more'
    ),
    "serve app --image i --port 1 --dapr-subscribe a/b:/c": (
        "--dapr-subscribe, --dapr-resiliency and --dapr-file need --dapr"
    ),
    "serve app --image i --port 1 --dapr true --dapr-subscribe orders": (
        '--dapr-subscribe "orders": write PUBSUB/TOPIC:/ROUTE, such as pubsub/orders:/orders'
    ),
    "serve app --image i --port 1 --dapr true --dapr-resiliency timeot=3s": (
        '--dapr-resiliency: unknown key "timeot"; did you mean "timeout"?'
    ),
    "serve app --image i --port 1 --dapr true --dapr-resiliency timeout=3": (
        '--dapr-resiliency timeout="3" is not a duration'
    ),
    "serve app --image i --port 1 --dapr true --dapr-resiliency breaker=0": (
        '--dapr-resiliency breaker="0" breaks at once; write the failures in a row, 1 or more'
    ),
    "serve app --image i --port 1 --dapr true --dapr-resiliency retries=1,retries=2": (
        '--dapr-resiliency: "retries" is there twice'
    ),
    "serve app --image i --port 1 --batch size=1,size=2": '--batch: "size" is there twice',
    "serve app --image i --port 1 --dapr true --dapr-subscribe p/t:/a --dapr-subscribe p/t:/b": (
        "--dapr-subscribe p/t: two routes, /a and /b; Dapr sends a topic's messages to one"
    ),
    "serve app --image i --port 1 --dapr true --dapr-resiliency retries=all": (
        '--dapr-resiliency retries="all" is not a whole number'
    ),
    "serve app --image i": "--image needs --port: on which port does it listen?",
    "serve app --image i --port 70000": (
        "invalid value for '--port': 70000 is not in the range 1<=x<=65535"
    ),
    "serve app --image i --port 80 --format onnx": (
        "--format says what --model is; give --model, or leave --format out"
    ),
    "serve app --model s3://m/iris": (
        "--model needs --format, which says what serves it: huggingface, lightgbm, mlflow, onnx, "
        "paddle, pmml, pytorch, sklearn, tensorflow, tensorrt, triton, xgboost; a server of your "
        "own comes with --image and --port"
    ),
    "serve app --model s3://m/iris --format sklern": (
        '--format "sklern": unknown format; did you mean "sklearn"?'
    ),
    "serve app --model s3://m/iris --format sklearn --port 80": (
        "--port doesn't go with --format: the server of sklearn models listens on 8080; "
        "leave one of them out"
    ),
    "serve app --model s4://m/iris --format sklearn": (
        '--model "s4://m/iris": unknown scheme "s4"; known: s3, gs, hf, oci, pvc, https'
    ),
    "serve app --model s3:// --format sklearn": '--model "s3://" names nothing after "s3://"',
    "serve app --model hf://bert --format huggingface": (
        '--model "hf://bert": write hf://OWNER/NAME or hf://OWNER/NAME@REVISION'
    ),
    "serve app --model scratch://1Gi --format onnx": (
        '--model "scratch://1Gi": an empty volume holds no model'
    ),
    "serve app --model ./iris --format sklearn": (
        '--model "./iris" is a path on this machine, which the cluster doesn\'t see; put the '
        "model on a volume (pvc://CLAIM/path) or into a bucket (s3://BUCKET/path)"
    ),
    "serve app --model file:///iris --format sklearn": (
        '--model "file:///iris" is a path on this machine, which the cluster doesn\'t see; put '
        "the model on a volume (pvc://CLAIM/path) or into a bucket (s3://BUCKET/path)"
    ),
    "serve app --model My_Models --format sklearn": (
        '--model "My_Models" is neither a URI (s3, gs, hf, oci, pvc, https) nor NAME[/sub] of a '
        "data source"
    ),
    f"{IRIS} --run-as-user 1000": (
        "--run-as-user is for --image: the servers of formats have a user of their own"
    ),
    f"{IMAGE} --scale min=x": '--scale "min=x": min="x" is not a whole number',
    f"{IMAGE} --scale mim=1": '--scale "mim=1": unknown key "mim"; did you mean "min"?',
    f"{IMAGE} --scale min=5,max=2": '--scale "min=5,max=2": max=2 is less than min=5',
    f"{IMAGE} --canary 100": "invalid value for '--canary': 100 is not in the range 1<=x<=99",
    f"{IMAGE} --accelerator a100:x": (
        '--accelerator "a100:x": the count "x" is not a whole number from 1 to 999'
    ),
    f"{IMAGE} --mount imagenet": (
        '--mount "imagenet": "imagenet" has no path; write "imagenet:/path"'
    ),
    f"{IRIS} --mount work:/mnt/models": (
        "--mount: /mnt/models is where --model goes; give the mount a path of its own"
    ),
    f"{IMAGE} --shm much": '--shm "much": "much" is not a quantity of memory; write "16Gi"',
    f"{IMAGE} --sidecar Logs": (
        '--sidecar "Logs": "Logs" is not a name (lower case letters, digits, "-", ".")'
    ),
    f"{IMAGE} --dapr yes": (
        '--dapr "yes": "yes" is neither "true" nor pairs; write "app-id=NAME,app-port=8080"'
    ),
    f"{IMAGE} --cpus many": '--cpus "many" is not a quantity; write 2 or 500m',
    f"{IMAGE} --memory 0": '--memory "0" is not a quantity; write 64Gi',
    f"{IMAGE} --env 1=2": ('--env "1=2": write NAME=VALUE, or NAME for the value here'),
    f"{IMAGE} --env NOT_SET": (
        '--env "NOT_SET": there is no such variable here; write NOT_SET=VALUE'
    ),
    f"{IMAGE} --expose https://app.example.com/": (
        '--expose "https://app.example.com/" is not the name of a host; write iris.example.com'
    ),
    f"{IMAGE} --trigger prometheus": (
        "--trigger has no type and metadata; write {type: prometheus, metadata: {serverAddress: "
        "…, query: …, threshold: '10'}}"
    ),
    f"{IMAGE} --trigger '{{'": (
        "--trigger is no YAML (quote what has brackets or commas); write {type: prometheus, "
        "metadata: {serverAddress: …, query: …, threshold: '10'}}"
    ),
}


@pytest.mark.parametrize("command", USAGE, ids=str)
def test_wrong_flags_are_told_in_a_sentence(command: str) -> None:
    outcome = serve(command, "--dry-run=client")

    assert (outcome.code, outcome.out, outcome.err.splitlines()) == (
        2,
        "",
        [f"error: {USAGE[command]}", "hint: see 'kubectl ml serve --help' for usage and examples"],
    )


ZERO = (
    "name what wakes it, --trigger '{type: prometheus, metadata: {serverAddress: …, query: …, "
    'threshold: "10"}}\', or let Knative count requests: --backend knative'
)

REFUSED = {
    f"{IMAGE} --concurrency 4 --backend deployment": (
        "--concurrency needs a backend that stands before each request; a Deployment doesn't",
        "--backend knative",
    ),
    f"{IMAGE} --transformer i --backend knative": ("--transformer is KServe's", "--backend kserve"),
    f"{IRIS} --tag next --backend kserve": (
        "--tag is Knative's; KServe names no revisions",
        "leave --tag out",
    ),
    f"{IRIS} --nodes 2 --backend kserve": (
        "--nodes 2: KServe spreads only a model with a --format, from a claim that many nodes can "
        "mount",
        "--model pvc://CLAIM/path",
    ),
    "serve llm --model pvc://c/m --format huggingface --nodes 2 --scale max=3 --backend kserve": (
        "--nodes 2: KServe doesn't scale what spreads over nodes",
        "leave --scale out",
    ),
    f"{IRIS} --mode raw --scale min=0,max=3 --backend kserve": (
        "--mode raw: --scale min=0 needs --mode serverless",
        "leave --mode out",
    ),
    f"{IRIS} --mode serverless --scale metric=cpu --backend kserve": (
        "--mode serverless: --scale metric=cpu needs --mode raw",
        "leave --mode out",
    ),
    f"{IRIS} --mode serverless --autoscaler none --backend kserve": (
        "--mode serverless: --autoscaler none needs --mode raw",
        "leave --mode out",
    ),
    f"{IMAGE} --storage-key k --backend kserve": (
        "--storage-key is for a --model in a bucket (s3://) with a --format",
        "leave --storage-key out",
    ),
    f"{IMAGE} --backend deployment --canary 10": (
        "--canary needs a backend that splits traffic between revisions; a Deployment can't",
        "--backend knative or --backend kserve",
    ),
    f"{IMAGE} --backend knative --canary 10": (
        '--canary needs the cluster: which revision of "app" keeps the rest of the traffic is '
        "read there",
        "--dry-run=server changes nothing either",
    ),
    f"{IMAGE} --backend deployment --scale min=0,max=5": (
        "--scale min=0 on a Deployment needs a trigger: with no pod there is no load to measure",
        ZERO,
    ),
    f"{IMAGE} --backend deployment --scale min=0,max=5 --trigger '{{type: cpu, metadata: {{}}}}'": (
        "--trigger cpu can't wake what has no pod: KEDA measures it in pods",
        ZERO,
    ),
    f"{IMAGE} --backend deployment --scale min=1": (
        "--scale doesn't say how far: a Deployment needs max",
        "--scale min=1,max=5",
    ),
    f"{IMAGE} --backend deployment --trigger {TRIGGER}": (
        "--trigger needs to know how far to scale",
        "--scale min=0,max=5",
    ),
    f"{IMAGE} --backend deployment --scale max=5,target=10": (
        "--scale target=10 means concurrency, and nothing in plain Kubernetes counts requests",
        "add metric=cpu (percent) or metric=memory (MiB), or --backend knative",
    ),
    f"{IMAGE} --backend deployment --scale max=5,metric=rps": (
        "--scale metric=rps: nothing in plain Kubernetes counts requests",
        "add metric=cpu (percent) or metric=memory (MiB), or --backend knative",
    ),
    f"{IMAGE} --backend deployment --scale max=5": (
        "--scale by cpu needs --cpus: load is measured against what was asked for",
        "--cpus 2",
    ),
    f"{IMAGE} --backend deployment --scale max=5,metric=memory": (
        "--scale metric=memory needs a target, in MiB a pod",
        "--scale …,target=2048",
    ),
    f"{IMAGE} --backend deployment --cpus 1 --scale max=5,metric=cpu,target=0.5": (
        "--scale target=0.5: a percentage of the processors is a whole number",
        "--scale …,metric=cpu,target=70",
    ),
    f"{IMAGE} --backend deployment --scale min=1,max=5,initial=2": (
        "--scale initial=2: a Deployment has nothing that does that",
        "leave initial out, or --backend knative",
    ),
    f"{IMAGE} --backend knative --trigger {TRIGGER}": (
        "--trigger is KEDA's; Knative counts requests itself",
        "leave --trigger out, or --backend deployment",
    ),
    f"{IMAGE} --backend kserve --trigger {TRIGGER}": (
        "--trigger belongs to the deployment backend; KServe scales by itself",
        "leave --trigger out, or --backend deployment",
    ),
    f"{IMAGE} --backend kserve --scale metric=memory,target=2048": (
        "--scale target=2048: KServe takes memory in percent of what is asked for, from 1 to 100",
        "--scale …,metric=memory,target=70",
    ),
    f"{IMAGE} --backend kserve --scale metric=cpu,target=0.5": (
        "--scale target=0.5: KServe takes cpu in percent of what is asked for, from 1 to 100",
        "--scale …,metric=cpu,target=70",
    ),
    f"{IRIS} --backend kserve --autoscaler keda": (
        "--autoscaler keda: KServe gives KEDA cpu or memory to scale by, and --scale names neither",
        "--scale min=1,max=5,metric=cpu,target=70",
    ),
    f"{IRIS} --backend kserve --autoscaler hpa --scale min=0,max=3": (
        "--scale min=0 needs KServe on Knative, which scales by itself; --autoscaler hpa is for "
        "plain Deployments",
        "leave --autoscaler out",
    ),
    "serve llm --model pvc://c/m --format huggingface --nodes 2 --canary 10 --backend kserve": (
        "--canary needs KServe on Knative, which doesn't spread a replica over nodes",
        "leave --canary or --nodes out",
    ),
    "serve llm --model pvc://c/m --format huggingface --nodes 2 --autoscaler hpa "
    "--backend kserve": (
        "--autoscaler hpa: KServe doesn't scale what spreads over nodes",
        "leave --autoscaler out",
    ),
    f"{IMAGE} --backend kserve --canary 10 --scale metric=cpu": (
        "--canary needs KServe on Knative, which doesn't scale by cpu",
        "scale by concurrency or rps: --scale …,metric=concurrency",
    ),
    "serve iris --model https://example.com/iris --format sklearn --backend deployment": (
        '--model "https://example.com/iris": only KServe fetches from https',
        "--backend kserve, or put the model into a bucket or on a volume",
    ),
}


@pytest.mark.parametrize("command", REFUSED, ids=str)
def test_what_a_backend_cannot_do_is_told_in_a_sentence(command: str) -> None:
    outcome = serve(command, "--dry-run=client")

    sentence, hint = REFUSED[command]
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.splitlines() == [f"error: {sentence}", f"hint: {hint}"]
