"""
Reservations a second: pods of one device at once, under a quota.

A hundred are under way at any time, by a service account; the budget is wide, so every refusal is
one for being slow. `asked` is what a process reserves by itself: its `/validate` is asked for the
pods directly, and the ledger is in a real API server. The others create the pods through that API
server, so they hold what it needs for them, too: `none` is without a quota; then one quota and one
process of the webhook; ten quotas that all cover each pod; one quota and three processes. The pods
ask for a scheduler that isn't there: how often the real one looks at them would depend on how busy
it is. What a pod costs in CPU is given beside the rates, since that is alike on a busy machine.
"""

from __future__ import annotations

import asyncio
import ssl
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson
import uvloop
import yaml

from bench import cpu, pod
from bench.client import body_of
from bench.load import Unusable

AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What stands behind the registrations, and how many pods go through it."""

    quotas: int = 1
    processes: int = 1
    asked: bool = False  # the webhook itself, not the API server
    pods: int = 600


CASES = {
    "asked": Case(asked=True, pods=300),  # a ledger has room for few more that never appear
    "none": Case(quotas=0),
    "one": Case(),
    "many": Case(quotas=10),
    "processes": Case(processes=3),
}
_Connection: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
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
                name: _installed(control_plane, case, rounds=rounds) for name, case in CASES.items()
            }
    except errors.NotAvailableError as error:
        raise Unusable(str(error)) from error


def _installed(control_plane: Any, case: Case, *, rounds: int) -> dict[str, Any]:
    from tests.e2e import installed as installation

    installed = installation.Installed(control_plane, control_plane.directory)
    installed.install()
    installed.start(f"--workers={case.processes}", "--log-level=warning")
    try:
        _apply(control_plane, case.quotas)
        found = [measure(installed, case) for _ in range(rounds)]
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
        "by": "reviews" if case.asked else "creates",
        "quotas": case.quotas,
        "processes": case.processes,
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


def measure(installed: Any, case: Case) -> dict[str, Any]:
    """
    Send the pods, in a namespace of their own, past a webhook that runs.

    Gives `rate` (a second), `refused`, `namespace`, and the milliseconds of CPU that a pod took of
    each of PROGRAMS.
    """
    from tests.e2e.controlplane import waiting

    admin = installed.control_plane.admin
    user, namespace = _user(installed.control_plane)
    path = f"/api/v1/namespaces/{namespace}/pods"
    user.request("POST", path, _pod("first"))
    if case.asked:
        load = _reviews(installed, user, path, case.pods)
    else:
        load = _creates(user, path, case.pods)
    before = cpu.seconds(PROGRAMS)
    good, seconds = uvloop.run(_send(load))
    after = cpu.seconds(PROGRAMS)
    admin.delete(f"/api/v1/namespaces/{namespace}")
    waiting.until(  # else the next round would be measured with what is deleted of this one
        lambda: not admin.request("GET", path).body["items"],
        what="the pods to be gone",
        timeout_seconds=120,
        pause_seconds=0.5,
    )
    each = {name: (after[name] - before[name]) / case.pods * 1000 for name in PROGRAMS}
    return {
        "rate": good / seconds,
        "refused": case.pods - good,
        "namespace": namespace,
        **each,
    }


def _user(control_plane: Any) -> tuple[Any, str]:
    """Make a namespace, and a service account that may do anything in it."""
    from tests.e2e import installed as installation

    namespace = control_plane.add_namespace(labels=installation.ENFORCED)
    bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    subject = {"kind": "ServiceAccount", "name": "load", "namespace": namespace}
    control_plane.admin.create(
        bindings, {"metadata": {"name": "load"}, "roleRef": role, "subjects": [subject]}
    )
    return control_plane.as_service_account(namespace, "load"), namespace


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """What is sent where, and which answers are good."""

    port: int
    tls: ssl.SSLContext
    requests: Iterator[bytes]
    is_good: Callable[[bytes, bytes], bool]  # by head and body


def _creates(user: Any, path: str, pods: int) -> _Load:
    """Create so many pods."""
    return _Load(
        port=user.port,
        tls=user.tls,
        requests=iter(
            [_request(path, _pod(f"p{number}"), token=user.token) for number in range(pods)]
        ),
        is_good=lambda head, _: head.startswith(b"HTTP/1.1 201"),
    )


def _reviews(installed: Any, user: Any, path: str, pods: int) -> _Load:
    """Ask for so many pods, as the API server would: what it makes of one is asked of it."""
    finished = user.request("POST", f"{path}?dryRun=All", _pod("asked")).body
    return _Load(
        port=installed.port,
        tls=ssl.create_default_context(cafile=str(installed.ca_file)),
        requests=iter([_request("/validate", _review(finished, number)) for number in range(pods)]),
        is_good=lambda _, body: bool(orjson.loads(body)["response"]["allowed"]),
    )


async def _send(load: _Load) -> tuple[int, float]:
    """Send all over as many connections as may be under way; give the good answers, and seconds."""
    connections = [await _connected(load) for _ in range(AT_ONCE)]
    began = time.monotonic()
    good = await asyncio.gather(*(_send_over(one, load) for one in connections))
    return sum(good), time.monotonic() - began


async def _send_over(connection: _Connection, load: _Load) -> int:
    good = 0
    for request in load.requests:
        reader, writer = connection
        writer.write(request)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            body = await body_of(reader, head.lower())
        except (asyncio.IncompleteReadError, ConnectionError):  # not created
            connection = await _connected(load)
            continue
        good += load.is_good(head, body)
    connection[1].close()
    return good


async def _connected(load: _Load) -> _Connection:
    return await asyncio.open_connection("localhost", load.port, ssl=load.tls)


def _request(path: str, obj: dict[str, Any], *, token: str = "") -> bytes:
    body = orjson.dumps(obj)
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _review(finished: dict[str, Any], number: int) -> dict[str, Any]:
    """Make the review of a pod like this one."""
    namespace = finished["metadata"]["namespace"]
    uid = f"00000000-0000-4000-8000-{number:012}"
    name = f"asked-{number}"
    request = {
        **pod.REVIEW["request"],
        "uid": uid,
        "name": name,
        "namespace": namespace,
        "userInfo": {"username": f"system:serviceaccount:{namespace}:load", "groups": []},
        "object": {**finished, "metadata": {**finished["metadata"], "name": name, "uid": uid}},
    }
    return {**pod.REVIEW, "request": request}


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
