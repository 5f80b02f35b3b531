"""What can be mounted: where sources lie, at which revision, how, and what is refused."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from policies.errors import InvalidPolicies
from policies.model import Facts, Manifest
from tests.builders import INJECTED, container, job, messages, mutated, pod, policies, review

OLD = Facts(kube_version=(1, 34))


def source(spec: str, name: str = "data", kind: str = "DataSource", metadata: str = "") -> str:
    return f"kind: {kind}\nmetadata: {{name: {name}{metadata}}}\nspec: {spec}\n"


def mounted(mounts: str, given: str = "", **parts: Any) -> Manifest:
    spec: Manifest = mutated(pod(mounts=mounts), given, **parts)["spec"]
    return spec


def fetched(mounts: str, given: str) -> list[str]:
    return [one["args"][0] for one in mounted(mounts, given).get("initContainers", ())]


# --- revisions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "mount", "uri", "revision"),
    [
        pytest.param(
            "{s3: {bucket: b, prefix: p}}", "data@v3", "s3://b/p/v3", "v3", id="a-directory-of-s3"
        ),
        pytest.param(
            "{gcs: {bucket: b}}", "data/x@v3", "gs://b/v3/x", "v3", id="before-the-sub-path"
        ),
        pytest.param(
            "{s3: {bucket: b, prefix: p/v3}}", "data@v3", "s3://b/p/v3", "v3", id="named-already"
        ),
        pytest.param(
            "{s3: {bucket: b, prefix: 'p-{revision}/x'}}",
            "data/y@7",
            "s3://b/p-7/x/y",
            "7",
            id="where-the-source-says",
        ),
        pytest.param(
            "{s3: {bucket: b, prefix: p}, revision: v1}",
            "data",
            "s3://b/p/v1",
            "v1",
            id="the-sources-own",
        ),
        pytest.param(
            "{s3: {bucket: b, prefix: p}, revision: v1}",
            "data@v2",
            "s3://b/p/v2",
            "v2",
            id="asked-for-beats-the-sources-own",
        ),
        pytest.param("{hf: o/m}", "data@main", "hf://o/m:main", "main", id="a-branch-of-a-hub"),
        pytest.param(
            "{hf: {repo: o/m, revision: r}}", "data", "hf://o/m:r", "r", id="the-hubs-own"
        ),
    ],
)
def test_a_revision_picks_what_is_fetched_and_is_told(
    spec: str, mount: str, uri: str, revision: str
) -> None:
    made = mutated(pod(mounts=f"{mount}:/data"), source(spec))

    assert [one["args"][0] for one in made["spec"]["initContainers"]] == [uri]
    assert orjson.loads(made["metadata"]["annotations"][INJECTED])["revisions"] == {
        "data": revision
    }


@pytest.mark.parametrize(
    ("spec", "mount", "reference"),
    [
        pytest.param("{oci: 'r.example:5000/m:1'}", "data", "r.example:5000/m:1", id="as-it-is"),
        pytest.param("{oci: 'r.example:5000/m:1'}", "data@2", "r.example:5000/m:2", id="a-tag"),
        pytest.param(
            "{oci: 'r.example:5000/m'}",
            "data@sha256:ab",
            "r.example:5000/m@sha256:ab",
            id="a-digest",
        ),
        pytest.param("{oci: 'r.example/m@sha256:ab'}", "data@2", "r.example/m:2", id="no-digest"),
        pytest.param(
            "{oci: 'r.example/{revision}/m:1'}", "data@x", "r.example/x/m:1", id="in-its-path"
        ),
        pytest.param(
            "{oci: 'r.example/m', revision: '3'}", "data", "r.example/m:3", id="the-sources-own"
        ),
    ],
)
def test_a_revision_of_an_image_is_its_tag_or_digest(spec: str, mount: str, reference: str) -> None:
    volume = mounted(f"{mount}:/data", source(spec))["volumes"][0]

    assert volume["image"]["reference"] == reference


@pytest.mark.parametrize(
    ("spec", "mount", "sub_path"),
    [
        pytest.param("{pvc: c}", "data/a@r", "r/a", id="claim"),
        pytest.param("{pvc: {claimName: c, subPath: s}}", "data/a@r", "s/r/a", id="in-a-claim"),
        pytest.param("{pvc: {claimName: c, subPath: 's{revision}'}}", "data@r", "sr", id="said"),
        pytest.param("{fluid: {dataset: c, subPath: s}}", "data/a", "s/a", id="fluid"),
        pytest.param("{s3: {bucket: b, prefix: p}, fetch: Fluid}", "data/a@r", "r/a", id="cached"),
        pytest.param("{s3: {bucket: b, prefix: p}, fetch: CSI}", "data/a@r", "r/a", id="by-claim"),
        pytest.param(
            "{s3: {bucket: b, prefix: p}, fetch: CSI}", "s3://b/p/x", "x", id="uri-in-a-claim"
        ),
        pytest.param("{nfs: {server: s, path: /p}}", "data/a@r", "r/a", id="nfs"),
        pytest.param("{csi: {driver: d}}", "data/a@r", "r/a", id="csi"),
        pytest.param("{hostPath: /p}", "data@r", "r", id="host-path"),
        pytest.param("{hf: o/m}", "data/sub/dir", "sub/dir", id="in-a-repository"),
        pytest.param("{pvc: c}", "hf://o/m/sub@r", "sub", id="in-a-repository-by-uri"),
    ],
)
def test_a_path_in_a_source_is_a_sub_path_of_its_volume(
    spec: str, mount: str, sub_path: str
) -> None:
    mount = mounted(f"{mount}:/data", source(spec))["containers"][0]["volumeMounts"][0]

    assert mount["subPath"] == sub_path


@pytest.mark.parametrize(
    ("spec", "mount", "sentence"),
    [
        pytest.param(
            "{s3: {bucket: b, prefix: '{revision}'}}",
            "data",
            'data source "data" has no revision of its own; write "data@REVISION"',
            id="none",
        ),
        pytest.param(
            "{pvc: c}",
            "data@../x",
            '"../x" leaves its source with ".."; name a path inside it',
            id="outside",
        ),
        pytest.param(
            "{configMap: c}",
            "data@v1",
            '"data@v1": data source "data" has no revisions; leave "@v1" out',
            id="of-a-config-map",
        ),
        pytest.param(
            "{s3: {bucket: b}, fetch: CSI}",
            "data:/x:rw, data",
            '"data" is read-only; write ":ro", or leave the mode out',
            id="write-to-a-bucket",
        ),
    ],
)
def test_says_why_a_revision_or_mode_can_not_be(spec: str, mount: str, sentence: str) -> None:
    decision = review(pod(mounts=f"{mount}:/data"), source(spec))

    assert messages(decision) == [f"kubectl-ml.io/mounts: {sentence}"]


# --- how it gets there ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "name", "sentence"),
    [
        pytest.param(
            "{s3: {}, fetch: CSI}",
            "s3",
            '"s3://b/k": data source "s3" says fetch: CSI and names no driver that mounts any '
            "bucket; name a data source whose claim stands for this one",
            id="csi",
        ),
        pytest.param(
            "{s3: {}, fetch: Fluid}",
            "s3",
            '"s3://b/k": data source "s3" says fetch: Fluid, and there is no Dataset for all of a '
            "scheme; name a data source that is one",
            id="fluid",
        ),
    ],
)
def test_a_scheme_is_no_claim(spec: str, name: str, sentence: str) -> None:
    decision = review(pod(mounts="s3://b/k:/data"), source(spec, name))

    assert messages(decision) == [f"kubectl-ml.io/mounts: {sentence}"]


def test_nodes_are_preferred_by_the_label_that_fluid_sets_if_it_is_one() -> None:
    long = "d" * 60

    assert "affinity" not in mounted("data:/data", source(f"{{fluid: {long}}}"))


def test_a_dataset_of_fluid_keeps_the_users_preferences_and_its_own_webhooks() -> None:
    term = {
        "weight": 50,
        "preference": {
            "matchExpressions": [
                {"key": "fluid.io/s-ml-data", "operator": "In", "values": ["true"]}
            ]
        },
    }
    mine = {"weight": 1, "preference": {"matchFields": []}}
    preferred = {"preferredDuringSchedulingIgnoredDuringExecution": [mine, term]}
    spec = {"affinity": {"nodeAffinity": preferred}}

    made = mutated(pod(mounts="data:/data", spec=spec), source("{fluid: data}"))

    assert made["spec"]["affinity"] == spec["affinity"]


def test_a_cache_is_a_namespaces_own_unless_it_is_shared() -> None:
    def kept(cache: str, namespace: str) -> str:
        given = source(f"{{s3: {{bucket: b}}, cache: {cache}}}")
        spec = mounted("data:/data", given, namespace=namespace)
        sub_path: str = spec["containers"][0]["volumeMounts"][0]["subPath"]
        return sub_path.partition("/")[0]

    own, shared = "{claimName: c}", "{claimName: c, shared: true}"

    assert [kept(own, "ml"), kept(own, "cv")] == ["of-ml", "of-cv"]
    assert [kept(shared, "ml"), kept(shared, "cv")] == ["shared", "shared"]


def test_what_another_store_holds_is_kept_elsewhere() -> None:
    def kept(endpoint: str) -> str:
        given = source(f"{{s3: {{bucket: b, endpoint: '{endpoint}'}}, cache: {{claimName: c}}}}")
        spec = mounted("data:/data", given)
        sub_path: str = spec["containers"][0]["volumeMounts"][0]["subPath"]
        return sub_path

    assert kept("https://a") != kept("https://b")


def run(given: Manifest, folder: Path, *args: str) -> int:
    """Run a container's command as Kubernetes would, with /mnt/data in a folder of the test."""
    command = [*given["command"], *given.get("args", ())]
    words = [word.replace("$$", "$").replace("/mnt/data", str(folder)) for word in command]
    done = subprocess.run([*words, *args], timeout=10, check=False)  # noqa: S603 -- our own words
    return done.returncode


