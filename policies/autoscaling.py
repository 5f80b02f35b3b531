"""
Knative's annotations: what they may say, and where they are written.

    autoscaling.knative.dev/min-scale: "5", autoscaling.knative.dev/max-scale: "2"
    ->  max-scale=2 is less than min-scale=5

Knative's webhook refuses such a Service with a path and a number; here a sentence says it before.
Source: knative/serving pkg/apis/autoscaling (annotation_validation.go, register.go) and
pkg/apis/serving (metadata_validation.go).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from policies import duration, quantity

PREFIX = "autoscaling.knative.dev/"
KPA, HPA = "kpa.autoscaling.knative.dev", "hpa.autoscaling.knative.dev"
VISIBILITY = "networking.knative.dev/visibility"  # a label, of the object
_OF_OBJECTS = (
    "networking.knative.dev/",
    "serving.knative.dev/rollout-duration",
    "serving.knative.dev/rolloutDuration",
)
_QUEUE_PROXY = "queue.sidecar.serving.knative.dev/"
_DOMAIN = ".knative.dev"
_MAX_INT, _MAX_LONG = 2**31 - 1, 2**63 - 1
_WINDOW_SECONDS = (6, 3600)  # WindowMin, WindowMax
_DECIMAL = re.compile(r"^[+-]?(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$", re.ASCII)
_HEXADECIMAL = re.compile(r"^[+-]?0[xX][\da-fA-F]{1,16}[pP][+-]?\d{1,3}$", re.ASCII)
_MAX_LENGTH = 64
_WHOLE = re.compile(r"^[+-]?\d{1,19}$", re.ASCII)
_KPA_METRICS = ("concurrency", "rps")
_ALGORITHMS = ("linear", "weightedExponential", "weighted-exponential")

NAMES = {
    "min": "min-scale", "max": "max-scale", "initial": "initial-scale", "target": "target",
    "metric": "metric", "window": "window", "retention": "scale-to-zero-pod-retention-period",
}  # fmt: skip
KSERVES_FIELDS = {PREFIX + "min-scale": "minReplicas", PREFIX + "max-scale": "maxReplicas"}
BY_RESOURCES = ("cpu", "memory")  # metrics that only the class of the HPA knows

Check = Callable[[str], str]  # gives what is wrong with a value, or nothing


def is_of_object(key: str) -> bool:
    """Tell whether a key belongs on the Service itself rather than on its template."""
    return key.startswith(_OF_OBJECTS)


def written_out(settings: Mapping[str, str]) -> dict[str, str]:
    """Write the keys of the `scale` intent as annotations; Knative's own stay."""
    full = {PREFIX + NAMES[key] if key in NAMES else key: settings[key] for key in settings}
    if settings.get("metric") in BY_RESOURCES:
        full.setdefault(PREFIX + "class", HPA)
    return full


def spelled(key: str, annotations: Any) -> str:
    """
    Give the spelling of an annotation that is in use: `minScale` is `min-scale` of old.

    Where both are there, Knative reads today's.
    """
    older = _OLDER.get(key, PREFIX + _camel(key.removeprefix(PREFIX)))
    return older if key not in (annotations or ()) and older in (annotations or ()) else key


def passed_on(obj: Mapping[str, Any], component: Mapping[str, Any]) -> dict[str, Any]:
    """Give what KServe tells Knative: the object's annotations, over them the component's."""
    return {
        key: value
        for key, value in {**obj, **component}.items()
        if modern(key) not in KSERVES_FIELDS
    }


def modern(key: str) -> str:
    """Give today's spelling of an annotation."""
    return PREFIX + _kebab(key[len(PREFIX) :]) if key.startswith(PREFIX) else key


def faults(annotations: Mapping[str, Any]) -> Iterator[str]:
    """Find what Knative would refuse among the annotations of a template, or of a Service."""
    short = _short(annotations)
    for name, check in _CHECKS.items():
        if name in short:
            wrong = check(short[name])
            if wrong:
                yield f'{name} "{short[name]}" {wrong}'
    yield from _class_and_metric(short)
    yield from _bounds(short)
    for name, check in _MORE.items():
        key = spelled(name, annotations)
        value = annotations.get(key)
        if isinstance(value, str) and (wrong := check(value)):
            yield f'{key} "{value}" {wrong}'
    yield from _of_queue_proxy(annotations)


