"""
Volume types: for each type of source, the volume that holds it and the path in it.

Each builder gets one mount with its place told apart, and raises UnusableIntent where it can't be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from policies import quantity
from policies.errors import UnusableIntent
from policies.inject.places import Asked, holds_placeholder, inside_only, join
from policies.inject.volumes import slug
from policies.intents import is_name
from policies.model import Manifest

IMAGE_VOLUMES_SINCE = (1, 35)  # KEP-4639: on by default
GCS_FUSE = "gcsfuse.csi.storage.gke.io"
FLUID_NODE = "fluid.io/s-"  # + NAMESPACE-DATASET: the label of nodes that hold its cache
MAX_LABEL_NAME = 63
_PLAIN = re.compile(r"^[\w.=/-]*\Z", re.ASCII)  # what no driver takes for another option


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Built:
    """What one mount needs of the pod; `volume` has no name yet."""

    volume: Manifest
    sub_path: str = ""
    uri: str = ""  # to be fetched
    image: str = ""  # to be run beside, for its files
    name: str = ""
    revision: str = ""  # that was resolved
    prefer: str = ""  # the label of the nodes that are nearest to the data
    annotations: Mapping[str, str] = field(default_factory=dict)


def _claim(asked: Asked) -> Built:
    if asked.mount.scheme:
        claim, _, sub = asked.where.partition("/")
    else:
        claim, sub = asked.parameter("claimName") or asked.name, asked.below("subPath")
    if not is_name(claim):
        raise UnusableIntent(f'"{asked.mount.written}": "{claim}" is not the name of a claim')
    return Built(
        volume=_of_claim(claim),
        sub_path=inside_only(sub),
        name=slug(f"pvc-{claim}") if asked.mount.scheme else slug(asked.name),
        revision=asked.revision,
    )


def _of_claim(name: str) -> Manifest:
    return {"persistentVolumeClaim": {"claimName": name}}


def _bucket(asked: Asked) -> Built:
    scheme = "gs" if asked.source.type == "gcs" else "s3"
    if asked.source.fetch == "CSI":
        return _driven(asked, *_bucket_and_prefix(asked, scheme))
    if asked.source.fetch == "Fluid":
        return _of_dataset(asked, asked.name)
    if asked.mount.scheme:
        return Built(volume={"emptyDir": {}}, uri=f"{scheme}://{asked.mount.source}")
    bucket, prefix = _bucket_and_prefix(asked, scheme)
    return _fetched(asked, f"{scheme}://{join(bucket, prefix)}")


def _bucket_and_prefix(asked: Asked, scheme: str) -> tuple[str, str]:
    if asked.whole:
        bucket, _, prefix = asked.mount.source.partition("/")
        return bucket, inside_only(prefix)
    bucket = asked.parameter("bucket")
    if not bucket:
        raise UnusableIntent(
            f'data source "{asked.source.name}" names no bucket; write {scheme}://BUCKET/…'
        )
    return bucket, inside_only(asked.below("prefix"))


def _driven(asked: Asked, bucket: str, prefix: str) -> Built:
    """Mount a bucket by a CSI driver: in the pod itself, or by the claim that stands for it."""
    source = asked.source
    driver = asked.parameter("driver") or (GCS_FUSE if source.type == "gcs" else "")
    if source.parameters.get("claimName") or not driver:
        return _bucket_claim(asked)
    for value in (bucket, prefix):
        if not _PLAIN.match(value):
            raise UnusableIntent(
                f'"{asked.mount.written}": "{value}" would be read as options of {driver}; name a '
                "path of letters, digits and . _ - = / alone"
            )
    csi: Manifest = {
        "driver": driver,
        "readOnly": True,
        "volumeAttributes": _attributes(asked, bucket, prefix),
    }
    if source.secret_name and not source.secret_optional:
        csi["nodePublishSecretRef"] = {"name": source.secret_name}
    return Built(
        volume={"csi": csi},
        name=_name(asked),
        revision=asked.revision,
        annotations={"gke-gcsfuse/volumes": "true"} if driver == GCS_FUSE else {},
    )


def _bucket_claim(asked: Asked) -> Built:
    if asked.whole:
        raise UnusableIntent(
            f'"{asked.mount.written}": data source "{asked.source.name}" says fetch: CSI and names '
            "no driver that mounts any bucket; name a data source whose claim stands for this one"
        )
    return Built(
        volume=_of_claim(asked.parameter("claimName") or asked.name),
        sub_path=inside_only(asked.within("prefix")),
        name=slug(asked.name),
        revision=asked.revision,
    )


def _attributes(asked: Asked, bucket: str, prefix: str) -> dict[str, str]:
    written = asked.source.parameters.get("volumeAttributes")
    if written is None:
        only = f",only-dir={prefix}" if prefix else ""
        return {"bucketName": bucket, "mountOptions": f"implicit-dirs{only}"}
    if not prefix:
        written = {key: value.replace("/{prefix}", "") for key, value in written.items()}
    return {
        key: value.replace("{bucket}", bucket).replace("{prefix}", prefix)
        for key, value in written.items()
    }


def _hub(asked: Asked) -> Built:
    if asked.mount.scheme:
        written, _, revision = asked.where.partition("@")
        parts = written.split("/")
        count = 3 if parts[0] in ("datasets", "spaces") else 2
        repository, sub = "/".join(parts[:count]), "/".join(parts[count:])
    else:
        repository, revision, sub = asked.parameter("repo"), asked.revision, asked.where
    if not repository:
        raise UnusableIntent(
            f'data source "{asked.source.name}" names no repository; write hf://OWNER/NAME'
        )
    found = _fetched(asked, f"hf://{repository}" + (f":{revision}" if revision else ""))
    found.sub_path, found.revision = inside_only(sub), revision
    return found


def _fetched(asked: Asked, uri: str) -> Built:
    return Built(volume={"emptyDir": {}}, uri=uri, name=_name(asked), revision=asked.revision)


def _name(asked: Asked) -> str:
    mount = asked.mount
    plain = not mount.scheme and not mount.sub and not mount.revision
    return slug(asked.name if plain else mount.written)


def _image(asked: Asked) -> Built:
    if asked.mount.scheme:
        reference, sub = asked.where, ""
    else:
        reference, sub = asked.parameter("reference", "image"), asked.where
    if not reference:
        raise UnusableIntent(f'data source "{asked.source.name}" names no image; write oci://IMAGE')
    repository, revision = _parts(reference)
    if asked.revision and not holds_placeholder(asked.source):
        revision = asked.revision
        reference = f"{repository}{'@' if ':' in revision else ':'}{revision}"
    found = Built(
        volume={"emptyDir": {}},
        sub_path=inside_only(sub),
        revision=revision,
        name=_name(asked) if asked.mount.scheme or asked.mount.revision else slug(asked.name),
    )
    if asked.facts.kube_version < IMAGE_VOLUMES_SINCE:
        found.image = reference
    else:
        found.volume = {"image": {"reference": reference, "pullPolicy": "IfNotPresent"}}
    return found


def _parts(reference: str) -> tuple[str, str]:
    """Split an image's reference into its repository, and its tag or digest."""
    repository, _, digest = reference.partition("@")
    directory, slash, image = repository.rpartition("/")
    name, _, tag = image.partition(":")
    return f"{directory}{slash}{name}", digest or tag


