"""
Lists of named things, as kubectl prints its own: a table, or `-o wide|json|yaml|name`.

What JSON and YAML show are objects that can be copied into a file of policies and changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from kubectl_ml.errors import PluginError
from policies import manifests
from policies.model import API_VERSION, DOMAIN, Manifest

NONE = "<none>"  # what kubectl shows for an empty cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One named thing: its cells, those that only `-o wide` shows, and the object it stands for."""

    cells: Sequence[str]
    wide: Sequence[str]
    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Rows with their headers; `noun` is what one is called, `plural` what nothing is called."""

    noun: str
    plural: str
    headers: Sequence[str]
    wide_headers: Sequence[str]
    rows: Mapping[str, Row]

    def only(self, names: Sequence[str]) -> Listing:
        """Keep the rows that `names` asks for, in that order; all where it asks for none."""
        from kubectl_ml.suggest import did_you_mean

        for name in names:
            if name not in self.rows:
                raise PluginError(
                    f'there is no {self.noun} "{name}"{did_you_mean(name, self.rows)}',
                    hint=f"kubectl ml {self.plural} lists them; --policies DIR adds yours",
                )
        rows = {name: self.rows[name] for name in names} if names else self.rows
        return Listing(
            noun=self.noun,
            plural=self.plural,
            headers=self.headers,
            wide_headers=self.wide_headers,
            rows=rows,
        )


def show(listing: Listing, form: str, *, named: bool, headers: bool = True) -> None:
    """Print a listing; `named` says that its rows were asked for by name."""
    rows = list(listing.rows.values())
    if form in ("json", "yaml"):
        found = [row.manifest for row in rows]
        one = named and len(found) == 1
        whole = found[0] if one else {"apiVersion": "v1", "kind": "List", "items": found}
        click.echo(structured(whole, form), nl=False)
    elif form == "name":
        for row in rows:
            click.echo(f"{row.manifest['kind'].lower()}.{DOMAIN}/{_name(row.manifest)}")
    elif not rows:
        click.echo(f"No {listing.plural} found.", err=True)
    else:
        wide = form == "wide"
        body = [[*row.cells, *(row.wide if wide else ())] for row in rows]
        click.echo(
            table([*listing.headers, *(listing.wide_headers if wide else ())], body, headers)
        )


def structured(value: Any, form: str) -> str:
    """Give `value` as JSON or YAML."""
    if form == "yaml":
        return manifests.dump(value)
    import orjson

    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], with_headers: bool = True) -> str:
    """Align cells in columns, three blanks apart."""
    import tabulate

    row = tabulate.DataRow("", "   ", "")
    form = tabulate.TableFormat(
        lineabove=None,
        linebelowheader=None,
        linebetweenrows=None,
        linebelow=None,
        headerrow=row,
        datarow=row,
        padding=0,
        with_header_hide=None,
    )
    cells = [[cell or NONE for cell in each] for each in rows]
    text = tabulate.tabulate(
        [list(headers), *cells] if with_headers else cells, tablefmt=form, disable_numparse=True
    )
    return "\n".join(line.rstrip() for line in text.split("\n"))


def manifest(kind: str, name: str, spec: Mapping[str, Any], *, keep: str = "") -> Manifest:
    """Give the object of that kind; what is empty in `spec` is left out, except `keep`."""
    namespace, _, short = name.rpartition("/")
    metadata = {"name": short, "namespace": namespace} if namespace else {"name": short}
    return {
        "apiVersion": API_VERSION,
        "kind": f"Namespaced{kind}" if namespace else kind,
        "metadata": metadata,
        "spec": {
            key: value
            for key, value in spec.items()
            if key == keep or value not in (None, "", [], {})
        },
    }


def _name(found: Manifest) -> str:
    metadata: dict[str, str] = found["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else metadata["name"]
