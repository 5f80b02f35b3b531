"""
The AdmissionReview codec: bytes in, a `policies` request out; a decision in, bytes out.

Nothing inward of here knows the wire's names, and no answer is built anywhere else.
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import orjson

from policies.model import JSONPatch, Request, User
from webhook.errors import BadCall

API_VERSION = "admission.k8s.io/v1"
OPERATIONS = frozenset({"CREATE", "UPDATE", "DELETE", "CONNECT"})

# orjson reads 1,024 levels and writes 254; what it can't write, neither could we patch.
MAX_DEPTH = 254

# The API server cuts a warning at 256 characters and drops what is over 4,096 in all.
MAX_WARNING_BYTES = 256
MAX_WARNINGS_BYTES = 4096

# The part of an audit annotation's key behind "/" is at most that long.
MAX_AUDIT_KEY = 63

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class Status(TypedDict, total=False):
    """The part of a metav1.Status that the API server takes from a webhook."""

    code: int
    message: str
    reason: str


class Response(TypedDict, total=False):
    """`response` of an AdmissionReview."""

    uid: str
    allowed: bool
    status: Status
    patchType: str
    patch: str
    warnings: list[str]
    auditAnnotations: dict[str, str]


@dataclass(frozen=True, slots=True)
class Review:
    """A review that was read: what to echo, and what the engine is asked."""

    uid: str
    request: Request


# --- in ------------------------------------------------------------------------------------


def decode(body: bytes) -> Review:
    """Read an AdmissionReview, or raise BadCall with what is wrong and the uid, if there is one."""
    document = parse(body)
    if not isinstance(document, dict):
        raise BadCall(400, f"the body is {_named(document)}, not an AdmissionReview object")
    request = document.get("request")
    uid = uid_of(document)
    if document.get("kind") != "AdmissionReview" or document.get("apiVersion") != API_VERSION:
        raise _bad_kind(document, uid)
    if not isinstance(request, dict):
        raise _bad_member("request", request, uid)
    if not uid:
        raise _bad_member(
            "request.uid", request.get("uid"), uid, wanted="a string that isn't empty"
        )
    return Review(uid, _request(request, uid))


def parse(body: bytes) -> Any:
    """Read JSON of a depth that can be written again, or raise BadCall."""
    if not body:
        raise BadCall(400, "the body is empty; an AdmissionReview was expected")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadCall(400, f"the body is not JSON: {error}") from error
    # Two counts (well under a microsecond) prove nearly every review shallow.
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        _refuse_depth(document)
    return document


def uid_of(document: Any) -> str:
    """Find the uid in whatever was sent; an empty string where there is none."""
    request = document.get("request") if isinstance(document, dict) else None
    uid = request.get("uid") if isinstance(request, dict) else None
    return uid if isinstance(uid, str) else ""


def _request(request: dict[str, Any], uid: str) -> Request:
    kind = request.get("kind")
    if not isinstance(kind, dict):
        raise _bad_member("request.kind", kind, uid)
    operation = request.get("operation")
    if not isinstance(operation, str) or operation not in OPERATIONS:
        raise _bad_operation(operation, uid)
    user = request.get("userInfo") or {}
    if not isinstance(user, dict):
        raise _bad_member("request.userInfo", user, uid)
    return Request(
        operation=operation,
        group=_string(kind, "group", where="request.kind.group", uid=uid),
        version=_string(kind, "version", where="request.kind.version", uid=uid),
        kind=_kind_name(kind, uid),
        namespace=_string(request, "namespace", where="request.namespace", uid=uid),
        name=_string(request, "name", where="request.name", uid=uid),
        subresource=_string(request, "subResource", where="request.subResource", uid=uid),
        resource=_resource(request.get("resource")),
        object=_object(request, operation, uid),
        old_object=_nullable(request, "oldObject", uid),
        user=User(
            username=_string(user, "username", where="request.userInfo.username", uid=uid),
            groups=_groups(user.get("groups"), uid),
        ),
        dry_run=_boolean(request.get("dryRun"), uid),
    )


def _resource(found: Any) -> str:
    if not isinstance(found, dict):
        return ""
    return "/".join(str(found.get(key) or "") for key in ("group", "version", "resource"))


def _string(value: Mapping[str, Any], key: str, *, where: str, uid: str) -> str:
    found = value.get(key)
    if found is None:
        return ""
    if isinstance(found, str):
        return found
    raise _bad_member(where, found, uid, wanted="a string")


def _kind_name(kind: Mapping[str, Any], uid: str) -> str:
    found = kind.get("kind")
    if isinstance(found, str) and found:
        return found
    raise _bad_member("request.kind.kind", found, uid, wanted="a string that isn't empty")


def _object(request: Mapping[str, Any], operation: str, uid: str) -> Any:
    found = _nullable(request, "object", uid)
    if found is None and operation in ("CREATE", "UPDATE"):
        raise _bad_member("request.object", None, uid)
    return found


def _nullable(request: Mapping[str, Any], key: str, uid: str) -> Any:
    found = request.get(key)
    if found is None or isinstance(found, dict):
        return found
    raise _bad_member(f"request.{key}", found, uid)


def _groups(found: Any, uid: str) -> tuple[str, ...]:
    if found is None:
        return ()
    if isinstance(found, list) and all(isinstance(group, str) for group in found):
        return tuple(found)
    raise _bad_member("request.userInfo.groups", found, uid, wanted="a list of strings")


def _boolean(found: Any, uid: str) -> bool:
    if found is None or isinstance(found, bool):
        return bool(found)
    raise _bad_member("request.dryRun", found, uid, wanted="true or false")


def _bad_member(where: str, found: Any, uid: str, *, wanted: str = "an object") -> BadCall:
    if found is None:
        return BadCall(400, f"{where} is missing; it must be {wanted}", uid=uid)
    return BadCall(400, f"{where} is {_named(found)}; it must be {wanted}", uid=uid)


def _bad_kind(document: Mapping[str, Any], uid: str) -> BadCall:
    wrong_kind = document.get("kind") != "AdmissionReview"
    member, wanted = ("kind", "AdmissionReview") if wrong_kind else ("apiVersion", API_VERSION)
    return _bad_member(member, document.get(member), uid, wanted=f'"{wanted}"')


def _bad_operation(found: Any, uid: str) -> BadCall:
    wanted = "CREATE, UPDATE, DELETE or CONNECT"
    return _bad_member("request.operation", found, uid, wanted=wanted)


def _refuse_depth(document: Any) -> None:
    try:
        orjson.dumps(document)
    except orjson.JSONEncodeError as error:
        message = f"the body is nested more than {MAX_DEPTH} levels deep"
        raise BadCall(400, message, uid=uid_of(document)) from error


def _named(value: Any) -> str:
    """Name a JSON value for a sentence: short strings as they are, the rest by type."""
    if isinstance(value, str):
        if not value:
            return "an empty string"
        return f'"{one_line(value)}"' if len(value) <= 64 else "a string"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return "a number"
    return "a list" if isinstance(value, list) else "an object"


# --- out -----------------------------------------------------------------------------------


def allowed(
    uid: str, *, warnings: Sequence[str] = (), audit: Mapping[str, str] | None = None
) -> bytes:
    """Let the object in as it is."""
    return _encode({"uid": uid, "allowed": True}, warnings=warnings, audit=audit)


def patched(
    uid: str,
    patch: JSONPatch,
    *,
    warnings: Sequence[str] = (),
    audit: Mapping[str, str] | None = None,
) -> bytes:
    """Let the object in, changed by `patch`."""
    response: Response = {
        "uid": uid,
        "allowed": True,
        "patchType": "JSONPatch",
        "patch": base64.b64encode(orjson.dumps(patch)).decode("ascii"),
    }
    return _encode(response, warnings=warnings, audit=audit)


def denied(
    uid: str,
    status: Status,
    *,
    warnings: Sequence[str] = (),
    audit: Mapping[str, str] | None = None,
) -> bytes:
    """Refuse the object; `status` is what the user reads."""
    response: Response = {"uid": uid, "allowed": False, "status": status}
    return _encode(response, warnings=warnings, audit=audit)


def errored(status: int, message: str, *, uid: str = "") -> bytes:
    """
    Say why the call itself failed.

    It is a metav1.Status besides: of a bad answer the API server shows only that to the user.
    """
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "code": status,
        "message": message,
        "error": message,
    }
    if uid:
        body["uid"] = uid
    return orjson.dumps(body)


def one_line(text: str) -> str:
    """Put text on one line: what a terminal or a header can't show becomes a blank."""
    return text if text.isprintable() else _UNPRINTABLE.sub(" ", text)


def fitting(warnings: Iterable[str]) -> list[str]:
    """Cut warnings to what the API server passes on, rather than have it cut them for us."""
    lines = [_cut(one_line(warning), MAX_WARNING_BYTES) for warning in warnings]
    kept: list[str] = []
    room = MAX_WARNINGS_BYTES - 64  # for the last line
    for line in lines:
        room -= len(line.encode())
        if room < 0:
            kept.append(f"and {len(lines) - len(kept)} more warnings")
            break
        kept.append(line)
    return kept


def audit_key(name: str) -> str:
    """Make `name` fit for the key of an audit annotation."""
    return name[:MAX_AUDIT_KEY].rstrip("-._")


def _encode(
    response: Response, *, warnings: Sequence[str], audit: Mapping[str, str] | None
) -> bytes:
    if warnings:
        response["warnings"] = fitting(warnings)
    if audit:
        response["auditAnnotations"] = dict(audit)
    return orjson.dumps(
        {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}
    )


def _cut(line: str, limit: int) -> str:
    raw = line.encode()
    if len(raw) <= limit:
        return line
    return raw[: limit - 3].decode(errors="ignore") + "…"
