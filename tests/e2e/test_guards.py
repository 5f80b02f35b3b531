"""Guards on the real API server: the checks of the how-to, conditions, and the answer's reason."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.acting import Place
from tests.e2e.controlplane import waiting
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import Installed
from tests.e2e.test_policies import applied, own

CONTROL_PLANE = "guards"
HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "guard.md"


def of_the_how_to(name: str) -> Manifest:
    """Read a guard that the how-to shows, for every namespace."""
    blocks = re.findall(r"```yaml\n(.*?)```", HOW_TO.read_text(), re.DOTALL)
    documents = [one for block in blocks for one in yaml.safe_load_all(block)]
    (found,) = [one for one in documents if one["metadata"]["name"] == name]
    found["spec"].get("match", {}).pop("namespaces", None)
    return dict(found)


def job(intents: dict[str, str] | None = None, **spec: Any) -> Manifest:
    annotations = {f"kubectl-ml.io/{key}": value for key, value in (intents or {}).items()}
    template = {"restartPolicy": "Never", **spec}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "probe", "annotations": annotations},
        "spec": {"template": {"spec": template}},
    }


def refused(place: Place, manifest: Manifest) -> list[str]:
    """Give what is said against creating an object; nothing where it is let in."""
    done = place.try_kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(manifest))
    return [line for line in done.stderr.splitlines() if "see: kubectl ml" not in line]


def container(**resources: Any) -> Manifest:
    return {"name": "main", "image": "example.com/main:1", "resources": resources}


def test_the_checks_of_the_how_to(installed: Installed, enabled: Place) -> None:
    enough = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
    bad = job(
        containers=[container(limits={"nvidia.com/gpu": "1"})],
        volumes=[{"name": "etc", "hostPath": {"path": "/etc"}}],
    )
    good = job({"queue": "q", "accelerator": "t4"}, containers=[container(**enough)])
    with applied(installed, of_the_how_to("how-we-run")):
        said = waiting.until(lambda: refused(enabled, bad), what="the guard to be in force")
        let_in = [line for line in refused(enabled, good) if not line.startswith("Warning:")]

    text = "\n".join(said)
    assert [one for one in SENTENCES if f"how-we-run: {one}" not in text] == []
    assert let_in == []


SENTENCES = (
    'container "main" asks for nvidia.com/gpu: 1 without a device class; '
    'write the annotation kubectl-ml.io/accelerator: "gpu:1"',
    'container "main" has no memory limit; write resources.limits.memory',
    'container "main" has no cpu request; write resources.requests.cpu',
    'volume "etc" mounts "hostPath:///etc", which is none of imagenet, s3://datasets/*; '
    "name one that is",
    "the intent kubectl-ml.io/queue is missing; write it as an annotation of the Job",
)


def test_conditions_see_the_namespace_and_the_reason_is_the_rules(
    installed: Installed, enabled: Place
) -> None:
    guard = own(
        "GuardPolicy",
        "unauthorized",
        {
            "match": {
                "conditions": [
                    {
                        "name": "annotated",
                        "expression": "namespaceObject.metadata.?annotations['owner'] "
                        "== optional.of('nlp')",
                    }
                ]
            },
            "rules": [{"expression": "false", "message": "No.", "reason": "Unauthorized"}],
        },
    )
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe"},
        "spec": {"containers": [container()]},
    }
    with applied(installed, guard):
        before = refused(enabled, pod)
        installed.control_plane.kubectl("annotate", "namespace", enabled.name, "owner=nlp")
        said = waiting.until(lambda: refused(enabled, pod), what="the annotation to be seen")

    assert before == []
    assert "unauthorized: No." in "\n".join(said)


@pytest.mark.parametrize("name", ["gpu-pods", "how-we-run", "gold-images"])
def test_the_definitions_take_the_guards_of_the_how_to(installed: Installed, name: str) -> None:
    manifest = of_the_how_to(name)
    stored = installed.control_plane.kubectl(
        "create", "--dry-run=server", "-ojson", "-f", "-", stdin=json.dumps(manifest)
    )

    checks = json.loads(stored)["spec"]["checks"]
    for check, given in manifest["spec"]["checks"].items():  # beside which defaults may stand
        kept = {**checks[check], **given} if isinstance(given, dict) else given
        assert checks[check] == kept
