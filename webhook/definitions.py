"""
Render the CustomResourceDefinitions of our objects from the JSON Schemas that judge them.

`python -m webhook.definitions` writes what `manifests/crds/` holds. A definition's schema is
structural, as the API server wants it, so a schema is taken apart on the way: references are put
in, unions become int-or-string (which takes no `1.5`) or are left open, patterns lose what RE2
can't say, and "one of" is said in CEL. What a definition can't say is said by our `/validate`.
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click
import yaml

from policies import faults
from policies.model import API_VERSION, DOMAIN, Manifest

_HEADER = "# Made by `make generate` from policies/schemas/; edit those, not this.\n"
_VERSION = API_VERSION.partition("/")[2]
# What a definition understands as it is.
_KEPT = (
    "default", "description", "enum", "format", "maxItems", "maxLength", "maxProperties", "maximum",
    "minItems", "minLength", "minProperties", "minimum", "required", "x-kubernetes-validations",
)  # fmt: skip
_LOOKAHEAD_END = r"(?![\s\S])"
_LOOKAHEAD_LENGTH = "(?![^/]{254})"
_WHOLE: Manifest = {"type": "integer", "format": "int64"}
_SPEC_SEEN = "The generation of the spec that this is about"
_CONDITIONS = {
    "description": "What is known of it; Ready says whether it is in force, and if not why",
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
    "items": {
        "type": "object",
        "required": ["type", "status", "reason", "message", "lastTransitionTime"],
        "properties": {
            "type": {"description": "What is judged", "type": "string", "maxLength": 316},
            "status": {
                "description": "Whether it holds",
                "type": "string",
                "enum": ["True", "False", "Unknown"],
            },
            "observedGeneration": {"description": _SPEC_SEEN, **_WHOLE, "minimum": 0},
            "lastTransitionTime": {
                "description": "When the status changed last",
                "type": "string",
                "format": "date-time",
            },
            "reason": {"description": "Why, in a word", "type": "string", "maxLength": 1024},
            "message": {
                "description": "Why, in sentences, with what to change",
                "type": "string",
                "maxLength": 32768,
            },
        },
    },
}
_STATUS: Manifest = {
    "description": "What the webhook tells of it",
    "type": "object",
    "properties": {
        "observedGeneration": {"description": _SPEC_SEEN, **_WHOLE},
        "conditions": _CONDITIONS,
    },
}
_TEXTS: Manifest = {"type": "object", "additionalProperties": {"type": "string"}}
# What the leader sums up of a quota; lists are atomic, since fields that are tracked one by one
# cost twice as much to write.
_GROUPS: Manifest = {
    "groupsInAll": {"description": "How many use something", **_WHOLE},
    "groups": {
        "description": "Those that use most",
        "type": "array",
        "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "object",
            "required": ["group"],
            "properties": {
                "group": {"description": "The name of the group", "type": "string"},
                "used": {"description": "What is there uses", **_TEXTS},
                "reserved": {"description": "Asked for and let in, not there yet", **_TEXTS},
                "budget": {"description": "What it may use now", **_TEXTS},
            },
        },
    },
}
_MORE_STATUS: Mapping[str, Manifest] = {"QuotaPolicy": _GROUPS}
_READY = {
    "name": "Ready",
    "type": "string",
    "jsonPath": '.status.conditions[?(@.type=="Ready")].status',
}
_AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


@dataclass(frozen=True, slots=True)
class Shown:
    """How kubectl names a kind, and the columns that it prints: name, type, path."""

    plural: str
    short: str
    columns: tuple[tuple[str, str, str], ...] = ()
    namespaced: bool = False


KINDS: Mapping[str, Shown] = {
    "Accelerator": Shown(
        "accelerators",
        "accel",
        (
            ("Resource", "string", ".spec.resource"),
            ("DeviceClass", "string", ".spec.deviceClassName"),
            ("Memory", "string", ".spec.memory"),
            ("Max", "integer", ".spec.maxPerPod"),
        ),
    ),
    "DataSource": Shown("datasources", "dsrc", (("Description", "string", ".spec.description"),)),
    "NamespacedDataSource": Shown(
        "namespaceddatasources",
        "ndsrc",
        (("Description", "string", ".spec.description"),),
        namespaced=True,
    ),
    "InjectionPolicy": Shown(
        "injectionpolicies",
        "injpol",
        (
            ("Mode", "string", ".spec.mode"),
            ("OptIn", "boolean", ".spec.optIn"),
            ("Order", "integer", ".spec.order"),
        ),
    ),
    "GuardPolicy": Shown(
        "guardpolicies", "guardpol", (("Enforcement", "string", ".spec.enforcement"),)
    ),
    "PolicyException": Shown(
        "policyexceptions",
        "mlpolex",
        (
            ("Policies", "string", ".spec.policies"),
            ("Expires", "string", ".spec.expires"),  # a date is printed as an age
            ("Reason", "string", ".spec.reason"),
        ),
    ),
    "QuotaPolicy": Shown(
        "quotapolicies", "quotapol", (("Enforcement", "string", ".spec.enforcement"),)
    ),
    "WorkloadKind": Shown(
        "workloadkinds",
        "wlkind",
        (("Group", "string", ".spec.group"), ("Kind", "string", ".spec.kind")),
    ),
}


def definitions() -> tuple[Manifest, ...]:
    """Render a definition for each kind that this version carries out."""
    return tuple(definition(kind) for kind in KINDS if kind in faults.SCHEMAS)


def definition(kind: str) -> Manifest:
    """Render the definition of one kind."""
    shown = KINDS[kind]
    schema = faults.schema(faults.SCHEMAS[kind])
    columns = [{"name": name, "type": form, "jsonPath": path} for name, form, path in shown.columns]
    version = {
        "name": _VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [*columns, _READY, _AGE],
        "schema": {"openAPIV3Schema": _whole(schema, _MORE_STATUS.get(kind, {}))},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{shown.plural}.{DOMAIN}"},
        "spec": {
            "group": DOMAIN,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": shown.plural,
                "singular": kind.lower(),
                "shortNames": [shown.short],
                "categories": ["kubectl-ml"],
            },
            "scope": "Namespaced" if shown.namespaced else "Cluster",
            "versions": [version],
        },
    }


def _whole(schema: Manifest, more_status: Manifest) -> Manifest:
    name = structural(schema["properties"]["metadata"]["properties"]["name"], schema)
    return {
        "description": schema["description"],
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {
                "type": "object",
                "properties": {"name": {"type": "string", "maxLength": name["maxLength"]}},
            },
            "spec": structural(schema["properties"]["spec"], schema),
            "status": {**_STATUS, "properties": {**_STATUS["properties"], **more_status}},
        },
    }


# --- structural schemas --------------------------------------------------------------------


def structural(schema: Manifest, root: Manifest, *, inside: tuple[str, ...] = ()) -> Manifest:
    """Write one node of a JSON Schema as a node of a structural schema."""
    node, inside = _resolved(schema, root, inside)
    made: Manifest = {key: node[key] for key in _KEPT if key in node}
    if "description" not in made and "title" in node:
        made["description"] = _sentence(node["title"])
    if "const" in node:
        made["enum"] = [node["const"]]
    if "pattern" in node:
        made["pattern"] = _re2(node["pattern"])
    if "exclusiveMinimum" in node:
        made |= {"minimum": node["exclusiveMinimum"], "exclusiveMinimum": True}
    _put_type(made, node)
    if made.get("type") == "object":
        _put_members(made, node, root, inside)
    elif made.get("type") == "array":
        made["items"] = structural(node.get("items", {}), root, inside=inside)
    _put_one_of(made, node)
    return made


def _resolved(
    schema: Manifest, root: Manifest, inside: tuple[str, ...]
) -> tuple[Manifest, tuple[str, ...]]:
    """Put in what a node refers to; `inside` are the references that led here."""
    while "$ref" in schema:
        reference = schema["$ref"]
        file, _, pointer = reference.partition("#")
        source = faults.schema(file) if file else root
        name = pointer.removeprefix("/$defs/")
        found = source["$defs"][name]
        inside = (*inside, name)
        schema = {**found, **{key: value for key, value in schema.items() if key != "$ref"}}
        if file or source is not root:
            schema = _absolute(schema, file or "")
    return schema, inside


def _absolute(schema: Any, file: str) -> Any:
    """Name the file in references that were relative to it."""
    if isinstance(schema, dict):
        return {
            key: f"{file}{value}"
            if key == "$ref" and value.startswith("#")
            else _absolute(value, file)
            for key, value in schema.items()
        }
    return [_absolute(one, file) for one in schema] if isinstance(schema, list) else schema


def _put_type(made: Manifest, node: Manifest) -> None:
    """Say a node's type; a union that a definition can't say is left open."""
    types = node.get("type", [])
    types = {types} if isinstance(types, str) else set(types)
    if "null" in types:
        made["nullable"] = True
        types -= {"null"}
    if len(types) == 1:
        (made["type"],) = types
    elif types and types <= {"string", "integer"}:
        made["x-kubernetes-int-or-string"] = True
    else:
        made["x-kubernetes-preserve-unknown-fields"] = True
        for key in ("pattern", "enum", "minimum", "minItems", "required", "exclusiveMinimum"):
            made.pop(key, None)


def _put_members(made: Manifest, node: Manifest, root: Manifest, inside: tuple[str, ...]) -> None:
    properties, more = node.get("properties"), node.get("additionalProperties")
    if isinstance(more, dict):
        made["additionalProperties"] = structural(more, root, inside=inside)
        return
    if properties:
        made["properties"] = {
            name: structural(one, root, inside=inside)
            for name, one in properties.items()
            if one.get("not") != {} and not _is_loop(one, inside)
        }
    if more is not False or "patternProperties" in node or not properties:
        made["x-kubernetes-preserve-unknown-fields"] = True


def _is_loop(schema: Manifest, inside: tuple[str, ...]) -> bool:
    """Tell whether a node would be put into itself for the second time."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return inside.count(name) > 1


