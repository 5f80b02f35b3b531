"""
The baseline level of the Pod Security Standard: what gets a pod out of its isolation.

Each function returns what is wrong, or an empty string. Source: policy/check_*.go of
k8s.io/pod-security-admission and https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from policies.guard.containers import at, items, named, of, quoted, words
from policies.model import Manifest

_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
PROFILES = frozenset({"RuntimeDefault", "Localhost"})

CAPABILITIES = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
    "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
})  # fmt: skip
SYSCTLS_0 = frozenset({
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start",
})  # fmt: skip
SYSCTLS_27 = SYSCTLS_0 | {"net.ipv4.ip_local_reserved_ports"}
SYSCTLS_29 = SYSCTLS_27 | {
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes",
}  # fmt: skip
SYSCTLS_32 = SYSCTLS_29 | {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}
SELINUX_0 = frozenset({"", "container_t", "container_init_t", "container_kvm_t"})
SELINUX_31 = SELINUX_0 | {"container_engine_t"}


def setters(spec: Any, holds: Callable[[Any], object]) -> str:
    """Name who has a securityContext for which something holds: the pod, containers, or both."""
    names = named(spec, lambda one: holds(at(one, "securityContext")))
    found = ["pod"] if holds(at(spec, "securityContext")) else []
    return " and ".join([*found, words(names)] if names else found)


def host_namespaces(metadata: Any, spec: Any) -> str:
    """Refuse the host's network, processes and IPC."""
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if at(spec, key)]
    return f"host namespaces: take out {', '.join(f'{key}=true' for key in found)}" if found else ""


def host_path(metadata: Any, spec: Any) -> str:
    """Refuse directories of the node."""
    found = [
        str(one.get("name", ""))
        for one in items(spec, "volumes")
        if one.get("hostPath") is not None
    ]
    return f"hostPath volumes: take out {words(found, kind='volume')}" if found else ""


def host_ports(metadata: Any, spec: Any) -> str:
    """Refuse ports of the node."""
    ports = {
        str(port["hostPort"])
        for one in of(spec)
        for port in items(one, "ports")
        if port.get("hostPort")
    }
    names = named(spec, lambda one: any(port.get("hostPort") for port in items(one, "ports")))
    return f"hostPort: {words(names)} must not use {', '.join(sorted(ports))}" if names else ""


def privileged(metadata: Any, spec: Any) -> str:
    """Refuse privileged containers."""
    names = named(spec, lambda one: at(one, "securityContext", "privileged"))
    return f"privileged: {words(names)} must not set it to true" if names else ""


def capabilities(metadata: Any, spec: Any) -> str:
    """Refuse capabilities beyond the runtime's own."""

    def added(one: Manifest) -> set[str]:
        given = at(one, "securityContext", "capabilities", "add")
        return set(map(str, given if isinstance(given, list) else ())) - CAPABILITIES

    names = named(spec, added)
    extra = sorted(set().union(*map(added, of(spec))))
    return f"capabilities: {words(names)} must not add {quoted(extra)}" if names else ""


def app_armor(metadata: Any, spec: Any) -> str:
    """Refuse that AppArmor's profile is switched off or replaced."""

    def other(context: Any) -> bool:
        profile = at(context, "appArmorProfile")
        return profile is not None and at(profile, "type") not in PROFILES

    annotations = at(metadata, "annotations") or {}
    keys = sorted(
        key
        for key, value in annotations.items()
        if key.startswith(_APPARMOR)
        and not (not value or value == "runtime/default" or str(value).startswith("localhost/"))
    )
    found = [setters(spec, other), words(keys, kind="annotation") if keys else ""]
    who = " and ".join(filter(None, found))
    return f"AppArmor: {who} must say RuntimeDefault or Localhost" if who else ""


def selinux(types: frozenset[str]) -> Callable[[Any, Any], str]:
    """Refuse SELinux types other than `types`, and users and roles."""

    def judge(metadata: Any, spec: Any) -> str:
        def bad(context: Any) -> bool:
            options = at(context, "seLinuxOptions")
            return isinstance(options, dict) and bool(
                (options.get("type") or "") not in types
                or options.get("user")
                or options.get("role")
            )

        who = setters(spec, bad)
        known = ", ".join(sorted(types - {""}))
        return f"seLinuxOptions: {who} may set no user and role, and as type {known}" if who else ""

    return judge


def proc_mount(metadata: Any, spec: Any) -> str:
    """Refuse a /proc that isn't masked."""
    names = named(
        spec, lambda one: at(one, "securityContext", "procMount") not in (None, "Default")
    )
    return f'procMount: {words(names)} must leave it out or say "Default"' if names else ""


def sysctls(allowed: frozenset[str]) -> Callable[[Any, Any], str]:
    """Refuse sysctls other than `allowed`."""

    def judge(metadata: Any, spec: Any) -> str:
        names = [str(one.get("name", "")) for one in items(spec, "securityContext", "sysctls")]
        found = [name for name in names if name not in allowed]
        return f"sysctls: take out {quoted(found)}" if found else ""

    return judge


def seccomp_annotations(metadata: Any, spec: Any) -> str:
    """Refuse, as before Kubernetes 1.19, that seccomp is switched off by annotation."""
    annotations = at(metadata, "annotations") or {}
    keys = [_SECCOMP_POD, *(_SECCOMP_CONTAINER + name for name in named(spec, bool))]
    found = [
        key
        for key in keys
        if key in annotations
        and annotations[key] not in ("runtime/default", "docker/default")
        and not str(annotations[key]).startswith("localhost/")
    ]
    return f"seccomp: {words(found, kind='annotation')} must say runtime/default" if found else ""


def seccomp(metadata: Any, spec: Any) -> str:
    """Refuse that seccomp is switched off."""

    def other(context: Any) -> bool:
        profile = at(context, "seccompProfile")
        return profile is not None and at(profile, "type") not in PROFILES

    who = setters(spec, other)
    return f'seccompProfile: {who} must say "RuntimeDefault" or "Localhost"' if who else ""


def windows_host_process(metadata: Any, spec: Any) -> str:
    """Refuse Windows containers that run on the host."""
    who = setters(spec, lambda context: at(context, "windowsOptions", "hostProcess"))
    return f"windowsOptions: {who} must not set hostProcess=true" if who else ""


def probe_hosts(metadata: Any, spec: Any) -> str:
    """Refuse probes and hooks that have the kubelet call another host."""

    def hosts(one: Manifest) -> bool:
        handlers = [at(one, key) for key in ("livenessProbe", "readinessProbe", "startupProbe")]
        handlers += [at(one, "lifecycle", key) for key in ("postStart", "preStop")]
        return any(
            at(handler, how, "host") for handler in handlers for how in ("httpGet", "tcpSocket")
        )

    names = named(spec, hosts)
    return f"probes: {words(names)} must name no host in a probe or hook" if names else ""


def unless_user_namespace(judge: Callable[[Any, Any], str]) -> Callable[[Any, Any], str]:
    """Leave a rule out for a pod with users of its own (`hostUsers: false`)."""
    return lambda metadata, spec: "" if at(spec, "hostUsers") is False else judge(metadata, spec)
