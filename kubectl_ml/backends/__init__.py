"""
One system a file: how it is asked to train or to serve, and how its objects are read.

Here belongs what differs between systems. `--backend auto` takes the first of a tuple that is
installed and can say what is asked; the last of each needs nothing but Kubernetes.
"""

from __future__ import annotations

from typing import Any

from kubectl_ml.backends import deployment, job, jobset, knative, kserve, pytorchjob, trainjob
from kubectl_ml.backends.backend import Backend
from kubectl_ml.serving import ServeSpec
from kubectl_ml.training import TrainSpec

TRAINING: tuple[Backend[TrainSpec], ...] = (
    trainjob.BACKEND,
    pytorchjob.BACKEND,
    jobset.BACKEND,
    job.BACKEND,
)
SERVING: tuple[Backend[ServeSpec], ...] = (kserve.BACKEND, knative.BACKEND, deployment.BACKEND)
ALL: tuple[Backend[Any], ...] = (*TRAINING, *SERVING)
