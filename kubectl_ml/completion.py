"""Completion in kubectl's protocol."""

from __future__ import annotations


def main() -> None:
    """Run `kubectl_complete-ml`."""
