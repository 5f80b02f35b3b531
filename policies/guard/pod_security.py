"""
The Pod Security Standard, every version of it: `checks.podSecurity`.

A rule holds from the Kubernetes version that brought it until the next of its name; a rule of
restricted stands for the rules of baseline that it covers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from policies.guard import baseline, restricted
from policies.guard.baseline import unless_user_namespace
from policies.guard.restricted import unless_windows

LEVELS = ("privileged", "baseline", "restricted")
LATEST = "latest"
_NEWEST = 10_000  # a minor version beyond every other
_VERSION = re.compile(r"v1\.(0|[1-9][0-9]{0,3})(?![\s\S])")


@dataclass(frozen=True, slots=True)
class _Rule:
    """One control of the standard, from one minor version of Kubernetes on."""

    name: str
    since: int
    judge: Callable[[Any, Any], str]
    covers: str = ""  # the rule of baseline that it stands for


_BASELINE = (
    _Rule("appArmor", 0, baseline.app_armor),
    _Rule("capabilities", 0, baseline.capabilities),
    _Rule("hostNamespaces", 0, baseline.host_namespaces),
    _Rule("hostPath", 0, baseline.host_path),
    _Rule("hostPorts", 0, baseline.host_ports),
    _Rule("privileged", 0, baseline.privileged),
    _Rule("probeHosts", 34, baseline.probe_hosts),
    _Rule("procMount", 0, baseline.proc_mount),
    _Rule("procMount", 35, unless_user_namespace(baseline.proc_mount)),
    _Rule("seLinux", 0, baseline.selinux(baseline.SELINUX_0)),
    _Rule("seLinux", 31, baseline.selinux(baseline.SELINUX_31)),
    _Rule("seccomp", 0, baseline.seccomp_annotations),
    _Rule("seccomp", 19, baseline.seccomp),
    _Rule("sysctls", 0, baseline.sysctls(baseline.SYSCTLS_0)),
    _Rule("sysctls", 27, baseline.sysctls(baseline.SYSCTLS_27)),
    _Rule("sysctls", 29, baseline.sysctls(baseline.SYSCTLS_29)),
    _Rule("sysctls", 32, baseline.sysctls(baseline.SYSCTLS_32)),
    _Rule("windowsHostProcess", 0, baseline.windows_host_process),
)
_RESTRICTED = (
    _Rule("escalation", 8, restricted.escalation),
    _Rule("escalation", 25, unless_windows(restricted.escalation)),
    _Rule("allCapabilities", 22, restricted.capabilities, "capabilities"),
    _Rule("allCapabilities", 25, unless_windows(restricted.capabilities), "capabilities"),
    _Rule("maskedProc", 35, baseline.proc_mount, "procMount"),
    _Rule("volumes", 0, restricted.volumes, "hostPath"),
    _Rule("nonRoot", 0, restricted.non_root),
    _Rule("nonRoot", 35, unless_user_namespace(restricted.non_root)),
    _Rule("user", 23, restricted.user),
    _Rule("user", 35, unless_user_namespace(restricted.user)),
    _Rule("anySeccomp", 19, restricted.seccomp, "seccomp"),
    _Rule("anySeccomp", 25, unless_windows(restricted.seccomp), "seccomp"),
)


def violations(level: str, version: str, metadata: Any, spec: Any) -> list[str]:
    """List what a pod has against `level` of the standard, as `version` of Kubernetes has it."""
    return [
        sentence for judge in _judges(level, minor(version)) if (sentence := judge(metadata, spec))
    ]


def minor(version: str) -> int:
    """Read `v1.N` or `latest`; a ValueError where it is neither."""
    if version == LATEST:
        return _NEWEST
    found = _VERSION.match(version)
    if not found:
        raise ValueError(f'"{version}" is no version; write "v1.N" or "latest"')
    return int(found[1])


@cache
def _judges(level: str, version: int) -> tuple[Callable[[Any, Any], str], ...]:
    if level == "privileged":
        return ()
    hardened = _in_force(_RESTRICTED, version) if level == "restricted" else {}
    covered = {rule.covers for rule in hardened.values()}
    basic = {
        name: rule for name, rule in _in_force(_BASELINE, version).items() if name not in covered
    }
    return tuple(rule.judge for rule in (*basic.values(), *hardened.values()))


def _in_force(rules: tuple[_Rule, ...], version: int) -> dict[str, _Rule]:
    """Find the rule of each name that holds at a version: the last that it has reached."""
    return {rule.name: rule for rule in rules if rule.since <= version}
