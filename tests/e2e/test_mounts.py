"""Mounts of every type of source, as the real API server takes them, in guarded namespaces too."""

from collections.abc import Iterator
from typing import Any

import pytest

from policies.model import Facts
from tests import builders
from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import ENABLED, Installed

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
SOURCES = """
kind: DataSource
metadata: {name: claim}
spec: {pvc: {claimName: data, subPath: own}, readOnly: true}
---
kind: DataSource
metadata: {name: imagenet}
spec: {s3: {bucket: datasets, prefix: imagenet}, secretName: s3, revision: v2}
---
kind: DataSource
metadata: {name: kept}
spec: {hf: {repo: org/llama}, cache: {claimName: cache}}
---
kind: DataSource
metadata: {name: frames}
spec: {gcs: {bucket: media, prefix: frames}, fetch: CSI}
---
kind: DataSource
metadata: {name: bucket}
spec: {s3: {bucket: datasets, claimName: datasets}, fetch: CSI}
---
kind: DataSource
metadata: {name: logs}
spec: {fluid: logs}
---
kind: DataSource
metadata: {name: model}
spec: {oci: "registry.example.com/models/bert:1"}
---
kind: DataSource
metadata: {name: driver}
spec: {csi: {driver: inline.example.com, volumeAttributes: {share: data}}}
---
kind: DataSource
metadata: {name: server}
spec: {nfs: {server: nfs.example.com, path: /data}, readOnly: true}
---
kind: DataSource
metadata: {name: disk}
spec: {hostPath: {path: /mnt/disks}}
---
kind: DataSource
metadata: {name: on-the-node}
spec: {s3: {bucket: datasets, prefix: big}, cache: {hostPath: /var/cache/ml}}
"""
MOUNTS = (
    "claim/a:/data",
    "imagenet@v3:/data, imagenet/train:/train",
    "kept/weights:/data",
    "frames/day1:/data",
    "bucket/day1:/data",
    "logs/day1:/data",
    "model:/data",
    "driver:/data",
    "pvc://data/sub:/data:rw, pvc://data/sub:/again:ro",
    "s3://bucket/key:/data",
    "gs://bucket/key:/data",
    "hf://org/model@main:/data",
    "oci://registry.example.com/models/bert@sha256:" + "0" * 64 + ":/data",
    "scratch://10Gi:/data, memory://64Mi:/fast",
    "configmap://settings:/data, secret://token:/token",
)
NOT_RESTRICTED = ("server/a:/data", "disk/a:/data", "on-the-node:/data")
SAFE = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}
RESOURCES = {
    "requests": {"cpu": "100m", "memory": "128Mi"},
    "limits": {"cpu": "1", "memory": "1Gi"},
}


def pod(**wanted: str) -> Manifest:
    main = acting.container(securityContext=SAFE, resources=RESOURCES)
    other = acting.container("beside", securityContext=SAFE, resources=RESOURCES)
    return acting.pod("one", acting.spec(main, other), **wanted)


def guard(place: Place) -> None:
    """Bound what a pod may ask for, and demand that it asks."""
    demanded = {
        "requests.cpu": "64",
        "requests.memory": "64Gi",
        "limits.cpu": "64",
        "limits.memory": "64Gi",
    }
    path = f"/api/v1/namespaces/{place.name}"
    bounds = {"type": "Container", "max": {"cpu": "4", "memory": "8Gi"}, "min": {"cpu": "10m"}}
    place.admin.create(
        f"{path}/limitranges", {"metadata": {"name": "bounds"}, "spec": {"limits": [bounds]}}
    )
    place.admin.create(
        f"{path}/resourcequotas", {"metadata": {"name": "most"}, "spec": {"hard": demanded}}
    )


@pytest.fixture
def guarded(installed: Installed) -> Iterator[Place]:
    """Give a namespace with the restricted standard, a LimitRange and a ResourceQuota."""
    with acting.place(installed, {**ENABLED, **RESTRICTED}) as place:
        guard(place)
        with installed.policies(SOURCES):
            yield place


