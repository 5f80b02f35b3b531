"""
Intents: the `kubectl-ml.io/*` annotations that say what a workload needs, never how.

    kubectl-ml.io/accelerator: a100:2, rdma:2
    kubectl-ml.io/mounts: imagenet:/data:ro, scratch://100Gi:/tmp/work

`read` takes them out of annotations; a value that can't be read becomes a fault, in a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from policies import peers, quantity
from policies.duration import seconds as seconds
from policies.errors import UnusableIntent
from policies.model import DOMAIN

PREFIX = f"{DOMAIN}/"
INJECTED = f"{PREFIX}injected"
CREATOR = f"{PREFIX}creator"
NOT_INTENTS = frozenset({"creator", "injected", "name"})  # ours under the same prefix
USED_UP = frozenset({"roles", "scale", "queue"})  # read at the workload, never carried
COMPUTE_ONLY = frozenset({"accelerator", "shm", "mounts"})  # only to the roles that compute
MAX_VALUE_BYTES = 4096
MAX_CACHED = 1024  # characters; what is longer is read anew, so that no client fills the memory
MAX_COUNT = 999
MAX_SHOWN = 80  # characters of a value that a sentence repeats

# The schemes of URIs in `mounts`, and the type of source that each is.
SCHEMES = {
    "pvc": "pvc", "s3": "s3", "gs": "gcs", "hf": "hf", "oci": "oci", "scratch": "scratch",
    "memory": "memory", "configmap": "configMap", "secret": "secret",
}  # fmt: skip

_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", re.ASCII)
_SCHEME = re.compile(r"^([a-z][a-z0-9+]*)://(.*)$", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """So many devices of one class, for each receiving container."""

    device_class: str
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """
    One mount as it was written.

    `scheme` is empty for the name of a data source; then `source` is that name, with `sub` and
    `revision` beside it. With a scheme, `source` is all that follows `scheme://`.
    """

    source: str
    path: str
    mode: str = ""  # ro, rw; empty: what the source is
    scheme: str = ""
    sub: str = ""
    revision: str = ""

    @property
    def written(self) -> str:
        """The source as the user wrote it."""
        if self.scheme:
            return f"{self.scheme}://{self.source}"
        return (
            self.source
            + (f"/{self.sub}" if self.sub else "")
            + (f"@{self.revision}" if self.revision else "")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An intent that can't be used: its key without the prefix, and a sentence."""

    key: str
    message: str

    @property
    def unknown(self) -> bool:
        """Tell whether there is no such intent."""
        return self.key not in KEYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Intents:
    """What was asked for. `keys` are those that were written and could be read."""

    keys: frozenset[str] = frozenset()
    accelerator: tuple[Device, ...] = ()
    containers: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    shm: str = ""
    mounts: tuple[Mount, ...] = ()
    sidecars: tuple[str, ...] = ()
    dapr: Mapping[str, str] | None = None
    scale: Mapping[str, str] = field(default_factory=dict)
    queue: str = ""
    experiment: str = ""
    mesh: str = ""
    profile: tuple[str, ...] = ()
    inject: bool = True
    faults: tuple[Fault, ...] = ()


NONE = Intents()


def read(annotations: Any) -> Intents:
    """Read the intents among `annotations` (any JSON); what can't be read is in `faults`."""
    found = written(annotations)
    if not found:
        return NONE
    if any(value.__class__ is not str for value in found.values()):
        return _read(found)
    if sum(map(len, found)) + sum(map(len, found.values())) > MAX_CACHED:
        return _read(found)
    return _read_texts(tuple(found.items()))


@lru_cache(maxsize=4096)
def _read_texts(found: tuple[tuple[str, str], ...]) -> Intents:
    return _read(dict(found))


def _read(found: Mapping[str, Any]) -> Intents:
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for key, value in found.items():
        try:
            values[key] = _parse(key, value)
        except UnusableIntent as error:
            faults.append(Fault(key=key, message=str(error)))
    return Intents(keys=frozenset(values), faults=tuple(faults), **values)


def written(annotations: Any) -> dict[str, Any]:
    """Pick the intents out of `annotations` as they stand, by key without the prefix."""
    if not isinstance(annotations, dict):
        return {}
    return {
        name[len(PREFIX) :]: value
        for name, value in annotations.items()
        if name.startswith(PREFIX) and name[len(PREFIX) :] not in NOT_INTENTS
    }


