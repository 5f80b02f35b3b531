"""
Serving with KServe: an InferenceService, whose runtime fetches the model and serves it.

    --model s3://models/iris --format sklearn     predictor.model, its storageUri and format
    --model imagenet-net --format onnx            a data source: a mount brings it to /mnt/models
    --image app:1 --port 80                       a container of the user's own

KServe has two ways to run it, and some wishes need one of them: `Serverless`, on Knative (scale to
zero, scaling by requests, canaries), and `RawDeployment` (scaling by cpu or memory). Where a wish
decides, the object says so; else the cluster's default holds.
"""

from __future__ import annotations

from kubectl_ml import servers
from kubectl_ml.backends import knative, predictor
from kubectl_ml.backends.backend import Backend
from kubectl_ml.errors import PluginError
from kubectl_ml.serve_extras import MODES
from kubectl_ml.serving import Model, ServeSpec, intent_annotations
from policies import intents
from policies.model import Manifest

API_VERSION = "serving.kserve.io/v1beta1"
KIND = "InferenceService"
MODE = "serving.kserve.io/deploymentMode"
AUTOSCALER = "serving.kserve.io/autoscalerClass"
VISIBILITY = "networking.kserve.io/visibility"
CONTAINER = "kserve-container"
SERVERLESS, RAW = "Serverless", "RawDeployment"
_STORAGE_URI = "STORAGE_URI"  # tells KServe what to fetch for a container of the user's own
_OLDER = {"Knative": SERVERLESS, "Standard": RAW}  # what newer versions of KServe call them
NO_AUTOSCALER = "none"  # which KServe asks of what spreads over nodes, since 0.15
_BY_RESOURCES = ("cpu", "memory")
_PERCENT = 100


def objects(spec: ServeSpec) -> list[Manifest]:
    """Write the objects; raise where something can't be had on this backend."""
    if spec.triggers:
        raise PluginError(
            "--trigger belongs to the deployment backend; KServe scales by itself",
            hint="leave --trigger out, or --backend deployment",
        )
    _check_scale(spec)
    _check_extras(spec)
    mode = _mode(spec)
    found = [_inference_service(spec, mode)]
    if spec.expose:
        found.append(knative.domain_mapping(spec, f"{spec.name}-predictor"))
    return found


def _check_scale(spec: ServeSpec) -> None:
    """Raise where KServe refuses how it is to be scaled."""
    metric, target = spec.scale.get("metric", ""), spec.scale.get("target", "1")
    if metric in _BY_RESOURCES and not (target.isdigit() and 1 <= int(target) <= _PERCENT):
        raise PluginError(
            f"--scale target={target}: KServe takes {metric} in percent of what is asked for, "
            f"from 1 to {_PERCENT}",
            hint=f"--scale …,metric={metric},target=70",
        )
    if spec.kserve.autoscaler == "keda" and not (metric in _BY_RESOURCES or _needs_knative(spec)):
        raise PluginError(
            "--autoscaler keda: KServe gives KEDA cpu or memory to scale by, and --scale names "
            "neither",
            hint="--scale min=1,max=5,metric=cpu,target=70",
        )


def _check_extras(spec: ServeSpec) -> None:
    """Raise where KServe refuses what is asked for together."""
    if spec.tag:
        raise PluginError("--tag is Knative's; KServe names no revisions", hint="leave --tag out")
    scheme = spec.model.scheme if spec.model else ""
    if spec.kserve.storage_key and (scheme != "s3" or not spec.format):
        raise PluginError(
            "--storage-key is for a --model in a bucket (s3://) with a --format",
            hint="leave --storage-key out",
        )
    if spec.kserve.nodes == 1:
        return
    if scheme != "pvc" or not spec.format:
        raise PluginError(
            f"--nodes {spec.kserve.nodes}: KServe spreads only a model with a --format, from a "
            "claim that many nodes can mount",
            hint="--model pvc://CLAIM/path",
        )
    if spec.scale.get("min", "1") != spec.scale.get("max", "1"):
        raise PluginError(
            f"--nodes {spec.kserve.nodes}: KServe doesn't scale what spreads over nodes",
            hint="leave --scale out",
        )
    if spec.kserve.autoscaler not in ("", NO_AUTOSCALER):
        raise PluginError(
            f"--autoscaler {spec.kserve.autoscaler}: KServe doesn't scale what spreads over nodes",
            hint="leave --autoscaler out",
        )


