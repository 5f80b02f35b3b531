"""
What `render` may assume of the cluster, read from the file that `--facts` names.

    kubeVersion: "1.34"                     # default: 1.36
    namespaces:
      ml: {labels: {team: nlp}}             # what policies match on; annotations, limitRanges
                                            # and resourceQuotas (lists of objects), too
    user: {username: ann, groups: [nlp]}    # who applies the manifests
    installed: [kueue, knative]             # default: every known system
    launchers: [mpi, ml/mpi]                # runtimes of TrainJobs whose launcher is a node
    fields: {TrainJob.trainer.kubeflow.org: podTemplateOverrides}   # default: the newest
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kubectl_ml.errors import PluginError
from policies import manifests
from policies.model import Facts, Manifest, User

_OF_NAMESPACES = ("labels", "annotations", "limitRanges", "resourceQuotas")
_VERSION = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?:[.+-].*)?")


def kube_version(text: str) -> tuple[int, int] | None:
    """Read `1.36` or `v1.29.3`; None where it is no version."""
    found = _VERSION.fullmatch(text)
    return (int(found[1]), int(found[2])) if found else None


def read(path: str) -> Facts:
    """Read a file of facts."""
    try:
        with open(path, "rb") as file:
            documents = manifests.documents(file.read())
    except OSError as error:
        raise _wrong(f"{path}: can't be read: {(error.strerror or str(error)).lower()}") from error
    except manifests.InvalidYAML as error:
        raise _wrong(f"{path}: {error}") from error
    found = [document for document in documents if document is not None]
    if len(found) > 1:
        raise _wrong(f"{path}: several documents; facts are one")
    return parsed(found[0] if found else {}, path)


def parsed(found: Any, where: str) -> Facts:
    """Read facts that were written elsewhere than in a file of their own."""
    return _Reader(where).facts(found)


def _wrong(message: str) -> PluginError:
    return PluginError(
        message,
        hint="facts are kubeVersion, namespaces, user, installed, fields and launchers; "
        "see render --help",
    )


class _Reader:
    """Reads facts and says in which field of which file something is wrong."""

    def __init__(self, path: str) -> None:
        self.path = path

    def facts(self, found: Any) -> Facts:
        known = ("kubeVersion", "namespaces", "user", "installed", "fields", "launchers")
        top = self.mapping(found, "", known)
        default = Facts()
        return Facts(
            kube_version=self.version(top["kubeVersion"])
            if "kubeVersion" in top
            else default.kube_version,
            namespaces=self.namespaces(top.get("namespaces") or {}, "labels"),
            namespace_objects={
                name: {"metadata": {"annotations": found}}
                for name, found in self.namespaces(
                    top.get("namespaces") or {}, "annotations"
                ).items()
                if found
            },
            limit_ranges=self.objects(top.get("namespaces") or {}, "limitRanges"),
            resource_quotas=self.objects(top.get("namespaces") or {}, "resourceQuotas"),
            installed=frozenset(self.strings(top["installed"], "installed"))
            if top.get("installed") is not None
            else default.installed,
            user=self.user(top.get("user") or {}),
            fields=self.fields(top.get("fields") or {}),
            launchers=self.launchers(top.get("launchers") or []),
        )

    def fields(self, found: Any) -> frozenset[tuple[str, str]]:
        from policies.workloads import catalogue

        kinds = catalogue.builtin().kinds.values()
        having = {one.name: one.generations for one in kinds if one.generations}
        for name, value in self.mapping(found, "fields", tuple(having)).items():
            if value not in having[name]:
                known = ", ".join(having[name])
                raise self.fault(f"fields.{name}", f'"{value}" is no field of it; known: {known}')
        return frozenset(found.items())

    def launchers(self, found: Any) -> frozenset[tuple[str, str, str]]:
        from policies.workloads import trainings

        names = [one.rpartition("/") for one in self.strings(found, "launchers")]
        return frozenset(
            (trainings.RUNTIMES[bool(namespace)], namespace, name) for namespace, _, name in names
        )

    def version(self, found: Any) -> tuple[int, int]:
        if not isinstance(found, str):
            raise self.fault("kubeVersion", f'{found!r} is no string; write "1.36", in quotes')
        version = kube_version(found)
        if version is None:
            raise self.fault("kubeVersion", f'"{found}" is no version; write "1.36"')
        return version

    def namespaces(self, found: Any, member: str) -> Mapping[str, Mapping[str, str]]:
        return {
            name: self.texts(value, f"namespaces.{name}", member)
            for name, value in self.mapping(found, "namespaces").items()
        }

    def texts(self, found: Any, field: str, member: str) -> Mapping[str, str]:
        namespace = self.mapping(found or {}, field, _OF_NAMESPACES)
        texts = self.mapping(namespace.get(member) or {}, f"{field}.{member}")
        for key, value in texts.items():
            if not isinstance(value, str):
                raise self.fault(f"{field}.{member}.{key}", f"{value!r} is no string; quote it")
        return texts

    def objects(self, found: Any, member: str) -> Mapping[str, Sequence[Manifest]]:
        """Read each namespace's objects of one kind."""
        return {
            name: [
                dict(self.mapping(one, f"namespaces.{name}.{member}[{number}]"))
                for number, one in enumerate(
                    self.listed(value[member], f"namespaces.{name}.{member}")
                )
            ]
            for name, value in self.mapping(found, "namespaces").items()
            if value and value.get(member)
        }

    def listed(self, found: Any, field: str) -> list[Any]:
        if not isinstance(found, list):
            raise self.fault(field, "is no list of objects")
        return found

    def user(self, found: Any) -> User:
        user = self.mapping(found, "user", ("username", "groups"))
        username = user.get("username") or ""
        if not isinstance(username, str):
            raise self.fault("user.username", f"{username!r} is no string; quote it")
        return User(
            username=username,
            groups=tuple(self.strings(user.get("groups") or [], "user.groups")),
        )

    def strings(self, found: Any, field: str) -> Sequence[str]:
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise self.fault(field, "is no list of strings")
        return found

    def mapping(self, found: Any, field: str, known: Sequence[str] = ()) -> Mapping[str, Any]:
        if not isinstance(found, dict):
            raise self.fault(field, "is no mapping")
        for key in found if known else ():
            if key not in known:
                from kubectl_ml.suggest import did_you_mean

                raise self.fault(field, f'unknown key "{key}"{did_you_mean(key, known)}')
        return found

    def fault(self, field: str, message: str) -> PluginError:
        return _wrong(": ".join(filter(None, [self.path, field, message])))
