"""`kubectl ml policy check` says what `/mutate` and then `/validate` say, word for word."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import jsonpatch
import orjson

from kubectl_ml import objects
from policies import manifests
from policies.model import Manifest
from tests.kubectl_ml.program import invoke
from tests.webhook import reviews, serving

GUARDS = """\
apiVersion: kubectl-ml.io/v1alpha1
kind: GuardPolicy
metadata: {name: strict}
spec:
  rules:
  - {expression: "has(object.metadata.labels.team)", message: Pods carry a team label.}
  - {expression: "size(object.spec.containers)\\n  < 1"}
  checks: {images: {tags: {deny: [latest]}}, podSecurity: {level: restricted}}
---
apiVersion: kubectl-ml.io/v1alpha1
kind: GuardPolicy
metadata: {name: warned}
spec:
  enforcement: Warn
  rules: [{expression: "object.metadata.namespace != 'default'", message: "Name a\\nnamespace."}]
---
apiVersion: kubectl-ml.io/v1alpha1
kind: GuardPolicy
metadata: {name: noted}
spec:
  match: {intents: [accelerator]}
  enforcement: Audit
  rules: [{expression: "!has(object.spec.tolerations)"}]
"""
EXAMPLES = Path(__file__).parents[2] / "examples"


def bad() -> Manifest:
    return reviews.pod(reviews.intents(accelerator="a1000", shm="lots"), hostNetwork=True)


def served_says(served: serving.Served, one: Manifest) -> dict[str, Any]:
    """Ask as the API server does: it writes the namespace, and applies the patch."""
    namespace = objects.namespace_of(one, default="default")
    group, _, version = one["apiVersion"].rpartition("/")
    sent = {**one, "metadata": {"namespace": namespace} | one["metadata"]}
    kind = {"group": group, "version": version, "kind": one["kind"]}
    user = {"username": "", "groups": []}
    made = served.mutate(reviews.review(sent, kind=kind, namespace=namespace, userInfo=user))
    if "patch" in made:
        sent = jsonpatch.apply_patch(sent, orjson.loads(base64.b64decode(made["patch"])))
    said = served.validate(reviews.review(sent, kind=kind, namespace=namespace, userInfo=user))
    lines = said.get("status", {}).get("message", "").splitlines()
    audits = said.get("auditAnnotations", {})
    return {
        "denied": [line for line in lines if not line.startswith("see: ")],
        "warnings": list(dict.fromkeys([*made.get("warnings", ()), *said.get("warnings", ())])),
        "audited": sorted(
            f"{key.removeprefix('guard.')}: {text}"
            for key, text in audits.items()
            if key.startswith("guard.")
        ),
    }


def test_check_says_what_the_webhook_says(tmp_path: Path) -> None:
    found = [
        one
        for file in sorted(EXAMPLES.glob("*.yaml"))
        for one in manifests.documents(file.read_bytes())
        if one
    ]
    found += [reviews.pod(), reviews.deployment(), bad()]
    guards = tmp_path / "guards.yaml"
    guards.write_text(GUARDS)
    flags = (f"--policies={guards}", f"--policies={EXAMPLES / 'policies'}")

    with serving.webhook(tmp_path, "--offline", *flags) as served:
        theirs = [served_says(served, one) for one in found]
    stream = "---\n".join(map(manifests.dump, found))
    ours = json.loads(invoke("policy", "check", "-f", "-", "-ojson", *flags, stdin=stream).out)

    keys = ("denied", "warnings", "audited")
    assert [{key: one[key] for key in keys} for one in ours["results"]] == theirs
    assert all(any(one[key] for one in theirs) for key in keys)
