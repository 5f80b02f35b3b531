"""
Reservations a second: pods of one device created at once through a real API server, under a quota.

A hundred creates are under way at any time, by a service account; the budget is wide, so every
refusal is one for being slow. Each figure is of pods that were created, so it holds what the API
server needs for them, too. Cases: one quota and one process of the webhook; ten quotas that all
cover each pod; one quota and three processes.
"""

from __future__ import annotations

import concurrent.futures
import http.client
import statistics
import threading
import time
from typing import Any

import orjson
import yaml

from bench.load import Unusable

PODS = 600
AT_ONCE = 100
CASES = {"one": (1, 1), "many": (10, 1), "processes": (1, 3)}  # quotas, processes


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
        "reservations_per_second": round(statistics.median(one[0] for one in found)),
        "refused": sum(one[1] for one in found),
        "quotas": quotas,
        "processes": processes,
        "at_once": AT_ONCE,
    }


def _apply(control_plane: Any, quotas: int) -> None:
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


def _round(control_plane: Any) -> tuple[float, int]:
    from tests.e2e import installed as installation

    admin = control_plane.admin
    namespace = control_plane.add_namespace(labels=installation.ENFORCED)
    user = control_plane.as_service_account(namespace, "load")
    bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    subject = {"kind": "ServiceAccount", "name": "load", "namespace": namespace}
    admin.create(bindings, {"metadata": {"name": "load"}, "roleRef": role, "subjects": [subject]})
    path = f"/api/v1/namespaces/{namespace}/pods"
    user.request("POST", path, _pod("first"))
    creates = _Creates(user, path)
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(creates.one, range(PODS)))
    seconds = time.monotonic() - began
    admin.delete(f"/api/v1/namespaces/{namespace}")
    return sum(answers) / seconds, PODS - sum(answers)


class _Creates:
    """Creates pods, each thread over a connection of its own."""

    def __init__(self, user: Any, path: str) -> None:
        self._user = user
        self._path = path
        self._local = threading.local()

    def one(self, number: int) -> bool:
        """Create one, and tell whether it was."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = http.client.HTTPSConnection(
                "127.0.0.1", self._user.port, context=self._user.tls, timeout=30
            )
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Authorization": f"Bearer {self._user.token}",
        }
        body = orjson.dumps(_pod(f"p{number}"))
        connection.request("POST", self._path, body=body, headers=headers)
        response = connection.getresponse()
        response.read()
        return bool(response.status == http.HTTPStatus.CREATED)


def _pod(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": {"kubectl-ml.io/accelerator": "a100:1"}},
        "spec": {
            "nodeSelector": {"example.com/there": "not"},
            "containers": [{"name": "main", "image": "example.com/main"}],
        },
    }
