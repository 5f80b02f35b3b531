"""
Our validating webhook asked alone, over HTTPS as the API server does.

Where an operator refuses the same change, the API server says what the first of the two said.
"""

import json
import ssl
import urllib.request
from typing import Any

from tests.e2e.acting import Place
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import Installed


def refusal(installed: Installed, place: Place, *, stored: Manifest, changed: Manifest) -> str:
    """Give the sentence that our webhook refuses an update with; empty: it takes it."""
    group, _, version = stored["apiVersion"].rpartition("/")
    kind = stored["kind"]
    request = {
        "uid": "alone",
        "kind": {"group": group, "version": version, "kind": kind},
        "resource": {"group": group, "version": version, "resource": f"{kind.lower()}s"},
        "name": stored["metadata"]["name"],
        "namespace": place.name,
        "operation": "UPDATE",
        "userInfo": {"username": "ada"},
        "object": {**stored, "metadata": {**stored["metadata"], **changed["metadata"]}},
        "oldObject": stored,
        "dryRun": True,
        "options": {},
    }
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    asked = urllib.request.Request(
        f"https://localhost:{installed.port}/validate",
        data=json.dumps(review).encode(),
        headers={"Content-Type": "application/json"},
    )
    tls = ssl.create_default_context(cafile=str(installed.ca_file))
    with urllib.request.urlopen(asked, context=tls, timeout=30) as answer:  # noqa: S310 -- ours, on loopback
        response: Any = json.load(answer)["response"]
    return "" if response["allowed"] else str(response["status"]["message"])