@pytest.fixture
def unguarded(installed: Installed) -> Iterator[Place]:
    """Give a namespace where every source is known, and nothing is refused."""
    with acting.place(installed) as place, installed.policies(SOURCES):
        yield place


def made(place: Place, wanted: str) -> Any:
    answer = place.would_be(pod(mounts=wanted, containers="main,beside"))
    assert acting.INJECTED in (answer.get("metadata", {}).get("annotations") or {}), answer
    return answer["spec"]


def paths(spec: Any) -> list[list[str]]:
    """List the paths that each container mounts, without the token."""
    return [
        [
            one["mountPath"]
            for one in each["volumeMounts"]
            if "serviceaccount" not in one["mountPath"]
        ]
        for each in spec["containers"]
    ]


def wanted_paths(wanted: str) -> list[str]:
    found = [item.strip().removesuffix(":ro").removesuffix(":rw") for item in wanted.split(",")]
    return [item.rpartition(":")[2] for item in found]


def test_every_source_is_taken_where_the_plain_pod_is(guarded: Place) -> None:
    plain = guarded.would_be(pod())
    found = {wanted: paths(made(guarded, wanted)) for wanted in MOUNTS}

    assert plain["kind"] == "Pod"
    assert found == {wanted: [wanted_paths(wanted)] * 2 for wanted in MOUNTS}


def test_what_the_standard_forbids_is_taken_where_it_does_not_hold(unguarded: Place) -> None:
    found = {wanted: paths(made(unguarded, wanted)) for wanted in NOT_RESTRICTED}

    assert found == {wanted: [wanted_paths(wanted)] * 2 for wanted in NOT_RESTRICTED}


@pytest.mark.parametrize("wanted", NOT_RESTRICTED)
def test_no_mount_gets_past_the_standard(guarded: Place, wanted: str) -> None:
    answer = guarded.would_be(pod(mounts=wanted))

    assert answer["code"] == 403
    assert 'violates PodSecurity "restricted:latest": restricted volume types' in answer["message"]


def test_a_container_that_waits_for_a_volume_of_the_admins_is_refused(unguarded: Place) -> None:
    waiting = pod(mounts="disk/a:/data")
    waiting["spec"]["containers"][1]["volumeMounts"] = [{"name": "ml-disk", "mountPath": "/all"}]

    answer = unguarded.would_be(waiting)

    assert answer["code"] == 422
    assert 'spec.containers[1].volumeMounts[0].name: Not found: "ml-disk"' in answer["message"]


def test_a_second_apply_of_a_pod_with_mounts_changes_nothing(guarded: Place) -> None:
    one = pod(mounts="imagenet@v3:/data, logs:/logs, scratch://1Gi:/tmp/work")
    guarded.apply(one)
    before = guarded.get("Pod", "one")

    said = guarded.apply(one)

    after = guarded.get("Pod", "one")
    assert said == "pod/one unchanged\n"
    assert after["spec"] == before["spec"]
    assert '"revisions":{"imagenet":"v3"}' in after["metadata"]["annotations"][acting.INJECTED]


@pytest.mark.parametrize("version", [(1, 34), (1, 28)], ids=lambda each: "{}.{}".format(*each))
def test_a_sidecar_with_the_files_of_an_image_is_taken_too(
    installed: Installed, version: tuple[int, int]
) -> None:
    wanted = pod(mounts="oci://registry.example.com/models/bert:1:/data")
    injected = builders.mutated(wanted, facts=Facts(kube_version=version))
    with acting.place(installed, RESTRICTED) as place:
        guard(place)
        answer = place.would_be(injected)

    assert answer["spec"]["shareProcessNamespace"] is True
    assert paths(answer["spec"])[0] == ["/data"]
