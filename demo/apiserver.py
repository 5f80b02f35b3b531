"""Ask the webhook what an API server asks: an AdmissionReview over TLS, its patch applied."""

from __future__ import annotations

import base64
import http
import http.client
import json
import ssl
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonpatch

from policies.model import Manifest
from policies.workloads import catalogue

USER = "ada@example.com"


class NotAnswered(Exception):  # noqa: N818 -- named for what happened
    """Raised when the webhook gives no usable answer; `failurePolicy` would decide now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for one object."""

    allowed: bool
    object: Manifest  # with the patch applied
    warnings: tuple[str, ...] = ()
    message: str = ""
    code: int = 200


@dataclass(slots=True, kw_only=True)
class Webhook:
    """A connection to the webhook, kept alive as the API server keeps it."""

    connection: http.client.HTTPSConnection
    seconds: list[float] = field(default_factory=list)  # how long each review took

    @classmethod
    def at(cls, address: str, *, ca: Path) -> Webhook:
        """Connect to `address`, trusting nothing but `ca`."""
        host, _, port = address.rpartition(":")
        context = ssl.create_default_context(cafile=str(ca))
        return cls(
            connection=http.client.HTTPSConnection(host, int(port), timeout=10, context=context)
        )

    def mutate(self, obj: Manifest, *, user: str = USER) -> Answer:
        """Send a CREATE of `obj` to /mutate."""
        return self._send("/mutate", obj, user=user)

    def validate(self, obj: Manifest, *, user: str = USER) -> Answer:
        """Send a CREATE of `obj` to /validate."""
        return self._send("/validate", obj, user=user)

    def _send(self, path: str, obj: Manifest, *, user: str) -> Answer:
        review = _review(obj, user=user)
        response = self._post(path, review)
        if response["uid"] != review["request"]["uid"]:
            raise NotAnswered(f"{path} answered with another uid")
        patch = json.loads(base64.b64decode(response["patch"])) if "patch" in response else []
        status = response.get("status", {})
        return Answer(
            allowed=response["allowed"],
            object=jsonpatch.apply_patch(obj, patch),
            warnings=tuple(response.get("warnings", ())),
            message=status.get("message", ""),
            code=status.get("code", 200),
        )

    def _post(self, path: str, review: dict[str, Any]) -> dict[str, Any]:
        started = time.perf_counter()
        try:
            self.connection.request(
                "POST",
                f"{path}?timeout=2s",
                body=json.dumps(review),
                headers={"Content-Type": "application/json"},
            )
            reply = self.connection.getresponse()
            body = reply.read()
        except (OSError, http.client.HTTPException) as error:
            raise NotAnswered(f"{path}: {error!r}") from error
        self.seconds.append(time.perf_counter() - started)
        if reply.status != http.HTTPStatus.OK:
            raise NotAnswered(f"{path}: HTTP {reply.status}: {body.decode(errors='replace')}")
        return dict(json.loads(body)["response"])


def _review(obj: Manifest, *, user: str) -> dict[str, Any]:
    """Wrap `obj` as the API server does; generated names are made after admission."""
    group, _, version = obj["apiVersion"].rpartition("/")
    known = catalogue.builtin().find(group, obj["kind"])
    kind = {"group": group, "version": version, "kind": obj["kind"]}
    plural = known.plural if known else f"{obj['kind'].lower()}s"
    resource = {"group": group, "version": version, "resource": plural}
    request = {
        "uid": str(uuid.uuid4()),
        "kind": kind,
        "requestKind": kind,
        "resource": resource,
        "requestResource": resource,
        "namespace": obj["metadata"]["namespace"],
        "operation": "CREATE",
        "userInfo": {"username": user, "groups": ["system:authenticated"]},
        "object": obj,
        "oldObject": None,
        "dryRun": False,
        "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
    }
    if "name" in obj["metadata"]:
        request["name"] = obj["metadata"]["name"]
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
