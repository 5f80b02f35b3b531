"""
The names of runs for completion: what the cluster says within a second, else nothing.

A shell that completes must not wait, and has nowhere to show what went wrong.
"""

from __future__ import annotations

import threading

from kubectl_ml.errors import PluginError

BOUND_SECONDS = 1.0


def names(*, namespace: str, context: str, kubeconfig: str) -> dict[str, str]:
    """Give the names of runs, with the backend of each."""
    found: dict[str, str] = {}

    def ask() -> None:
        from kubectl_ml import backends
        from kubectl_ml.backends.backend import NAME_LABEL
        from kubectl_ml.cluster import Target, connect

        try:
            cluster = connect(
                Target(
                    namespace=namespace,
                    context=context,
                    kubeconfig=kubeconfig,
                    timeout_seconds=BOUND_SECONDS,
                )
            )
        except PluginError:
            return
        for backend in reversed(backends.ALL):
            try:
                listed = cluster.find_all(backend.api_version, backend.kind, labels=NAME_LABEL)
            except PluginError:
                continue
            for each in listed:
                metadata = each["metadata"]
                if not metadata.get("ownerReferences"):
                    found[metadata["labels"][NAME_LABEL]] = backend.name

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(BOUND_SECONDS)
    return dict(found)
