"""
`kubectl ml policy export`: the API server itself gives the webhook's verdicts on pods.

Each pod is judged twice: by the webhook in a namespace where it acts, and by the exported
ValidatingAdmissionPolicies in one where it doesn't.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import waiting
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import ENABLED, Installed

CONTROL_PLANE = "policies"
TEAM = {"example.com/env": "dev"}
_OWN = re.compile(
    r"ValidatingAdmissionPolicy '(\S+)' with binding '\S+' denied request: (.*)", re.DOTALL
)
MINE = "has(object.metadata.labels.team)"

# Each guard is for the pods that carry its name in the label `guard`.
GUARDS: Mapping[str, Mapping[str, Any]] = {
    "canary": {"rules": [{"expression": "false", "message": "Never."}]},
    "team": {
        "rules": [
            {"name": "team", "expression": MINE, "message": "Pods carry a team label."},
            {"expression": "size(object.spec.containers)\n  < 2"},
        ]
    },
    "params": {
        "params": {"teams": ["nlp", "it's"], "max": 2, "params": {"x": True, "y": None}},
        "variables": [
            {"name": "team", "expression": "object.metadata.labels[?'team'].orValue('')"},
            {"name": "few", "expression": "size(object.spec.containers) < params.max"},
            {"name": "both", "expression": "variables.few && params.params.x"},
        ],
        "rules": [
            {
                "expression": "variables.team in params.teams",
                "messageExpression": "'params: ' + variables.team + ' is none of ' + "
                "params.teams.join(', ')",
            },
            {"expression": "variables.both", "message": "One container, please."},
        ],
    },
    "fails": {"rules": [{"expression": "object.metadata.labels.team == 'nlp'", "message": "NLP."}]},
    "ignores": {
        "failurePolicy": "Ignore",
        "rules": [{"expression": "object.metadata.labels.team == 'nlp'", "message": "NLP."}],
    },
    "intents": {
        "match": {"intents": ["shm", "experiment"]},
        "rules": [{"expression": MINE, "message": "Team."}],
    },
    "chosen": {
        "match": {
            "objects": {
                "matchExpressions": [
                    {"key": "team", "operator": "In", "values": ["nlp", "cv"]},
                    {"key": "off", "operator": "DoesNotExist"},
                    {"key": "tier", "operator": "NotIn", "values": ["play"]},
                ]
            }
        },
        "rules": [{"expression": "false", "message": "Chosen."}],
    },
    "owned": {
        "match": {"owners": ["Job.batch", "ReplicationController"]},
        "rules": [{"expression": "false", "message": "Owned."}],
    },
    "people": {
        "match": {"subjects": {"users": ["nobody", "ad?"], "groups": ["x*"]}},
        "rules": [{"expression": "false", "message": "Ada."}],
    },
    "others": {
        "match": {"subjects": {"users": ["bob*"], "serviceAccounts": ["*:builder"]}},
        "rules": [{"expression": "false", "message": "Bob."}],
    },
    "elsewhere": {
        "match": {"namespaces": {"names": ["prod-*", "[!a-z]*"]}},
        "rules": [{"expression": "false", "message": "Prod."}],
    },
    "here": {
        "match": {"namespaces": {"names": ["*"], "selector": {"matchLabels": TEAM}}},
        "rules": [{"expression": "false", "message": "Here."}],
    },
    "excludes": {
        "match": {"exclude": {"intents": ["shm"], "objects": {"matchLabels": {"team": "nlp"}}}},
        "rules": [{"expression": "false", "message": "Not excluded."}],
    },
    "excludes-here": {
        "match": {
            "exclude": {
                "namespaces": {"selector": {"matchLabels": TEAM}},
                "objects": {"matchLabels": {"team": "nlp"}},
            }
        },
        "rules": [{"expression": "1 > 2"}],
    },
    "conditions": {
        "match": {
            "conditions": [
                {"name": "teams", "expression": "object.metadata.labels.team in ['nlp', 'cv']"},
                "!has(object.metadata.labels.off)",
            ],
            "exclude": {"conditions": ["object.metadata.labels[?'tier'].orValue('') == 'play'"]},
        },
        "failurePolicy": "Ignore",
        "rules": [{"expression": "false", "message": "Some."}],
    },
    "conditions-fail": {
        "match": {
            "conditions": [
                "object.metadata.labels.team == 'cv'",
                "object.spec.containers.size() == 1",
            ]
        },
        "rules": [{"expression": "true"}],
    },
    "conditions-here": {
        "match": {
            "conditions": [
                "namespaceObject.metadata.labels[?'example.com/env'].orValue('') == 'dev'",
                "request.operation == 'CREATE' && object.spec.containers.size() > 0",
            ],
            "exclude": {
                "conditions": ["namespaceObject.metadata.name == object.metadata.labels.team"]
            },
        },
        "failurePolicy": "Ignore",
        "rules": [{"expression": "false", "message": "Here, too."}],
    },
    "others-kind": {
        "match": {"exclude": {"kinds": ["Pod"], "operations": ["UPDATE"]}},
        "rules": [{"expression": "false", "message": "Created."}],
    },
}
NLP, CV = {"team": "nlp"}, {"team": "cv"}
TWO = ({"name": "a", "image": "example.com/a:1"}, {"name": "b", "image": "example.com/b:1"})
PODS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "nlp": {"labels": NLP},
    "cv": {"labels": CV},
    "quoted": {"labels": {"team": "its"}},
    "off": {"labels": {**NLP, "off": ""}},
    "play": {"labels": {**CV, "tier": "play"}},
    "high": {"labels": {**CV, "tier": "high"}},
    "two": {"labels": NLP, "containers": TWO},
    "shm": {"intents": {"shm": "1Gi"}},
    "intents": {"intents": {"shm": "1Gi", "experiment": "x"}},
    "shm-nlp": {"labels": NLP, "intents": {"shm": "1Gi"}},
    "of-a-job": {"owner": ("batch/v1", "Job")},
    "of-another-job": {"owner": ("example.com/v1", "Job")},
    "of-a-controller": {"owner": ("v1", "ReplicationController")},
}


def policies() -> str:
    return yaml.safe_dump_all(
        {
            "apiVersion": "kubectl-ml.io/v1alpha1",
            "kind": "GuardPolicy",
            "metadata": {"name": name},
            "spec": {**spec, "match": labelled(name, spec.get("match", {}))},
        }
        for name, spec in GUARDS.items()
    )


def labelled(name: str, match: Mapping[str, Any]) -> Mapping[str, Any]:
    objects = {**match.get("objects", {}), "matchLabels": {"guard": name}}
    return {**match, "objects": objects}


def pod(guard: str, **given: Any) -> Manifest:
    metadata: Manifest = {
        "name": "probe",
        "labels": {"guard": guard, **given.get("labels", {})},
        "annotations": acting.intents(**given.get("intents", {})),
    }
    if "owner" in given:
        version, kind = given["owner"]
        owner = {"apiVersion": version, "kind": kind, "name": "o", "uid": "1", "controller": True}
        metadata["ownerReferences"] = [owner]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": list(given.get("containers", TWO[:1]))},
    }


def deployment(guard: str, **given: Any) -> Manifest:
    made = pod(guard, **given)
    metadata = {key: made["metadata"][key] for key in ("labels", "annotations")}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "probe"},
        "spec": {
            "selector": {"matchLabels": {"guard": guard}},
            "template": {"metadata": metadata, "spec": made["spec"]},
        },
    }


def refusal(
    place: Place, guard: str, given: Mapping[str, Any], make: Callable[..., Manifest] = pod
) -> str:
    """Give what is said where a pod is refused; nothing where it isn't."""
    made = make(guard, **given)
    path = place.path(made["kind"]) + "?dryRun=All"
    answer = place.user.request("POST", path, body=made)
    if answer.ok:
        return ""
    assert answer.status in (403, 422), answer.body  # 422: the expression fails
    message = str(answer.body["message"])
    return message if "denied" in message else ""  # the service account isn't there at once


