"""
The names of pod fields that a kind's webhook can be said to take or refuse in a template.

    read("volumes.hostPath")   ->   taken
    read("volume")             ->   a sentence: did you mean "volumes"?

A name that no pod has would refuse nothing, and what was meant would still be written.
Source: PodSpec and Container of k8s.io/api core/v1.
"""

from __future__ import annotations

from policies.errors import UnusableIntent
from policies.intents import nearest

_VARIABLE = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_VOLUME = (
    "awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "configMap", "csi",
    "downwardAPI", "emptyDir", "ephemeral", "fc", "flexVolume", "flocker", "gcePersistentDisk",
    "gitRepo", "glusterfs", "hostPath", "image", "iscsi", "nfs", "persistentVolumeClaim",
    "photonPersistentDisk", "portworxVolume", "projected", "quobyte", "rbd", "scaleIO", "secret",
    "storageos", "vsphereVolume",
)  # fmt: skip
_CONTAINER = (
    "args", "command", "env", "envFrom", "image", "imagePullPolicy", "lifecycle", "livenessProbe",
    "ports", "readinessProbe", "resizePolicy", "resources", "restartPolicy", "restartPolicyRules",
    "securityContext", "startupProbe", "stdin", "stdinOnce", "terminationMessagePath",
    "terminationMessagePolicy", "tty", "volumeDevices", "volumeMounts", "workingDir",
)  # fmt: skip
_POD = (
    "activeDeadlineSeconds", "affinity", "automountServiceAccountToken", "containers", "dnsConfig",
    "dnsPolicy", "enableServiceLinks", "ephemeralContainers", "hostAliases", "hostIPC",
    "hostNetwork", "hostPID", "hostUsers", "hostname", "hostnameOverride", "imagePullSecrets",
    "initContainers", "nodeName", "nodeSelector", "os", "overhead", "preemptionPolicy", "priority",
    "priorityClassName", "readinessGates", "resourceClaims", "runtimeClassName", "schedulerName",
    "schedulingGates", "serviceAccount", "serviceAccountName", "setHostnameAsFQDN",
    "shareProcessNamespace", "subdomain", "terminationGracePeriodSeconds", "tolerations",
    "topologySpreadConstraints", "volumes",
)  # fmt: skip
TOP = ("annotations", "labels", *_POD, *_CONTAINER)
_BELOW = {
    "volumes": _VOLUME,
    "containers": _CONTAINER,
    "initContainers": _CONTAINER,
    "env.valueFrom": _VARIABLE,
}


def read_whole(text: str) -> None:
    """Take a field of pods, of their containers or their metadata; raises UnusableIntent."""
    _known(text, text, TOP)


def read(text: str) -> None:
    """Take a field, or a part of one such as `volumes.hostPath`; raises UnusableIntent."""
    parent, dot, last = text.rpartition(".")
    if parent in _BELOW:
        _known(text, last, _BELOW[parent])
    elif dot:
        parts = ", ".join(sorted(_BELOW))
        raise UnusableIntent(
            f'"{text}" is no part of a pod that is told apart; parts are of {parts}'
        )
    else:
        read_whole(text)


def _known(text: str, last: str, known: tuple[str, ...]) -> None:
    if last not in known:
        hint = nearest(last, known) or "; write one of a pod's spec, containers or metadata"
        raise UnusableIntent(f'there is no pod field "{text}"{hint}')
