"""
What of a policy acted, told from where it wrote: the member of `spec.inject`, or the intent.

    families.of(("spec", "containers", 0, "env", 1)) == "env"
"""

from __future__ import annotations

from policies.patch import Path

_INTENTS = "kubectl-ml.io/"
# Of annotations and labels, whose they are.
_OWNERS = {
    "dapr.io/": "dapr",
    "autoscaling.knative.dev/": "knative",
    "networking.knative.dev/": "knative",
    "serving.knative.dev/": "knative",
    "kueue.x-k8s.io/": "queue",
    "scheduling.volcano.sh/": "queue",
    "kai.scheduler/": "queue",
    "sidecar.istio.io/": "mesh",
    "traffic.sidecar.istio.io/": "mesh",
    "proxy.istio.io/": "mesh",
    "istio.io/": "mesh",
    "prometheus.io/": "scrape",
    _INTENTS: "carried",
}
_MEMBERS = {
    "affinity": "affinity",
    "annotations": "annotations",
    "claims": "resources",
    "containerConcurrency": "knative",
    "env": "env",
    "envFrom": "envFrom",
    "imagePullSecrets": "imagePullSecrets",
    "labels": "labels",
    "nodeSelector": "nodeSelector",
    "priorityClassName": "priorityClassName",
    "resourceClaims": "resources",
    "resources": "resources",
    "runtimeClassName": "runtimeClassName",
    "schedulerName": "schedulerName",
    "schedulingGates": "queue",
    "securityContext": "securityContext",
    "serviceAccountName": "serviceAccountName",
    "terminationGracePeriodSeconds": "terminationGracePeriodSeconds",
    "timeoutSeconds": "knative",
    "tolerations": "tolerations",
    "topologySpreadConstraints": "topologySpread",
    "volumeMounts": "mounts",
    "volumes": "mounts",
}
_CONTAINERS = {"containers": "sidecars", "initContainers": "initContainers"}


def of(path: Path) -> str:
    """Tell which family wrote what is at a path; empty: it can't be told."""
    last = path[-1] if path else ""
    if isinstance(last, str) and path[-2:-1] in (("annotations",), ("labels",)):
        owner = next((family for mark, family in _OWNERS.items() if last.startswith(mark)), "")
        return owner or str(path[-2])
    for step in reversed(path):
        if step in _MEMBERS:
            return _MEMBERS[str(step)]
        if step in _CONTAINERS:
            return _CONTAINERS[str(step)]
    return ""
