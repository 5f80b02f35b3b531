"""`checks.mounts`, through the front door."""

from __future__ import annotations

from typing import Any

import pytest

from tests.policies.guard.cases import job, pod, policies, said, twice

IMAGENET = {"mounts": "imagenet/train:/data"}


def volume(**source: Any) -> dict[str, Any]:
    return {"name": "v", **source}


PVC = volume(persistentVolumeClaim={"claimName": "other"})
HOST = volume(hostPath={"path": "/etc"})


@pytest.mark.parametrize(
    ("check", "given", "sentences"),
    [
        pytest.param("{sources: [imagenet]}", pod(intents=IMAGENET), [], id="a-source-listed"),
        pytest.param(
            "{sources: [coco]}", pod(intents=IMAGENET),
            ['source "imagenet/train" of kubectl-ml.io/mounts is none of coco; name one that is'],
            id="a-source-not-listed",
        ),
        pytest.param(
            "{deny: [node]}", pod(intents={"mounts": "node:/data"}),
            ['source "node" of kubectl-ml.io/mounts is denied; name another'], id="denied",
        ),
        pytest.param(
            "{allow: [{name: imagenet, namespaces: [nlp-*]}]}", pod(intents=IMAGENET),
            ['source "imagenet/train" of kubectl-ml.io/mounts may not be used in namespace "ml"; '
             "name another"],
            id="of-another-namespace",
        ),
        pytest.param(
            "{sources: {allow: [imagenet]}}", pod(volumes=[PVC]),
            ['volume "v" mounts "pvc://other", which is none of imagenet; name one that is'],
            id="a-claim-of-ones-own",
        ),
        pytest.param('{sources: ["pvc://o*"]}', pod(volumes=[PVC]), [], id="a-claim-listed"),
        pytest.param(
            '{sources: ["hostPath:///data/*"]}', pod(volumes=[HOST]),
            ['volume "v" mounts "hostPath:///etc", which is none of hostPath:///data/*; '
             "name one that is"],
            id="a-directory-of-the-node",
        ),
        pytest.param(
            '{deny: ["hostpath://*"]}', pod(volumes=[HOST]),
            ['volume "v" mounts "hostPath:///etc", which is denied; name another'],
            id="in-lower-case",
        ),
        pytest.param(
            "{volumes: {deny: [hostPath]}}", pod(volumes=[HOST]),
            ['volume "v" is of type hostPath, which is denied; name another'], id="a-type",
        ),
        pytest.param(
            "{volumes: [pvc, emptyDir]}", pod(volumes=[PVC, {"name": "e", "emptyDir": {}}]), [],
            id="types",
        ),
        pytest.param(
            "{sources: [imagenet]}",
            pod(volumes=[{"name": "e"}, volume(configMap={"name": "c"})]), [],
            id="a-pods-own",
        ),
        pytest.param(
            '{deny: ["secret://*"]}', pod(volumes=[volume(secret={"secretName": "s"})]),
            ['volume "v" mounts "secret://s", which is denied; name another'], id="a-secret",
        ),
        pytest.param(
            "{sources: [imagenet]}", pod(volumes=[volume(nfs={"server": "n", "path": "/P"})]),
            ['volume "v" mounts "nfs://n/P", which is none of imagenet; name one that is'],
            id="nfs",
        ),
    ],
)  # fmt: skip
def test_mounts(check: str, given: Any, sentences: list[str]) -> None:
    known = policies(f"{{mounts: {check}}}")

    assert twice(known, given) == sentences
    assert said(known, job(given)) == sentences


def test_a_source_brings_its_own_volume() -> None:
    known = policies("{mounts: {sources: [node], volumes: {deny: [hostPath]}}}")

    assert twice(known, pod(intents={"mounts": "node:/data"})) == []
    assert len(said(known, pod(volumes=[HOST]))) == 2


def test_what_a_policy_brings_is_not_refused() -> None:
    host = {"hostPath": {"path": "/var/log"}}
    sidecar = (
        "{kind: InjectionPolicy, metadata: {name: s}, spec: {inject: {mounts: ['node:/node'], "
        "sidecars: [{container: {name: logs, image: l:1}, "
        "volumes: [{name: logs, hostPath: {path: /var/log}}]}]}}}"
    )
    known = policies("{mounts: {sources: [imagenet]}}", sidecar)

    assert twice(known, pod()) == []
    assert said(known, job(pod())) == []
    assert said(known, pod(volumes=[{"name": "mine", **host}])) == [
        'volume "mine" mounts "hostPath:///var/log", which is none of imagenet; name one that is'
    ]


def test_only_what_changed_is_judged() -> None:
    known = policies("{mounts: {deny: ['hostPath://*']}}")
    old = job(pod(volumes=[HOST]))
    more = job(pod(volumes=[HOST, {"name": "w", "hostPath": {"path": "/root"}}]))

    assert said(known, {**old, "metadata": {"name": "j"}}, old=old) == []
    assert said(known, more, old=old) == [
        'volume "w" mounts "hostPath:///root", which is denied; name another'
    ]