def _dataset(asked: Asked) -> Built:
    return _of_dataset(asked, asked.parameter("dataset", "name") or asked.name)


def _of_dataset(asked: Asked, dataset: str) -> Built:
    """Mount the claim that Fluid makes of a Dataset, and prefer the nodes that hold its cache."""
    if asked.whole:
        raise UnusableIntent(
            f'"{asked.mount.written}": data source "{asked.source.name}" says fetch: Fluid, and '
            "there is no Dataset for all of a scheme; name a data source that is one"
        )
    label = f"{asked.namespace}-{dataset}"
    short = len(f"s-{label}") <= MAX_LABEL_NAME  # Fluid hashes what is longer
    in_bucket = "bucket" in asked.source.parameters
    return Built(
        volume=_of_claim(dataset),
        sub_path=inside_only(asked.within("prefix") if in_bucket else asked.below("subPath")),
        name=slug(asked.name),
        revision=asked.revision,
        prefer=FLUID_NODE + label if asked.namespace and short else "",
    )


def _nfs(asked: Asked) -> Built:
    found = {"server": asked.parameter("server"), "path": asked.parameter("path")}
    return _directory(asked, {"nfs": found}, found["path"])


def _host_path(asked: Asked) -> Built:
    found = {**asked.source.parameters, "path": asked.parameter("path")}
    return _directory(asked, {"hostPath": found}, found["path"])


