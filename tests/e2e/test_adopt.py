"""Workloads from before their namespace was enabled are brought in, and rolled once."""

from typing import Any

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import waiting
from tests.e2e.controlplane.client import Manifest

WANTED = {"accelerator": "a100:2", "experiment": "e"}
SERVICES = "/apis/serving.knative.dev/v1/namespaces/{}/services"


def adopt(place: Place, *args: str) -> Any:
    return place.try_kubectl("ml", "adopt", *args)


def injected(pod: Any) -> bool:
    return acting.devices(pod) == {"nvidia.com/gpu": "2"}


def settled(place: Place, kind: str, name: str) -> tuple[Any, ...]:
    """Tell by what one sees that nothing was rolled: the template and the pods."""
    pods = sorted(pod["metadata"]["uid"] for pod in place.all("Pod"))
    return place.get(kind, name)["spec"]["template"], pods


def test_a_deployment_from_before_is_brought_in_once_and_stays(plain: Place):
    manifest = acting.deployment("web", **WANTED)
    plain.apply(manifest)
    before = plain.pod()
    plain.enable()
    plain.apply(manifest)  # which surprises nobody
    assert acting.devices(plain.pod()) == {}

    explained = plain.try_kubectl("ml", "explain", "deployment/web")
    preview = adopt(plain, "deployment/web", "--dry-run=server")
    assert acting.carried(plain.get("Deployment", "web")) == {}
    done = adopt(plain, "deployment/web", "--yes")

    assert "next: kubectl ml adopt deployment.apps/web" in explained.stderr
    assert preview.stdout == "deployment.apps/web adopted (server dry run)\n", preview.stderr
    said = "deployment.apps/web: its pod is replaced, at most 1 more and at most 0 fewer at a time"
    assert said in preview.stderr
    assert done.stdout == "deployment.apps/web adopted\n", done.stderr
    made = plain.pods(1, injected)[0]
    assert made["metadata"]["uid"] != before["metadata"]["uid"]
    assert acting.carried(plain.get("Deployment", "web")) == WANTED
    _stays(plain, manifest, "deployment/web")


def test_a_stateful_set_from_before_is_brought_in_once_and_stays(plain: Place):
    manifest = acting.stateful_set("db", replicas=2, **WANTED)
    plain.apply(manifest)
    plain.pods(2, ready)
    plain.enable()

    done = adopt(plain, "statefulset/db", "--yes")

    assert done.stdout == "statefulset.apps/db adopted\n", done.stderr
    assert "its 2 pods are replaced, one after the other from the last" in done.stderr
    plain.pods(2, injected)
    _stays(plain, manifest, "statefulset/db")


def ready(pod: Any) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _stays(place: Place, manifest: Manifest, name: str) -> None:
    """Adopt again, apply what was applied before, replace it: nothing is rolled."""
    kind, named = manifest["kind"], manifest["metadata"]["name"]
    before = settled(place, kind, named)
    generation = acting.of(place.get(kind, named), "generation")

    again = adopt(place, name)
    place.apply(manifest)
    applied = acting.of(place.get(kind, named), "generation")
    place.kubectl("replace", "-f", "-", stdin=acting.listed(manifest))

    assert (again.returncode, again.stdout) == (0, "")
    assert "nothing to do: it was brought in already" in again.stderr
    assert applied == generation
    assert settled(place, kind, named) == before


def test_a_job_from_before_is_refused_with_the_way_out_which_works(plain: Place):
    waiting = acting.spec(restartPolicy="Never", nodeSelector={"is": "nowhere"})
    plain.apply(acting.job("run", waiting, **WANTED))
    old = plain.pod()
    plain.enable()

    refused = adopt(plain, "job/run", "--yes")
    replaced = adopt(plain, "job/run", "--replace", "--yes")

    assert refused.returncode == 1
    assert 'Job "run": the pods of a Job can\'t be changed' in refused.stderr
    assert "kubectl replace --force -f FILE" in refused.stderr
    assert replaced.stdout == "job.batch/run replaced\n", replaced.stderr
    made = plain.pods(1, injected)[0]
    assert made["metadata"]["uid"] != old["metadata"]["uid"]
    assert "nothing to do" in adopt(plain, "job/run").stderr


