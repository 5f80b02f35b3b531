"""From which version of Kubernetes on each control of the standard holds, v1.0 to v1.36 and on."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from policies.guard import pod_security

NEVER = 1000
VERSIONS = (*(f"v1.{number}" for number in range(37)), "latest")
CONTAINER = {
    "name": "main",
    "image": "x",
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}
GOOD: dict[str, Any] = {
    "containers": [CONTAINER],
    "initContainers": [{**CONTAINER, "name": "first"}],
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
}


def pod(at: str, value: Any, **members: Any) -> dict[str, Any]:
    """Make the good pod with a value at a dotted path; `c.` is its container, `i.` the init one."""
    made = {**copy.deepcopy(GOOD), **members}
    where = {"c": made["containers"][0], "i": made["initContainers"][0]}
    first, _, rest = at.partition(".")
    node, path = (where[first], rest) if first in where else (made, at)
    *parents, last = path.split(".")
    for key in parents:
        node = node.setdefault(key, {})
    if value is None:
        node.pop(last, None)
    else:
        node[last] = value
    return made


def volume(source: str) -> list[dict[str, Any]]:
    return [{"name": "v", source: {}}]


def sysctl(name: str) -> list[dict[str, str]]:
    return [{"name": name, "value": "1"}]


OURS: dict[str, Any] = {"hostUsers": False}
WINDOWS: dict[str, Any] = {"os": {"name": "windows"}}
TCP_MEMORY = "net.ipv4.tcp_rmem"
RESERVED = "net.ipv4.ip_local_reserved_ports"
KEEPALIVE = "net.ipv4.tcp_keepalive_time"
PROFILE = "securityContext.seccompProfile"
HOST = {"httpGet": {"host": "10.0.0.1", "port": 80}}
ENGINE = {"type": "container_engine_t"}

# A pod, and the minors in which baseline and restricted refuse it: from one on, up to another.
TABLE = [
    ("hostNetwork", pod("hostNetwork", True), (0, NEVER), (0, NEVER)),
    ("hostPID", pod("hostPID", True), (0, NEVER), (0, NEVER)),
    ("hostIPC", pod("hostIPC", True), (0, NEVER), (0, NEVER)),
    ("privileged", pod("i.securityContext.privileged", True), (0, NEVER), (0, NEVER)),
    ("host-path", pod("volumes", volume("hostPath")), (0, NEVER), (0, NEVER)),
    ("host-port", pod("c.ports", [{"containerPort": 1, "hostPort": 1}]), (0, NEVER), (0, NEVER)),
    ("no-host-port", pod("c.ports", [{"containerPort": 1, "hostPort": 0}]), None, None),
    ("nfs", pod("volumes", volume("nfs")), None, (0, NEVER)),
    ("image-volume", pod("volumes", volume("image")), None, None),
    ("app-armor", pod("securityContext.appArmorProfile", {"type": "Unconfined"}),
     (0, NEVER), (0, NEVER)),
    ("selinux-user", pod("securityContext.seLinuxOptions", {"user": "u"}), (0, NEVER), (0, NEVER)),
    ("selinux-engine", pod("c.securityContext.seLinuxOptions", ENGINE), (0, 31), (0, 31)),
    ("host-process", pod("securityContext.windowsOptions", {"hostProcess": True}),
     (0, NEVER), (0, NEVER)),
    ("unmasked", pod("c.securityContext.procMount", "Unmasked"), (0, NEVER), (0, NEVER)),
    ("unmasked-own-users", pod("c.securityContext.procMount", "Unmasked", **OURS),
     (0, 35), (0, NEVER)),
    ("sysctl", pod("securityContext.sysctls", sysctl("kernel.msgmax")), (0, NEVER), (0, NEVER)),
    ("sysctl-27", pod("securityContext.sysctls", sysctl(RESERVED)), (0, 27), (0, 27)),
    ("sysctl-29", pod("securityContext.sysctls", sysctl(KEEPALIVE)), (0, 29), (0, 29)),
    ("sysctl-32", pod("securityContext.sysctls", sysctl(TCP_MEMORY)), (0, 32), (0, 32)),
    ("seccomp-off", pod(f"{PROFILE}.type", "Unconfined"), (19, NEVER), (19, NEVER)),
    ("no-seccomp", pod(PROFILE, None), None, (19, NEVER)),
    ("no-seccomp-windows", pod(PROFILE, None, **WINDOWS), None, (19, 25)),
    ("escalation", pod("c.securityContext.allowPrivilegeEscalation", None), None, (8, NEVER)),
    ("escalation-windows", pod("c.securityContext.allowPrivilegeEscalation", None, **WINDOWS),
     None, (8, 25)),
    ("kept-capabilities", pod("i.securityContext.capabilities", None), None, (22, NEVER)),
    ("kept-capabilities-windows", pod("i.securityContext.capabilities", None, **WINDOWS),
     None, (22, 25)),
    ("bad-capability", pod("c.securityContext.capabilities", {"drop": ["ALL"], "add": ["BPF"]}),
     (0, NEVER), (0, NEVER)),
    ("basic-capability",
     pod("c.securityContext.capabilities", {"drop": ["ALL"], "add": ["CHOWN"]}),
     None, (22, NEVER)),
    ("bind", pod("c.securityContext.capabilities", {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}),
     None, None),
    ("root-allowed", pod("securityContext.runAsNonRoot", None), None, (0, NEVER)),
    ("root-allowed-own-users", pod("securityContext.runAsNonRoot", None, **OURS), None, (0, 35)),
    ("root", pod("c.securityContext.runAsUser", 0), None, (23, NEVER)),
    ("root-own-users", pod("c.securityContext.runAsUser", 0, **OURS), None, (23, 35)),
    ("probe-host", pod("c.livenessProbe", HOST), (34, NEVER), (34, NEVER)),
    ("hook-host", pod("i.lifecycle", {"preStop": HOST}), (34, NEVER), (34, NEVER)),
    ("probe", pod("c.startupProbe", {"tcpSocket": {"port": 80}}), None, None),
    ("good", GOOD, None, None),
]  # fmt: skip


def refused(span: tuple[int, int] | None) -> list[str]:
    """List the versions of a span; `latest` is the last of them."""
    first, end = span or (0, 0)
    return [version for number, version in enumerate(VERSIONS) if first <= number < end]


@pytest.mark.parametrize(
    ("spec", "baseline", "restricted"),
    [pytest.param(*row, id=name) for name, *row in TABLE],
)
def test_the_versions_that_refuse_a_pod(
    spec: Any, baseline: tuple[int, int] | None, restricted: tuple[int, int] | None
) -> None:
    found = {
        level: [one for one in VERSIONS if pod_security.violations(level, one, {}, spec)]
        for level in ("privileged", "baseline", "restricted")
    }

    assert found == {
        "privileged": [],
        "baseline": refused(baseline),
        "restricted": refused(restricted),
    }