def _csi(asked: Asked) -> Built:
    return _directory(asked, {"csi": dict(asked.source.parameters)}, "")


def _directory(asked: Asked, volume: Manifest, own: str) -> Built:
    kind = next(iter(volume))
    if asked.source.read_only and kind != "hostPath":  # which can't say so of itself
        volume[kind]["readOnly"] = True
    return Built(
        volume=volume,
        sub_path=inside_only(join(asked.directory(own), asked.where)),
        name=slug(asked.name if own == asked.source.parameters.get("path", "") else _name(asked)),
        revision=asked.revision,
    )


def _size(asked: Asked) -> str:
    size = asked.where if asked.mount.scheme else asked.parameter("size")
    try:
        if quantity.parse(size) > 0:
            return size
    except ValueError:
        pass
    scheme = asked.mount.scheme or "scratch"
    raise UnusableIntent(f'"{asked.mount.written}": "{size}" is not a size; write {scheme}://100Gi')


def _scratch(asked: Asked) -> Built:
    spec: Manifest = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": _size(asked)}},
    }
    storage_class = asked.parameter("storageClassName")
    if storage_class:
        spec["storageClassName"] = storage_class
    name = _by_path(asked) if asked.mount.scheme else ""
    return Built(volume={"ephemeral": {"volumeClaimTemplate": {"spec": spec}}}, name=name)


def _memory(asked: Asked) -> Built:
    volume = {"emptyDir": {"medium": "Memory", "sizeLimit": _size(asked)}}
    return Built(volume=volume, name=_by_path(asked) if asked.mount.scheme else "")


def _by_path(asked: Asked) -> str:
    """Name a volume after its path: two of one size are two volumes."""
    return slug(f"{asked.mount.scheme}-{asked.mount.path.strip('/').replace('/', '-')}")


def _config_map(asked: Asked) -> Built:
    return _of_object(asked, member="name")


def _secret(asked: Asked) -> Built:
    return _of_object(asked, member="secretName")


def _of_object(asked: Asked, *, member: str) -> Built:
    if asked.mount.scheme:
        name, _, sub = asked.where.partition("/")
    else:
        name, sub = asked.parameter("name") or asked.name, asked.where
    if not is_name(name):
        raise UnusableIntent(
            f'"{asked.mount.written}": "{name}" is not the name of a {asked.source.type}'
        )
    return Built(
        volume={asked.source.type: {member: name}},
        sub_path=inside_only(sub),
        name=slug(f"{asked.source.type.lower()}-{name}"),
    )


BUILDERS: dict[str, Callable[[Asked], Built]] = {
    "pvc": _claim, "s3": _bucket, "gcs": _bucket, "hf": _hub, "oci": _image, "fluid": _dataset,
    "nfs": _nfs, "hostPath": _host_path, "csi": _csi, "scratch": _scratch, "memory": _memory,
    "configMap": _config_map, "secret": _secret,
}  # fmt: skip