def nearest(word: str, known: Any) -> str:
    """Write `; did you mean "…"?` for the known word nearest to `word`, or nothing."""
    import difflib  # here, because only mistakes need it

    folded = {one.lower(): one for one in sorted(known)}
    close = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return f'; did you mean "{folded[close[0]]}"?' if close else ""


def is_name(text: str) -> bool:
    """Tell whether `text` is RFC 1123 labels, dots allowed."""
    return len(text) <= 253 and bool(_NAME.match(text))


def devices(value: str) -> tuple[Device, ...]:
    """Read `class[:count]`, a list."""
    found: dict[str, Device] = {}
    for item in _items(value):
        name, colon, count = item.partition(":")
        name, count = name.strip(), count.strip()
        if not is_name(name):
            raise UnusableIntent(f'"{name}" is not the name of a device class; write "a100:2"')
        if colon and not (count.isascii() and count.isdigit() and 1 <= int(count[:4]) <= MAX_COUNT):
            raise UnusableIntent(f'the count "{count}" is not a whole number from 1 to {MAX_COUNT}')
        if name in found:
            raise UnusableIntent(f'class "{name}" is named twice; name it once, with the sum')
        found[name] = Device(device_class=name, count=int(count) if colon else 1)
    return tuple(found.values())


def mounts(value: str) -> tuple[Mount, ...]:
    """Read `source:path[:ro|rw]`, a list."""
    found: dict[str, Mount] = {}
    for item in _items(value):
        mount = _mount(item)
        if mount.path in found:
            raise UnusableIntent(
                f'path "{mount.path}" is mounted twice, from "{found[mount.path].written}" and '
                f'"{mount.written}"; give each a path of its own'
            )
        found[mount.path] = mount
    return tuple(found.values())


def pairs(value: str, known: tuple[str, ...]) -> dict[str, str]:
    """Read `key=value,…` with known keys, each once; tells all that is wrong with it."""
    found: dict[str, str] = {}
    faults: list[str] = []
    for item in value.split(","):
        key, equals, rest = item.partition("=")
        key, rest = key.strip(), rest.strip()
        if not equals or not rest:
            faults.append(f'"{item.strip()}" is not key=value; write "{known[0]}=…"')
        elif key not in known:
            hint = nearest(key, known) or "; known are " + ", ".join(known)
            faults.append(f'unknown key "{key}"{hint}')
        elif key in found:
            faults.append(f'key "{key}" is given twice')
        else:
            found[key] = rest
    _refuse(faults)
    return found


def _items(value: str) -> list[str]:
    if not value.strip():
        raise UnusableIntent("it is empty; name something, or take the annotation out")
    items = [item.strip() for item in re.split(r"[,\n]", value.strip())]
    if "" in items:
        raise UnusableIntent("an item of the list is empty; take the extra comma out")
    return items


def _mount(item: str) -> Mount:
    text, mode = item, ""
    for suffix in ("ro", "rw"):
        if item.endswith(":" + suffix):
            text, mode = item[: -len(suffix) - 1], suffix
    at = text.rfind(":/")
    if at == 0:
        raise UnusableIntent(f'"{item}" names no source; write "NAME{item}"')
    if at < 0 or text[at : at + 3] == "://":  # the colon of a scheme: there is no path
        raise UnusableIntent(f'"{item}" has no path; write "{text.rstrip(":")}:/path"')
    source, path = text[:at].strip(), _path(text[at + 1 :].strip(), item)
    found = _SCHEME.match(source)
    if found:
        rest = found.group(2).replace("%2C", ",").replace("%2c", ",")
        if not rest or (rest.startswith("/") and found.group(1) in SCHEMES):
            raise UnusableIntent(f'"{item}" names nothing after "{found.group(1)}://"')
        return Mount(scheme=found.group(1), source=rest, path=path, mode=mode)
    return _named_mount(source, item, path=path, mode=mode)


def _named_mount(source: str, item: str, *, path: str, mode: str) -> Mount:
    source, at, revision = source.partition("@")
    name, _, sub = source.partition("/")
    if not is_name(name) or (at and not revision):
        raise UnusableIntent(f'"{item}" does not begin with a data source; write "NAME:{path}"')
    if ".." in sub.split("/"):
        raise UnusableIntent(f'"{item}" leaves its source with ".."; name a path inside it')
    return Mount(source=name, sub=sub.strip("/"), revision=revision, path=path, mode=mode)


