"""
What the API server refuses in parts of core/v1 that a policy gives to pods, and a schema can't say.

Such a policy would have every pod refused that it acts on, far from who wrote it.

    env: [{name: IP, valueFrom: {fieldRef: {fieldPath: status.ip}}}]   ->   a path, a sentence

Source: k8s.io/kubernetes pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from policies import intents, sentences

Found: TypeAlias = tuple[sentences.Path, str]

_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['[^']+'\]", re.ASCII)
_RESOURCES = tuple(
    f"{kind}.{name}" for kind in ("limits", "requests") for name in ("cpu", "memory")
)
_RESOURCE = re.compile(
    r"(limits|requests)\.(cpu|memory|ephemeral-storage|hugepages-[0-9]+[KMG]i)", re.ASCII
)
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_CHECKS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOKS = {
    "postStart": ("exec", "httpGet", "sleep", "tcpSocket"),
    "preStop": ("exec", "httpGet", "sleep", "tcpSocket"),
}
_CONTAINER = (
    "name", "image", "command", "args", "workingDir", "ports", "envFrom", "env", "resources",
    "resizePolicy", "restartPolicy", "restartPolicyRules", "volumeMounts", "volumeDevices",
    *_PROBES, "lifecycle", "terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy",
    "securityContext", "stdin", "stdinOnce", "tty",
)  # fmt: skip


def tolerations(items: Any) -> Iterator[Found]:
    """Find tolerations whose members don't go together."""
    for number, item in _mappings(items):
        exists = item.get("operator") == "Exists"
        if exists and item.get("value"):
            message = f'"{item["value"]}" is refused beside operator "Exists"; take one of them out'
            yield (number, "value"), message
        if not item.get("key") and not exists:
            yield (
                (number,),
                'a toleration without a key has operator "Exists"; write that, or a key',
            )
        if "tolerationSeconds" in item and item.get("effect") != "NoExecute":
            message = 'goes with effect "NoExecute" alone; write that, or take it out'
            yield (number, "tolerationSeconds"), message


def variables(items: Any) -> Iterator[Found]:
    """Find variables whose value can't be had."""
    for number, item in _mappings(items):
        source = item.get("valueFrom")
        if not isinstance(source, dict):
            continue
        if item.get("value"):
            yield (number, "valueFrom"), "a variable has this or a value, not both; keep one"
        known = [key for key in source if key in _SOURCES]
        if len(known) != 1:
            yield (number, "valueFrom"), f"takes one of {', '.join(_SOURCES)}; write one"
        for path, message in _source(source):
            yield (number, "valueFrom", *path), message


def _source(source: Mapping[str, Any]) -> Iterator[Found]:
    for key, member, known, pattern in (
        ("fieldRef", "fieldPath", _FIELDS, _SUBSCRIPT),
        ("resourceFieldRef", "resource", _RESOURCES, _RESOURCE),
    ):
        found = source.get(key)
        text = found.get(member) if isinstance(found, dict) else None
        if isinstance(text, str) and text not in known and not pattern.fullmatch(text):
            hint = intents.nearest(text, known) or "; known are " + ", ".join(known)
            yield (key, member), f'"{text}" is no {member} of a variable{hint}'


def container(found: Any) -> Iterator[Found]:
    """Find fields written wrong, and probes and hooks that do nothing or several things."""
    if not isinstance(found, dict):
        return
    for key in found:
        hint = "" if key in _CONTAINER else intents.nearest(str(key), _CONTAINER)
        if hint:  # one that isn't like any other may be of a newer Kubernetes
            yield (key,), f'unknown field "{key}"{hint}'
    for name in _PROBES:
        if isinstance(found.get(name), dict):
            yield from _handler(found[name], (name,), _CHECKS)
    yield from _hooks(found.get("lifecycle"))
    for path, message in variables(found.get("env")):
        yield ("env", *path), message


def _hooks(hooks: Any) -> Iterator[Found]:
    for name, value in hooks.items() if isinstance(hooks, dict) else ():
        if name in _HOOKS and isinstance(value, dict):
            yield from _handler(value, ("lifecycle", name), _HOOKS[name])
        elif name not in (*_HOOKS, "stopSignal"):
            hint = intents.nearest(str(name), _HOOKS) or "; known are " + ", ".join(_HOOKS)
            yield ("lifecycle", name), f'unknown field "{name}"{hint}'


def _handler(
    value: Mapping[str, Any], at: sentences.Path, known: tuple[str, ...]
) -> Iterator[Found]:
    chosen = [key for key in known if value.get(key) is not None]
    if len(chosen) != 1:
        yield at, f"does one of {', '.join(known)}; write one"
    for key in chosen:
        inner = value[key] if isinstance(value[key], dict) else {}
        if key in ("httpGet", "tcpSocket", "grpc") and "port" not in inner:
            yield (*at, key), '"port" is missing; add it'
        command = inner.get("command") if key == "exec" else None
        for number, word in enumerate(command if isinstance(command, list) else ()):
            if not isinstance(word, str):
                shown = str(word).lower() if isinstance(word, bool) else word
                yield (*at, key, "command", number), f"{shown} is not a string; put it in quotes"


def _mappings(items: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict):
            yield number, item
