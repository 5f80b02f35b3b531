"""
What `train` is asked for: flags become a frozen `TrainSpec`, or a sentence about what is wrong.

    --image pytorch:2 --accelerator a100:2 --nodes 4 --mount imagenet:/data -- torchrun train.py

Intents keep the grammar that annotations have: `policies.intents` reads them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import click

from kubectl_ml import wishes
from policies import intents
from policies.intents import PREFIX

AUTO = "auto"
RUNTIME = "torch-distributed"
MAX_NAME = 50  # what stays of a host name's 63 for `-worker-123` and the like
MAX_NODES = 10_000

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?", re.ASCII)
_NO_DEVICES = ("rdma",)  # classes that bring no processes of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A claim that is made for the run and outlives it."""

    claim: str
    size: str
    path: str
    storage_class: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elastic:
    """How few nodes the run can do with, and how many it may have."""

    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSpec:
    """What is to be trained, and with what, whatever the backend."""

    name: str
    image: str
    command: tuple[str, ...] = ()
    accelerator: str = ""
    nodes: int = 1
    processes: str = "1"  # a node: a number, or auto
    cpus: str = ""
    memory: str = ""
    shm: str = ""
    mounts: tuple[str, ...] = ()
    volumes: tuple[Volume, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    queue: str = ""
    sidecars: tuple[str, ...] = ()
    experiment: str = ""
    retries: int = 0
    elastic: Elastic | None = None
    max_seconds: int = 0  # 0: no bound
    run_as_user: int = 0  # 0: the one that the image says
    runtime: str = RUNTIME

    @property
    def pods(self) -> int:
        """Say how many pods there are at most: one a node."""
        return self.elastic.most if self.elastic else self.nodes

    @property
    def distributed(self) -> bool:
        """Tell whether several pods must find each other."""
        return self.pods > 1 or self.elastic is not None


def intent_annotations(spec: TrainSpec) -> dict[str, str]:
    """Write the intents of a spec as annotations."""
    wanted = {
        "accelerator": spec.accelerator,
        "experiment": spec.experiment,
        "mounts": ",".join(spec.mounts),
        "queue": spec.queue,
        "shm": spec.shm,
        "sidecars": ",".join(spec.sidecars),
    }
    return wishes.annotations_of(wanted)


def check(spec: TrainSpec) -> TrainSpec:
    """Give the spec back, or raise where its parts can't be used or don't go together."""
    found = wishes.read_intents(intent_annotations(spec))
    paths = [mount.path for mount in found.mounts] + [each.path for each in spec.volumes]
    for path in paths:
        if paths.count(path) > 1:
            raise click.UsageError(
                f'"{path}" is mounted twice; give each --mount and --volume a path of its own'
            )
    return spec


def read_name(text: str) -> str:
    """Check the name of a run, which its Service and host names are made of."""
    if len(text) > MAX_NAME or not _NAME.fullmatch(text):
        raise click.UsageError(
            f'"{text}" can\'t be a name: up to {MAX_NAME} lower case letters, digits and "-", '
            "beginning with a letter"
        )
    return text


def read_processes(text: str, accelerator: str) -> str:
    """
    Read `--nproc-per-node`; without it, one process a device, or one where there is none.

    read_processes("", "a100:2,rdma:2") == "2"
    """
    if text == AUTO or (text.isascii() and text.isdigit() and 0 < int(text) <= intents.MAX_COUNT):
        return text
    if text:
        raise click.UsageError(
            f'--nproc-per-node "{text}" is neither a number from 1 to {intents.MAX_COUNT} nor auto'
        )
    found = intents.read({f"{PREFIX}accelerator": accelerator} if accelerator else {})
    counts = [
        each.count for each in found.accelerator if not each.device_class.startswith(_NO_DEVICES)
    ]
    return str(max(counts, default=1))


def read_elastic(text: str, nodes: int | None) -> Elastic | None:
    """Read `--elastic MIN:MAX`."""
    if not text:
        return None
    if nodes is not None:
        raise click.UsageError("--nodes doesn't go with --elastic, which says how many: leave it")
    found = re.fullmatch(r"(\d{1,5}):(\d{1,5})", text, re.ASCII)
    if not found or not 1 <= int(found[1]) <= int(found[2]) <= MAX_NODES:
        raise click.UsageError(
            f'--elastic "{text}" is not MIN:MAX, two numbers of nodes; write 2:8'
        )
    return Elastic(least=int(found[1]), most=int(found[2]))


def read_volumes(items: Sequence[str], name: str) -> tuple[Volume, ...]:
    """Read `--volume SIZE:PATH[,class=CLASS]`; its claim is named after the run and the path."""
    found: dict[str, Volume] = {}
    for item in items:
        one = _volume(item, name)
        if one.claim in found:
            raise click.UsageError(f'--volume "{item}": another one has the claim "{one.claim}"')
        found[one.claim] = one
    return tuple(found.values())


def _volume(item: str, name: str) -> Volume:
    text, *options = item.split(",")
    size, colon, path = text.partition(":")
    path = path.rstrip("/")
    if not colon or not path.startswith("/") or ":" in path or ".." in path.split("/"):
        raise click.UsageError(f'--volume "{item}": write SIZE:/PATH, such as 200Gi:/out')
    wishes.read_quantity("--volume", size)
    storage_class = ""
    for option in options:
        key, _, storage_class = option.partition("=")
        if key != "class" or not storage_class:
            raise click.UsageError(f'--volume "{item}": "{option}" is not class=NAME')
    slug = re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-")
    return Volume(
        claim="-".join(filter(None, [name, slug]))[:63].rstrip("-"),
        size=size,
        path=path,
        storage_class=storage_class,
    )
