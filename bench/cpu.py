"""The CPU that programs use: what another busy program on the machine doesn't change."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_USED = slice(11, 13)  # utime, stime; proc(5)


def seconds(names: Mapping[str, str]) -> dict[str, float]:
    """
    Sum up the CPU seconds so far of the programs that this process started, and of theirs.

    `names` says how to call a program by what its command line holds:
    `{"etcd": "/etcd ", "webhook": "-m webhook"}`. What isn't named isn't counted.
    """
    children: dict[str, list[str]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (fields := _fields(folder.name)):
            children.setdefault(fields[1], []).append(folder.name)
    found = dict.fromkeys(names, 0.0)
    waiting = [(pid, "") for pid in children.get(str(os.getpid()), ())]
    while waiting:
        pid, name = waiting.pop()
        name = name or _name(pid, names)
        if name and (fields := _fields(pid)):
            found[name] += sum(map(int, fields[_USED])) / _TICKS
        waiting += [(child, name) for child in children.get(pid, ())]
    return found


def _name(pid: str, names: Mapping[str, str]) -> str:
    line = _read(pid, "cmdline").replace("\0", " ")
    return next((name for name, part in names.items() if part in line), "")


def _fields(pid: str) -> list[str]:
    return _read(pid, "stat").rpartition(")")[2].split()


def _read(pid: str, what: str) -> str:
    try:
        return (Path("/proc") / pid / what).read_text(errors="replace")
    except OSError:  # it ended just now
        return ""
