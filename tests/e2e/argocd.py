"""
What Argo CD says of an object: Synced or not, by its own diff library.

`controlplane/argocd` is a small program around it. What Argo CD applied is in the annotation that
kubectl's apply leaves, and it compares by a merge of three.
"""

import itertools
import json
import subprocess
from collections.abc import Iterable
from typing import Any

from tests.e2e.acting import LAST_APPLIED
from tests.e2e.controlplane.client import Manifest
from tests.kubectl_ml.program import BIN

PLUGIN = BIN / "kubectl-ml"


def out_of_sync(
    program: str,
    pairs: Iterable[tuple[Manifest, Manifest]],
    ignored: Iterable[list[str]] = itertools.repeat([]),
) -> list[list[str]]:
    """Name, for each pair of target and live object, the fields that differ and aren't ignored."""
    lines = [
        json.dumps({"target": one, "live": _applied(one, live), "ignore": expressions})
        for (one, live), expressions in zip(pairs, ignored, strict=False)
    ]
    done = subprocess.run(  # noqa: S603 -- our own program
        (program,), input="\n".join(lines), capture_output=True, text=True, timeout=120, check=True
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return [
        sorted(differing(answer["normalized"], answer["predicted"])) if answer["modified"] else []
        for answer in answers
    ]


def rules(manifests: Iterable[Manifest], *flags: str) -> list[list[str]]:
    """Give for each manifest what `kubectl ml argocd` says Argo CD is to ignore of it."""
    named = [
        {**one, "metadata": {**one["metadata"], "name": f"n{number}"}}
        for number, one in enumerate(manifests)
    ]
    done = subprocess.run(  # noqa: S603 -- our own program
        (str(PLUGIN), "argocd", "-f", "-", "-o", "json", *flags),
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": named}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = {
        one["name"]: one["jqPathExpressions"]
        for one in json.loads(done.stdout)["ignoreDifferences"]
    }
    return [found.get(one["metadata"]["name"], []) for one in named]


def _applied(target: Manifest, live: Manifest) -> Manifest:
    annotations = {**live["metadata"].get("annotations", {}), LAST_APPLIED: json.dumps(target)}
    return {**live, "metadata": {**live["metadata"], "annotations": annotations}}


def differing(one: Any, other: Any, path: str = "") -> set[str]:
    """Name the fields in which two objects differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = one.keys() | other.keys()
        return set().union(*(differing(one.get(k), other.get(k), f"{path}/{k}") for k in keys))
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return set().union(*(differing(*each, f"{path}/{number}") for number, each in pairs))
    return set() if one == other else {path}
