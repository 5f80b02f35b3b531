"""
One system a file: how it is asked to train or to serve, and how its objects are read.

Here belongs what differs between systems. `--backend auto` takes the first of a tuple that is
installed and can say what is asked; the last of each needs nothing but Kubernetes.
"""

from __future__ import annotations

from typing import Any

from kubectl_ml.backends.backend import Backend

TRAINING: tuple[Backend[Any], ...] = ()
SERVING: tuple[Backend[Any], ...] = ()
ALL: tuple[Backend[Any], ...] = (*TRAINING, *SERVING)
