"""
KServe and Knative judge all that we make for them: what `serve` writes, and the golden cases.

Nothing stays: each is a dry run, in which the webhooks of both and ours take part.
"""

import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.acting import Place
from tests.e2e.controlplane import processes
from tests.e2e.controlplane.client import Answer
from tests.e2e.goldens import CASES, read

SERVED = processes.CHECKOUT / "tests" / "kubectl_ml" / "testdata" / "serve"
ELSEWHERE = ("kserve-data-source", "kserve-dapr")  # want what this cluster doesn't have
COMMANDS = sorted(
    file
    for file in (*SERVED.glob("kserve-*.yaml"), *SERVED.glob("knative-*.yaml"))
    if file.stem not in ELSEWHERE
)
PATHS = {
    "InferenceService": "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices",
    "Service": "/apis/serving.knative.dev/v1/namespaces/{}/services",
    "Configuration": "/apis/serving.knative.dev/v1/namespaces/{}/configurations",
}
GROUPS = ("serving.kserve.io", "serving.knative.dev")
JUDGED = [
    case
    for case in CASES
    if read(case / "input.yaml")["apiVersion"].partition("/")[0] in GROUPS
    and "refused" not in (read(case / "said.yaml") or {})
]


def flags(file: Path, *more: str) -> list[str]:
    """Read the command that a golden file was made with, and put more flags to it."""
    command = file.read_text().splitlines()[0].removeprefix("# kubectl ml ")
    before, _, after = command.partition(" -- ")
    return [*shlex.split(before), *more, *(["--", *shlex.split(after)] if after else [])]


@pytest.mark.parametrize("inject", ["server", "client"])
@pytest.mark.parametrize("file", COMMANDS, ids=lambda file: file.stem)
def test_what_serve_makes_is_taken(enabled: Place, plain: Place, file: Path, inject: str):
    place = enabled if inject == "server" else plain
    more = ("-n", place.name, "--dry-run=server", f"--inject={inject}")

    done = place.user.try_kubectl("ml", *flags(file, *more))

    assert (done.stderr.partition("error: ")[2], done.returncode) == ("", 0)


@pytest.mark.parametrize("case", JUDGED, ids=lambda case: f"{case.parts[-2]}-{case.parts[-1]}")
def test_what_golden_cases_expect_is_taken(plain: Place, case: Path):
    before = rehearse(plain, read(case / "input.yaml"))
    if not before.ok:
        pytest.skip(f"refused as it goes in: {before.body['message']}")

    after = rehearse(plain, read(case / "expected.yaml"))

    assert (after.ok, "" if after.ok else after.body["message"]) == (True, "")


def rehearse(place: Place, obj: dict[str, Any]) -> Answer:
    """Create an object in a dry run."""
    made = {**obj, "metadata": {**obj["metadata"], "namespace": place.name}}
    return place.admin.request("POST", f"{PATHS[obj['kind']].format(place.name)}?dryRun=All", made)
