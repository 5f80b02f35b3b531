"""
What `serve` is asked for: flags become a frozen `ServeSpec`, or a sentence that says what is wrong.

    --model s3://models/iris --format sklearn --scale min=0,max=5,target=10
    --image registry.example.com/app:1 --port 8080 --accelerator a100:1

Intents keep the grammar that annotations have: `policies.intents` reads them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import click

from kubectl_ml import servers, wishes
from kubectl_ml.dapr_objects import DaprParts
from kubectl_ml.serve_extras import KServeExtras
from kubectl_ml.suggest import did_you_mean
from policies import intents, manifests
from policies.errors import UnusableIntent
from policies.intents import PREFIX
from policies.model import Manifest

MODEL_SCHEMES = ("s3", "gs", "hf", "oci", "pvc", "https")
_NO_MODEL = {
    "scratch": "an empty volume",
    "memory": "an empty volume",
    "configmap": "a ConfigMap",
    "secret": "a Secret",
}
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)  # a Service's: RFC 1035
_HOST = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Where a model lies: a URI, or the name of a data source (then `scheme` is empty)."""

    text: str
    scheme: str = ""

    @property
    def mount(self) -> str:
        """Give the item of the `mounts` intent that brings the model to its server."""
        return f"{self.text.replace(',', '%2C')}:{servers.MODELS}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What was found in the cluster before; None: nobody has looked."""

    keda: bool | None = None
    knative: bool | None = None
    stable_revision: str = ""  # gets what a canary on Knative leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSpec:
    """What is to be served, and how, whatever the backend."""

    name: str
    model: Model | None = None
    format: str = ""
    image: str = ""
    port: int = servers.PORT
    run_as_user: int = 0
    accelerator: str = ""
    cpus: str = ""
    memory: str = ""
    shm: str = ""
    scale: Mapping[str, str] = field(default_factory=dict)
    triggers: tuple[Manifest, ...] = ()  # of KEDA
    canary: int = 0  # percent for the new revision; 0: all of it
    expose: str = ""
    dapr: str = ""
    env: tuple[tuple[str, str], ...] = ()
    mounts: tuple[str, ...] = ()
    sidecars: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    concurrency: int = 0  # of each replica; 0: no bound
    timeout_seconds: int = 0  # 0: the backend's default
    tag: str = ""
    kserve: KServeExtras = field(default_factory=KServeExtras)
    dapr_parts: DaprParts = field(default_factory=DaprParts)
    around: Surroundings = Surroundings()

    @property
    def app_id(self) -> str:
        """Give the id under which Dapr knows it."""
        wanted = wishes.read_intents(wishes.annotations_of({"dapr": self.dapr})).dapr or {}
        return wanted.get("app-id", self.name)

    @property
    def server(self) -> servers.Server | None:
        """Give the program that serves this format; None where the image is the user's own."""
        return servers.FORMATS[self.format] if self.format else None


def spec(*, name: str, model: str, format_: str, port: int | None, **rest: Any) -> ServeSpec:
    """Make a spec of parsed flags, and raise where they don't belong together."""
    found = ServeSpec(
        name=checked_name(name),
        model=read_model(model) if model else None,
        format=read_format(format_) if format_ else "",
        port=port or servers.PORT,
        **rest,
    )
    _check_source(found, port)
    if found.run_as_user and not found.image:
        raise click.UsageError(
            "--run-as-user is for --image: the servers of formats have a user of their own"
        )
    _check_intents(found)
    return found


def _check_source(found: ServeSpec, port: int | None) -> None:
    """Raise unless the spec says what runs, and where it listens."""
    if not found.model and not found.image:
        raise click.UsageError(
            "nothing to serve: give --model URI --format FORMAT, or --image IMAGE --port PORT"
        )
    if found.format and not found.model:
        raise click.UsageError("--format says what --model is; give --model, or leave --format out")
    if found.model and not found.format and not found.image:
        raise click.UsageError(
            f"--model needs --format, which says what serves it: {', '.join(servers.FORMATS)}; "
            "a server of your own comes with --image and --port"
        )
    if found.format and port:
        raise click.UsageError(
            f"--port doesn't go with --format: the server of {found.format} models listens on "
            f"{servers.PORT}; leave one of them out"
        )
    if not found.format and not port:
        raise click.UsageError("--image needs --port: on which port does it listen?")


def _check_intents(found: ServeSpec) -> None:
    read = wishes.read_intents(intent_annotations(found, mount_model=False))
    if found.model and servers.MODELS in [mount.path for mount in read.mounts]:
        raise click.UsageError(
            f"--mount: {servers.MODELS} is where --model goes; give the mount a path of its own"
        )


def intent_annotations(found: ServeSpec, *, mount_model: bool) -> dict[str, str]:
    """
    Write the intents of a spec as annotations.

    mount_model: bring the model by a mount; a backend that fetches models itself leaves it out.
    """
    mounts = found.mounts
    if mount_model and found.model:
        mounts = (found.model.mount, *mounts)
    wanted = {
        "accelerator": found.accelerator,
        "dapr": _dapr(found),
        "mounts": ",".join(mounts),
        "scale": ",".join(f"{key}={value}" for key, value in found.scale.items()),
        "shm": found.shm,
        "sidecars": ",".join(found.sidecars),
    }
    return wishes.annotations_of(wanted)