def test_what_was_fetched_is_kept_whole_and_fetched_once(tmp_path: Path) -> None:
    log, fetch = tmp_path / "log", tmp_path / "fetch"
    fetch.write_text(
        f'#!/bin/sh\necho "$1" >> {log}\necho data > "$2/file"\n[ ! -e {log}.fails ]\n'
    )
    fetch.chmod(0o755)
    given = source(f"{{s3: b/k, cache: {{claimName: c}}, command: [{fetch}], image: x}}")
    (container,) = mounted("data:/data", given)["initContainers"]
    folder = tmp_path / "kept"
    folder.mkdir()

    Path(f"{log}.fails").touch()
    failed = run(container, folder)
    nothing = [*folder.glob("of-ml/*")]
    Path(f"{log}.fails").unlink()
    codes = [run(container, folder) for _ in range(3)]

    (kept,) = folder.glob("of-ml/*")
    assert (failed, nothing, codes) == (1, [], [0, 0, 0])
    assert log.read_text() == "s3://b/k\n" * 2
    assert (kept / "file").read_text() == "data\n"
    assert kept.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("mount", "value"),
    [
        pytest.param("gs://b/k%2Cuid=0", "k,uid=0", id="another-option"),
        pytest.param("gs://b%2Co=rw/k", "b,o=rw", id="in-the-bucket"),
        pytest.param("gs://b/k k", "k k", id="a-blank"),
    ],
)
def test_a_uri_adds_no_options_to_a_driver(mount: str, value: str) -> None:
    decision = review(pod(mounts=f"{mount}:/data"), source("{gcs: {}, fetch: CSI}", "gs"))

    assert messages(decision) == [
        f'kubectl-ml.io/mounts: "{mount.replace("%2C", ",")}": "{value}" would be read as options '
        "of gcsfuse.csi.storage.gke.io; name a path of letters, digits and . _ - = / alone"
    ]


