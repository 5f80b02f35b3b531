"""
Reservations a second: pods of one device created at once through a real API server, under a quota.

A hundred creates are under way at any time, by a service account; the budget is wide, so every
refusal is one for being slow. Each figure is of pods that were created, so it holds what the API
server needs for them, too: `none` is the same without a quota. Then one quota and one process of
the webhook; ten quotas that all cover each pod; one quota and three processes. The pods ask for a
scheduler that isn't there: how often the real one looks at them would depend on how busy it is.
What a pod costs in CPU is given beside the rates, since that is alike on a busy machine.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

import orjson
import uvloop
import yaml

from bench import cpu
from bench.client import body_of
from bench.load import Unusable

PODS = 600
AT_ONCE = 100
CASES = {  # quotas, processes
    "none": (0, 1),
    "one": (1, 1),
    "many": (10, 1),
    "processes": (1, 3),
}
PROGRAMS = {"webhook": "-m webhook", "apiserver": "/kube-apiserver ", "etcd": "/etcd "}


def run(*, rounds: int) -> dict[str, Any]:
    """Measure, and give the section of the report; raises Unusable where it can't be."""
    from tests.e2e.controlplane import (  # here, because the harness is not always there
        cluster,
        errors,
    )

    try:
        with cluster.ControlPlane() as control_plane:
            return {
                name: _measure(control_plane, quotas=quotas, processes=processes, rounds=rounds)
                for name, (quotas, processes) in CASES.items()
            }
    except errors.NotAvailableError as error:
        raise Unusable(str(error)) from error


def _measure(control_plane: Any, *, quotas: int, processes: int, rounds: int) -> dict[str, Any]:
    from tests.e2e import installed as installation

    installed = installation.Installed(control_plane, control_plane.directory)
    installed.install()
    installed.start(f"--workers={processes}", "--log-level=warning")
    try:
        _apply(control_plane, quotas)
        found = [_round(control_plane) for _ in range(rounds)]
    finally:
        installed.stop()
        installed.uninstall()
    return {
        "reservations_per_second": round(statistics.median(one["rate"] for one in found)),
        "refused": sum(round(one["refused"]) for one in found),
        **{
            f"{name}_cpu_ms": round(statistics.median(one[name] for one in found), 2)
            for name in PROGRAMS
        },
        "quotas": quotas,
        "processes": processes,
        "at_once": AT_ONCE,
    }


def _apply(control_plane: Any, quotas: int) -> None:
    if quotas:
        control_plane.kubectl(
            *("apply", "-f", "-"),
            stdin=yaml.safe_dump_all(
                {
                    "apiVersion": "kubectl-ml.io/v1alpha1",
                    "kind": "QuotaPolicy",
                    "metadata": {"name": f"quota-{number}"},
                    "spec": {"budget": {"accelerators": 1_000_000}},
                }
                for number in range(quotas)
            ),
        )
    time.sleep(2)  # until every process has them


def _round(control_plane: Any) -> dict[str, float]:
    """Create the pods in a namespace of their own; give the rate and what each took of CPU."""
    from tests.e2e import installed as installation
    from tests.e2e.controlplane import waiting

    admin = control_plane.admin
    namespace = control_plane.add_namespace(labels=installation.ENFORCED)
    user = control_plane.as_service_account(namespace, "load")
    bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    subject = {"kind": "ServiceAccount", "name": "load", "namespace": namespace}
    admin.create(bindings, {"metadata": {"name": "load"}, "roleRef": role, "subjects": [subject]})
    path = f"/api/v1/namespaces/{namespace}/pods"
    user.request("POST", path, _pod("first"))
    before, began = cpu.seconds(PROGRAMS), time.monotonic()
    created = uvloop.run(_create(user, path))
    seconds, after = time.monotonic() - began, cpu.seconds(PROGRAMS)
    admin.delete(f"/api/v1/namespaces/{namespace}")
    waiting.until(  # else the next round would be measured with what is deleted of this one
        lambda: not admin.request("GET", path).body["items"],
        what="the pods to be gone",
        timeout_seconds=120,
        pause_seconds=0.5,
    )
    each = {name: (after[name] - before[name]) / PODS * 1000 for name in PROGRAMS}
    return {"rate": created / seconds, "refused": PODS - created, **each}


async def _create(user: Any, path: str) -> int:
    """Create all pods over as many connections as may be under way; give how many were."""
    numbers = iter(range(PODS))

    async def some() -> int:
        created = 0
        connection = await _connected(user)
        for number in numbers:
            reader, writer = connection
            writer.write(_request(path, user.token, orjson.dumps(_pod(f"p{number}"))))
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                await body_of(reader, head.lower())
            except (asyncio.IncompleteReadError, ConnectionError):  # not created
                connection = await _connected(user)
                continue
            created += head.startswith(b"HTTP/1.1 201")
        connection[1].close()
        return created

    return sum(await asyncio.gather(*(some() for _ in range(AT_ONCE))))


async def _connected(user: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", user.port, ssl=user.tls)


def _request(path: str, token: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _pod(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": {"kubectl-ml.io/accelerator": "a100:1"}},
        "spec": {
            "schedulerName": "nobody",
            "containers": [{"name": "main", "image": "example.com/main"}],
        },
    }
