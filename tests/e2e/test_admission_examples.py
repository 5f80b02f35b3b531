"""
The manifests of examples/, and thirty of real projects, on a real API server.

What the webhook makes of one is what `kubectl ml render --stage admission` prints; applying it
again changes nothing.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import crds, errors, processes, waiting
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import ENABLED, Installed

EXAMPLES = processes.CHECKOUT / "examples"
SAMPLES = processes.CHECKOUT.parent / "shared" / "samples"
DEFINITIONS = (
    "inferenceservices.serving.kserve.io",
    "jobsets.jobset.x-k8s.io",
    "localqueues.kueue.x-k8s.io",
    "mpijobs.kubeflow.org.mpi-operator",
    "pytorchjobs.kubeflow.org",
    "services.serving.knative.dev",
    "trainjobs.trainer.kubeflow.org",
)
SYSTEMS = {
    "kueue.x-k8s.io": "kueue",
    "serving.knative.dev": "knative",
    "serving.kserve.io": "kserve",
}
COMMON = {
    "CronJob.batch",
    "DaemonSet.apps",
    "Deployment.apps",
    "InferenceService.serving.kserve.io",
    "Job.batch",
    "JobSet.jobset.x-k8s.io",
    "MPIJob.kubeflow.org",
    "Pod",
    "PyTorchJob.kubeflow.org",
    "ReplicaSet.apps",
    "Service.serving.knative.dev",
    "StatefulSet.apps",
    "TrainJob.trainer.kubeflow.org",
}
# There is no PyTorchJob among the samples: examples/ has one, and tests/policies more.
FROM_PROJECTS = (
    "HAMi/examples/ascend/job-910A.yaml",
    "HAMi/examples/kunlun/allocate_exclusive.yaml",
    "HAMi/examples/nvidia/mig_example.yaml",
    "HAMi/examples/nvidia/specify_card_type_to_use.yaml",
    "HAMi/examples/mlu/default_use.yaml",
    "arena/samples/cli/use-in-container/deployment.yaml",
    "autoscaler/cluster-autoscaler/cloudprovider/brightbox/examples/check-env.yaml",
    "examples/_archived/cockroachdb/cockroachdb-statefulset.yaml",
    "kueue/cmd/kueueviz/examples/03-agi-job.yaml",
    "examples/_archived/sysdig-cloud/sysdig-daemonset.yaml",
    "kserve/docs/samples/v1beta1/advanced/probes.yaml",
    "fluid/samples/knative/serving.yaml",
    "gatekeeper-library/artifacthub/library/general/verifydeprecatedapi/1.0.0/samples/"
    "verify-1.25/example_allowed.yaml",
    "istio/samples/helloworld/helloworld-dual-stack.yaml",
    "istio/samples/proxy-coredump/daemonset.yaml",
    "kueue/site/static/examples/jobs/sample-jobset.yaml",
    "jobset/site/static/examples/depends-on/multiple-depends-on.yaml",
    "jobset/site/static/examples/simple/group.yaml",
    "jobset/site/static/examples/tpu-multislice/v6e-jax-workload.yaml",
    "kserve/docs/samples/explanation/aif/germancredit/message-dumper.yaml",
    "kserve/docs/samples/fluid/fluid-isvc.yaml",
    "kserve/docs/samples/kafka/mnist_kafka_new.yaml",
    "kserve/docs/samples/storage/hf/hf_isvc.yaml",
    "kserve/docs/samples/v1beta1/sklearn/v1/perf.yaml",
    "kueue/site/static/examples/dra/sample-dra-counter-job.yaml",
    "kueue/site/static/examples/jobs/sample-job-partial-admission.yaml",
    "mpi-operator/examples/v2beta1/pi/pi-mpich.yaml",
    "trainer/examples/yaml/02-runtime-patches.yaml",
    "volcano/example/kubecon-2019-china/drf/nginx.yaml",
    "volcano/example/kubecon-2019-china/drf/nginx-2.yaml",
)
_OTHERS = (
    "Service",
    "ConfigMap",
    "ServiceAccount",
    "PodDisruptionBudget.policy",
    "ResourceClaimTemplate.resource.k8s.io",
)
PULLED = {"accelerator": "gpu", "experiment": "e2e", "mounts": "scratch://1Gi:/scratch"}


@dataclass(kw_only=True)
class Applied:
    """What became of a set of manifests, applied by a user of `acts` and of `doesn_t`."""

    manifests: list[Manifest]
    acts: Place
    doesn_t: Place
    reviewed: list[Manifest] = field(default_factory=list)
    rendered: list[Manifest] = field(default_factory=list)


@pytest.fixture(scope="module")
def cluster(webhook_installed: Installed) -> Installed:
    """Have all kinds of the examples, and the policies of examples/policies."""
    try:
        crds.load(webhook_installed.control_plane, *DEFINITIONS)
    except errors.NotAvailableError as error:
        pytest.skip(str(error))
    webhook_installed.restore()
    webhook_installed.set_policies(EXAMPLES / "policies")
    waiting.until(
        lambda: set(SYSTEMS) <= groups(webhook_installed), what="the API server to serve them"
    )
    webhook_installed.stop()
    webhook_installed.start()  # now it knows what is installed
    return webhook_installed


def groups(installed: Installed) -> set[str]:
    found = installed.control_plane.admin.get("/apis")["groups"]
    return {each["name"] for each in found}


@pytest.fixture(scope="module")
def examples(cluster: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Applied]:
    paths = sorted(EXAMPLES.glob("*.yaml"))
    manifests = [each for path in paths for each in documents(path)]
    with acting.place(cluster, ENABLED) as acts, acting.place(cluster, {}) as doesn_t:
        yield applied(cluster, manifests, acts, doesn_t, tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="module")
def samples(cluster: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Applied]:
    if not SAMPLES.is_dir():
        pytest.skip("needs ../shared/samples beside the checkout")
    manifests = [
        pulled(each, number)
        for number, name in enumerate(FROM_PROJECTS)
        for each in documents(SAMPLES / name)
        if _group_kind(each) not in _OTHERS
    ]
    with acting.place(cluster, ENABLED) as acts, acting.place(cluster, {}) as doesn_t:
        yield applied(cluster, manifests, acts, doesn_t, tmp_path_factory.mktemp("samples"))


def documents(path: Path) -> list[Manifest]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def _group_kind(manifest: Manifest) -> str:
    group, _, _ = manifest["apiVersion"].rpartition("/")
    return f"{manifest['kind']}.{group}" if group else str(manifest["kind"])


def pulled(manifest: Manifest, number: int) -> Manifest:
    """Give a sample intents, a name of its own, no namespace and no nulls."""
    manifest = _without_nulls(manifest)
    metadata = manifest["metadata"]
    metadata.pop("namespace", None)
    name = metadata.get("name") or metadata.pop("generateName").rstrip("-")
    metadata["name"] = f"s{number}-{name}"
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **acting.intents(**PULLED)}
    return manifest


def _without_nulls(value: Any) -> Any:
    """Leave nulls out: server-side apply takes them for values, which the definitions refuse."""
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def applied(
    cluster: Installed, manifests: list[Manifest], acts: Place, doesn_t: Place, directory: Path
) -> Applied:
    done = Applied(manifests=manifests, acts=acts, doesn_t=doesn_t)
    done.reviewed = stored(acts, acting.listed(*manifests))
    done.rendered = stored(doesn_t, render(cluster, manifests, acts, directory))
    return done


def stored(place: Place, manifests: str) -> list[Manifest]:
    """Apply and return what the API server then has."""
    printed = json.loads(place.kubectl("apply", "-f", "-", "-ojson", stdin=manifests))
    return list(printed["items"])


def render(cluster: Installed, manifests: list[Manifest], place: Place, directory: Path) -> str:
    """Ask the plugin, without a cluster, what the webhook answers in `place`."""
    facts = {
        "kubeVersion": "1.36",
        "namespaces": {place.name: {"labels": ENABLED}},
        "installed": sorted(SYSTEMS.values()),
    }
    (directory / "facts.yaml").write_text(yaml.safe_dump(facts))
    return place.kubectl(
        *("ml", "render", "--stage=admission", "-f", "-"),
        f"--policies={EXAMPLES / 'policies'}",
        f"--facts={directory / 'facts.yaml'}",
        stdin=acting.listed(*manifests),
    )


def same(made: Manifest) -> Any:
    """
    Leave out what differs between two objects by nature: ids, times, where they are.

    Of lists whose order means nothing, and to which the API server adds before or after us, the
    order doesn't count; so a record of what was injected counts by what it points at.
    """
    made = json.loads(json.dumps(made))
    metadata = made["metadata"]
    annotations = metadata.get("annotations", {})
    annotations.pop(acting.LAST_APPLIED, None)
    if made["kind"] == "Pod" and acting.INJECTED in annotations:
        annotations[acting.INJECTED] = pointed_at(made, json.loads(annotations[acting.INJECTED]))
    ids = {metadata.pop("uid"): "UID", metadata.pop("namespace"): "NAMESPACE"}
    for member in ("resourceVersion", "creationTimestamp", "managedFields"):
        metadata.pop(member, None)
    made.pop("status", None)
    text = json.dumps(made)
    for volume in made["spec"].get("volumes", ()) if made["kind"] == "Pod" else ():
        if volume["name"].startswith("kube-api-access-"):
            ids[volume["name"]] = "kube-api-access"
    for what, instead in ids.items():
        text = text.replace(what, instead)
    return _sorted(json.loads(text))


def pointed_at(made: Manifest, record: Any) -> Any:
    """Replace pointers by the values they point at."""
    values = {
        policy: sorted(json.dumps(_value(made, *claim), sort_keys=True) for claim in claims)
        for policy, claims in record["policies"].items()
    }
    return {**record, "policies": values}


def _value(made: Any, pointer: str, *before: Any) -> Any:
    value, names = made, []
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value[key]
        names.append("*" if isinstance(value, dict) and key.isdigit() else key)
    return [names, value, *before]


def _sorted(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _sorted(each, name) for name, each in value.items()}
    if isinstance(value, list):
        found = [_sorted(each) for each in value]
        unordered = key in ("tolerations", "volumes", "volumeMounts")
        return sorted(found, key=json.dumps) if unordered else found
    return value


def named(objects: list[Manifest]) -> dict[str, Any]:
    return {f"{each['kind']}/{each['metadata']['name']}": same(each) for each in objects}


def generations(place: Place, objects: list[Manifest]) -> list[Any]:
    found = json.loads(
        place.kubectl("get", "-f", "-", "-ojson", stdin=acting.listed(*map(_reference, objects)))
    )
    return [acting.of(each, "name", "generation") for each in found["items"]]


def _reference(made: Manifest) -> Manifest:
    return {
        "apiVersion": made["apiVersion"],
        "kind": made["kind"],
        "metadata": {"name": made["metadata"]["name"]},
    }


@pytest.mark.parametrize("which", ["examples", "samples"])
def test_the_webhook_makes_of_a_manifest_what_render_prints(
    which: str, request: pytest.FixtureRequest
):
    applied: Applied = request.getfixturevalue(which)

    assert named(applied.reviewed) == named(applied.rendered)
    assert len(named(applied.reviewed)) == len(applied.manifests)


def test_every_common_kind_is_among_them(examples: Applied, samples: Applied):
    assert COMMON - set(map(_group_kind, examples.manifests)) == {"ReplicaSet.apps"}
    assert COMMON - set(map(_group_kind, samples.manifests)) == {"PyTorchJob.kubeflow.org"}


@pytest.mark.parametrize("which", ["examples", "samples"])
def test_every_manifest_was_changed(which: str, request: pytest.FixtureRequest):
    applied: Applied = request.getfixturevalue(which)

    untouched = [
        key
        for key, made in named(applied.reviewed).items()
        if acting.INJECTED not in made["metadata"]["annotations"]
    ]
    assert untouched == []


@pytest.mark.parametrize("flags", [(), ("--server-side", "--force-conflicts")])
@pytest.mark.parametrize("which", ["examples", "samples"])
def test_applying_again_changes_nothing(
    which: str, flags: tuple[str, ...], request: pytest.FixtureRequest
):
    applied: Applied = request.getfixturevalue(which)
    before = generations(applied.acts, applied.reviewed)

    diff = applied.acts.diff(*applied.manifests, flags=flags)
    applied.acts.apply(*applied.manifests, flags=flags)

    assert diff == (0, "")
    assert generations(applied.acts, applied.reviewed) == before


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("refused/*.yaml")), ids=lambda it: it.stem)
def test_what_is_refused_in_the_examples_is_refused(examples: Applied, path: Path):
    refused = examples.acts.try_apply(*documents(path))

    assert refused.returncode == 1
    assert "denied the request: " in refused.stderr