def _path(path: str, item: str) -> str:
    if ":" in path:
        raise UnusableIntent(f'the path of "{item}" holds a ":"; the mode after it is ro or rw')
    path = re.sub(r"/{2,}", "/", path)
    path = path.rstrip("/")
    if not path:
        raise UnusableIntent(f'"{item}" would mount over "/"; name a path below it')
    if ".." in path.split("/"):
        raise UnusableIntent(f'the path of "{item}" has a ".."; write it out')
    return path


def _names(value: str) -> tuple[str, ...]:
    items = _items(value)
    for item in items:
        if not is_name(item):
            raise UnusableIntent(f'"{item}" is not a name (lower case letters, digits, "-", ".")')
    return tuple(dict.fromkeys(items))


def _role_names(value: str) -> tuple[str, ...]:
    return tuple(name.lower() for name in _names(value.lower()))


def _shm(value: str) -> str:
    value = value.strip()
    try:
        if quantity.parse(value) > 0:
            return value
    except ValueError:
        pass
    raise UnusableIntent(f'"{value}" is not a quantity of memory; write "16Gi"')


def _dapr(value: str) -> dict[str, str]:
    if value.strip() == "true":
        return {}
    if "=" not in value:
        raise UnusableIntent(
            f'"{value.strip()}" is neither "true" nor pairs; write "app-id=NAME,app-port=8080"'
        )
    found = pairs(value, ("app-id", "app-port", "app-protocol", "config"))
    _refuse(peers.dapr_faults(found))
    return found


def _scale(value: str) -> dict[str, str]:
    found = pairs(value, ("min", "max", "target", "metric", "window", "initial", "retention"))
    _refuse(peers.scale_faults(found))
    return found


def _refuse(faults: Iterable[str]) -> None:
    sentences = list(faults)
    if sentences:
        raise UnusableIntent("; ".join(sentences))


def _queue(value: str) -> str:
    value = value.strip()
    if len(value) > 63 or not is_name(value):
        raise UnusableIntent(f'"{value}" is not the name of a queue')
    return value


def _experiment(value: str) -> str:
    value = value.strip()
    if not value:
        raise UnusableIntent("the experiment has no name")
    return value


def _flag(value: str) -> str:
    value = value.strip()
    if value not in ("true", "false"):
        raise UnusableIntent(f'"{value}" is neither "true" nor "false"')
    return value


def _inject(value: str) -> bool:
    return _flag(value) == "true"


def _json(value: Any) -> str:
    import json  # here, because only mistakes need it

    return _shorten(json.dumps(value, ensure_ascii=False, default=str))


def _shorten(value: str) -> str:
    line = " ".join(value.split())
    return line if len(line) <= MAX_SHOWN else line[: MAX_SHOWN - 1] + "…"


_PARSERS: dict[str, Callable[[str], Any]] = {
    "accelerator": devices,
    "containers": _names,
    "roles": _role_names,
    "shm": _shm,
    "mounts": mounts,
    "sidecars": _names,
    "dapr": _dapr,
    "scale": _scale,
    "queue": _queue,
    "experiment": _experiment,
    "mesh": _flag,
    "profile": _names,
    "inject": _inject,
}
KEYS = tuple(_PARSERS)


def _parse(key: str, value: Any) -> Any:
    if key not in _PARSERS:
        raise UnusableIntent(f'unknown intent "{key}"{nearest(key, KEYS)}')
    if not isinstance(value, str):
        raise UnusableIntent(
            f"{PREFIX}{key} is {_json(value)}, which is not a string; put it in quotes"
        )
    return _parse_short(key, value) if len(value) <= MAX_CACHED else _parse_text(key, value)


def _parse_text(key: str, value: str) -> Any:
    if len(value.encode("utf-8", "surrogatepass")) > MAX_VALUE_BYTES:
        raise UnusableIntent(f"{PREFIX}{key} is longer than 4 KiB; name fewer things")
    try:
        return _PARSERS[key](value)
    except UnusableIntent as error:
        raise UnusableIntent(f'{PREFIX}{key} "{_shorten(value)}": {error}') from error


_parse_short = lru_cache(maxsize=4096)(_parse_text)
