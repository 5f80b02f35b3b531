"""
What `demand` prints, row by row: thousands of rows are never held at once.

A table needs its columns' widths before its first line, so its cells are spooled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from kubectl_ml import tables
from kubectl_ml.demanding import Role, Row
from kubectl_ml.spool import Spool
from policies.workloads import requests
from policies.workloads.shares import Share

HEADERS = ("KIND", "NAME", "ROLE", "PODS", "DEVICES", "CPU", "MEMORY")
_UNBOUNDED = "unbounded"
_GAP = "   "


class _Total:
    """The sum of all rows, and the classes that its devices are asked for by."""

    def __init__(self) -> None:
        self.steady, self.peak = Share(), Share()
        self._classes: dict[str, str] = {}
        self._names: dict[str, set[str]] = {}

    def add(self, row: Row) -> None:
        self.steady.add(row.steady)
        self.peak.add(row.peak)
        for role in row.roles:
            self._classes.update(role.classes)
            for resource, name in role.devices.items():
                self._names.setdefault(resource, set()).add(name)

    @property
    def classes(self) -> Mapping[str, str]:
        """Name resources by class, unless several classes ask for one resource."""
        mixed = any(len(names) > 1 for names in self._names.values())
        return {} if mixed else self._classes


# --- JSON and YAML -----------------------------------------------------------------------------


def structured(rows: Iterable[Row], form: str, stream: BinaryIO) -> None:
    """Print `{"items": [...], "total": {...}}`, each item as it comes."""
    if form == "json":
        _write_json(rows, stream)
    else:
        _write_yaml(rows, stream)


def _write_json(rows: Iterable[Row], stream: BinaryIO) -> None:
    total, items = _Total(), 0
    stream.write(b'{\n  "items": [')
    for row in rows:
        total.add(row)
        text = tables.structured(_item(row), "json").rstrip("\n").replace("\n", "\n    ")
        stream.write(f"{',' if items else ''}\n    {text}".encode())
        items += 1
    text = tables.structured(_both_shares(total), "json").rstrip("\n").replace("\n", "\n  ")
    close = "\n  ]" if items else "]"
    stream.write(f'{close},\n  "total": {text}\n}}\n'.encode())


def _write_yaml(rows: Iterable[Row], stream: BinaryIO) -> None:
    total, items = _Total(), 0
    for row in rows:
        total.add(row)
        if not items:
            stream.write(b"items:\n")
        stream.write(tables.structured([_item(row)], "yaml").encode())
        items += 1
    if not items:
        stream.write(b"items: []\n")
    stream.write(tables.structured({"total": _both_shares(total)}, "yaml").encode())


def _item(row: Row) -> dict[str, Any]:
    return {
        "apiVersion": row.api_version,
        "kind": row.kind,
        **({"namespace": row.namespace} if row.namespace else {}),
        "name": row.name,
        **_both_shares(row),
        "roles": [{"name": role.name, **_both_shares(role)} for role in row.roles],
    }


def _both_shares(one: Row | Role | _Total) -> dict[str, Any]:
    return {"steady": _share(one.steady), "peak": _share(one.peak)}


def _share(share: Share) -> dict[str, Any]:
    pods = _UNBOUNDED if share.pods is None else share.pods
    return {"pods": pods, "requests": share.quantities()}


# --- the table ---------------------------------------------------------------------------------


def table(rows: Iterable[Row], stream: BinaryIO, *, wide: bool, headers: bool) -> None:
    """Write a line for each role; `4 → 8` is steady and peak where they differ."""
    titles = [*(("NAMESPACE",) if wide else ()), *HEADERS, *(("OTHER",) if wide else ())]
    total = _Total()
    widths = [len(title) if headers else 0 for title in titles]

    with Spool() as lines:
        for cells in _lines(rows, total, wide=wide):
            widths = list(map(max, widths, map(len, cells)))
            lines.add(cells)
        if headers:
            stream.write(_line(titles, widths))
        for cells in lines:
            stream.write(_line(cells, widths))


def _lines(rows: Iterable[Row], total: _Total, *, wide: bool) -> Iterator[list[str]]:
    for row in rows:
        total.add(row)
        roles: tuple[Role | None, ...] = row.roles or (None,)
        for role in roles:
            yield [cell or "-" for cell in _cells(row, role, wide=wide)]
    figures = _figures(total.steady, total.peak, total.classes, wide=wide)
    cells = [*(("",) if wide else ()), "TOTAL", "", "", *figures]
    yield [cell or "-" for cell in cells]


def _line(cells: list[str], widths: list[int]) -> bytes:
    padded = map(str.ljust, cells, widths)
    return f"{_GAP.join(padded).rstrip()}\n".encode()


def _cells(row: Row, role: Role | None, *, wide: bool) -> list[str]:
    steady = role.steady if role else row.steady
    peak = role.peak if role else row.peak
    return [
        *((row.namespace,) if wide else ()),
        row.kind,
        row.name,
        role.name if role else "",
        *_figures(steady, peak, role.classes if role else {}, wide=wide),
    ]


def _figures(steady: Share, peak: Share, classes: Mapping[str, str], *, wide: bool) -> list[str]:
    now, then = steady.quantities(), peak.quantities()
    names = list(dict.fromkeys([*now, *then]))
    devices = [name for name in names if requests.is_device(name)]
    others = [name for name in names if name not in ("cpu", "memory") and name not in devices]
    return [
        _both(_pods(steady), _pods(peak)),
        _both(_listed(now, devices, classes), _listed(then, devices, classes)),
        _both(now.get("cpu", "0"), then.get("cpu", "0")),
        _both(now.get("memory", "0"), then.get("memory", "0")),
        *((_both(_listed(now, others, {}), _listed(then, others, {})),) if wide else ()),
    ]


def _pods(share: Share) -> str:
    return _UNBOUNDED if share.pods is None else str(share.pods)


def _listed(found: dict[str, str], names: list[str], classes: Mapping[str, str]) -> str:
    return ",".join(f"{classes.get(name, name)}:{found.get(name, '0')}" for name in names)


def _both(steady: str, peak: str) -> str:
    return steady if steady == peak else f"{steady} → {peak}"
