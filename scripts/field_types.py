"""
Write the fields of Kubernetes' own kinds: `python scripts/field_types.py > FILE`.

They come from the models of the `kubernetes` client, which are made from the API's own
description. `kubectl_ml/celtypes/schema.py` reads them and says how types are written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from kubernetes import client

from policies import asked
from policies.workloads import catalogue

_SCALARS = {"str": "string", "int": "int", "bool": "bool", "float": "double"}
_VERSION = re.compile(r"V\d+((alpha|beta)\d+)?")
_LIST = re.compile(r"[Ll]ist\[(.*)\]")
_MAP = re.compile(r"[Dd]ict[(\[]str, ?(.*)[)\]]")
UNKNOWN = "dyn"  # of any type, or of several, such as a port's number or name


def text() -> str:
    """Write them, a type a line."""
    kinds = {kind: model for kind in _kinds() if (model := _model(kind))}
    types: dict[str, Mapping[str, str]] = {}
    for model in (*kinds.values(), "V1ObjectMeta"):
        _collect(model, types)
    lines = (f"{_text(name)}: {_text(types[name])}" for name in sorted(types))
    named = {kind: _title(model) for kind, model in sorted(kinds.items())}
    return '{"kinds": ' + _text(named) + ',\n"types": {\n' + ",\n".join(lines) + "\n}}\n"


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _kinds() -> Iterator[str]:
    """List the kinds of Kubernetes itself that policies name."""
    for kind in dict.fromkeys(
        (
            "Pod",
            "Node",
            *asked.WITHOUT_PODS,
            *(one.name for one in catalogue.builtin().kinds.values()),
        )
    ):
        _, _, group = kind.partition(".")
        if "." not in group or group.endswith(".k8s.io"):
            yield kind


def _model(kind: str) -> str:
    """Find the only model of a kind; nothing where there is none, or one for each version."""
    name = kind.partition(".")[0]
    found = [model for model in (f"V1{name}", f"V2{name}") if hasattr(client, model)]
    return found[0] if len(found) == 1 else ""


def _collect(model: str, types: dict[str, Mapping[str, str]]) -> None:
    title = _title(model)
    if title in types:
        return
    described = getattr(client, model)
    types[title] = {
        described.attribute_map[name]: _type(written)
        for name, written in described.openapi_types.items()
    }
    for written in described.openapi_types.values():
        for inner in re.findall(r"\w+", written):
            if hasattr(getattr(client, inner, None), "openapi_types"):
                _collect(inner, types)


def _type(written: str) -> str:
    listed, mapped = _LIST.fullmatch(written), _MAP.fullmatch(written)
    if listed or mapped:
        found = listed or mapped
        return ("[" if listed else "{") + _type(found[1]) if found else UNKNOWN
    if written in _SCALARS:
        return _SCALARS[written]
    return _title(written) if hasattr(client, written) else UNKNOWN


def _title(model: str) -> str:
    """Name a type without its version."""
    return _VERSION.sub("", model, count=1)


if __name__ == "__main__":
    print(text(), end="")
