"""`kubectl ml quota` and `gpus` with the real kubectl, as an admin and as a namespaced user."""

import json

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import waiting
from tests.e2e.test_policies import applied, own
from tests.e2e.test_quota import job

CONTROL_PLANE = "quota"
A100 = "accelerators.a100"
READERS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"


def let_read(place: Place) -> None:
    """Let everyone read policies, as the page on quotas says."""
    role = "kubectl-ml-view"
    if not place.admin.request("GET", f"{READERS}/{role}").ok:
        place.admin.kubectl(
            "create", "clusterrolebinding", role,
            f"--clusterrole={role}", "--group=system:authenticated",
        )  # fmt: skip


def shown(place: Place, *args: str) -> list[dict[str, object]]:
    """Read the quota as the admin has it."""
    found = place.admin.kubectl("ml", "quota", place.name, "-ojson", "-n", place.name, *args)
    return json.loads(found)["items"]


def test_an_admin_and_a_user_see_who_holds_what(enforced: Place, installed):
    let_read(enforced)
    gpus = own("QuotaPolicy", "plugin", {"groupBy": "namespace", "budget": {A100: 8}})
    with applied(installed, gpus):
        waiting.until(
            lambda: enforced.try_apply(job("bert", 6)).returncode == 0, what="the first Job"
        )
        waiting.until(lambda: shown(enforced)[0]["used"] == {A100: "6"}, what=f"{shown(enforced)}")
        assert shown(enforced)[0]["holders"] == [
            {
                "kind": "Job.batch",
                "namespace": enforced.name,
                "name": "bert",
                "amounts": {A100: "6"},
            }
        ]

        seen = enforced.try_kubectl("ml", "quota", "-owide", "--no-headers")
        assert seen.stdout.split()[:6] == ["plugin", enforced.name, "a100", "8", "6", "0"]
        assert seen.stdout.rstrip().endswith("bert 6")
        assert "other namespaces' workloads are hidden" in seen.stderr

        large = acting.listed(job("large", 4))
        told = enforced.try_kubectl("ml", "quota", "check", "-f", "-", stdin=large)
        refused = enforced.try_apply(job("large", 4))
        sentence = (
            f"plugin: namespace {enforced.name} has 6 of 8 a100 in use (bert 6); "
            "large asks for 4, 2 too many"
        )
        assert told.returncode == 1
        assert f"error: {sentence}" in told.stderr
        assert "it fits once this is gone: bert (6 a100)" in told.stderr
        assert sentence in refused.stderr


def test_the_devices_of_the_fleet(enforced: Place):
    found = json.loads(enforced.admin.kubectl("ml", "gpus", "-ojson"))

    assert found["classes"]
    assert all(one["capacity"] >= one["free"] for one in found["nodes"])
