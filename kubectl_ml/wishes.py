"""
What `train` and `serve` are both asked for: variables, quantities, and intents as flags.

Each reads text into a value, or says in a sentence what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import click

from policies import intents, quantity
from policies.intents import PREFIX, Intents

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_FLAGS = {"mounts": "--mount", "sidecars": "--sidecar"}  # where the flag isn't the intent's name


def annotations_of(wanted: Mapping[str, str]) -> dict[str, str]:
    """Write intents as annotations; what is empty wasn't asked for."""
    return {f"{PREFIX}{key}": value for key, value in wanted.items() if value}


def read_intents(annotations: Mapping[str, str]) -> Intents:
    """Read intents, and raise in the words of the flags where one can't be used."""
    found = intents.read(dict(annotations))
    for fault in found.faults:
        flag = _FLAGS.get(fault.key, f"--{fault.key}")
        raise click.UsageError(fault.message.replace(f"{PREFIX}{fault.key}", flag, 1))
    return found


def read_env(items: Sequence[str], environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Read `--env K=V`, or `--env K` for the value that K has here; the last one counts."""
    found: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not _VARIABLE.fullmatch(name):
            raise click.UsageError(f'--env "{item}": write NAME=VALUE, or NAME for the value here')
        if not equals and name not in environ:
            raise click.UsageError(
                f'--env "{name}": there is no such variable here; write {name}=VALUE'
            )
        found[name] = value if equals else environ[name]
    return tuple(found.items())


def read_quantity(flag: str, text: str) -> str:
    """Read an amount of `--cpus`, `--memory` or `--volume`."""
    if not text:
        return ""
    try:
        if quantity.parse(text) > 0:
            return text
    except ValueError:
        pass
    example = "2 or 500m" if flag == "--cpus" else "64Gi"
    raise click.UsageError(f'{flag} "{text}" is not a quantity; write {example}')
