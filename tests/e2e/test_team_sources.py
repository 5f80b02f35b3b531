"""Data that a team lead offers in the team's own namespace, with no right outside it."""

import pytest

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import waiting
from tests.e2e.controlplane.client import Client, Manifest
from tests.e2e.installed import Installed
from tests.e2e.test_policies import applied, own
from tests.e2e.test_quota_plugin import let_read

LEAD = "lead"
SOURCE = {"s3": {"bucket": "clinic-a", "prefix": "scans"}, "secretName": "scans"}


def source(name: str, **spec: object) -> Manifest:
    return own("NamespacedDataSource", name, dict(spec))


@pytest.fixture
def lead(enabled: Place) -> Client:
    """Give a user who has Kubernetes' role `admin` in the namespace, and nothing else."""
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{enabled.name}/rolebindings"
    subject = {"kind": "User", "name": LEAD, "apiGroup": "rbac.authorization.k8s.io"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}
    enabled.admin.create(path, {"metadata": {"name": LEAD}, "roleRef": role, "subjects": [subject]})
    client = enabled.control_plane.as_user(LEAD)
    sources = f"/apis/kubectl-ml.io/v1alpha1/namespaces/{enabled.name}/namespaceddatasources"
    waiting.until(lambda: client.request("GET", sources).ok, what="the lead's rights")
    return client


def offer(lead: Client, place: Place, *sources: Manifest) -> None:
    lead.kubectl("apply", "-n", place.name, "-f", "-", stdin=acting.listed(*sources))


def mounted(place: Place, wanted: str, name: str) -> Manifest | None:
    """Give the pod's volume of that name, as soon as the webhook knows the source."""
    answer = place.would_be(acting.pod("one", mounts=wanted))
    found = (answer.get("spec") or {}).get("volumes", ())
    return next((one for one in found if one["name"].startswith(name)), None)


def test_a_lead_offers_data_without_an_admin(lead: Client, enabled: Place) -> None:
    offer(
        lead,
        enabled,
        source("scans", **SOURCE),
        source("notes", pvc={"claimName": "notes", "subPath": "2026"}, readOnly=True),
    )

    waiting.until(lambda: mounted(enabled, "scans:/data", "ml-scans"), what="the source")
    answer = enabled.would_be(acting.pod("one", mounts="scans/2026:/data, notes:/notes"))
    [fetching] = answer["spec"]["initContainers"]
    assert fetching["args"][0] == "s3://clinic-a/scans/2026"
    assert [one["secretRef"]["name"] for one in fetching["envFrom"]] == ["scans"]
    [notes] = [one for one in answer["spec"]["volumes"] if "notes" in one["name"]]
    assert notes["persistentVolumeClaim"]["claimName"] == "notes"
    listed = lead.try_kubectl("ml", "sources", "--policies", "cluster", "-n", enabled.name)
    role = "the ClusterRole kubectl-ml-view"  # to read the cluster's
    assert f"an admin can give it with {role}" in listed.stderr
    let_read(enabled)

    def names() -> list[str]:
        args = ("ml", "sources", "--policies=cluster", "-oname", "-n", enabled.name)
        found = lead.try_kubectl(*args).stdout.splitlines()
        return [one.rpartition("/")[2] for one in found if one.startswith("namespaced")]

    waiting.until(lambda: names() == ["notes", "scans"], what=f"the team's own: {names()}")


def test_it_is_known_in_its_own_namespace_alone(
    lead: Client, enabled: Place, plain: Place, installed: Installed
) -> None:
    offer(lead, enabled, source("scans", **SOURCE))
    waiting.until(lambda: mounted(enabled, "scans:/data", "ml-scans"), what="the source")
    with acting.place(installed) as other:
        refused = other.try_apply(acting.pod("one", mounts="scans:/data"))
        assert 'unknown data source "scans"' in refused.stderr


def test_the_teams_own_beats_the_clusters(
    lead: Client, enabled: Place, installed: Installed
) -> None:
    with applied(installed, own("DataSource", "scans", {"pvc": {"claimName": "of-all"}})):
        offer(lead, enabled, source("scans", pvc={"claimName": "of-the-team"}))

        def claims() -> set[str]:
            answer = enabled.would_be(acting.pod("one", mounts="scans:/data"))
            volumes = (answer.get("spec") or {}).get("volumes", ())
            return {
                one["persistentVolumeClaim"]["claimName"]
                for one in volumes
                if "persistentVolumeClaim" in one
            }

        waiting.until(lambda: claims() == {"of-the-team"}, what="the team's own source")


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"hostPath": {"path": "/etc"}}, id="a-path-of-the-node"),
        pytest.param({"nfs": {"server": "nfs.example.com", "path": "/"}}, id="a-server"),
        pytest.param({"csi": {"driver": "inline.example.com"}}, id="a-driver"),
        pytest.param(
            {"s3": {"bucket": "b"}, "cache": {"hostPath": "/var/cache"}}, id="a-cache-of-the-node"
        ),
        pytest.param({"pvc": {"claimName": "a", "namespace": "other"}}, id="another-namespace"),
    ],
)
def test_what_is_the_admins_to_give_is_refused(
    lead: Client, enabled: Place, spec: Manifest
) -> None:
    path = f"/apis/kubectl-ml.io/v1alpha1/namespaces/{enabled.name}/namespaceddatasources"
    answer = lead.request("POST", f"{path}?fieldValidation=Strict", source("scans", **spec))
    assert not answer.ok, answer.body
    assert answer.status in (400, 403, 422), answer.body
    assert next(iter(spec)) in str(answer.body["message"]) or "namespace" in str(answer.body)


@pytest.mark.parametrize("kind", ["DataSource", "InjectionPolicy"])
def test_the_lead_gives_nothing_to_the_cluster(lead: Client, enabled: Place, kind: str) -> None:
    spec = {
        "DataSource": {"pvc": {"claimName": "a"}},
        "InjectionPolicy": {"inject": {"shm": "1Gi"}},
    }
    done = lead.try_kubectl("create", "-f", "-", stdin=own(kind, "mine", spec[kind]))
    assert 'User "lead" cannot create resource' in done.stderr
