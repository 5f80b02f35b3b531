"""
Read policy files: raw documents become typed, validated values before anything starts.

    load.library()                      the built-in library
    load.read(["policies/"])            directories and files over the library
    load.policy_set(documents)          the same for documents that came from elsewhere

Of two objects of one kind and name, the one in the paths replaces the library's; two in the paths
are a fault. A NamespacedDataSource goes by `NAMESPACE/NAME` and is for that namespace alone.
This is the only module of the engine that reads files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policies import guarding, manifests, objects
from policies.errors import Fault, InvalidPolicies
from policies.model import API_VERSION, DOMAIN, Manifest, PolicySet

KINDS = (
    "Accelerator",
    "DataSource",
    "NamespacedDataSource",
    "InjectionPolicy",
    "WorkloadKind",
    "GuardPolicy",
    "PolicyException",
    "QuotaPolicy",
)
SUFFIXES = (".yaml", ".yml", ".json")
LIBRARY = Path(__file__).parent / "library"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document of a file: where it stood, and what it says."""

    file: str
    number: int  # counted from 1
    value: Any


def library() -> PolicySet:
    """Read the built-in library; a test has checked it, so that a start needn't."""
    documents: list[Document] = []
    for file in files([LIBRARY]):
        documents += _documents(file)
    return _build(documents, PolicySet())


def read(paths: Sequence[str | Path], *, library: bool = True) -> PolicySet:
    """
    Read the files and directories `paths`, over the library.

    Raises InvalidPolicies with every fault of every file.
    """
    documents: list[Document] = []
    faults: list[Fault] = []
    for path in paths:
        if not Path(path).exists():
            faults.append(_file_fault(path, "there is no such file or directory; check the path"))
    for file in files(paths):
        try:
            documents += _documents(file)
        except manifests.InvalidYAML as error:
            faults.append(_file_fault(file, f"{error}; this is not YAML that can be read"))
        except OSError as error:
            faults.append(_file_fault(file, f"{error.strerror}; the file can't be read"))
    return policy_set(documents, base=_base(library), faults=faults)


def policy_set(
    documents: Iterable[Document], *, base: PolicySet | None = None, faults: Iterable[Fault] = ()
) -> PolicySet:
    """
    Make a set of `documents`, over `base`.

    Raises InvalidPolicies with `faults` and every fault of every document.
    """
    found = list(faults)
    usable: list[Document] = []
    for document in _expanded(documents):
        problems, ours = _judged(document)
        found += problems
        if ours:
            usable.append(document)
    found += _twice(usable)
    if found:
        raise InvalidPolicies(tuple(found))
    return _build(usable, base or PolicySet())


def judged(value: Any) -> list[Fault]:
    """Find every fault of one object that comes from elsewhere than a file."""
    return _judged(Document(file="", number=0, value=value))[0]


def over(base: PolicySet, values: Iterable[Manifest]) -> PolicySet:
    """Put objects without faults over `base`: one of the same kind and name replaces its."""
    return _build((Document(file="", number=0, value=value) for value in values), base)


