"""Beside other webhooks: what is missed is caught, and who else injects doesn't confuse us."""

from typing import Any

import pytest

from tests.e2e import acting, fakes
from tests.e2e.acting import Place
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import Installed

MISSED = "injection was missed, try again"
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
TOO_SLOW = 30.0  # the registration gives us 2 s


def undo(pod: Manifest) -> None:
    """Take the devices out, as a webhook would that rewrites what it knows."""
    for container in pod["spec"]["containers"]:
        container["resources"] = {}


def prepend(pod: Manifest) -> None:
    """Put a proxy first, as Istio does where applications have to wait for it; once."""
    containers = pod["spec"]["containers"]
    if all(one["name"] != "istio-proxy" for one in containers):
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations.setdefault(DEFAULT_CONTAINER, containers[0]["name"])
        containers.insert(0, acting.container("istio-proxy"))


def prepend_unsaid(pod: Manifest) -> None:
    """Put a container first and don't say which was the first, as a strategic merge does; once."""
    containers = pod["spec"]["containers"]
    if all(one["name"] != "daprd" for one in containers):
        containers.insert(0, acting.container("daprd"))


def append(pod: Manifest) -> None:
    """Put a sidecar last, as Dapr does; once."""
    containers = pod["spec"]["containers"]
    if all(one["name"] != "daprd" for one in containers):
        containers.append(acting.container("daprd"))


def failure_of(place: Place) -> Any:
    """Read why the controller couldn't make pods, once it says so."""

    def failure(replica_set: Any) -> Any:
        conditions = replica_set["status"].get("conditions", ())
        return next((one for one in conditions if one["type"] == "ReplicaFailure"), None)

    name = place.all("ReplicaSet")[0]["metadata"]["name"]
    return failure(place.wait("ReplicaSet", name, failure))["message"]


def test_a_pod_for_which_our_answer_came_too_late_is_refused(installed: Installed, enabled: Place):
    with fakes.slow_way_to_ours(installed, enabled, fakes.Delay(TOO_SLOW)):
        refused = enabled.try_apply(acting.pod(accelerator="a100:2"))
        plain = enabled.try_apply(acting.pod("plain"))

    assert refused.returncode == 1
    assert MISSED in refused.stderr
    assert enabled.try_kubectl("get", "pod", "one").returncode == 1
    assert plain.stdout == "pod/plain created\n"


def test_a_controller_tries_again_until_our_answer_comes_in_time(
    installed: Installed, enabled: Place
):
    enabled.apply(acting.deployment(accelerator="a100:2", replicas=0))
    enabled.wait("Deployment", "many", lambda it: it["status"].get("observedGeneration"))
    delay = fakes.Delay(TOO_SLOW)
    with fakes.slow_way_to_ours(installed, enabled, delay):
        enabled.kubectl("scale", "deployment", "many", "--replicas=1")
        said = failure_of(enabled)
        before = enabled.all("Pod")
        delay.end()
        made = enabled.pod()

    assert MISSED in said
    assert before == []
    assert acting.devices(made) == {"nvidia.com/gpu": "2"}


def test_where_it_is_enforced_a_controllers_pod_is_looked_at_too(enforced: Place):
    with fakes.injector(enforced, undo, name=fakes.AFTER, again=True):
        enforced.apply(acting.deployment(accelerator="a100:2"))
        said = failure_of(enforced)

    assert MISSED in said
    assert acting.devices(enforced.pod()) == {"nvidia.com/gpu": "2"}


def test_what_another_webhook_undoes_once_is_done_again(enabled: Place):
    with fakes.injector(enabled, undo, name=fakes.AFTER):
        enabled.apply(acting.pod(accelerator="a100:2"))

    assert acting.devices(enabled.pod()) == {"nvidia.com/gpu": "2"}


def test_a_pod_whose_injection_another_webhook_undoes_each_time_is_refused(enabled: Place):
    with fakes.injector(enabled, undo, name=fakes.AFTER, again=True):
        refused = enabled.try_apply(acting.pod(accelerator="a100:2"))

    assert refused.returncode == 1
    assert MISSED in refused.stderr


def test_a_controller_tries_again_until_the_other_webhook_lets_us(enabled: Place):
    with fakes.injector(enabled, undo, name=fakes.AFTER, again=True):
        enabled.apply(acting.deployment(accelerator="a100:2"))
        said = failure_of(enabled)
        before = enabled.all("Pod")

    made = enabled.pod()
    assert MISSED in said
    assert before == []
    assert acting.devices(made) == {"nvidia.com/gpu": "2"}


def test_what_the_user_set_and_no_injection_at_all_count_as_met(enabled: Place):
    own = acting.spec(acting.container(resources={"limits": {"nvidia.com/gpu": 3}}))
    enabled.apply(acting.pod("own", own, accelerator="gpu:2"))
    enabled.apply(acting.pod("none", accelerator="gpu:2", inject="false"))

    assert acting.devices(enabled.get("Pod", "own")) == {"nvidia.com/gpu": "3"}
    assert acting.devices(enabled.get("Pod", "none")) == {}


@pytest.mark.parametrize("again", [False, True], ids=["called-once", "called-again"])
@pytest.mark.parametrize(
    ("change", "name"),
    [
        pytest.param(prepend, fakes.BEFORE, id="prepends-before-us"),
        pytest.param(prepend, fakes.AFTER, id="prepends-after-us"),
        pytest.param(prepend_unsaid, fakes.AFTER, id="prepends-after-us-and-does-not-say"),
        pytest.param(append, fakes.BEFORE, id="appends-before-us"),
        pytest.param(append, fakes.AFTER, id="appends-after-us"),
    ],
)
def test_another_injectors_container_receives_nothing(
    enabled: Place, change: Any, name: str, again: bool
):
    wanted = {"accelerator": "a100:2", "sidecars": "logs", "experiment": "e"}
    enabled.apply(acting.pod("alone", **wanted))
    with fakes.injector(enabled, change, name=name, again=again):
        enabled.apply(acting.pod("beside", **wanted))

    alone, beside = (containers(enabled.get("Pod", name)) for name in ("alone", "beside"))
    other = {"istio-proxy", "daprd"} & beside.keys()
    assert {name: beside[name] for name in beside if name not in other} == alone
    assert [plain(beside[name]) for name in other] == [{"resources": {}, "env": [], "mounts": []}]


def containers(made: Any) -> dict[str, Any]:
    """Read a pod's containers by name, without the token's volume, whose name is by chance."""
    found = {}
    for container in made["spec"]["containers"]:
        container["volumeMounts"] = [
            one for one in container["volumeMounts"] if "serviceaccount" not in one["mountPath"]
        ]
        found[container["name"]] = container
    return found


def plain(container: Any) -> Any:
    return {
        "resources": container["resources"],
        "env": container.get("env", []),
        "mounts": container["volumeMounts"],
    }


@pytest.mark.parametrize("name", [fakes.BEFORE, fakes.AFTER], ids=["before-us", "after-us"])
@pytest.mark.parametrize("change", [prepend, append], ids=["prepends", "appends"])
def test_a_second_apply_beside_another_injector_changes_nothing(
    enabled: Place, change: Any, name: str
):
    manifest = acting.pod(accelerator="a100:2", sidecars="logs")
    with fakes.injector(enabled, change, name=name):
        enabled.apply(manifest)
        before = enabled.pod(lambda pod: pod["status"]["phase"] == "Running")
        enabled.apply(manifest)

    assert acting.of(enabled.get("Pod", "one"), "resourceVersion") == acting.of(
        before, "resourceVersion"
    )
