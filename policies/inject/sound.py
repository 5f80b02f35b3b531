"""
The shapes that injectors rely on: maps where maps belong, lists of maps where those do.

A pod of another shape is left alone; the API server refuses it, and says why better than we could.
"""

from __future__ import annotations

from typing import Any

_MAP = (dict, type(None))
_METADATA_MAPS = ("annotations", "labels")
_SPEC_MAPS = ("nodeSelector", "securityContext")
_SPEC_LISTS = (
    "containers", "initContainers", "volumes", "tolerations", "imagePullSecrets",
    "topologySpreadConstraints", "resourceClaims",
)  # fmt: skip
_LISTS = ("env", "envFrom", "volumeMounts")


def is_sound(pod_spec: Any, metadata: Any) -> bool:
    """Tell whether a pod has the shape that injectors rely on; the API server refuses any other."""
    if not isinstance(pod_spec, dict) or not is_sound_metadata(metadata):
        return False
    if not _are(pod_spec, _SPEC_MAPS, _MAP):
        return False
    affinity = pod_spec.get("affinity")
    if not _have_lists(pod_spec, _SPEC_LISTS) or not _is_sound_affinity(affinity):
        return False
    for member in ("containers", "initContainers"):
        for container in pod_spec.get(member) or ():
            if not is_sound_container(container):
                return False
    return True


def is_sound_metadata(metadata: Any) -> bool:
    """Tell whether metadata has the shape that injectors rely on."""
    return isinstance(metadata, _MAP) and _are(metadata or {}, _METADATA_MAPS, _MAP)


def _have_lists(obj: dict[str, Any], members: tuple[str, ...]) -> bool:
    for member in members:
        items = obj.get(member)
        if items is not None and not _is_list_of_maps(items):
            return False
    return True


def _are(obj: dict[str, Any], members: tuple[str, ...], types: tuple[type, ...]) -> bool:
    for member in members:  # noqa: SIM110 -- on the hot path a generator costs more than the rest
        if not isinstance(obj.get(member), types):
            return False
    return True


def _is_sound_affinity(affinity: Any) -> bool:
    if not isinstance(affinity, _MAP):
        return False
    for kind in (affinity or {}).values():
        if not isinstance(kind, _MAP):
            return False
        for terms in (kind or {}).values():
            required = isinstance(terms, dict)
            terms = terms.get("nodeSelectorTerms") if required else terms
            if not _is_list_of_maps(terms):
                return False
            if required and not all(
                _is_list_of_maps(term.get(member))
                for term in terms or ()
                for member in ("matchExpressions", "matchFields")
            ):
                return False
    return True


def is_sound_container(container: Any) -> bool:
    """Tell whether a container has the shape that injectors rely on."""
    if not isinstance(container, dict) or not isinstance(container.get("securityContext"), _MAP):
        return False
    for member in ("resources", "computeResources"):  # the latter is Tekton's word
        resources = container.get(member)
        if resources is not None and not is_sound_resources(resources):
            return False
    return _have_lists(container, _LISTS)


def is_sound_resources(resources: Any) -> bool:
    """Tell whether resource requirements have the shape that injectors rely on."""
    return (
        isinstance(resources, dict)
        and _are(resources, ("limits", "requests"), _MAP)
        and _is_list_of_maps(resources.get("claims"))
    )


def _is_list_of_maps(value: Any) -> bool:
    if value is None:
        return True
    if value.__class__ is not list:
        return False
    for item in value:  # noqa: SIM110 -- on the hot path
        if item.__class__ is not dict:
            return False
    return True