def test_scratch_is_of_the_storage_class_that_policy_names() -> None:
    given = source("{scratch: {storageClassName: local-nvme}}", "scratch")

    (volume,) = mounted("scratch://100Gi:/tmp/work", given)["volumes"]

    assert volume["ephemeral"]["volumeClaimTemplate"]["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "100Gi"}},
        "storageClassName": "local-nvme",
    }


# --- files of an image, from a sidecar --------------------------------------------------------

IMAGE = "oci://registry.example.com/bert:1:/model"
WHY = "Kubernetes {} has no image volumes, and the sidecar in their place"


@pytest.mark.parametrize(
    ("obj", "facts", "sentence"),
    [
        pytest.param(
            pod(mounts=IMAGE, spec={"shareProcessNamespace": False}),
            OLD,
            f"{WHY.format('1.34')} needs shared processes; take shareProcessNamespace: false out",
            id="processes-not-shared",
        ),
        pytest.param(
            pod(mounts=IMAGE, spec={"hostPID": True}),
            OLD,
            f"{WHY.format('1.34')} can't share processes with the node; take hostPID out",
            id="processes-of-the-node",
        ),
        pytest.param(
            job(mounts=IMAGE),
            Facts(kube_version=(1, 28)),
            f"{WHY.format('1.28')} would keep this pod from finishing; copy the files instead",
            id="a-job-that-would-never-finish",
        ),
    ],
)
def test_says_why_no_sidecar_can_give_its_files(obj: Manifest, facts: Facts, sentence: str) -> None:
    assert messages(review(obj, facts=facts)) == [f"kubectl-ml.io/mounts: {sentence}"]


