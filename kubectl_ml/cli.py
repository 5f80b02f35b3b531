"""The plugin's entry point."""

from __future__ import annotations


def main() -> None:
    """Run `kubectl-ml`."""