def _dapr(found: ServeSpec) -> str:
    """Write the intent: with the Configuration that comes along, and a port for messages."""
    given = wishes.read_intents(wishes.annotations_of({"dapr": found.dapr})).dapr
    if given is None or not found.dapr_parts:
        return found.dapr
    name, pairs = found.dapr_parts.configuration, dict(given)
    if name and given.get("config", name) != name:
        raise click.UsageError(
            f"--dapr names the Configuration {given['config']}, and --dapr-file has {name}; leave "
            "one of them out"
        )
    if name:
        pairs["config"] = name
    if found.dapr_parts.subscriptions:  # Dapr has nowhere to send them to, otherwise
        pairs.setdefault("app-port", str(found.port))
    return ",".join(f"{key}={value}" for key, value in pairs.items()) or "true"


def checked_name(name: str) -> str:
    """Check the name of what is served: a Service's, whatever the backend."""
    if not _NAME.fullmatch(name):
        raise click.UsageError(
            f'"{name}" can\'t be a name: up to 63 lower case letters, digits and "-", '
            "beginning with a letter"
        )
    return name


def read_model(text: str) -> Model:
    """Read `--model`: `s3://bucket/path`, `hf://owner/name@revision`, `imagenet/v3`, …."""
    uri = _SCHEME.fullmatch(text)
    if uri is None:
        return _named_model(text)
    scheme, rest = uri[1], uri[2]
    if scheme in _NO_MODEL:
        raise click.UsageError(f'--model "{text}": {_NO_MODEL[scheme]} holds no model')
    if scheme == "file":
        raise _on_this_machine(text)
    if scheme not in MODEL_SCHEMES:
        near = did_you_mean(scheme, [f"{each}" for each in MODEL_SCHEMES])
        raise click.UsageError(f'--model "{text}": unknown scheme "{scheme}"{near}')
    if not rest.strip("/") or rest.startswith("/"):
        raise click.UsageError(f'--model "{text}" names nothing after "{scheme}://"')
    if scheme == "hf" and not re.fullmatch(r"[^/@:\s]+/[^/@:\s]+([@:][^/@:\s]+)?", rest):
        raise click.UsageError(
            f'--model "{text}": write hf://OWNER/NAME or hf://OWNER/NAME@REVISION'
        )
    if re.search(r"\s", rest):
        raise click.UsageError(f'--model "{text}" has a blank in it; write %20')
    return Model(text=text, scheme=scheme)


def _named_model(text: str) -> Model:
    if text.startswith(("/", "./", "../", "~")):
        raise _on_this_machine(text)
    try:
        intents.mounts(f"{text}:{servers.MODELS}")
    except UnusableIntent as error:
        raise click.UsageError(
            f'--model "{text}" is neither a URI ({", ".join(MODEL_SCHEMES)}) nor NAME[/sub] of a '
            "data source"
        ) from error
    return Model(text=text)


def _on_this_machine(text: str) -> click.UsageError:
    return click.UsageError(
        f'--model "{text}" is a path on this machine, which the cluster doesn\'t see; put the '
        "model on a volume (pvc://CLAIM/path) or into a bucket (s3://BUCKET/path)"
    )


def read_format(text: str) -> str:
    """Read `--format`; `SKLearn` is `sklearn`."""
    if text.lower() not in servers.FORMATS:
        raise click.UsageError(
            f'--format "{text}": unknown format{did_you_mean(text, servers.FORMATS)}'
        )
    return text.lower()


def read_scale(text: str) -> Mapping[str, str]:
    """Read `--scale`, in the grammar of the `scale` intent."""
    if not text:
        return {}
    return wishes.read_intents({f"{PREFIX}scale": text}).scale


def read_host(text: str) -> str:
    """Read `--expose`: the name of a host, without a scheme or a path."""
    if text and (not _HOST.fullmatch(text) or len(text) > 253):
        raise click.UsageError(
            f'--expose "{text}" is not the name of a host; write iris.example.com'
        )
    return text


def read_trigger(text: str) -> Manifest:
    """Read `--trigger`: a trigger of KEDA, as YAML in braces."""
    example = "{type: prometheus, metadata: {serverAddress: …, query: …, threshold: '10'}}"
    try:
        [found] = manifests.documents(text.encode())
    except (manifests.InvalidYAML, ValueError) as error:
        raise click.UsageError(
            f"--trigger is no YAML (quote what has brackets or commas); write {example}"
        ) from error
    kind = found.get("type") if isinstance(found, dict) else None
    if not isinstance(kind, str) or not isinstance(found.get("metadata"), dict):
        raise click.UsageError(f"--trigger has no type and metadata; write {example}")
    metadata = {key: _text(value) for key, value in found["metadata"].items()}
    trigger: Manifest = found | {"metadata": metadata}
    return trigger


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else str(value)
