"""
Whether a kind that a policy names can be one.

    "Job.batch", "Pod", "RayCluster.ray.io"  ->  taken
    "Pods", "Job", "Ray.io"                  ->  a sentence

A kind outside the catalogue is taken with its group, because any operator may own pods. Names that
no object can have are refused: the policy would match nothing, for good.
"""

from __future__ import annotations

import difflib

from policies import asked
from policies.errors import UnusableIntent
from policies.guard.subject import CONNECTED
from policies.intents import nearest
from policies.workloads import catalogue

_WITHOUT_GROUP = ("Pod", "Node", "ReplicationController")  # a Node owns the static pods
# Groups of Kubernetes itself that have no dot. The group of a custom resource has one:
# ValidateCustomResourceDefinitionSpec in k8s.io/apiextensions-apiserver, "should be a domain with
# at least one dot".
_UNLISTED_GROUPS = ("autoscaling", "extensions", "policy")
_WRITE = 'write KIND.GROUP, such as "Job.batch"'


def read(text: str) -> None:
    """Take a kind as policies write it; raises UnusableIntent where there can't be one."""
    known = {kind.name for kind in catalogue.builtin().kinds.values()}
    if text in known or text in _WITHOUT_GROUP:
        return
    _, _, group = text.partition(".")
    if not group:
        raise UnusableIntent(f'"{text}" is not a kind with its group; {_with_group(text, known)}')
    alike = [name for name in known if _plain(name) == _plain(text)]
    if alike:
        raise UnusableIntent(f'"{text}": there is no such kind; did you mean "{alike[0]}"?')
    if "." not in group and group not in _UNLISTED_GROUPS:
        raise UnusableIntent(f'"{text}": {_of_kubernetes(text, group, known)}')


def read_any(text: str) -> None:
    """Take a kind that guards can be for, whether it has pods or not."""
    known = (*asked.WITHOUT_PODS, *CONNECTED)
    if text in known:
        return
    full = {name.partition(".")[0]: name for name in known}
    close = difflib.get_close_matches(text, full, n=1, cutoff=0.8)
    if close and "." not in text:
        raise UnusableIntent(f'"{text}": there is no such kind; did you mean "{full[close[0]]}"?')
    read(text)


def _with_group(text: str, known: set[str]) -> str:
    full: dict[str, list[str]] = {}
    for name in (*_WITHOUT_GROUP, *sorted(known)):
        full.setdefault(name.partition(".")[0], []).append(name)
    if text in full:
        return "write " + " or ".join(f'"{name}"' for name in dict.fromkeys(full[text]))
    close = difflib.get_close_matches(text, full, n=1, cutoff=0.8)
    return f'did you mean "{full[close[0]][0]}"?' if close else _WRITE


def _of_kubernetes(text: str, group: str, known: set[str]) -> str:
    listed = sorted(name for name in known if name.partition(".")[2] == group)
    if not listed:
        return f'there is no group "{group}"; {_WRITE}'
    hint = nearest(text, listed) or "; known are " + ", ".join(listed)
    return f"there is no such kind{hint}"


def _plain(name: str) -> str:
    kind, _, group = name.casefold().partition(".")
    return f"{kind.removesuffix('s')}.{group}"
