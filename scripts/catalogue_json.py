"""
Write the catalogue of workload kinds as JSON: `python scripts/catalogue_json.py > FILE`.

What every start reads is that: YAML takes forty times as long to read.
"""

from __future__ import annotations

import json

import yaml

from policies.workloads import catalogue


def text() -> str:
    """Write it, a kind a line."""
    entries = yaml.safe_load(catalogue.SOURCE.read_text("utf-8"))
    lines = (json.dumps(one, separators=(",", ":"), ensure_ascii=False) for one in entries)
    return "[\n" + ",\n".join(lines) + "\n]\n"


if __name__ == "__main__":
    print(text(), end="")