def unknown(annotations: Mapping[str, Any]) -> list[str]:
    """List the autoscaling annotations that Knative doesn't know, and silently leaves unread."""
    return [name for name in _short(annotations) if name not in _CHECKS and name not in _BY_CLASS]


def known() -> tuple[str, ...]:
    """List the autoscaling annotations that Knative knows, without their prefix."""
    return (*_CHECKS, *_BY_CLASS)


def idle(annotations: Mapping[str, Any]) -> Iterator[str]:
    """Find what Knative takes and doesn't act on: the HPA's class has no window and no zero."""
    short = _short(annotations)
    if short.get("class") != HPA:
        return
    if short.get("min-scale") == "0":
        yield "min-scale=0 keeps one pod: scaling by cpu or memory never goes to zero"
    if short.get("metric") in _KPA_METRICS:
        yield (
            f'metric={short["metric"]} does nothing: the class "{HPA}" counts no requests; leave '
            "the class out"
        )
    for name in _ONLY_KPA:
        if name in short:
            yield f"{name} does nothing: only scaling by concurrency or rps reads it"


def is_idle(key: str, annotations: Mapping[str, Any]) -> bool:
    """Tell whether the class that is set never reads a key."""
    return _short(annotations).get("class") == HPA and key.removeprefix(PREFIX) in _ONLY_KPA


def _short(annotations: Mapping[str, Any]) -> dict[str, str]:
    """Give the autoscaling annotations by today's names without the prefix; today's win."""
    found = {
        key[len(PREFIX) :]: value
        for key, value in annotations.items()
        if key.startswith(PREFIX) and isinstance(value, str)
    }
    return {_kebab(key): value for key, value in found.items() if _kebab(key) != key} | {
        key: value for key, value in found.items() if _kebab(key) == key
    }


def _class_and_metric(short: Mapping[str, str]) -> Iterator[str]:
    found = short.get("class", KPA)
    if found.endswith(_DOMAIN) and found not in (KPA, HPA):
        yield f'class "{found}" is none of Knative\'s; write "{KPA}" or "{HPA}"'
    metric = short.get("metric")
    if metric is not None and found == KPA and metric not in _KPA_METRICS:
        hint = f'; add {PREFIX}class: "{HPA}"' if metric in ("cpu", "memory") else ""
        yield f'metric "{metric}" is not one of {", ".join(_KPA_METRICS)}{hint}'
    if metric == "" and found == HPA:
        yield 'metric "" is empty; write "cpu" or "memory"'
    algorithm = short.get("metric-aggregation-algorithm")
    if short.get("class") == KPA and algorithm and algorithm not in _ALGORITHMS:
        yield (
            f'metric-aggregation-algorithm "{algorithm}" is not one of {", ".join(_ALGORITHMS[:2])}'
        )


def _bounds(short: Mapping[str, str]) -> Iterator[str]:
    low, high = _int(short.get("min-scale")), _int(short.get("max-scale"))
    if low is not None and high and high < low:
        yield f"max-scale={high} is less than min-scale={low}"
    first = _int(short.get("activation-scale"))
    if first and low and first < low:
        yield f"activation-scale={first} is less than min-scale={low}"
    if first and high and high < first:
        yield f"max-scale={high} is less than activation-scale={first}"


def _int(text: str | None) -> int | None:
    return int(text) if text is not None and not _count(text) else None


def _of_queue_proxy(annotations: Mapping[str, Any]) -> Iterator[str]:
    for key, value in annotations.items():
        name = key.removeprefix(_QUEUE_PROXY)
        if name == key or not isinstance(value, str):
            continue
        if name.endswith(("-resource-request", "-resource-limit")):
            try:
                quantity.parse(value)
            except ValueError:
                yield f'{key} "{value}" is not a quantity; write "100m" or "128Mi"'


