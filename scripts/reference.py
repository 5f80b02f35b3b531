"""
Write the reference from what it describes: `python scripts/reference.py [DIRECTORY]`.

Commands come from the programs' help, objects from the JSON Schemas, the library and the kinds of
workloads from their YAML.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module, resources
from pathlib import Path
from typing import Any

import click
import workload_kinds

from kubectl_ml.cli import VERBS, cli
from policies import load
from policies.model import DataSource
from webhook.__main__ import command as webhook

NOTE = "<!-- Written by `make reference`; what you change here is lost. -->\n"
OBJECTS = (
    *("accelerator", "datasource", "injectionpolicy"),
    *("guardpolicy", "quotapolicy", "policyexception", "workloadkind"),
)
SCHEMAS = {
    name: json.loads((resources.files("policies") / "schemas" / f"{name}.json").read_text())
    for name in (*OBJECTS, "core")
}
DEFINITIONS = {
    name: one for schema in SCHEMAS.values() for name, one in schema.get("$defs", {}).items()
}
WIDTH = 88


def commands() -> str:
    """Give the help of every command of both programs."""
    page = [f"# Commands\n\n{NOTE}"]
    for name, verb in VERBS.items():
        command = getattr(import_module(verb.module), name)
        page.append(_help(command, f"kubectl ml {name}"))
        for inner, one in getattr(command, "verbs", {}).items():
            page.append(
                _help(getattr(import_module(one.module), inner), f"kubectl ml {name} {inner}")
            )
    page.append(_help(webhook, "python -m webhook"))
    page.append(_exit_codes())
    return "\n".join(page)


def _help(command: click.Command, name: str) -> str:
    parent = click.Context(cli, info_name="kubectl ml") if name.startswith("kubectl") else None
    info = name.removeprefix("kubectl ml ")
    with click.Context(
        command, parent=parent, info_name=info, terminal_width=WIDTH, max_content_width=WIDTH
    ) as context:
        return f"## `{name}`\n\n```text\n{command.get_help(context)}\n```\n"


def _exit_codes() -> str:
    return (
        "## Exit codes of `kubectl ml`\n\n"
        "| code | meaning |\n|---|---|\n"
        "| 0 | done |\n"
        "| 1 | an error or a refusal; with `-o diff --exit-code`, something changes |\n"
        "| 2 | the command line can't be used |\n"
        "| 3 | `wait` ran out of time |\n"
        "| 130 | interrupted (Ctrl-C) |\n"
    )


def objects() -> str:
    """Give a table of fields for each object that admins write."""
    page = [
        f"# Objects\n\n{NOTE}",
        "All of them are `apiVersion: kubectl-ml.io/v1alpha1`.",
        "The schemas are in `policies/schemas/`; a field that isn't here is an error.\n",
    ]
    for name in OBJECTS:
        schema = SCHEMAS[name]
        page.append(f"## {schema['title']}\n\n{schema['description']}\n")
        page.append("| field | type | what it is |\n|---|---|---|")
        page += _rows(schema["properties"]["spec"], "spec")
        page.append("")
    page.append("## match\n\nThe same in every policy. Each member that is given must hold.\n")
    page.append("| field | type | what it is |\n|---|---|---|")
    page += _rows(SCHEMAS["core"]["$defs"]["match"], "spec.match")
    return "\n".join(page) + "\n"


def _rows(schema: dict[str, Any], path: str) -> Iterator[str]:
    for name, member in schema.get("properties", {}).items():
        full = _resolved(member)
        at = f"{path}.{name}"
        text = full.get("description") or full.get("title") or ""
        example = full.get("examples")
        shown = f" For example `{_inline(example[0])}`." if example else ""
        yield f"| `{at}` | {_type(full)} | {_sentence(text)}{shown} |"
        if name not in ("match", "exclude") and "$ref" not in member:
            yield from _rows(full, at)
            yield from _rows(_resolved(full.get("items", {})), f"{at}[]")


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if not reference:
        return schema
    name = reference.rpartition("/")[2]
    return {**DEFINITIONS[name], **schema}


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    kinds = schema.get("type", "any")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    return " or ".join(kind for kind in kinds if kind != "null")


def _inline(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "." if text else ""


def library() -> str:
    """List what is built in."""
    built_in = load.library()
    page = [
        f"# The built-in library\n\n{NOTE}",
        "An object of yours with the same kind and name replaces the library's.",
        "The files are in `policies/library/`; copy one and change it.\n",
        "## Device classes\n",
        "| name | what it is | resource | memory | most in a pod |\n|---|---|---|---|---|",
    ]
    for _, one in sorted(built_in.accelerators.items()):
        most = one.max_per_pod or ""
        resource = one.resource or one.device_class_name
        page.append(f"| `{one.name}` | {one.description} | `{resource}` | {one.memory} | {most} |")
    page.append("\n## Data sources\n\n| scheme | what it is | image that fetches |\n|---|---|---|")
    page += [_source(one) for _, one in sorted(built_in.data_sources.items())]
    page.append("\n## Injection policies\n\n| name | what it does | acts |\n|---|---|---|")
    for policy in built_in.injections:
        intents = ", ".join(f"`{intent}`" for intent in policy.match.intents)
        acts = f"with the intent {intents}" if intents else "where its sidecar is asked for"
        page.append(f"| `{policy.name}` | {policy.description} | {acts} |")
    return "\n".join(page) + "\n"


def _source(one: DataSource) -> str:
    image = f"`{one.image}`" if one.image else ""
    return f"| `{one.name}://` | {one.description} | {image} |"


def kinds() -> str:
    """Describe the kinds of workloads."""
    return f"# Kinds of workloads\n\n{NOTE}\n{workload_kinds.page()}"


PAGES = {
    "commands.md": commands,
    "objects.md": objects,
    "library.md": library,
    "workload-kinds.md": kinds,
}


def main(directory: Path) -> None:
    """Write every page."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, write in PAGES.items():
        (directory / name).write_text(write(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/reference"))
