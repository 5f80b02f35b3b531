"""Measure: `python -m bench [--seconds 5] [--rounds 3]`."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

import click
import orjson
import tabulate

from bench import webhook

REPORT = Path("build/bench.json")


@click.command()
@click.option("--seconds", default=5.0, show_default=True, help="Of load, for each measurement.")
@click.option("--rounds", default=3, show_default=True, help="The median of so many counts.")
def main(seconds: float, rounds: int) -> None:
    """Measure the webhook beside an empty handler; write build/bench.json."""
    try:
        report = webhook.run(webhook.Options(seconds=seconds, rounds=rounds))
    except webhook.Unusable as error:
        raise click.ClickException(str(error)) from error
    report["machine"] = _machine()
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
    click.echo(_table(report))


def _machine() -> dict[str, Any]:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def _table(report: dict[str, Any]) -> str:
    columns = ("reviews_per_second", "p50_ms", "p99_ms", "rss_mb")
    rows = [[name, *(report[name][column] for column in columns)] for name in ("empty", "webhook")]
    head = ("server", "reviews/s", "p50 ms", "p99 ms", "RSS MB")
    table = tabulate.tabulate(rows, headers=head, floatfmt=("", ".0f", ".2f", ".2f", ".0f"))
    return (
        f"{table}\n\n"
        f"The webhook does {report['ratio']:.2f} of what an empty handler does"
        f" ({report['review_bytes']} bytes a review, {report['connections']} connections,"
        f" load by {report['load']}).\n{REPORT} has the figures."
    )


if __name__ == "__main__":
    sys.exit(main())