# --- values -----------------------------------------------------------------------------------


def _whole(low: int, high: int = _MAX_INT) -> Check:
    def check(text: str) -> str:
        inside = _WHOLE.match(text) and low <= int(text) <= high
        return "" if inside else f"is not a whole number of {low} or more"

    return check


_count = _whole(0)


def _float(text: str) -> float | None:
    """Read a number as Go does, but for NaN and infinity, which mean nothing here."""
    if len(text) > _MAX_LENGTH:
        return None
    if _HEXADECIMAL.match(text):
        return float.fromhex(text)
    try:
        found = float(text) if _DECIMAL.match(text) else math.nan
    except ValueError:  # underscores that don't stand between digits
        return None
    return found if math.isfinite(found) else None


def _from_to(low: float, high: float) -> Check:
    def check(text: str) -> str:
        found = _float(text)
        inside = found is not None and low <= found <= high
        return "" if inside else f"is not a number from {low:g} to {high:g}"

    return check


def _target(text: str) -> str:
    found = _float(text)
    inside = found is not None and found >= 0.01  # TargetMin
    return "" if inside else "is not a number of at least 0.01"


def _burst(text: str) -> str:
    found = _float(text)
    inside = found is not None and (found >= 0 or found == -1)
    return "" if inside else "is not a number of 0 or more, or -1 for no bound"


def _seconds(low: int, high: int, *, whole: bool, shown: str) -> Check:
    def check(text: str) -> str:
        found = duration.of_go(text)
        if found is None or not low <= found <= high:
            return f"is not a duration {shown}"
        return "is finer than a second; write whole seconds" if whole and found % 1 else ""

    return check


def _patience(text: str) -> str:
    """Empty is Knative's default; 0s it takes, too, and then no Deployment of it is valid."""
    shown = 'of a second or more; write "600s"'
    return text and _seconds(1, _MAX_INT, whole=True, shown=shown)(text)


def _rollout(text: str) -> str:
    shown = 'of whole seconds; write "300s"'
    return text and _seconds(0, _MAX_INT, whole=True, shown=shown)(text)


_UP_TO_AN_HOUR = 'from 0s to 1h; write "10m"'
_CHECKS: dict[str, Check] = {
    "min-scale": _count,
    "max-scale": _count,
    "initial-scale": _whole(0, _MAX_LONG),
    "activation-scale": _whole(2),
    "target": _target,
    "target-utilization-percentage": _from_to(1, 100),
    "target-burst-capacity": _burst,
    "window": _seconds(*_WINDOW_SECONDS, whole=True, shown='from 6s to 1h; write "60s"'),
    "panic-window-percentage": _from_to(1, 100),
    "panic-threshold-percentage": _from_to(110, 1000),
    "scale-down-delay": _seconds(0, 3600, whole=True, shown=_UP_TO_AN_HOUR),
    "scale-to-zero-pod-retention-period": _seconds(0, 3600, whole=False, shown=_UP_TO_AN_HOUR),
}
_BY_CLASS = ("class", "metric", "metric-aggregation-algorithm")
_ONLY_KPA = (
    "window", "panic-window-percentage", "panic-threshold-percentage", "scale-down-delay",
    "scale-to-zero-pod-retention-period",
)  # fmt: skip
_MORE: dict[str, Check] = {
    "serving.knative.dev/progress-deadline": _patience,
    "serving.knative.dev/rollout-duration": _rollout,
    f"{_QUEUE_PROXY}resource-percentage": _from_to(0.1, 100),
    VISIBILITY: lambda text: "" if text == "cluster-local" else 'is not "cluster-local"',
}


# Those of _MORE that have an older spelling still.
_OLDER = {
    "serving.knative.dev/rollout-duration": "serving.knative.dev/rolloutDuration",
    f"{_QUEUE_PROXY}resource-percentage": f"{_QUEUE_PROXY}resourcePercentage",
}


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda found: "-" + found[1].lower(), name)


def _camel(name: str) -> str:
    first, *rest = name.split("-")
    return first + "".join(part.capitalize() for part in rest)
