"""
Pods created through a real API server with `dryRun=All`: bare, behind an empty webhook, and ours.

All on the same cores, by a service account over four connections. The empty webhook stands behind
the very registrations of ours, so the difference is what we do, not how often we are asked. A
third one, `ready`, answers with our patch without deciding anything: applying that patch costs the
API server more than the call did, so no webhook that injects as much can do better than it.
"""

from __future__ import annotations

import copy
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from bench import pod
from bench.load import Load, Unusable, generator

CONNECTIONS = 4
CASES = ("none", "empty", "ready", "webhook")


def run(*, seconds: float, rounds: int, directory: Path) -> dict[str, Any]:
    """Measure, and give the section of the report; raises Unusable where it can't be."""
    from tests.e2e.controlplane import (  # here, because the harness is not always there
        cluster,
        errors,
    )

    try:
        with cluster.ControlPlane() as control_plane:
            results = _measure(control_plane, seconds=seconds, rounds=rounds, directory=directory)
    except errors.NotAvailableError as error:
        raise Unusable(str(error)) from error
    report: dict[str, Any] = {
        name: {
            key: round(statistics.median(one[name][key] for one in results), 3)
            for key in ("creates_per_second", "p50_ms", "p99_ms")
        }
        for name in CASES
    }
    return {
        **report,
        "ratio": _ratio(results, of="webhook", to="empty"),
        "ratio_to_ready": _ratio(results, of="webhook", to="ready"),
        "connections": CONNECTIONS,
        "seconds": seconds,
        "rounds": rounds,
        "load": generator(),
    }


def _warm_up(load: Load) -> None:
    """Load until every answer is good: the API server first finds that connections are gone."""
    for _ in range(5):
        try:
            load.run(seconds=1)
        except Unusable:
            continue
        return
    load.run(seconds=1)


def _ratio(results: list[dict[str, dict[str, float]]], *, of: str, to: str) -> float:
    each = [one[of]["creates_per_second"] / one[to]["creates_per_second"] for one in results]
    return round(statistics.median(each), 3)


def _measure(
    control_plane: Any, *, seconds: float, rounds: int, directory: Path
) -> list[dict[str, dict[str, float]]]:
    from tests.e2e.installed import ENABLED, Installed

    installed = Installed(control_plane, directory.resolve())
    installed.install()
    namespaces = {
        "none": control_plane.add_namespace(),
        "empty": control_plane.add_namespace(labels=ENABLED),
    }
    namespaces["ready"] = namespaces["webhook"] = namespaces["empty"]
    loads = {
        name: _load(control_plane, name, namespaces[name], directory=directory) for name in CASES
    }
    results = []
    for _ in range(rounds):
        measured: dict[str, dict[str, float]] = {}
        for name in CASES:
            stop = _start(control_plane, installed, name, directory)
            _warm_up(loads[name])
            found = loads[name].run(seconds=seconds)
            measured[name] = {
                "creates_per_second": found["reviews_per_second"],
                "p50_ms": found["p50_ms"],
                "p99_ms": found["p99_ms"],
            }
            stop()
        results.append(measured)
    return results


def _start(control_plane: Any, installed: Any, name: str, directory: Path) -> Callable[[], None]:
    """Start what stands behind the registrations; give what ends it."""
    if name == "webhook":
        installed.start("--log-level=info")
        return lambda: control_plane.stop_part("webhook")
    if name == "none":
        return lambda: None
    certificates = installed.ca_file.parent
    flags = ("--ready",) if name == "ready" else ()
    control_plane.run(
        name, sys.executable, "-m", "bench.empty", str(certificates), str(installed.port), *flags
    )
    _wait(control_plane, name)
    return lambda: control_plane.stop_part(name)


def _wait(control_plane: Any, name: str) -> None:
    from tests.e2e.controlplane import waiting

    waiting.until(
        lambda: (
            control_plane.log(name).strip().isdigit()
            or control_plane.log(name).strip().split("\n")[-1].isdigit()
        ),
        what=f"the {name} webhook to listen",
        timeout_seconds=20,
    )


def _load(control_plane: Any, name: str, namespace: str, *, directory: Path) -> Load:
    account = control_plane.as_service_account(namespace, "load")
    control_plane.kubectl(
        "create", "rolebinding", f"load-{name}", "--clusterrole=edit",
        f"--serviceaccount={namespace}:load", "-n", namespace,
    )  # fmt: skip
    body = directory / f"pod-{name}.json"
    body.write_bytes(orjson.dumps(_pod(namespace)))
    return Load(
        name=name,
        port=control_plane.port,
        path=f"/api/v1/namespaces/{namespace}/pods?dryRun=All",
        body=body,
        must_hold='"nvidia.com/gpu":"2"' if name in ("ready", "webhook") else '"kind":"Pod"',
        status=201,
        token=account.token or "",
        connections=CONNECTIONS,
    )


def _pod(namespace: str) -> dict[str, Any]:
    """Give the pod that is measured, as a user creates it: what the API server adds is left out."""
    obj = copy.deepcopy(pod.POD)
    metadata, spec = obj["metadata"], obj["spec"]
    metadata["namespace"] = namespace
    metadata["generateName"] = metadata.pop("name") + "-"
    del metadata["ownerReferences"], spec["priority"]
    spec["volumes"] = [one for one in spec["volumes"] if "projected" not in one]
    for container in spec["containers"]:
        mounts = container["volumeMounts"]
        container["volumeMounts"] = [one for one in mounts if one["name"] == "data"]
    return obj
