"""
Places: where the data of a source lies, for one mount of it, and at what revision.

    imagenet/train@v3 of {s3: {bucket: datasets, prefix: imagenet}}  ->  imagenet/v3/train

A revision is a directory below what the source names, or stands where the source says
`{revision}`; of an image it is the tag or digest, of a hub's repository a branch, tag or commit.
"""

from __future__ import annotations

from dataclasses import dataclass

from policies.errors import UnusableIntent
from policies.intents import Mount
from policies.model import DataSource, Facts

PLACEHOLDER = "{revision}"


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Asked:
    """One mount with its data source, the place already told apart."""

    mount: Mount
    source: DataSource
    facts: Facts
    namespace: str
    where: str  # what follows the scheme and the prefix of the source, or the sub path in it
    revision: str  # asked for, or the source's own; empty: none
    whole: bool  # a URI that nobody has given a name

    @property
    def name(self) -> str:
        """The name of the source, without the namespace of one that is a namespace's own."""
        return self.source.name.rpartition("/")[2]

    def parameter(self, *members: str) -> str:
        """Give the first of the source's parameters that is there, its revision filled in."""
        for member in members:
            value = str(self.source.parameters.get(member) or "")
            if value:
                return value.replace(PLACEHOLDER, self.revision)
        return ""

    def below(self, member: str) -> str:
        """Give the path that the source names, and below it the revision and the sub path."""
        if self.mount.scheme:
            return join(fixed_prefix(self.source), self.where)
        own = self.parameter(member)
        return join(own, self.directory(own), self.where)

    def within(self, member: str) -> str:
        """Give the same path as it is in a volume that holds what the source names, no more."""
        return self.below(member)[len(fixed_prefix(self.source)) :].strip("/")

    def directory(self, own: str = "") -> str:
        """Give the directory of the revision, unless the source names it itself."""
        if holds_placeholder(self.source) or own.rstrip("/").rpartition("/")[2] == self.revision:
            return ""
        return self.revision


def holds_placeholder(source: DataSource) -> bool:
    """Tell whether the source says itself where its revision goes."""
    return any(
        isinstance(value, str) and PLACEHOLDER in value for value in source.parameters.values()
    )


def find(
    mount: Mount, source: DataSource, *, facts: Facts, namespace: str, directories: bool
) -> Asked:
    """Tell apart what a mount names; `directories`: a revision of this type is a directory."""
    found = Asked(
        mount=mount,
        source=source,
        facts=facts,
        namespace=namespace,
        where=mount.source if mount.scheme else mount.sub,
        revision="" if mount.scheme else _revision(mount, source),
        whole=bool(mount.scheme),
    )
    if mount.scheme and source.parameters.get("bucket"):  # a URI below what a source names
        inside = mount.source.partition("/")[2]
        found.whole, found.where = False, inside[len(fixed_prefix(source)) :].strip("/")
    if directories:
        inside_only(found.revision)
    return found


def _revision(mount: Mount, source: DataSource) -> str:
    revision = mount.revision or source.revision or str(source.parameters.get("revision") or "")
    if not revision and holds_placeholder(source):
        raise UnusableIntent(
            f'data source "{source.name}" has no revision of its own; '
            f'write "{mount.written}@REVISION"'
        )
    return revision


def fixed_prefix(source: DataSource) -> str:
    """Give the part of a bucket's prefix that is the same at every revision."""
    return str(source.parameters.get("prefix") or "").partition(PLACEHOLDER)[0].strip("/")


def join(*parts: str) -> str:
    """Join parts of a path, leaving out those that are empty."""
    return "/".join(part.strip("/") for part in parts if part and part.strip("/"))


def inside_only(sub: str) -> str:
    """Give a path inside a source; raises UnusableIntent for one that leaves it."""
    sub = sub.strip("/")
    if ".." in sub.split("/"):
        raise UnusableIntent(f'"{sub}" leaves its source with ".."; name a path inside it')
    return sub