def _mode(spec: ServeSpec) -> str:
    """Say which way of KServe's the spec needs; empty: either does."""
    needed, asked = _needed_mode(spec), spec.kserve.mode
    if asked and needed and asked != needed:
        flags = {mode: flag for flag, mode in MODES.items()}
        wish = _needs_knative(spec) or _needs_deployments(spec)
        raise PluginError(
            f"--mode {flags[asked]}: {wish} needs --mode {flags[needed]}", hint="leave --mode out"
        )
    return asked or needed


def _needed_mode(spec: ServeSpec) -> str:
    reason = _needs_knative(spec)
    plain = _needs_deployments(spec)
    if reason and plain:
        raise _contradiction(spec, reason)
    if reason and spec.around.knative is False:
        raise PluginError(
            f"{reason} needs KServe on Knative, which isn't installed in this cluster",
            hint="ask the cluster's admins for Knative, or leave that out",
        )
    if reason:
        return SERVERLESS
    return RAW if plain else ""


def _contradiction(spec: ServeSpec, reason: str) -> PluginError:
    """Say why what needs Knative doesn't go with what needs plain Deployments."""
    if spec.kserve.nodes > 1:
        return PluginError(
            f"{reason} needs KServe on Knative, which doesn't spread a replica over nodes",
            hint=f"leave {reason.partition(' ')[0]} or --nodes out",
        )
    if spec.scale.get("metric") in _BY_RESOURCES:
        return PluginError(
            f"{reason} needs KServe on Knative, which doesn't scale by {spec.scale['metric']}",
            hint="scale by concurrency or rps: --scale …,metric=concurrency",
        )
    return PluginError(
        f"{reason} needs KServe on Knative, which scales by itself; --autoscaler "
        f"{spec.kserve.autoscaler} is for plain Deployments",
        hint="leave --autoscaler out",
    )


def check_there(made: Manifest, there: Manifest, flags: str) -> None:
    """Raise where an InferenceService that runs would have to run in another way."""
    wanted = (made["metadata"].get("annotations") or {}).get(MODE)
    now = (there.get("status") or {}).get("deploymentMode")
    if wanted and now and wanted != _OLDER.get(now, now):
        name = made["metadata"]["name"]
        raise PluginError(
            f'"{name}" runs as {now}, which KServe doesn\'t change, and what is asked for needs '
            f"{wanted}",
            hint=f"first: kubectl ml delete {name}{flags}",
        )


def _needs_deployments(spec: ServeSpec) -> str:
    """Name the first wish that only plain Deployments fulfil."""
    metric = spec.scale.get("metric")
    wishes = {
        f"--nodes {spec.kserve.nodes}": spec.kserve.nodes > 1,
        f"--scale metric={metric}": metric in _BY_RESOURCES,
        f"--autoscaler {spec.kserve.autoscaler}": bool(spec.kserve.autoscaler),
    }
    return next((wish for wish, wanted in wishes.items() if wanted), "")


def _needs_knative(spec: ServeSpec) -> str:
    """Name the first wish that only Knative fulfils."""
    scale = spec.scale
    wishes = {
        "--canary": bool(spec.canary),
        "--expose": bool(spec.expose),
        "--scale min=0": scale.get("min") == "0",
        f"--scale metric={scale.get('metric')}": scale.get("metric") in ("concurrency", "rps"),
        # A target alone counts requests in the words of the intent.
        "--scale target without a metric": "target" in scale and "metric" not in scale,
        "--scale with window, initial or retention": any(
            key in scale for key in ("window", "initial", "retention")
        ),
    }
    return next((wish for wish, wanted in wishes.items() if wanted), "")