@pytest.mark.parametrize(
    ("pod_user", "own", "user", "warned"),
    [
        pytest.param({}, {}, 1000, True, id="nobody-said"),
        pytest.param({"runAsUser": 7}, {}, 7, False, id="the-pods"),
        pytest.param({"runAsUser": 7}, {"runAsUser": 8}, 8, False, id="the-containers"),
        pytest.param({"runAsUser": 7}, {"runAsUser": 0}, 1000, True, id="root"),
    ],
)
def test_the_sidecar_runs_as_who_reads_its_files(
    pod_user: Manifest, own: Manifest, user: int, warned: bool
) -> None:
    spec = {"securityContext": pod_user, "containers": [container(securityContext=own)]}

    decision = review(pod(mounts=IMAGE, spec=spec), facts=OLD)

    beside = decision.object["spec"]["initContainers"][0]
    assert (beside["securityContext"]["runAsUser"], beside["restartPolicy"]) == (user, "Always")
    assert list(decision.warnings) == [
        "mounts: the files come from a sidecar that runs as user 1000, and no other user can read "
        'them; set securityContext.runAsUser: 1000 in container "main"'
    ] * int(warned)


def test_the_sidecar_links_its_files_and_ends_well(tmp_path: Path) -> None:
    (tmp_path / "models" / "sub").mkdir(parents=True)
    (tmp_path / "models" / "sub" / "weights").write_text("data")
    folder = tmp_path / "shared"
    folder.mkdir()
    spec = mutated(pod(mounts="data/sub:/m"), source("{oci: r/m:1}"), facts=OLD)["spec"]
    (beside,) = spec["initContainers"]
    words = [
        word.replace("$$", "$")
        .replace("/mnt/data", str(folder))
        .replace("/models", f"{tmp_path}/models")
        for word in beside["command"]
    ]

    with subprocess.Popen(words) as program:  # noqa: S603 -- our own words
        for _ in range(100):
            if (folder / "weights").exists():
                break
            time.sleep(0.05)
        found = (folder / "weights").read_text()
        probe = run(beside["startupProbe"]["exec"], folder)
        program.terminate()
        code = program.wait(timeout=10)

    assert (found, probe, code) == ("data", 0, 0)


# --- what annotations can't reach -------------------------------------------------------------


@pytest.mark.parametrize("member", ["containers", "initContainers"])
def test_a_volume_of_the_admins_is_not_given_to_who_waits_for_it(member: str) -> None:
    waiting = container("sly", volumeMounts=[{"name": "ml-data", "mountPath": "/all"}])
    spec = {"containers": [container()]}
    spec[member] = [*spec.get(member, []), waiting]

    made = mutated(pod(mounts="data/a:/data", spec=spec), source("{hostPath: /disks}"))

    assert [one["name"] for one in made["spec"]["volumes"]] == ["ml-data-2"]


def test_a_source_of_a_namespace_beats_the_clusters_and_is_not_told_elsewhere() -> None:
    own = source("{pvc: own}", kind="NamespacedDataSource", metadata=", namespace: ml")
    given = f"{own}---\n{source('{pvc: all}', 'other')}"

    claim = mounted("data:/data", given)["volumes"][0]["persistentVolumeClaim"]
    decision = review(pod(mounts="data:/data"), given, namespace="cv")

    assert claim == {"claimName": "own"}
    assert messages(decision) == [
        'kubectl-ml.io/mounts: unknown data source "data"; `kubectl ml sources` lists those that '
        "exist, with `--policies cluster` the cluster's, too"
    ]


