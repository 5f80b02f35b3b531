"""`kubectl ml serve`: a model, or a server of one's own, on KServe, Knative or plain Kubernetes."""

from __future__ import annotations
