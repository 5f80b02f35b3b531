"""
Many policies of which five apply: `/mutate` and `/validate` with 10, 100 and 1,000 of them.

The others are for other namespaces (by name, glob and label), kinds, intents, labels, owners,
users and operations, in turn. The three servers share one core and are loaded in turn, so that
what else the machine does falls on all of them.
"""

from __future__ import annotations

import base64
import contextlib
import ssl
import statistics
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonpatch
import orjson

from bench import pod, webhook
from bench.load import Load, Unusable

COUNTS = (10, 100, 1000)
APPLY = 5
ENDPOINTS = {"validate": '"allowed":true', "mutate": '"patchType":"JSONPatch"'}
_IMAGES = {"registries": ["registry.example.com/*", "fluent/*"], "tags": {"deny": ["latest"]}}
_GUARD = {
    "rules": [
        {"expression": "object.spec.containers.all(one, has(one.image))", "message": "Image."},
        {"expression": "!has(object.spec.hostNetwork) || !object.spec.hostNetwork"},
    ],
    "checks": {"images": _IMAGES, "podSecurity": {"level": "baseline"}},
}
_APPLYING: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("GuardPolicy", "isolated", {"match": {"kinds": ["Pod"]}} | _GUARD),
    ("GuardPolicy", "devices", {"match": {"intents": ["accelerator"]}} | _GUARD),
    ("InjectionPolicy", "team", {"inject": {"env": [{"name": "TEAM", "value": "vision"}]}}),
    ("InjectionPolicy", "vision", {
        "match": {"namespaces": {"names": ["vision"]}},
        "inject": {"labels": {"example.com/floor": "3"}},
    }),
    ("InjectionPolicy", "workers", {
        "match": {"objects": {"matchLabels": {"training.kubeflow.org/replica-type": "worker"}}},
        "inject": {"annotations": {"example.com/queue": "night"}},
    }),
)  # fmt: skip


def objects(count: int) -> list[dict[str, Any]]:
    """Make so many policies, of which five are for the pod of the bench."""
    made = [_object(*one) for one in _APPLYING]
    for number in range(count - APPLY):
        ways = _elsewhere(number)
        match = ways[number % len(ways)]
        made.append(
            _object("GuardPolicy", f"guard-{number}", {"match": match} | _GUARD)
            if number // len(ways) % 2
            else _object(
                "InjectionPolicy",
                f"injection-{number}",
                {"match": match, "inject": {"env": [{"name": "ELSEWHERE", "value": f"{number}"}]}},
            )
        )
    return made


def _elsewhere(number: int) -> tuple[dict[str, Any], ...]:
    """List matches that aren't for the pod of the bench."""
    return (
        {"namespaces": {"names": [f"team-{number}"]}},
        {"namespaces": {"names": [f"team-{number}-*"]}},
        {"namespaces": {"selector": {"matchLabels": {"team": f"{number}"}}}},
        {"kinds": ["Deployment.apps", "Job.batch"]},
        {"intents": ["queue"]},
        {"objects": {"matchLabels": {"app": f"app-{number}"}}},
        {"objects": {"matchExpressions": [{"key": f"key-{number}", "operator": "Exists"}]}},
        {"owners": ["ReplicaSet.apps"]},
        {"subjects": {"groups": [f"team-{number}*"]}},
        {"operations": ["UPDATE"]},
        {"exclude": {"namespaces": {"names": ["vis*"]}}},
    )


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "kubectl-ml.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def run(options: webhook.Options) -> dict[str, dict[str, float]]:
    """Measure, and give the section of the report: reviews a second, by count and endpoint."""
    with contextlib.ExitStack() as stack:
        loads = {
            (str(count), name): load
            for count in COUNTS
            for name, load in stack.enter_context(_loads(options.directory, count)).items()
        }
        for load in loads.values():
            load.run(seconds=min(1.0, options.seconds))
        rounds = [
            {key: load.run(seconds=options.seconds) for key, load in loads.items()}
            for _ in range(options.rounds)
        ]
    found: dict[str, dict[str, float]] = {str(count): {} for count in COUNTS}
    for count, name in loads:
        figures = [one[count, name]["reviews_per_second"] for one in rounds]
        found[count][name] = round(statistics.median(figures), 1)
    return found


@contextlib.contextmanager
def _loads(directory: Path, count: int) -> Iterator[dict[str, Load]]:
    here = directory / f"policies-{count}"
    (here / "policies").mkdir(parents=True, exist_ok=True)
    file = here / "policies" / "policies.json"
    file.write_bytes(orjson.dumps({"kind": "List", "apiVersion": "v1", "items": objects(count)}))
    with webhook.serving(here, f"--policies={file.parent}") as server:
        review = orjson.dumps(pod.REVIEW)
        bodies = {"mutate": review, "validate": _injected(server, here / "ca.crt", review)}
        for name, body in bodies.items():
            (here / f"{name}.json").write_bytes(body)
        yield {
            name: Load(
                name=f"{name} with {count} policies",
                port=server.port,
                path=f"/{name}",
                body=here / f"{name}.json",
                must_hold=must_hold,
                connections=webhook.CONNECTIONS,
                core=1,
            )
            for name, must_hold in ENDPOINTS.items()
        }


def _injected(server: webhook.Server, ca: Path, review: bytes) -> bytes:
    """Give the review of the pod as `/mutate` left it, which is what `/validate` is asked."""
    request = urllib.request.Request(
        f"https://localhost:{server.port}/mutate",
        data=review,
        headers={"Content-Type": "application/json"},
    )
    tls = ssl.create_default_context(cafile=str(ca))
    with urllib.request.urlopen(request, context=tls, timeout=10) as answer:  # noqa: S310 -- our own
        response = orjson.loads(answer.read())["response"]
    injected = jsonpatch.apply_patch(pod.POD, orjson.loads(base64.b64decode(response["patch"])))
    if lacking := received(injected):
        raise Unusable(f"the pod did not receive {', '.join(lacking)}; nothing was measured")
    return orjson.dumps(pod.REVIEW | {"request": pod.REVIEW["request"] | {"object": injected}})


def received(injected: dict[str, Any]) -> list[str]:
    """Name what the policies that apply did not give a pod."""
    metadata = injected["metadata"]
    names = {one["name"] for one in injected["spec"]["containers"][0]["env"]}
    there = {
        "TEAM": "TEAM" in names,
        "a label": "example.com/floor" in metadata["labels"],
        "an annotation": "example.com/queue" in metadata["annotations"],
        "nothing from elsewhere": "ELSEWHERE" not in names,
    }
    return [what for what, held in there.items() if not held]
