"""`kubectl ml inspect`: which objects hold which device class, data source, sidecar and policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict

import click

from kubectl_ml import (
    flags,
    inspecting,
    manifest_flags,
    named,
    policy_flags,
    reading,
    submit,
    tables,
)
from kubectl_ml.cluster import Cluster, Target
from kubectl_ml.documents import Document
from kubectl_ml.explaining import Explaining
from kubectl_ml.inspecting import Holding, Wanted
from kubectl_ml.manifest_flags import Files
from kubectl_ml.policy_flags import Chosen
from policies.workloads import catalogue

HEADERS = ("NAMESPACE", "KIND", "NAME", "CLASSES", "SOURCES", "SIDECARS", "POLICIES")
COLUMNS = tuple(header.lower() for header in HEADERS)
UNREAD = "these weren't read, nor what follows them in their files; all others were"


@click.command(
    context_settings=flags.CONTEXT, options_metavar="(-f FILENAME | KIND/NAME… | -A) [flags]"
)
@click.argument("names", metavar="[KIND/NAME]...", nargs=-1)
@manifest_flags.options
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="All of the cluster.")
@policy_flags.options
@click.option("--class", "class_", default="", metavar="NAME", help="Only with this device class.")
@click.option("--source", default="", metavar="NAME", help="Only with this data source or URI.")
@click.option("--sidecar", default="", metavar="NAME", help="Only with this sidecar.")
@click.option("--policy", default="", metavar="NAME", help="Only those this policy added to.")
@click.option(
    "--sort-by", type=click.Choice(COLUMNS), default="namespace", show_default=True, help="By what."
)
@flags.no_headers
@flags.form("table", "wide", "json", "yaml", also="; wide adds the policies")
@flags.cluster
@flags.verbosity
@click.pass_context
def inspect(
    ctx: click.Context,
    /,
    target: Target,
    *,
    names: tuple[str, ...],
    files: Files,
    everywhere: bool,
    chosen: Chosen,
    class_: str,
    source: str,
    sidecar: str,
    policy: str,
    sort_by: str,
    no_headers: bool,
    form: str,
) -> None:
    """
    List which objects hold which device class, data source, sidecar and policy.

    Objects that were injected tell it themselves; of others it is what today's policies would add.

    \b
    Examples:
      # Who uses a100s?
      kubectl ml inspect -A --class a100
      # What do these manifests hold?
      kubectl ml inspect -R -f manifests/ -o wide --sort-by classes
    """
    if not everywhere:
        named.check_usage(ctx, names, files, "inspected")
    elif names or files:
        raise click.UsageError("-A is everything; leave out -f and KIND/NAME", ctx)
    explaining = Explaining(
        policies=chosen.read(),
        facts=chosen.facts(),
        namespace=target.namespace or "default",
    )
    rows: list[Holding] = []
    wanted = Wanted(class_=class_, source=source, sidecar=sidecar, policy=policy)
    take = _taking(explaining, wanted, rows)
    unread = reading.each(files.inputs(), take)
    unread.warn("read")
    if not files:
        for document in _in_cluster(explaining, names, submit.Session(target).cluster):
            take(document)
    _print(sorted(rows, key=lambda row: _order(row, sort_by)), form, headers=not no_headers)
    unread.complain(hint="", unread=UNREAD)


def _taking(
    explaining: Explaining, wanted: Wanted, rows: list[Holding]
) -> Callable[[Document], None]:
    """Make of each document rows, which are small; its manifests aren't kept."""
    known = catalogue.of(explaining.policies)

    def take(document: Document) -> None:
        explaining.add(document)
        for one in explaining.found:
            if known.of(one.manifest) is not None:
                row = inspecting.holding(one, known, namespace=explaining.namespace)
                rows.extend([row] if wanted.fits(row) else [])
        explaining.found.clear()

    return take


def _in_cluster(
    explaining: Explaining, names: tuple[str, ...], cluster: Cluster
) -> Iterator[Document]:
    explaining.namespace = cluster.namespace
    known = catalogue.of(explaining.policies)
    for name in names:
        yield named.as_document(named.in_cluster(cluster, known, name), name)
    for manifest in () if names else named.everything(cluster, known):
        yield named.as_document(manifest, "the cluster")


def _order(row: Holding, column: str) -> tuple[object, ...]:
    return (getattr(row, column), row.namespace, row.kind, row.name)


def _print(rows: list[Holding], form: str, *, headers: bool) -> None:
    if form in ("json", "yaml"):
        items = [{**asdict(row), **_lists(row)} for row in rows]
        click.echo(tables.structured({"items": items}, form), nl=False)
    elif rows:
        width = len(HEADERS) if form == "wide" else len(HEADERS) - 1
        cells = [[_cell(getattr(row, column)) for column in COLUMNS[:width]] for row in rows]
        click.echo(tables.table(HEADERS[:width], cells, headers))
    else:
        click.echo("Nothing here holds that.", err=True)


def _lists(row: Holding) -> dict[str, list[str]]:
    return {column: list(getattr(row, column)) for column in COLUMNS[3:]}


def _cell(value: str | tuple[str, ...]) -> str:
    return (value if isinstance(value, str) else ",".join(value)) or "-"
