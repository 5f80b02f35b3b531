"""
The ClusterRole by which quotas see what is in use, rendered from the catalogue.

`python -m webhook.usage_role` writes `manifests/base/25-usage.yaml` to standard output. It reads
everything that makes pods, and nothing else; a custom kind (WorkloadKind) needs a rule beside it.
"""

from __future__ import annotations

import sys

import yaml

from policies.model import Manifest
from policies.workloads.catalogue import Catalogue, builtin

_HEADER = """\
# Made by `make generate` from policies/workloads/catalogue.yaml; edit that, not this.
# What quotas count: everything that makes pods. Nothing of it is written.
"""


def role(catalogue: Catalogue | None = None) -> Manifest:
    """Render the role."""
    resources: dict[str, list[str]] = {}
    for kind in (catalogue or builtin()).kinds.values():
        if not kind.cluster_scoped and not kind.template:
            resources.setdefault(kind.group, []).append(kind.plural)
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "kubectl-ml-usage"},
        "rules": [
            {
                "apiGroups": [group],
                "resources": sorted(plurals),
                "verbs": ["get", "list", "watch"],
            }
            for group, plurals in sorted(resources.items())
        ],
    }


def text() -> str:
    """Write the role as `manifests/base/25-usage.yaml` has it."""
    return _HEADER + yaml.safe_dump(role(), sort_keys=False, width=1000)


if __name__ == "__main__":
    sys.stdout.write(text())