def _put_one_of(made: Manifest, node: Manifest) -> None:
    """
    Say that exactly one of some members must be there.

    In CEL, for its message, where the members are few (an expression costs) and not left open,
    which CEL can't see.
    """
    names = [one["required"][0] for one in node.get("oneOf", ()) if [*one] == ["required"]]
    if not names or made.get("type") != "object":
        return
    if len(names) == 2 and all(_is_typed(made["properties"][name]) for name in names):
        rule = {
            "rule": " != ".join(f"has(self.{name})" for name in names),
            "message": f"write exactly one of {' and '.join(names)}",
        }
        made["x-kubernetes-validations"] = [*made.get("x-kubernetes-validations", ()), rule]
    else:
        made["oneOf"] = [{"required": [name]} for name in names]


def _is_typed(schema: Manifest) -> bool:
    return "type" in schema or "x-kubernetes-int-or-string" in schema


def _re2(pattern: str) -> str:
    """Write a pattern without look-ahead, which RE2 doesn't have; what is lost `/validate` says."""
    pattern = pattern.replace(_LOOKAHEAD_END, "$").replace(_LOOKAHEAD_LENGTH, "")
    return re.sub(r"\(\?![^()]*\)", "", pattern)


def _sentence(title: str) -> str:
    return title[:1].upper() + title[1:]


# --- the files -----------------------------------------------------------------------------


def text(kind: str) -> str:
    """Write one definition as `manifests/crds/` has it."""
    return _HEADER + yaml.safe_dump(definition(kind), sort_keys=False, width=1000)


@click.command(name="webhook.definitions")
@click.argument("directory", type=click.Path(exists=True, file_okay=False))
def command(directory: str) -> None:
    """Write the definitions into DIRECTORY, one a file, and its kustomization."""
    from pathlib import Path

    names = []
    for made in definitions():
        kind = made["spec"]["names"]["kind"]
        names.append(f"{KINDS[kind].plural}.yaml")
        Path(directory, names[-1]).write_text(text(kind), "utf-8")
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(names),
    }
    Path(directory, "kustomization.yaml").write_text(
        _HEADER + yaml.safe_dump(kustomization, sort_keys=False), "utf-8"
    )


if __name__ == "__main__":
    sys.exit(command())
