"""
The container that serves, as every backend runs it.

    --format sklearn            the format's server, its model in /mnt/models, on port 8080
    --image app:1 --port 80     the user's own
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kubectl_ml import servers
from kubectl_ml.backends.backend import NAME_LABEL, Phase, State
from kubectl_ml.errors import PluginError
from kubectl_ml.serving import ServeSpec
from policies.model import Manifest

COMPONENT_LABEL = "app.kubernetes.io/component"
COMPONENT = "server"
_PERIOD_SECONDS = 10
_STARTS_WITHIN_PERIODS = 120  # 20 minutes: large models load slowly


def labels(spec: ServeSpec) -> dict[str, str]:
    """Give the labels of objects and pods: what the plugin lists by, and what sets them apart."""
    return {NAME_LABEL: spec.name, COMPONENT_LABEL: COMPONENT}


def metadata(spec: ServeSpec, annotations: dict[str, str] | None = None) -> Manifest:
    """Give the metadata of an object that is called as what is served."""
    found: Manifest = {"name": spec.name, "labels": labels(spec)}
    return found | ({"annotations": annotations} if annotations else {})


def container(spec: ServeSpec, *, name: str, port_name: str = "") -> Manifest:
    """Give the container, without probes: what asks whether it is ready differs by backend."""
    found: Manifest = {"name": name, "image": image(spec)}
    server = spec.server
    if server and server.command:
        found["command"] = list(server.command)
    fixed = [arg.format(name=spec.name) for arg in server.args] if server else []
    if fixed or spec.args:
        found["args"] = [*fixed, *spec.args]
    defaults = (
        {key: value.format(name=spec.name) for key, value in server.env.items()} if server else {}
    )
    if variables := environment(defaults | dict(spec.env)):
        found["env"] = variables
    port: Manifest = {"containerPort": spec.port, "protocol": "TCP"}
    found["ports"] = [{"name": port_name} | port if port_name else port]
    if wanted := resources(spec):
        found["resources"] = wanted
    found["securityContext"] = security_context(spec)
    return found


def image(spec: ServeSpec) -> str:
    """Name the image: the user's own, else the one for this format."""
    if spec.image or not spec.server:
        return spec.image
    return (spec.accelerator and spec.server.gpu_image) or spec.server.image


def refuse_extras(spec: ServeSpec, *, requests: bool = True, kserve: bool = True) -> None:
    """Raise where a backend can't do what only others can: `requests` says that it counts them."""
    if not requests:
        for flag, wanted in (
            ("--concurrency", spec.concurrency),
            ("--timeout", spec.timeout_seconds),
            ("--tag", spec.tag),
        ):
            if wanted:
                raise PluginError(
                    f"{flag} needs a backend that stands before each request; a Deployment doesn't",
                    hint="--backend knative",
                )
    if spec.kserve.first_flag and not kserve:
        raise PluginError(f"{spec.kserve.first_flag} is KServe's", hint="--backend kserve")


def environment(values: dict[str, str]) -> list[Manifest]:
    """Write variables as a container has them."""
    return [{"name": name, "value": value} for name, value in values.items()]


def resources(spec: ServeSpec) -> Manifest:
    """
    Ask for processors and memory, and let memory be no more than that.

    Processors have no limit: a server may use what is idle, and is throttled by nobody.
    """
    requests = {key: value for key, value in (("cpu", spec.cpus), ("memory", spec.memory)) if value}
    found: Manifest = {"requests": requests} if requests else {}
    if spec.memory:
        found["limits"] = {"memory": spec.memory}
    return found


def security_context(spec: ServeSpec) -> Manifest:
    """Give the least rights that the image lives with: `servers.security_context` says why."""
    server = None if spec.image else spec.server
    user = spec.run_as_user or (server.user if server else 0)
    return servers.security_context(user=user, non_root=server is not None)


def probes(spec: ServeSpec) -> dict[str, Any]:
    """
    Say when it is ready: its own answer where the server has one, else that its port is open.

    Nothing restarts a server that is slow; one that ends is restarted without a probe.
    """
    path = spec.server.ready_path.format(name=spec.name) if spec.server else ""
    asked: Manifest = (
        {"httpGet": {"path": path, "port": spec.port}}
        if path
        else {"tcpSocket": {"port": spec.port}}
    )
    return {
        "startupProbe": asked
        | {"periodSeconds": _PERIOD_SECONDS, "failureThreshold": _STARTS_WITHIN_PERIODS},
        "readinessProbe": asked | {"periodSeconds": _PERIOD_SECONDS, "timeoutSeconds": 5},
    }


def refusals(
    objects: Callable[[ServeSpec], Sequence[Manifest]],
) -> Callable[[ServeSpec], tuple[str, ...]]:
    """Give what says why a backend can't serve a spec: the sentence with which it raises."""

    def cannot(spec: ServeSpec) -> tuple[str, ...]:
        try:
            objects(spec)
        except PluginError as error:
            return error.sentences
        return ()

    return cannot


def state(found: Manifest) -> State:
    """Read an object that says by its condition Ready whether it serves: Knative's and KServe's."""
    if found["metadata"].get("deletionTimestamp"):
        return State(phase=Phase.DELETING)
    status = found.get("status") or {}
    seen = status.get("observedGeneration", 0) >= found["metadata"].get("generation", 0)
    ready: Mapping[str, str] = next(
        (each for each in status.get("conditions") or () if each.get("type") == "Ready"), {}
    )
    if ready.get("status") == "True" and seen:
        return State(phase=Phase.READY)
    return State(
        phase=Phase.NOT_READY if ready.get("status") == "False" and seen else Phase.PENDING,
        reason=str(ready.get("reason") or ""),
        message=str(ready.get("message") or ""),
    )
