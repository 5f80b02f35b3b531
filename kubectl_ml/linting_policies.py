"""Everything that `policy lint` finds, in the order of the files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kubectl_ml import policy_objects
from kubectl_ml.errors import Unreadable
from kubectl_ml.findings import ERROR, Finding
from kubectl_ml.lint_output import Found
from kubectl_ml.places import Place
from kubectl_ml.policy_flags import Chosen
from kubectl_ml.policy_objects import Held
from kubectl_ml.policylint import (
    classes,
    conditions,
    conflicts,
    expressions,
    names,
    trials,
    unreachable,
)
from kubectl_ml.policylint.subjects import About, Subjects, at
from policies import load
from policies.errors import InvalidPolicies
from policies.model import API_VERSION

QUESTIONS = (
    unreachable.find,
    conditions.find,
    conflicts.find,
    names.find,
    classes.find,
    expressions.find,
    trials.find,
)
_LINE = re.compile(r"line (\d+): (.*)", re.DOTALL)
_STEP = re.compile(r'\["([^"]*)"\]|\[(\d+)\]|([^.\[]+)')


def find(chosen: Chosen, *, now: float) -> list[Found]:
    """Judge what `--policies` names, beside the library."""
    files = chosen.files.paths
    held = list(policy_objects.of_library()) if chosen.library else []
    written = list(_written(files))
    found = list(_unread(files, written))
    if chosen.of_cluster:
        written += policy_objects.of_cluster()
    usable = []
    for one in written:
        faults = list(_faults(one))
        found += faults
        usable += [] if faults else [one]
    whole = policy_objects.over([*held, *usable])
    subjects = Subjects(held=whole, now=now, only_library=not chosen.paths)
    for question in QUESTIONS:
        found += question(subjects)
    return sorted(dict.fromkeys(found), key=lambda each: (each.place, each.finding.message))


def _written(files: Sequence[str]) -> Iterator[Held]:
    for path in files:
        try:
            yield from policy_objects.of_files([path])
        except (Unreadable, OSError):
            continue  # `_unread` says so


def _faults(one: Held) -> Iterator[Found]:
    """Find what the schema and the compiler have against an object."""
    about = About(held=one, rule="policies")
    for fault in load.judged({"apiVersion": API_VERSION} | one.manifest):
        yield about(ERROR, fault.sentence, at(*_steps(fault.path)))


def _steps(path: str) -> list[str]:
    return [quoted or number or name for quoted, number, name in _STEP.findall(path)]


def _unread(files: Sequence[str], written: Sequence[Held]) -> Iterator[Found]:
    """Find what no object of ours can be told from: no YAML, no name, the same name twice."""
    told = {(one.origin, f"{one.kind} {one.manifest['metadata']['name']}") for one in written}
    try:
        load.read(files, library=False)
    except InvalidPolicies as error:
        for fault in error.faults:
            if "is also in" in fault.message or (fault.file, fault.object) not in told:
                line, message = _line(fault.sentence)
                yield Found(
                    finding=Finding(severity=ERROR, policy="policies", message=message),
                    place=Place(file=fault.file, line=line),
                    title=fault.object,
                )


def _line(sentence: str) -> tuple[int, str]:
    """Take the line out of what the reader of YAML says."""
    found = _LINE.match(sentence)
    return (int(found[1]), found[2]) if found else (1, sentence)