@pytest.mark.parametrize(
    ("kind", "spec", "sentence"),
    [
        pytest.param(
            "NamespacedDataSource",
            "{hostPath: /data}",
            "spec.hostPath: a directory of a node is not of the namespace; ask an admin for a "
            "DataSource",
            id="host-path",
        ),
        pytest.param(
            "NamespacedDataSource",
            "{nfs: {server: s, path: /p}}",
            "spec.nfs: a server of the network is not of the namespace; ask an admin for a "
            "DataSource",
            id="nfs",
        ),
        pytest.param(
            "NamespacedDataSource",
            "{csi: {driver: d}}",
            "spec.csi: a volume of a driver is not of the namespace; ask an admin for a DataSource",
            id="csi",
        ),
        pytest.param(
            "NamespacedDataSource",
            "{s3: {bucket: b, driver: d, volumeAttributes: {a: b}}, fetch: CSI}",
            "spec.s3.driver: a driver is not of the namespace; name a claim (claimName)",
            id="driver",
        ),
        pytest.param(
            "NamespacedDataSource",
            "{gcs: b, fetch: CSI}",
            'spec.fetch: "CSI" is a volume of gcsfuse.csi.storage.gke.io, not of the namespace; '
            "name a claim (claimName)",
            id="driver-by-default",
        ),
        pytest.param(
            "NamespacedDataSource",
            "{s3: b, cache: {hostPath: /c}}",
            "spec.cache.hostPath: a directory of a node is not of the namespace; name a claim "
            "(claimName)",
            id="cache-of-the-node",
        ),
        pytest.param(
            "NamespacedDataSource",
            "{s3: b, cache: {claimName: c, shared: true}}",
            "spec.cache.shared: a namespace shares with no other; take it out",
            id="shared-cache",
        ),
        pytest.param(
            "NamespacedDataSource",
            "{pvc: c, namespaces: {names: [x]}}",
            "spec.namespaces: a NamespacedDataSource is for its own namespace alone; take it out",
            id="namespaces",
        ),
        pytest.param(
            "DataSource",
            "{hf: o/m, fetch: CSI}",
            'spec.fetch: "CSI" is no way to get data from hf; write Init',
            id="no-driver-for-a-hub",
        ),
        pytest.param(
            "DataSource",
            "{pvc: c, fetch: Init}",
            'spec.fetch: "Init" is no way to get data from pvc; take it out',
            id="nothing-to-fetch",
        ),
        pytest.param(
            "DataSource",
            "{s3: {bucket: b, claimName: c}}",
            "spec.s3.claimName: it is for fetch: CSI; write that too, or take it out",
            id="claim-without-csi",
        ),
        pytest.param(
            "DataSource",
            "{s3: {bucket: b, driver: d}, fetch: CSI}",
            'spec.s3: "volumeAttributes" is missing, which tell d its bucket; add it',
            id="driver-that-knows-no-bucket",
        ),
        pytest.param(
            "DataSource",
            "{pvc: c, cache: {claimName: d}}",
            "spec.cache: nothing is fetched by an init container here; take it out",
            id="cache-of-nothing",
        ),
        pytest.param(
            "DataSource",
            "{s3: b, cache: {claimName: d}, image: 'other:1'}",
            'spec: "command" is missing, which fetches in other:1; add it',
            id="image-without-its-command",
        ),
        pytest.param(
            "DataSource",
            "{s3: b, cache: {hostPath: relative}}",
            'spec.cache.hostPath: "relative" is not an absolute path; write for example '
            '"/var/cache/ml"',
            id="relative-cache",
        ),
        pytest.param(
            "DataSource",
            "{s3: b, cache: {}}",
            "spec.cache: one of hostPath, claimName is missing; add it",
            id="cache-nowhere",
        ),
        pytest.param(
            "DataSource",
            "{scratch: {storageClassName: fast}}",
            'spec.scratch: "size" is missing (only the library\'s "scratch" goes without); add it',
            id="scratch-of-no-size",
        ),
        pytest.param(
            "DataSource",
            "{memory: {size: 1Gi}, revision: v1}",
            "spec.revision: a memory has no revisions; take it out",
            id="revision-of-memory",
        ),
        pytest.param(
            "DataSource",
            "{secret: 's-{revision}'}",
            "spec.secret: {revision} stands for a revision, which a secret hasn't; take it out",
            id="revision-in-a-secret",
        ),
    ],
)
def test_says_what_is_wrong_with_a_source(kind: str, spec: str, sentence: str) -> None:
    metadata = ", namespace: ml" if kind == "NamespacedDataSource" else ""
    text = source(spec, kind=kind, metadata=metadata)

    with pytest.raises(InvalidPolicies) as caught:
        policies(text)

    assert [fault.sentence for fault in caught.value.faults] == [sentence]