def test_a_pod_from_before_is_made_anew_where_that_is_asked_for(plain: Place):
    plain.apply(acting.pod("one", accelerator="a100:2"))
    plain.enable()

    refused = adopt(plain, "pod/one", "--yes")
    replaced = adopt(plain, "pod/one", "--replace", "--yes")

    assert refused.returncode == 1
    assert replaced.stdout == "pod/one replaced\n", replaced.stderr
    assert injected(plain.get("Pod", "one"))


def test_a_knative_service_from_before_is_brought_in(plain: Place, load_crds):
    load_crds("services.serving.knative.dev")
    manifest = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "hello", "annotations": acting.intents(accelerator="a100:1")},
        "spec": {"template": {"spec": {"containers": [{"image": "registry.example.com/x:1"}]}}},
    }
    manifest["metadata"]["annotations"] |= acting.intents(scale="min=1,max=3")
    plain.apply(manifest)
    plain.enable()

    done = adopt(plain, "service.serving.knative.dev/hello", "--yes")

    assert done.returncode == 0, done.stderr
    assert "a new revision is made" in done.stderr
    path = SERVICES.format(plain.name) + "/hello"
    made = plain.user.get(path)
    annotations = made["spec"]["template"]["metadata"]["annotations"]
    assert annotations["kubectl-ml.io/accelerator"] == "a100:1"
    assert annotations["autoscaling.knative.dev/min-scale"] == "1"
    again = adopt(plain, "service.serving.knative.dev/hello")
    plain.apply(manifest)
    assert "nothing to do" in again.stderr
    assert plain.user.get(path)["metadata"]["generation"] == made["metadata"]["generation"]


def test_what_only_the_workload_carries_is_brought_in_too(plain: Place):
    """Nothing in its template changes, so the webhook alone would see no change of intents."""
    manifest = acting.stateful_set("held", queue="team-a")
    plain.apply(manifest)
    plain.enable()

    done = adopt(plain, "statefulset/held", "--yes")

    assert done.returncode == 0, done.stderr
    labels = plain.get("StatefulSet", "held")["metadata"]["labels"]
    assert labels["kueue.x-k8s.io/queue-name"] == "team-a"


def test_intents_that_changed_while_no_webhook_acted_are_brought_in(plain: Place):
    plain.enable()
    plain.apply(acting.deployment("web", **WANTED))
    plain.pods(1, injected)
    plain.label(enabled=None)
    probe = acting.pod("probe", accelerator="gpu")
    waiting.until(
        lambda: not acting.devices(plain.would_be(probe)), what="the webhook to stay away"
    )
    manifest = acting.deployment("web", **{**WANTED, "accelerator": "a100:4"})
    plain.apply(manifest)
    plain.enable()
    assert acting.carried(plain.get("Deployment", "web")) == WANTED

    done = adopt(plain, "deployment/web", "--yes")

    assert done.stdout == "deployment.apps/web adopted\n", done.stderr
    carried = {**WANTED, "accelerator": "a100:4"}
    assert acting.carried(plain.get("Deployment", "web")) == carried
    plain.pods(1, lambda pod: acting.devices(pod) == {"nvidia.com/gpu": "4"})
    _stays(plain, manifest, "deployment/web")


def test_where_the_webhook_does_not_act_nothing_is_adopted(plain: Place):
    plain.apply(acting.deployment("web", **WANTED))

    said = adopt(plain, "deployment/web", "--yes")

    assert said.returncode == 1
    assert f'no webhook acts in namespace "{plain.name}"' in said.stderr
    assert f"kubectl label namespace {plain.name} kubectl-ml.io/enabled=true" in said.stderr
    assert acting.carried(plain.get("Deployment", "web")) == {}
