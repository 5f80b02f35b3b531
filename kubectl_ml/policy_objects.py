"""
The policies in force as they were written: each object with where it comes from.

What the engine works with are values; `policy list`, `show`, `lint` and `export` speak of what an
admin wrote, and of the file and line where it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kubectl_ml import documents, flags, in_force, objects
from kubectl_ml.documents import Document
from kubectl_ml.errors import PluginError
from kubectl_ml.places import Place, Places
from kubectl_ml.policy_flags import Chosen
from policies import load
from policies.model import API_VERSION, DOMAIN, Manifest

LIBRARY, CLUSTER = "library", "cluster"
POLICIES = ("InjectionPolicy", "GuardPolicy", "QuotaPolicy", "PolicyException")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One object: `origin` is `library`, `cluster` or its file."""

    manifest: Manifest
    origin: str
    document: Document | None = None
    pointer: str = ""  # within its document: of a List, the item

    @property
    def kind(self) -> str:
        """Say of which kind it is."""
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        """Name it, with its namespace where it has one."""
        metadata = self.manifest["metadata"]
        namespace = metadata.get("namespace") if self.kind.startswith("Namespaced") else ""
        return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])

    @property
    def title(self) -> str:
        """Name it as sentences do."""
        return f'{self.kind} "{self.name}"'

    @property
    def spec(self) -> Mapping[str, Any]:
        """Give its spec."""
        found = self.manifest.get("spec")
        return found if isinstance(found, dict) else {}

    def place(self, pointer: str = "") -> Place:
        """Say where something of it stands."""
        if self.document is None:
            return Place(file=self.origin, line=1)
        return Places(self.document).of(self.pointer + pointer)

    @property
    def where(self) -> str:
        """Say in short where it comes from: `library`, `cluster`, `guards.yaml:12`."""
        if self.document is None or self.origin == LIBRARY:
            return self.origin
        place = self.place()
        return f"{place.file}:{place.line}"

    @property
    def plain(self) -> Manifest:
        """Give the object as it is applied: without what the API server added."""
        metadata = {
            key: value
            for key, value in self.manifest["metadata"].items()
            if key in ("name", "namespace", "labels", "annotations")
        }
        rest = {k: v for k, v in self.manifest.items() if k not in ("metadata", "status")}
        return {"apiVersion": API_VERSION, **rest, "metadata": metadata, "spec": dict(self.spec)}


def read(chosen: Chosen) -> list[Held]:
    """
    Read what is in force: the cluster's over the directories' over the library's.

    Directories that hold a fault are refused, as every command does.
    """
    files = chosen.files
    replace(files, library=False).read()
    found = [*of_library()] if chosen.library else []
    found += of_files(files.paths)
    if chosen.of_cluster:
        found += of_cluster()
    return over(found)


def over(found: Iterable[Held]) -> list[Held]:
    """Keep the last of each kind and name."""
    return list({(one.kind, one.name): one for one in found}.values())


def of_library() -> Iterator[Held]:
    """Read the built-in library."""
    for one in of_files([str(load.LIBRARY)]):
        yield Held(
            manifest=one.manifest, origin=LIBRARY, document=one.document, pointer=one.pointer
        )


def of_files(paths: Sequence[str]) -> Iterator[Held]:
    """Read the objects of ours in files and directories, those with faults too."""
    for file in load.files(paths):
        with open(file, "rb") as stream:
            for document in documents.read(stream, str(file)):
                yield from _of_document(document, file)


def _of_document(document: Document, file: Path) -> Iterator[Held]:
    if not isinstance(document.value, dict) or not isinstance(document.value.get("kind"), str):
        return
    for pointer, manifest in objects.each({"apiVersion": API_VERSION} | document.value):
        if is_ours(manifest):
            yield Held(manifest=manifest, origin=str(file), document=document, pointer=pointer)


def is_ours(manifest: Any) -> bool:
    """Tell whether it is an object of ours that has a name."""
    if not isinstance(manifest, dict) or manifest.get("kind") not in load.KINDS:
        return False
    metadata = manifest.get("metadata")
    version = str(manifest.get("apiVersion", API_VERSION))
    return (
        version.startswith(f"{DOMAIN}/")
        and isinstance(metadata, dict)
        and isinstance(metadata.get("name"), str)
    )


def of_cluster() -> Iterator[Held]:
    """Read the objects of the cluster that the command's flags name."""
    for manifest in in_force.objects(flags.asked_cluster()):
        yield Held(manifest=manifest, origin=CLUSTER)


def named(found: Sequence[Held], word: str) -> Held:
    """Find what `NAME` or `KIND/NAME` means, or say what was meant."""
    kind, slash, name = word.partition("/")
    fitting = [one for one in found if one.name == word or (slash and _is(one, kind, name))]
    if len(fitting) > 1:  # the same name in several kinds: a policy first
        policies = [one for one in fitting if one.kind in POLICIES]
        fitting = policies if len(policies) == 1 else fitting
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        words = ", ".join(f"{one.kind}/{one.name}" for one in fitting)
        raise PluginError(f'"{word}" names several objects', hint=f"write one of {words}")
    if kind := next((kind for kind in load.KINDS if is_kind(kind, word)), ""):
        raise PluginError(
            f'"{word}" is a kind, and no policy is named so; write the name of one',
            hint=f"kubectl ml policy list --kind {kind} lists them",
        )
    from kubectl_ml.suggest import did_you_mean

    near = did_you_mean(name if slash else word, [one.name for one in found])
    raise PluginError(
        f'there is no policy "{word}"{near}',
        hint="kubectl ml policy list lists them; --policies DIR adds yours",
    )


def is_kind(found: str, word: str) -> bool:
    """Tell whether a kind is meant by a word: `GuardPolicy`, `guardpolicies`, `guard`."""
    word, kind = word.lower().removesuffix(f".{DOMAIN}"), found.lower()
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
    short = kind.removesuffix("policy").removeprefix("policy")
    return word in (kind, plural, short, f"{short}s")


def _is(one: Held, kind: str, name: str) -> bool:
    return one.name == name and is_kind(one.kind, kind)