def sentences(message: str) -> list[str]:
    """Take the sentences out of a refusal, of the webhook's or of the API server's own."""
    own = _OWN.search(message)
    if own:
        return [f"{own[1].removesuffix('.templates')}: {own[2]}"]
    lines = message.partition("denied the request: ")[2].splitlines()
    return [line for line in lines if not line.startswith("see: ")]


@contextmanager
def exported(installed: Installed, tmp_path: Path, place: Place) -> Iterator[None]:
    file = tmp_path / "guards.yaml"
    file.write_text(policies())
    admin = installed.control_plane.admin
    written = admin.kubectl(
        "ml", "policy", "export", "--to=vap", "--templates", *GUARDS, "--policies", str(file)
    )
    admin.kubectl("apply", "-f", "-", stdin=written)
    try:
        for guard in ("canary", "others-kind"):  # the first and the last
            waiting.until(
                lambda guard=guard: refusal(place, guard, {}), what="the API server to judge"
            )
        yield
    finally:
        admin.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=written)


def verdicts(place: Place) -> dict[tuple[str, str], list[str]]:
    found = {
        (guard, name): sentences(refusal(place, guard, given))
        for guard in GUARDS
        for name, given in PODS.items()
    }
    templates = {
        (guard, f"template of {name}"): sentences(refusal(place, guard, given, deployment))
        for guard in GUARDS
        for name, given in PODS.items()
        if "owner" not in given
    }
    return found | templates


@pytest.fixture
def ours(installed: Installed) -> dict[tuple[str, str], list[str]]:
    with (
        acting.place(installed, {**ENABLED, **TEAM}) as place,
        installed.policies(policies()),
    ):
        return verdicts(place)


def test_the_api_server_gives_the_webhooks_verdicts(
    installed: Installed, ours: dict[tuple[str, str], list[str]], tmp_path: Path
) -> None:
    with acting.place(installed, TEAM) as place, exported(installed, tmp_path, place):
        theirs = verdicts(place)

    refused = {case for case, said in ours.items() if said}
    assert {case for case, said in theirs.items() if said} == refused
    assert {guard for guard, _ in refused} >= {*GUARDS} - {"others", "elsewhere"}
    assert any(name.startswith("template") for _, name in refused)
    assert len(refused) < len(ours)
    # Of several sentences the API server gives the first; of an error in words of its own.
    unlike = {
        case: (said, ours[case])
        for case, said in theirs.items()
        if not {*said} <= {*ours[case]} and "can't be evaluated" not in "".join(ours[case])
    }
    assert unlike == {}
