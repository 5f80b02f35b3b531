"""
What `serve` is asked for besides, and not every backend can: flags, and the values they become.

    --concurrency 4 --timeout 5m           Knative and KServe
    --tag next                             Knative
    --transformer IMAGE --batch size=32    KServe
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import click

from kubectl_ml.suggest import did_you_mean
from policies import duration

Command = TypeVar("Command", bound=Callable[..., Any])

MODES = {"serverless": "Serverless", "raw": "RawDeployment"}
AUTOSCALERS = ("hpa", "keda", "external", "none")
_LOGGED = ("all", "request", "response")
_BATCH = {"size": "maxBatchSize", "latency": "maxLatency", "timeout": "timeout"}
_TAG = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_TAKEN_TAGS = ("latest",)


@dataclass(frozen=True, slots=True, kw_only=True)
class KServeExtras:
    """What only KServe can."""

    transformer: str = ""  # an image
    explainer: str = ""  # an image
    logger: Mapping[str, str] = field(default_factory=dict)  # url, mode
    batcher: Mapping[str, int] = field(default_factory=dict)
    nodes: int = 1  # that one replica spreads over
    mode: str = ""  # Serverless, RawDeployment; empty: what is needed
    autoscaler: str = ""
    storage_key: str = ""

    @property
    def first_flag(self) -> str:
        """Name a flag that was given, for backends that know none of them."""
        given = {
            "--transformer": self.transformer,
            "--explainer": self.explainer,
            "--log-requests": self.logger,
            "--batch": self.batcher,
            "--nodes": self.nodes > 1,
            "--mode": self.mode,
            "--autoscaler": self.autoscaler,
            "--storage-key": self.storage_key,
        }
        return next((flag for flag, wanted in given.items() if wanted), "")


def options(command: Command) -> Command:
    """Give a command the flags."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS = (
    click.option(
        "--concurrency",
        type=click.IntRange(1, 1000),
        default=None,
        metavar="COUNT",
        help="Requests that a replica answers at a time (Knative, KServe).",
    ),
    click.option(
        "--timeout",
        default="",
        metavar="DURATION",
        help="How long a request may take: 5m (Knative, KServe).",
    ),
    click.option(
        "--tag",
        default="",
        metavar="NAME",
        help="A name under which the new revision is reached whatever its traffic (Knative).",
    ),
    click.option(
        "--transformer",
        default="",
        metavar="IMAGE",
        help="What comes before and after the model (KServe).",
    ),
    click.option("--explainer", default="", metavar="IMAGE", help="What explains it (KServe)."),
    click.option(
        "--log-requests",
        default="",
        metavar="URL[,all|request|response]",
        help="Where requests and answers are sent (KServe).",
    ),
    click.option(
        "--batch",
        default="",
        metavar="PAIRS",
        help="Requests are put together: size=32,latency=500,timeout=60 (KServe).",
    ),
    click.option(
        "--nodes",
        type=click.IntRange(1, 999),
        default=1,
        metavar="COUNT",
        help="Nodes that one replica of a model spreads over (KServe).",
    ),
    click.option(
        "--mode", type=click.Choice([*MODES]), default=None, help="How KServe runs it."
    ),
    click.option(
        "--autoscaler", type=click.Choice(AUTOSCALERS), default=None, help="What scales it."
    ),
    click.option(
        "--storage-key",
        default="",
        metavar="NAME",
        help="The entry of the Secret storage-config with the credentials for --model (KServe).",
    ),
)  # fmt: skip


def read(given: dict[str, Any]) -> dict[str, Any]:
    """Take the flags out of `given`, and give the members of a `ServeSpec`."""
    return {
        "concurrency": given.pop("concurrency") or 0,
        "timeout_seconds": read_timeout(given.pop("timeout")),
        "tag": read_tag(given.pop("tag")),
        "kserve": KServeExtras(
            transformer=given.pop("transformer"),
            explainer=given.pop("explainer"),
            logger=read_logger(given.pop("log_requests")),
            batcher=read_batch(given.pop("batch")),
            nodes=given.pop("nodes"),
            mode=MODES.get(given.pop("mode") or "", ""),
            autoscaler=given.pop("autoscaler") or "",
            storage_key=given.pop("storage_key"),
        ),
    }


def read_timeout(text: str) -> int:
    """Read `--timeout` in seconds; 0: nothing is said."""
    found = duration.seconds(text) if text else 0
    if found is None or (text and found == 0):
        raise click.UsageError(f'--timeout "{text}" is not a duration; write 5m')
    return found


def read_tag(text: str) -> str:
    """Read `--tag`: it becomes part of a host's name."""
    if text and (not _TAG.fullmatch(text) or text in _TAKEN_TAGS):
        raise click.UsageError(
            f'--tag "{text}" can\'t be a tag: lower case letters, digits and "-", beginning with a '
            'letter, and not "latest"'
        )
    return text


def read_logger(text: str) -> dict[str, str]:
    """Read `--log-requests`: a URL, and after a comma what is sent."""
    if not text:
        return {}
    url, _, mode = text.partition(",")
    if not re.match(r"https?://[^/\s]+", url):
        raise click.UsageError(f'--log-requests "{url}" is not a URL; write http://broker/default')
    if mode and mode not in _LOGGED:
        raise click.UsageError(f'--log-requests: "{mode}" is not one of {", ".join(_LOGGED)}')
    return {"url": url, "mode": mode or "all"}


def read_batch(text: str) -> dict[str, int]:
    """Read `--batch`: `size=32,latency=500`, latency in milliseconds, timeout in seconds."""
    found: dict[str, int] = {}
    for item in filter(None, text.split(",")):
        key, _, value = (part.strip() for part in item.partition("="))
        if key not in _BATCH:
            near = did_you_mean(key, [*_BATCH])
            raise click.UsageError(f'--batch: unknown key "{key}"{near}')
        if _BATCH[key] in found:
            raise click.UsageError(f'--batch: "{key}" is there twice')
        if not (value.isascii() and value.isdigit() and 0 < int(value[:9]) < 10**6):
            raise click.UsageError(f'--batch {key}="{value}" is not a whole number of 1 or more')
        found[_BATCH[key]] = int(value)
    return found
