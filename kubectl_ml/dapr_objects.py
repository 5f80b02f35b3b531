"""
Objects of Dapr's beside what is served: subscriptions, resiliency, components and configuration.

    --dapr-subscribe pubsub/orders:/orders     a Subscription for this app alone
    --dapr-resiliency timeout=30s,retries=3    for those who call it, and for what it subscribes to
    --dapr-file statestore.yaml                Components, scoped to this app, and a Configuration
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import IO, Any, TypeVar

import click

from kubectl_ml.suggest import did_you_mean
from policies import duration, manifests
from policies.model import Manifest

Command = TypeVar("Command", bound=Callable[..., Any])

KINDS = (
    ("dapr.io/v2alpha1", "Subscription"),
    ("dapr.io/v1alpha1", "Resiliency"),
    ("dapr.io/v1alpha1", "Component"),
    ("dapr.io/v1alpha1", "Configuration"),
)
_SUBSCRIPTION = re.compile(r"([a-z0-9][-a-z0-9.]*)/([^\s:]+):(/\S*)")
_CONFIGURATION = "Configuration"
_FROM_FILES = ("Component", _CONFIGURATION)
_RESILIENCY = ("timeout", "retries", "breaker")


@dataclass(frozen=True, slots=True, kw_only=True)
class DaprParts:
    """What is asked of Dapr besides a sidecar."""

    subscriptions: tuple[tuple[str, str, str], ...] = ()  # component, topic, route
    resiliency: Mapping[str, str] = field(default_factory=dict)
    documents: tuple[Manifest, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything is."""
        return bool(self.subscriptions or self.resiliency or self.documents)

    @property
    def configuration(self) -> str:
        """Name the Configuration among the files."""
        return next(
            (each["metadata"]["name"] for each in self.documents if each["kind"] == _CONFIGURATION),
            "",
        )


def options(command: Command) -> Command:
    """Give a command the flags."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS = (
    click.option(
        "--dapr-subscribe",
        multiple=True,
        metavar="PUBSUB/TOPIC:/ROUTE",
        help="Messages of a topic go to this route of the server; can be repeated.",
    ),
    click.option(
        "--dapr-resiliency",
        default="",
        metavar="PAIRS",
        help="For calls to it and messages: timeout=30s,retries=3,breaker=5 (failures in a row).",
    ),
    click.option(
        "--dapr-file",
        "dapr_files",
        multiple=True,
        type=click.File("rb"),
        metavar="FILE",
        help="Components, which only this server sees, and a Configuration; can be repeated.",
    ),
)


def read(given: dict[str, Any]) -> DaprParts:
    """Take the flags out of `given`."""
    parts = DaprParts(
        subscriptions=tuple(read_subscription(each) for each in given.pop("dapr_subscribe")),
        resiliency=read_resiliency(given.pop("dapr_resiliency")),
        documents=tuple(_documents(given.pop("dapr_files"))),
    )
    if parts and not given["dapr"]:
        raise click.UsageError("--dapr-subscribe, --dapr-resiliency and --dapr-file need --dapr")
    _check_routes(parts.subscriptions)
    return parts


def _check_routes(subscriptions: Sequence[tuple[str, str, str]]) -> None:
    routes: dict[tuple[str, str], str] = {}
    for component, topic, route in subscriptions:
        other = routes.setdefault((component, topic), route)
        if other != route:
            raise click.UsageError(
                f"--dapr-subscribe {component}/{topic}: two routes, {other} and {route}; Dapr "
                "sends a topic's messages to one"
            )


def read_subscription(text: str) -> tuple[str, str, str]:
    """Read `--dapr-subscribe`: `pubsub/orders:/orders`."""
    found = _SUBSCRIPTION.fullmatch(text)
    if not found:
        raise click.UsageError(
            f'--dapr-subscribe "{text}": write PUBSUB/TOPIC:/ROUTE, such as pubsub/orders:/orders'
        )
    return found[1], found[2], found[3]


def read_resiliency(text: str) -> dict[str, str]:
    """Read `--dapr-resiliency`."""
    found: dict[str, str] = {}
    for item in filter(None, text.split(",")):
        key, _, value = (part.strip() for part in item.partition("="))
        if key not in _RESILIENCY:
            near = did_you_mean(key, _RESILIENCY)
            raise click.UsageError(f'--dapr-resiliency: unknown key "{key}"{near}')
        if key in found:
            raise click.UsageError(f'--dapr-resiliency: "{key}" is there twice')
        if key == "timeout" and not duration.of_go(value):
            raise click.UsageError(f'--dapr-resiliency timeout="{value}" is not a duration')
        if key != "timeout" and not (value.isascii() and value.isdigit() and len(value) < 6):
            raise click.UsageError(f'--dapr-resiliency {key}="{value}" is not a whole number')
        if key == "breaker" and not int(value):
            raise click.UsageError(
                f'--dapr-resiliency breaker="{value}" breaks at once; write the failures in a row, '
                "1 or more"
            )
        found[key] = value
    return found


def _documents(files: Sequence[IO[bytes]]) -> list[Manifest]:
    found: list[Manifest] = []
    for file in files:
        try:
            documents = [each for each in manifests.documents(file.read()) if each is not None]
        except (manifests.InvalidYAML, ValueError) as error:
            raise click.UsageError(f"--dapr-file {file.name} is no YAML: {error}") from error
        for each in documents:
            found.append(_checked(each, file.name))
            _check_beside(found[-1], found[:-1], file.name)
    return found


def _check_beside(document: Manifest, others: Sequence[Manifest], file: str) -> None:
    """Raise where a document doesn't go with those before it."""
    kind, name = document["kind"], document["metadata"]["name"]
    same = [each["metadata"]["name"] for each in others if each["kind"] == kind]
    if name in same:
        raise click.UsageError(f"--dapr-file {file}: the {kind} {name} is there twice")
    if same and kind == _CONFIGURATION:
        raise click.UsageError(
            f"--dapr-file {file}: Configuration {name} besides {same[0]}; an app uses one"
        )


