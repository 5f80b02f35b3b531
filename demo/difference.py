"""Show what changed between two manifests: a diff, each added line with the policy behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any

from demo import layout
from demo.layout import Line
from policies.intents import INJECTED
from policies.model import Manifest

CONTEXT = 2
COLUMN = 72


def show(before: Manifest, after: Manifest, *, color: bool) -> list[str]:
    """
    Give the diff of two manifests, a line each.

        @@ spec
         containers:
         - name: trainer
        +  resources: {limits: {nvidia.com/gpu: "2"}}           # devices
    """
    old, new = layout.lines(before), layout.lines(after)
    policies = _policies(after)
    matcher = SequenceMatcher(None, [_.text for _ in old], [_.text for _ in new], autojunk=False)
    shown: list[str] = []
    for group in matcher.get_grouped_opcodes(CONTEXT):
        if shown or group[0][3]:
            shown.append(_paint("  ⋮", "2", color=color))
        previous = ""
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                shown += [f"   {_.text}" for _ in new[new_from:new_to]]
                continue
            shown += [_paint(f"-  {_.text}", "31", color=color) for _ in old[old_from:old_to]]
            for line in new[new_from:new_to]:
                names = ", ".join(_behind(line, policies))
                shown.append(_added(line, names if names != previous else "", color=color))
                previous = names or previous
    return shown


def policies_of(manifest: Manifest) -> list[str]:
    """Name the policies that added something to `manifest`, as its own record says."""
    return sorted({name for name, _ in _records(manifest, "")})


def _added(line: Line, names: str, *, color: bool) -> str:
    text = f"+  {line.text}"
    if not names:
        return _paint(text, "32", color=color)
    note = _paint(f"# {names}", "36", color=color)
    return _paint(f"{text:{COLUMN}}", "32", color=color) + "  " + note


def _paint(text: str, code: str, *, color: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if color else text


def _behind(line: Line, policies: Mapping[str, str]) -> list[str]:
    """Name the policies whose additions the line shows, holds, or is part of."""
    here = line.pointer + "/"
    is_head = line.text.endswith(":")
    return sorted(
        {
            name
            for pointer, name in policies.items()
            if here.startswith(pointer + "/") or (not is_head and pointer.startswith(here))
        }
    )


def _policies(manifest: Manifest) -> dict[str, str]:
    return {pointer: name for name, pointer in _records(manifest, "")}


def _records(value: Any, at: str) -> Iterator[tuple[str, str]]:
    """Read each record in the manifest: (policy, pointer), counted from the manifest's root."""
    if isinstance(value, list):
        for index, one in enumerate(value):
            yield from _records(one, f"{at}/{index}")
    elif isinstance(value, dict):
        for key, one in value.items():
            if key == INJECTED:
                root = at.removesuffix("/annotations").removesuffix("/metadata")
                for policy, additions in json.loads(one)["policies"].items():
                    for addition in additions:
                        yield policy.partition("@")[0], root + addition[0]
            else:
                yield from _records(one, f"{at}/{key.replace('~', '~0').replace('/', '~1')}")
