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

from bench import apiserver, commandline, expressions, policies, quota, start, webhook
from bench.load import Unusable

REPORT = Path("build/bench.json")


SECTIONS = ("webhook", "policies", "expressions", "commandline", "start", "apiserver", "quota")


@click.command()
@click.option("--seconds", default=5.0, show_default=True, help="Of load, for each measurement.")
@click.option("--rounds", default=3, show_default=True, help="The median of so many counts.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(SECTIONS),
    help="Measure only this; may be given again. The others keep their figures in the report.",
)
def main(seconds: float, rounds: int, only: tuple[str, ...]) -> None:
    """Measure the webhook beside an empty handler, alone and behind a real API server."""
    options = webhook.Options(seconds=seconds, rounds=rounds)
    options.directory.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = orjson.loads(REPORT.read_bytes()) if only and REPORT.exists() else {}
    chosen = only or SECTIONS
    try:
        report |= _servers(chosen, options)
    except Unusable as error:
        raise click.ClickException(str(error)) from error
    if "commandline" in chosen:
        measured = commandline.run(rounds=rounds, directory=options.directory)
        report |= measured
        click.echo(_documents(measured) + "\n")
    if "start" in chosen:
        _start(report, rounds=rounds, directory=options.directory, alone=bool(only))
    if "apiserver" in chosen:
        try:
            report["apiserver"] = apiserver.run(
                seconds=seconds, rounds=rounds, directory=options.directory
            )
            click.echo(_creates(report["apiserver"]) + "\n")
        except Unusable as error:
            if only:
                raise click.ClickException(str(error)) from error
            click.echo(f"Creates through an API server were not measured: {error}\n", err=True)
    if "quota" in chosen:
        _reserve(report, rounds=rounds, alone=bool(only))
    report["machine"] = _machine()
    REPORT.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
    click.echo(f"{REPORT} has the figures.")


def _reserve(report: dict[str, Any], *, rounds: int, alone: bool) -> None:
    try:
        report["quota"] = quota.run(rounds=rounds)
    except Unusable as error:
        if alone:
            raise click.ClickException(str(error)) from error
        click.echo(f"Reservations were not measured: {error}\n", err=True)
        return
    click.echo(_reservations(report["quota"]) + "\n")


def _start(report: dict[str, Any], *, rounds: int, directory: Path, alone: bool) -> None:
    try:
        report["start"] = found = start.run(rounds=rounds, directory=directory)
    except Unusable as error:
        if alone:
            raise click.ClickException(str(error)) from error
        click.echo(f"The cold start was not measured: {error}\n", err=True)
        return
    click.echo(
        f"A cold `render` of one Pod takes {found['render_ms']:.0f} ms of the processor,"
        f" {found['kubectls']:.2f} times what `kubectl version --client` takes.\n"
    )


def _servers(chosen: tuple[str, ...], options: webhook.Options) -> dict[str, Any]:
    """Measure the webhook by itself, and print what came of it."""
    report: dict[str, Any] = {}
    if "webhook" in chosen:
        report |= webhook.run(options)
        click.echo(_table(report) + "\n")
    if "policies" in chosen:
        report["policies"] = policies.run(options)
        click.echo(_policies(report["policies"]) + "\n")
    if "expressions" in chosen:
        report["expressions"] = found = expressions.run(rounds=options.rounds)
        click.echo(
            f"Of {found['expressions']} hostile expressions the slowest is ended after"
            f" {found['slowest_ms']:.0f} ms of the processor ({found['slowest']}).\n"
        )
    return report


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
        f" load by {report['load']})."
    )


def _policies(report: dict[str, dict[str, float]]) -> str:
    head = ("policies", *(f"/{name} reviews/s" for name in policies.ENDPOINTS))
    rows = [[count, *(one[name] for name in policies.ENDPOINTS)] for count, one in report.items()]
    few, many = (report[str(policies.COUNTS[at])] for at in (0, -1))
    times = " and ".join(
        f"/{name} {few[name] / many[name]:.2f} times" for name in policies.ENDPOINTS
    )
    return (
        f"{tabulate.tabulate(rows, headers=head, floatfmt=('', '.0f', '.0f'))}\n\n"
        f"With {policies.COUNTS[-1]:,} policies, of which {policies.APPLY} apply, a review takes"
        f" {times} what it takes with {policies.COUNTS[0]}."
    )


def _documents(report: dict[str, Any]) -> str:
    columns = ("docs_per_second", "max_rss_mb", "max_rss_mb_many")
    rows = [[name, *(report[name][column] for column in columns)] for name in report]
    one = report["render"]
    head = (
        f"{one['document_bytes']} bytes each",
        "documents/s",
        f"MB at {one['documents']:,}",
        f"MB at {one['documents_many']:,}",
    )
    return tabulate.tabulate(rows, headers=head, floatfmt=("", ".0f", ".0f", ".0f"))


def _creates(report: dict[str, Any]) -> str:
    columns = ("creates_per_second", "p50_ms", "p99_ms")
    rows = [[name, *(report[name][column] for column in columns)] for name in apiserver.CASES]
    head = ("pods created (dryRun)", "creates/s", "p50 ms", "p99 ms")
    table = tabulate.tabulate(rows, headers=head, floatfmt=("", ".0f", ".2f", ".2f"))
    return (
        f"{table}\n\nBehind the webhook the API server creates {report['ratio']:.2f} of the pods"
        f" that it does behind an empty one ({report['connections']} connections),\n"
        f"and {report['ratio_to_ready']:.2f} of those behind one that only hands out our patch."
    )


def _reservations(report: dict[str, Any]) -> str:
    costs = tuple(f"{name}_cpu_ms" for name in quota.PROGRAMS)
    columns = ("by", "quotas", "processes", "reservations_per_second", "refused", *costs)
    rows = [[report[name][column] for column in columns] for name in quota.CASES]
    head = ("by", "quotas", "processes", "pods/s", "refused", *quota.PROGRAMS)
    table = tabulate.tabulate(rows, headers=head)
    return (
        f"{table}\n\nBehind the refused: milliseconds of CPU for each pod. `reviews` ask the"
        " webhook alone;\n`creates` go through the API server, at its own rate (no quotas) at best."
    )


if __name__ == "__main__":
    sys.exit(main())