def _checked(document: Any, file: str) -> Manifest:
    kind = document.get("kind") if isinstance(document, dict) else None
    metadata = document.get("metadata") if isinstance(document, dict) else None
    if kind not in _FROM_FILES or document.get("apiVersion") != "dapr.io/v1alpha1":
        raise click.UsageError(
            f"--dapr-file {file}: {kind or 'a document'} is no Component and no Configuration of "
            "dapr.io/v1alpha1; apply it by itself"
        )
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise click.UsageError(f"--dapr-file {file}: a {kind} has no metadata.name; add it")
    labels, scopes = metadata.get("labels") or {}, document.get("scopes") or []
    if not isinstance(labels, dict):
        raise click.UsageError(
            f"--dapr-file {file}: the labels of the {kind} {metadata['name']} are no mapping"
        )
    if not (isinstance(scopes, list) and all(isinstance(each, str) for each in scopes)):
        raise click.UsageError(
            f"--dapr-file {file}: the scopes of the {kind} {metadata['name']} are no list of app "
            "ids"
        )
    found: Manifest = document
    return found


# --- the objects ------------------------------------------------------------------------------


def of(parts: DaprParts, *, metadata: Manifest, app_id: str) -> list[Manifest]:
    """Write the objects; `metadata` has the name and the labels of what is served."""
    found = [
        _subscription(each, _named(metadata, name), app_id)
        for name, each in _names(metadata["name"], parts.subscriptions).items()
    ]
    if parts.resiliency:
        found.append(_resiliency(metadata, parts.resiliency, "apps", {app_id: _policy(parts)}))
        inbound = {each[0]: {"inbound": _policy(parts)} for each in parts.subscriptions}
        if inbound:
            named = _named(metadata, f"{metadata['name']}-inbound")
            more = _resiliency(named, parts.resiliency, "components", inbound)
            found.append(more | {"scopes": [app_id]})
    return found + [_scoped(each, metadata, app_id) for each in parts.documents]


def _named(metadata: Manifest, name: str) -> Manifest:
    return metadata | {"name": name}


def _names(
    app: str, subscriptions: Sequence[tuple[str, str, str]]
) -> dict[str, tuple[str, str, str]]:
    """Name subscriptions after their topics: `orders.eu` and `orders-eu` are two."""
    found: dict[str, tuple[str, str, str]] = {}
    for each in dict.fromkeys(subscriptions):
        name = _slug(app, *each[:2])
        numbers = (f"{name}-{number}" for number in count(2))
        found[name if name not in found else next(one for one in numbers if one not in found)] = (
            each
        )
    return found


def _slug(*parts: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower())[:253].strip("-")


def _subscription(one: tuple[str, str, str], metadata: Manifest, app_id: str) -> Manifest:
    component, topic, route = one
    return {
        "apiVersion": "dapr.io/v2alpha1",
        "kind": "Subscription",
        "metadata": metadata,
        "spec": {"pubsubname": component, "topic": topic, "routes": {"default": route}},
        "scopes": [app_id],
    }


def _policy(parts: DaprParts) -> dict[str, str]:
    names = {"timeout": "timeout", "retries": "retry", "breaker": "circuitBreaker"}
    return {names[key]: "served" for key in parts.resiliency}


def _resiliency(
    metadata: Manifest, wanted: Mapping[str, str], member: str, targets: Manifest
) -> Manifest:
    policies: Manifest = {}
    if "timeout" in wanted:
        policies["timeouts"] = {"served": wanted["timeout"]}
    if "retries" in wanted:
        most = int(wanted["retries"])
        retry = {"policy": "exponential", "maxInterval": "15s", "maxRetries": most}
        policies["retries"] = {"served": retry}
    if "breaker" in wanted:
        trip = f"consecutiveFailures >= {wanted['breaker']}"
        policies["circuitBreakers"] = {"served": {"maxRequests": 1, "timeout": "30s", "trip": trip}}
    return {
        "apiVersion": "dapr.io/v1alpha1",
        "kind": "Resiliency",
        "metadata": metadata,
        "spec": {"policies": policies, "targets": {member: targets}},
    }


def _scoped(document: Manifest, metadata: Manifest, app_id: str) -> Manifest:
    """Keep what is written; a Component without scopes is this app's alone."""
    own = document["metadata"]
    labels = (own.get("labels") or {}) | metadata["labels"]
    found = document | {"metadata": own | {"labels": labels}}
    if document["kind"] == "Component" and not found.get("scopes"):
        found["scopes"] = [app_id]
    return found