def fingerprint(paths: Sequence[str | Path]) -> tuple[tuple[str, int, int, int], ...]:
    """
    Describe the files under `paths` by name, inode, time and size.

    It changes when one of them does. Links are followed, because a mounted ConfigMap changes by
    turning one link.
    """
    found = []
    for file in files(paths):
        try:
            stat = file.stat()
        except OSError:
            continue  # gone since it was listed; the next look sees that
        found.append((str(file), stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return tuple(found)


# --- files ------------------------------------------------------------------------------------


def files(paths: Sequence[str | Path]) -> Iterator[Path]:
    """List the policy files under `paths`, each once, however many links lead there."""
    seen: set[Path] = set()
    for path in map(Path, paths):
        if path.is_dir():
            yield from _inside(path, seen)
        elif path.exists() and (resolved := path.resolve()) not in seen:
            seen.add(resolved)
            yield path


def _inside(directory: Path, seen: set[Path]) -> Iterator[Path]:
    resolved = directory.resolve()
    if resolved in seen:
        return
    seen.add(resolved)
    for path in sorted(directory.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _inside(path, seen)
        elif path.suffix in SUFFIXES and path.is_file() and (real := path.resolve()) not in seen:
            seen.add(real)
            yield path


def _documents(file: Path) -> list[Document]:
    values = manifests.documents(file.read_bytes())
    return [
        Document(file=str(file), number=number, value=value)
        for number, value in enumerate(values, 1)
        if value is not None
    ]


def _base(with_library: bool) -> PolicySet:
    return library() if with_library else PolicySet()


def _file_fault(file: str | Path, message: str) -> Fault:
    return Fault(file=str(file), document=0, message=message)


# --- documents --------------------------------------------------------------------------------


def _expanded(documents: Iterable[Document]) -> Iterator[Document]:
    """Take `List` objects apart; their items keep the number of the document."""
    for document in documents:
        value = document.value
        items = value.get("items") if isinstance(value, dict) else None
        if isinstance(items, list) and str(value.get("kind", "")).endswith("List"):
            yield from _expanded(
                Document(file=document.file, number=document.number, value=item) for item in items
            )
        else:
            yield document


def _judged(document: Document) -> tuple[list[Fault], bool]:
    """Find what is wrong with a document, and tell whether it is one of our kinds."""
    value = document.value
    if not isinstance(value, dict):
        return [_fault(document, "", "this is not a mapping; write an object with a kind")], False
    kind, version = value.get("kind"), value.get("apiVersion")
    if not isinstance(kind, str) or not kind:
        return [
            _fault(document, "kind", f'"kind" is missing; write one of {", ".join(KINDS)}')
        ], False
    group = str(version or "").partition("/")[0]
    if version is not None and group != DOMAIN and not _misspelt(group):
        return [], False  # another tool's object, such as a kustomization
    if version is None and kind not in KINDS:
        return [_fault(document, "apiVersion", '"apiVersion" is missing; add it')], False
    if version not in (None, API_VERSION):
        message = f'"{version}" is not known; write "{API_VERSION}"'
        return [_fault(document, "apiVersion", message)], False
    if kind not in KINDS:
        return [_fault(document, "kind", _unknown_kind(kind))], False
    return _faults_of(document), True


def _misspelt(group: str) -> bool:
    return group.replace("_", "-").startswith(("kubectl-ml", "kubectlml")) and "/" not in group


def _unknown_kind(kind: str) -> str:
    from policies import intents

    hint = intents.nearest(kind, KINDS) or "; known are " + ", ".join(KINDS)
    return f'there is no kind "{kind}"{hint}'


def _faults_of(document: Document) -> list[Fault]:
    from policies import faults  # here, because only files of the user's are judged

    found = [_fault(document, path, message) for path, message in faults.of(document.value)]
    metadata = document.value.get("metadata")
    namespaced = document.value["kind"] == "NamespacedDataSource"
    if namespaced and isinstance(metadata, dict) and not metadata.get("namespace"):
        message = '"namespace" is missing; add it, or write kind: DataSource'
        found.append(_fault(document, "metadata", message))
    return found


def _fault(document: Document, path: str, message: str) -> Fault:
    value = document.value
    return Fault(
        file=document.file,
        document=document.number,
        object=_described(value) if isinstance(value, dict) else "",
        path=path,
        message=message,
    )


def _described(value: Mapping[str, Any]) -> str:
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return " ".join(str(word) for word in (value.get("kind"), name) if isinstance(word, str))


def _twice(documents: Iterable[Document]) -> Iterator[Fault]:
    first: dict[tuple[str, str], Document] = {}
    for document in documents:
        metadata = document.value.get("metadata")
        if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
            continue
        other = first.setdefault((document.value["kind"], _key(document.value)), document)
        if other is not document:
            message = (
                f"{_described(document.value)} is also in {other.file}, "
                f"document {other.number}; keep one"
            )
            yield _fault(document, "metadata.name", message)


def _key(value: Mapping[str, Any]) -> str:
    metadata = value["metadata"]
    if value["kind"] == "NamespacedDataSource":
        return f"{metadata.get('namespace')}/{metadata['name']}"
    return str(metadata["name"])


# --- values -----------------------------------------------------------------------------------


def _build(documents: Iterable[Document], base: PolicySet) -> PolicySet:
    """Put objects over those of `base` by kind and name."""
    found: dict[str, dict[str, Any]] = {
        "Accelerator": dict(base.accelerators),
        "DataSource": dict(base.data_sources),
        **{kind: {one.name: one for one in there} for kind, there in _listed(base)},
    }
    for document in documents:
        kind, spec = document.value["kind"], document.value["spec"]
        name = document.value["metadata"]["name"]
        if kind in _BUILDERS:
            found[kind][name] = _BUILDERS[kind](name, spec)
            continue
        namespaced = kind == "NamespacedDataSource"
        namespace = document.value["metadata"]["namespace"] if namespaced else ""
        found["DataSource"][_key(document.value)] = objects.data_source(
            name, spec, namespace=namespace
        )
    by_name = {kind: tuple(named[name] for name in sorted(named)) for kind, named in found.items()}
    injections = sorted(by_name["InjectionPolicy"], key=lambda policy: (policy.order, policy.name))
    return PolicySet(
        accelerators=found["Accelerator"],
        data_sources=found["DataSource"],
        injections=tuple(injections),
        workload_kinds=by_name["WorkloadKind"],
        guards=by_name["GuardPolicy"],
        exceptions=by_name["PolicyException"],
        quotas=by_name["QuotaPolicy"],
    )


def _listed(base: PolicySet) -> Iterator[tuple[str, Iterable[Any]]]:
    yield "InjectionPolicy", base.injections
    yield "WorkloadKind", base.workload_kinds
    yield "GuardPolicy", base.guards
    yield "PolicyException", base.exceptions
    yield "QuotaPolicy", base.quotas


def _quota_policy(name: str, spec: Manifest) -> Any:
    from policies.quota import reading  # here, because a terminal hardly ever has quotas

    return reading.quota_policy(name, spec)


_BUILDERS: Mapping[str, Callable[[str, Manifest], Any]] = {
    "Accelerator": objects.accelerator,
    "InjectionPolicy": objects.injection_policy,
    "GuardPolicy": guarding.guard_policy,
    "PolicyException": guarding.policy_exception,
    "QuotaPolicy": _quota_policy,
    "WorkloadKind": objects.workload_kind,
}
