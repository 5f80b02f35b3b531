"""
Guards for more than workloads that come and change: DELETE, CONNECT, kinds without pods.

The registrations are rendered from the guards, as `python -m webhook.registrations --policies`
does; with the shipped ones alone the API server doesn't ask, and the guard's status says so.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import install, waiting
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import ENFORCED, Installed

CONTROL_PLANE = "guards-beyond"
GROUP = "/apis/kubectl-ml.io/v1alpha1"
SETTLED_SECONDS = 2.0  # the API server takes over registrations, and the webhook policies


def guard(name: str, match: Manifest, expression: str, message: str) -> Manifest:
    return {
        "apiVersion": "kubectl-ml.io/v1alpha1",
        "kind": "GuardPolicy",
        "metadata": {"name": name},
        "spec": {"match": match, "rules": [{"expression": expression, "message": message}]},
    }


KEEP = guard(
    "keep",
    {
        "kinds": ["Job.batch"],
        "operations": ["DELETE"],
        "objects": {"matchLabels": {"keep": "true"}},
    },
    "false",
    "This Job is kept; take its label keep off first.",
)
SERVICES = guard(
    "no-node-ports", {"kinds": ["Service"]}, "object.spec.type != 'NodePort'", "No NodePort."
)
SHELLS = guard(
    "no-shells",
    {"kinds": ["Pod"], "operations": ["CONNECT"]},
    "request.subResource != 'exec' || object.command != ['sh']",
    "No shell.",
)
GUARDS = (KEEP, SERVICES, SHELLS)


def rendered(installed: Installed, *flags: str) -> str:
    done = subprocess.run(  # noqa: S603 -- our own program
        (sys.executable, "-m", "webhook.registrations", *flags),
        capture_output=True,
        text=True,
        check=True,
    )
    objects = install.point_at(
        yaml.safe_load_all(done.stdout), port=installed.port, ca=installed.ca_file.read_bytes()
    )
    return acting.listed(*objects)


def apply(installed: Installed, stdin: str) -> str:
    done = installed.control_plane.admin.try_kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=stdin
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture
def asked(installed: Installed, tmp_path: Path) -> Iterator[Installed]:
    """Have the guards in the cluster, and the API server ask about what they name."""
    (tmp_path / "guards.yaml").write_text(yaml.safe_dump_all(GUARDS))
    apply(installed, rendered(installed, f"--policies={tmp_path}"))
    apply(installed, acting.listed(*GUARDS))
    time.sleep(SETTLED_SECONDS)
    try:
        yield installed
    finally:
        installed.control_plane.kubectl("delete", "guardpolicies", "--all")
        apply(installed, rendered(installed))
        time.sleep(SETTLED_SECONDS)


def refusal(done: subprocess.CompletedProcess[str]) -> tuple[int, list[str]]:
    said = done.stderr.partition("denied the request: ")[2].splitlines()
    return done.returncode, said[:1]


@pytest.mark.parametrize("place", ["enabled", "enforced"])
def test_a_job_is_kept_until_its_label_goes(
    asked: Installed, place: str, request: pytest.FixtureRequest
) -> None:
    here: Place = request.getfixturevalue(place)
    job = acting.job("kept")
    job["metadata"]["labels"] = {"keep": "true"}
    here.apply(job, acting.job("other"))

    refused = here.try_kubectl("delete", "job", "kept", "--wait=false")
    other = here.try_kubectl("delete", "job", "other", "--wait=false")
    here.kubectl("label", "job", "kept", "keep-")
    after = here.try_kubectl("delete", "job", "kept", "--wait=false")

    assert refusal(refused) == (1, ["keep: This Job is kept; take its label keep off first."])
    assert (other.returncode, after.returncode) == (0, 0)


@pytest.mark.parametrize("place", ["enabled", "enforced"])
def test_a_service_is_judged_as_it_comes_and_changes(
    asked: Installed, place: str, request: pytest.FixtureRequest
) -> None:
    here: Place = request.getfixturevalue(place)
    create = ("create", "service")

    refused = here.try_kubectl(*create, "nodeport", "open", "--tcp=80")
    taken = here.try_kubectl(*create, "clusterip", "inside", "--tcp=80")
    changed = here.try_kubectl("patch", "service", "inside", '-p={"spec":{"type":"NodePort"}}')

    assert refusal(refused) == (1, ["no-node-ports: No NodePort."])
    assert taken.returncode == 0
    assert refusal(changed) == (1, ["no-node-ports: No NodePort."])


def test_a_shell_is_refused_and_another_command_is_not(asked: Installed, enforced: Place) -> None:
    enforced.apply(acting.pod("one"))
    enforced.pod(lambda pod: pod["status"].get("phase") == "Running")

    run = ("-n", enforced.name, "exec", "one", "--")
    shell = enforced.user.try_kubectl(*run, "sh")
    other = enforced.user.try_kubectl(*run, "nvidia-smi")

    assert refusal(shell) == (1, ["no-shells: No shell."]), shell.stderr
    assert "denied the request" not in other.stderr  # whether a kubelet answers is not ours


def test_a_namespace_goes_with_what_is_kept_in_it(asked: Installed) -> None:
    admin, name = asked.control_plane.admin, asked.namespace(ENFORCED)
    job = acting.job("kept")
    job["metadata"]["labels"] = {"keep": "true"}
    admin.create(f"/apis/batch/v1/namespaces/{name}/jobs", job)

    admin.delete(f"/api/v1/namespaces/{name}")

    waiting.until(
        lambda: admin.request("GET", f"/api/v1/namespaces/{name}").status == 404,
        what="the namespace to go",
        timeout_seconds=60,
    )


def ready(installed: Installed, name: str) -> Any:
    status = installed.control_plane.admin.get(f"{GROUP}/guardpolicies/{name}").get("status") or {}
    found = [one for one in status.get("conditions", ()) if one["type"] == "Ready"]
    return (found[0]["status"], found[0]["message"]) if found else None


def test_a_guard_says_what_nothing_sends(installed: Installed, enabled: Place) -> None:
    sentence = (
        "nothing sends DELETE of Job.batch to the webhook; write its registrations anew: "
        "python -m webhook.registrations --policies DIR"
    )
    warned = apply(installed, acting.listed(KEEP))
    try:
        waiting.until(
            lambda: ready(installed, "keep") == ("True", sentence), what="the status to say so"
        )
    finally:
        installed.control_plane.kubectl("delete", "guardpolicy", "keep")

    assert f'Warning: GuardPolicy "keep": {sentence}' in warned