def _inference_service(spec: ServeSpec, mode: str) -> Manifest:
    own = intent_annotations(spec, mount_model=_is_mounted(spec.model))
    autoscaler = spec.kserve.autoscaler or (NO_AUTOSCALER if spec.kserve.nodes > 1 else "")
    own |= {AUTOSCALER: autoscaler} if autoscaler else {}
    metadata = predictor.metadata(spec, own | ({MODE: mode} if mode else {}))
    if not spec.expose:
        metadata["labels"] = metadata["labels"] | {VISIBILITY: "cluster-local"}
    found: Manifest = {"labels": predictor.labels(spec)}
    if spec.canary:
        found["canaryTrafficPercent"] = spec.canary
    if spec.format:
        found["model"] = _model(spec)
    else:
        found["containers"] = [_container(spec)]
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": metadata,
        "spec": {"predictor": found | _predictor_extras(spec), **_components(spec)},
    }


def _predictor_extras(spec: ServeSpec) -> Manifest:
    wanted: Manifest = {
        "containerConcurrency": spec.concurrency,
        "timeout": spec.timeout_seconds,
        "logger": dict(spec.kserve.logger),
        "batcher": dict(spec.kserve.batcher),
    }
    if spec.kserve.nodes > 1:
        devices = intents.devices(spec.accelerator)[0].count if spec.accelerator else 1
        wanted["workerSpec"] = {
            "pipelineParallelSize": spec.kserve.nodes,
            "tensorParallelSize": devices,
        }
    return {name: value for name, value in wanted.items() if value}


def _components(spec: ServeSpec) -> Manifest:
    """Give what stands beside the predictor, each one container of the user's own."""
    images = {"transformer": spec.kserve.transformer, "explainer": spec.kserve.explainer}
    return {
        name: {
            "labels": predictor.labels(spec),
            "containers": [
                {
                    "name": CONTAINER,
                    "image": image,
                    "securityContext": servers.security_context(user=0, non_root=False),
                }
            ],
        }
        for name, image in images.items()
        if image
    }


def _is_mounted(model: Model | None) -> bool:
    """Tell whether the model is a data source, which KServe doesn't know."""
    return model is not None and not model.scheme


def storage_uri(model: Model) -> str:
    """Write a model's URI as KServe does: `hf://owner/name:revision`."""
    return model.text.replace("@", ":", 1) if model.scheme == "hf" else model.text


def _model(spec: ServeSpec) -> Manifest:
    found: Manifest = {"modelFormat": {"name": spec.format}}
    if spec.server and spec.server.v2_only:
        found["protocolVersion"] = "v2"
    if spec.model and spec.kserve.storage_key:
        bucket, _, path = spec.model.text.removeprefix("s3://").partition("/")
        parameters = {"type": "s3", "bucket": bucket}
        found["storage"] = {"key": spec.kserve.storage_key, "path": path, "parameters": parameters}
    elif spec.model and spec.model.scheme:
        found["storageUri"] = storage_uri(spec.model)
    if spec.image:
        found["image"] = spec.image
    if spec.args:
        found["args"] = list(spec.args)
    if spec.env:
        found["env"] = predictor.environment(dict(spec.env))
    if wanted := _resources(spec):
        found["resources"] = wanted
    return found


def _resources(spec: ServeSpec) -> Manifest:
    """Ask as elsewhere, with a limit of processors: KServe's default is one, below the request."""
    found = predictor.resources(spec)
    if spec.cpus:
        found["limits"] = {"cpu": spec.cpus} | found.get("limits", {})
    return found


def _container(spec: ServeSpec) -> Manifest:
    found = predictor.container(spec, name=CONTAINER)
    if wanted := _resources(spec):
        found["resources"] = wanted
    if spec.model and spec.model.scheme:
        uri = {"name": _STORAGE_URI, "value": storage_uri(spec.model)}
        found["env"] = [uri, *found.get("env", [])]
    return found


BACKEND: Backend[ServeSpec] = Backend(
    name="kserve",
    api_version=API_VERSION,
    kind=KIND,
    objects=objects,
    state=predictor.state,
    cannot=predictor.refusals(objects),
)
