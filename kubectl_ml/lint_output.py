"""
What `lint` prints: lines for people, JSON for programs, SARIF for code hosts.

SARIF 2.1.0, https://docs.oasis-open.org/sarif/sarif/v2.1.0/: a run of one tool, its rules (ours
are the policies that speak), and a result for each finding with its place in a file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

import click

from kubectl_ml.findings import ERROR, WARNING, Finding
from kubectl_ml.places import Place

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A finding, the object it is about, and where that stands."""

    finding: Finding
    place: Place
    reference: str = ""  # Job.batch/ml/train; empty for a file that can't be read
    title: str = ""


def options(command: Any) -> Any:
    """Add the flags that say what is printed, and when the exit code is 1."""
    command = click.option(
        "-o",
        "--output",
        type=click.Choice(["text", "json", "sarif"]),
        default="text",
        show_default=True,
        help="What to print.",
    )(command)
    return click.option(
        "--fail-on",
        type=click.Choice([ERROR, WARNING, "never"]),
        default=ERROR,
        show_default=True,
        help="End with 1 where there is one of these, or worse.",
    )(command)


def show(found: Sequence[Found], form: str) -> None:
    """Print findings as text, json or sarif."""
    import orjson

    stdout = sys.stdout.buffer
    if form == "text":
        stdout.write(text(found).encode())
    else:
        value = (json if form == "json" else sarif)(found)
        stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    stdout.flush()


def fails(found: Sequence[Found], fail_on: str) -> bool:
    """Tell whether there is a finding of this severity (error, warning, never) or worse."""
    counted = {ERROR: {ERROR}, WARNING: {ERROR, WARNING}}.get(fail_on, set())
    return bool(counted & {each.finding.severity for each in found})


def text(found: Sequence[Found]) -> str:
    """Write a line a finding, as compilers do: `train.yaml:6:5: error: Job "t": …`."""
    return "".join(f"{_line(each)}\n" for each in found)


def _line(each: Found) -> str:
    place, finding = each.place, each.finding
    about = f"{each.title}: " if each.title else ""
    where = f"{place.file}:{place.line}:{place.column}"
    return f"{where}: {finding.severity}: {about}{' '.join(finding.sentence.split())}"


def json(found: Sequence[Found]) -> dict[str, Any]:
    """Write all findings as one JSON object."""
    return {
        "findings": [
            {
                "severity": each.finding.severity,
                "policy": each.finding.policy,
                "message": each.finding.message,
                "object": each.reference,
                "pointer": each.finding.pointer,
                "file": each.place.file,
                "line": each.place.line,
                "column": each.place.column,
            }
            for each in found
        ]
    }


def sarif(found: Sequence[Found]) -> dict[str, Any]:
    """Write all findings as a SARIF log."""
    rules = sorted({_rule(each) for each in found})
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "kubectl-ml",
                        "version": version("kubectl-ml"),
                        "rules": [{"id": rule} for rule in rules],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(each, rules) for each in found],
            }
        ],
    }


def _rule(each: Found) -> str:
    return each.finding.policy or "kubectl-ml"


def _result(each: Found, rules: list[str]) -> dict[str, Any]:
    place = each.place
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(place.file)},
            "region": {"startLine": place.line, "startColumn": place.column},
        }
    }
    if each.reference:
        location["logicalLocations"] = [{"fullyQualifiedName": each.reference, "kind": "object"}]
    return {
        "ruleId": _rule(each),
        "ruleIndex": rules.index(_rule(each)),
        "level": "error" if each.finding.severity == ERROR else "warning",
        "message": {"text": each.finding.message},
        "locations": [location],
    }
