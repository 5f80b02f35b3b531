"""`kubectl ml policy lint`: policies that are for nothing or at odds, with file and line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kubectl_ml.program import Outcome, invoke

VERSION = "apiVersion: kubectl-ml.io/v1alpha1\n"


def one(kind: str, name: str, spec: str) -> str:
    return f"---\n{VERSION}kind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def injection(
    name: str, match: str = "{}", rest: str = "", inject: str = "{schedulerName: mine}"
) -> str:
    return one("InjectionPolicy", name, f"{{match: {match}, {rest} inject: {inject}}}")


def guard(
    name: str, match: str = "{}", rest: str = 'rules: [{expression: "has(object.spec)"}]'
) -> str:
    return one("GuardPolicy", name, f"{{match: {match}, {rest}}}")


def exception(policies: str, rest: str = "") -> str:
    return one("PolicyException", "e", f"{{policies: {policies}, {rest} reason: x}}")


@pytest.fixture
def lint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    monkeypatch.chdir(tmp_path)

    def run(text: str, *args: str) -> Outcome:
        Path("p.yaml").write_text(text)
        return invoke("policy", "lint", "--policies", "p.yaml", *args)

    return run


NEVER = "so it is never in force"
UNREACHABLE = [
    pytest.param(
        guard(
            "g",
            "{objects: {matchLabels: {a: b}, matchExpressions: [{key: a, operator: NotIn, "
            "values: [b]}]}}",
        ),
        'p.yaml:5:16: error: GuardPolicy "g": unreachable: spec.match.objects asks for labels that '
        f"contradict each other, {NEVER}\n",
        id="labels-that-contradict",
    ),
    pytest.param(
        guard(
            "g",
            "{namespaces: {selector: {matchExpressions: [{key: a, operator: Exists}, "
            "{key: a, operator: DoesNotExist}]}}}",
        ),
        'p.yaml:5:29: error: GuardPolicy "g": unreachable: spec.match.namespaces.selector asks for '
        f"labels that contradict each other, {NEVER}\n",
        id="labels-of-namespaces-that-contradict",
    ),
    pytest.param(
        injection("i", "{namespaces: {names: [a, b]}, exclude: {namespaces: {names: ['*']}}}"),
        'p.yaml:5:45: error: InjectionPolicy "i": unreachable: spec.match.exclude takes away all '
        f"that spec.match is for, {NEVER}\n",
        id="excludes-all-namespaces",
    ),
    pytest.param(
        injection("i", "{kinds: [Job.batch], intents: [shm], exclude: {intents: [shm]}}"),
        'p.yaml:5:52: error: InjectionPolicy "i": unreachable: spec.match.exclude takes away all '
        f"that spec.match is for, {NEVER}\n",
        id="excludes-the-intent-it-needs",
    ),
    pytest.param(
        injection("i", "{exclude: {}}"),
        'p.yaml:5:16: error: InjectionPolicy "i": unreachable: spec.match.exclude takes away all '
        f"that spec.match is for, {NEVER}\n",
        id="excludes-everything",
    ),
    pytest.param(
        injection("i", "{exclude: {kinds: [Job.batch], namespaces: {names: [x]}}}"), "", id="some"
    ),
    pytest.param(
        guard("g", "{kinds: [Job.batch], owners: [CronJob.batch]}"),
        'p.yaml:5:36: error: GuardPolicy "g": unreachable: spec.match.owners is of pods alone, and '
        f"spec.match.kinds is Job.batch, {NEVER}\n",
        id="owners-of-what-is-no-pod",
    ),
    pytest.param(
        injection("i", "{namespaces: {names: [kube-system]}}"),
        'p.yaml:5:16: error: InjectionPolicy "i": unreachable: spec.match.namespaces names only '
        "kube-system, which is never touched; name another\n",
        id="untouched-namespace",
    ),
    pytest.param(
        injection("i", "{operations: [UPDATE]}"),
        'p.yaml:5:16: error: InjectionPolicy "i": unreachable: spec.match.operations is UPDATE, '
        "but an injection acts when an object is created; add CREATE\n",
        id="injection-on-update",
    ),
    pytest.param(
        injection("i", "{kinds: [Gadget.example.com]}"),
        'p.yaml:5:24: error: InjectionPolicy "i": unreachable: spec.match.kinds: no pods are known '
        'of the kind "Gadget.example.com", so nothing is added to it; mend the name, or describe '
        "it with a WorkloadKind\n",
        id="kind-without-pods",
    ),
    pytest.param(
        injection("i", "{intents: [scale]}"),
        'p.yaml:5:26: error: InjectionPolicy "i": unreachable: spec.match.intents: "scale" stays '
        "at the workload and never reaches a pod; write the workload's kind into "
        "spec.match.kinds\n",
        id="intent-of-no-pod",
    ),
    pytest.param(
        guard("g", "{kinds: [Job.batch]}", "checks: {podSecurity: {level: baseline}}"),
        'p.yaml:5:37: error: GuardPolicy "g": unreachable: spec.checks judge pods alone, and '
        "spec.match.kinds has no Pod; add it, which judges the templates of workloads, too\n",
        id="checks-of-what-is-no-pod",
    ),
    pytest.param(
        guard("g", "{}", 'rules: [{expression: "true"}]'),
        'p.yaml:5:28: warning: GuardPolicy "g": unreachable: spec.rules[0] always holds, so it '
        "refuses nothing; take it out\n",
        id="always-true",
    ),
    pytest.param(
        injection("i", "{}", "optIn: true,"), "", id="behind-a-profile-that-nobody-names-yet"
    ),
]


@pytest.mark.parametrize(("text", "out"), UNREACHABLE)
def test_what_is_for_nothing(lint: Callable[..., Outcome], text: str, out: str) -> None:
    assert lint(text) == Outcome(code=int(": error: " in out), out=out, err="")


TEAM = "{env: [{name: TEAM, value: %s}]}"
CONFLICTS = [
    pytest.param(
        injection("a", inject=TEAM % "nlp") + injection("b", inject=TEAM % "ml"),
        'p.yaml:10:35: warning: InjectionPolicy "b": conflict: spec.inject.env TEAM is ml, and '
        'InjectionPolicy "a" (p.yaml:2) makes it nlp in the same pods; "a" wins, because it goes '
        "first (order 0 and 0); make them equal, or keep their matches apart\n",
        id="variables",
    ),
    pytest.param(
        injection("a", inject=TEAM % "nlp") + injection("b", inject=TEAM % "nlp"), "", id="equal"
    ),
    pytest.param(
        injection("a", "{namespaces: {names: [a-*]}}", inject=TEAM % "nlp")
        + injection("b", "{namespaces: {names: [b-*]}}", inject=TEAM % "ml"),
        "",
        id="other-namespaces",
    ),
    pytest.param(
        injection("a", "{objects: {matchLabels: {t: a}}}", inject=TEAM % "nlp")
        + injection("b", "{objects: {matchLabels: {t: b}}}", inject=TEAM % "ml"),
        "",
        id="other-labels",
    ),
    pytest.param(
        injection("a", rest="mode: Preview,", inject=TEAM % "nlp")
        + injection("b", inject=TEAM % "ml"),
        "",
        id="preview",
    ),
    pytest.param(
        injection("a", rest="order: 9, onConflict: Override,", inject="{nodeSelector: {pool: a}}")
        + injection("b", "{namespaces: {names: [ml-*]}}", inject="{nodeSelector: {pool: b}}"),
        'p.yaml:5:75: warning: InjectionPolicy "a": conflict: spec.inject.nodeSelector pool is a, '
        'and InjectionPolicy "b" (p.yaml:7) makes it b in the same pods; "a" wins (onConflict: '
        "Override); make them equal, or keep their matches apart\n",
        id="node-selectors-and-override",
    ),
    pytest.param(
        injection("a", inject="{priorityClassName: low}")
        + injection("b", rest="onConflict: Deny,", inject="{priorityClassName: high}"),
        'p.yaml:10:46: error: InjectionPolicy "b": conflict: spec.inject.priorityClassName is '
        'high, and InjectionPolicy "a" (p.yaml:2) makes it low in the same pods; "b" refuses those '
        "pods (onConflict: Deny); make them equal, or keep their matches apart\n",
        id="deny",
    ),
    pytest.param(
        injection("a", inject="{mounts: ['pvc://a:/data:ro']}")
        + injection("b", inject="{mounts: ['pvc://b:/data:ro']}"),
        'p.yaml:10:38: warning: InjectionPolicy "b": conflict: spec.inject.mounts /data is '
        'pvc://b, and InjectionPolicy "a" (p.yaml:2) makes it pvc://a in the same pods; "a" wins, '
        "because it goes first (order 0 and 0); make them equal, or keep their matches apart\n",
        id="mounts",
    ),
]


@pytest.mark.parametrize(("text", "out"), CONFLICTS)
def test_injections_at_odds(lint: Callable[..., Outcome], text: str, out: str) -> None:
    assert lint(text) == Outcome(code=int(": error: " in out), out=out, err="")


RULE = 'rules: [{name: team, expression: "has(object.metadata.labels)"}], checks: %s'
NAMES = [
    pytest.param(
        guard("g", "{}", RULE % "{images: {digests: Require}}") + exception("[g, h]"),
        'p.yaml:10:22: error: PolicyException "e": exception: spec.policies: there is no '
        'GuardPolicy or QuotaPolicy "h"; known: g\n',
        id="exception-from-no-policy",
    ),
    pytest.param(
        guard("g", "{}", RULE % "{podSecurity: {level: privileged}}")
        + exception("[g]", "rules: [podSecurity, taem],"),
        'p.yaml:10:44: error: PolicyException "e": exception: spec.rules: no rule or check of g is '
        'named "taem"; did you mean "team"?\n',
        id="exception-from-no-rule",
    ),
    pytest.param(
        one("QuotaPolicy", "q", "{budget: {pods: 3}}") + exception("[q]"), "", id="from-a-quota"
    ),
    pytest.param(
        guard("g") + exception("[g]", "expires: '2020-01-01T00:00:00Z',"),
        'p.yaml:10:23: warning: PolicyException "e": exception: it has expired '
        "2020-01-01T00:00:00Z; renew it or delete it\n",
        id="expired-exception",
    ),
    pytest.param(
        one("Accelerator", "mine", "{resource: nvidia.com/gpu, nodeSelector: "
        "{nvidia.com/gpu.product: Tesla-T4}}"),
        'p.yaml:5:1: warning: Accelerator "mine": unused-class: these are the devices of the class '
        '"t4" (library), by the same resource and node labels; name that one, or tell them apart '
        "by nodeSelector\n",
        id="class-of-the-same-devices",
    ),
    pytest.param(
        guard("g", "{}", "checks: {accelerators: {classes: [t4, a1000, 'mgi-*'], maxPerPod: "
        "{t44: 2}}, mounts: {sources: [imagnet, 'pvc://x', '*']}}")
        + one("DataSource", "imagenet", "{pvc: {claimName: imagenet}}"),
        'p.yaml:5:57: error: GuardPolicy "g": names: spec.checks.accelerators.classes[1]: there is '
        'no device class "a1000"; did you mean "a100"?\n'
        'p.yaml:5:64: warning: GuardPolicy "g": names: spec.checks.accelerators.classes[2]: '
        '"mgi-*" is the name of no device class; mend it or take it out\n'
        'p.yaml:5:86: error: GuardPolicy "g": names: spec.checks.accelerators.maxPerPod.t44: there '
        'is no device class "t44"; did you mean "t4"?\n'
        'p.yaml:5:115: error: GuardPolicy "g": names: spec.checks.mounts.sources[0]: there is no '
        'data source "imagnet"; did you mean "imagenet"?\n',
        id="checks-of-what-is-not-there",
    ),
    pytest.param(
        injection("i", inject="{accelerator: a1000, mounts: ['imagnet:/a', 'pvc://x:/b']}"),
        'p.yaml:5:29: error: InjectionPolicy "i": names: spec.inject.accelerator: there is no '
        'device class "a1000"; did you mean "a100"?\n'
        'p.yaml:5:49: error: InjectionPolicy "i": names: spec.inject.mounts: there is no data '
        'source "imagnet"; mend it or take it out\n',
        id="injections-of-what-is-not-there",
    ),
    pytest.param(
        one("Accelerator", "mine", "{resource: example.com/gpu}")
        + guard("g", "{}", "checks: {accelerators: {classes: [t4]}}"),
        'p.yaml:4:12: warning: Accelerator "mine": unused-class: GuardPolicy "g" (p.yaml:7) '
        "refuses it everywhere, so nobody can use it; name it in spec.checks.accelerators.classes "
        "there, or take it out\n",
        id="class-that-is-refused-everywhere",
    ),
    pytest.param(
        guard("g", "{namespaces: {names: [ml-*]}}")
        + one("PolicyException", "e",
              "{policies: [g], match: {namespaces: {names: [prod]}}, reason: x}"),
        'p.yaml:10:23: error: PolicyException "e": exception: spec.match has nothing in common '
        "with that of g, so it lets nobody off; mend it or take it out\n",
        id="exception-in-other-namespaces",
    ),
    pytest.param(
        guard("g") + exception("[g]", "match: {kinds: [Job.batch]},"),
        'p.yaml:10:23: error: PolicyException "e": exception: spec.match has nothing in common '
        "with that of g, so it lets nobody off; mend it or take it out\n",
        id="exception-of-workloads-from-a-guard-of-pods",
    ),
    pytest.param(
        guard("g", "{namespaces: {names: [ml-*]}, operations: [CREATE, DELETE]}")
        + exception("[g]", "match: {namespaces: {names: [ml-a]}, operations: [DELETE]},"),
        "",
        id="exception-in-some-of-them",
    ),
    pytest.param(
        guard("g", "{}", "params: {max: 3}, variables: [{name: top, expression: params.max}], "
        'rules: [{expression: "variables.top < params.maxx && '
        "'params.x' != object.metadata.labels.params\"}]"),
        'p.yaml:5:96: error: GuardPolicy "g": expression: spec.rules[0].expression: params.maxx is '
        'nowhere in spec.params; did you mean "max"?\n',
        id="params-that-nobody-gives",
    ),
    pytest.param(
        guard("g", "{}", "variables: [{name: a, expression: variables.b}, {name: b, expression: "
        'object.spec}], rules: [{expression: "variables.a"}]'),
        'p.yaml:5:41: error: GuardPolicy "g": expression: spec.variables[0].expression: '
        "variables.b is nowhere in spec.variables above it\n",
        id="a-variable-that-comes-later",
    ),
    pytest.param(
        guard("g", "{}", 'rules: [{expression: "1 + true"}]'),
        "p.yaml:5:28: error: GuardPolicy \"g\": policies: spec.rules[0].expression: line 1, column "
        "3 of `1 + true`: found no matching overload for '_+_' applied to '(int, bool)'\n",
        id="no-type-fits",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "out"), NAMES)
def test_what_names_nothing(lint: Callable[..., Outcome], text: str, out: str) -> None:
    assert lint(text) == Outcome(code=int(": error: " in out), out=out, err="")


SIDECAR = "{sidecars: [{%s container: {name: proxy, image: 'docker.io/proxy:1'}}]}"
ALLOWED = "checks: {images: {registries: ['example.com/*']}}"
BROUGHT = (
    'image "docker.io/proxy:1" of container "proxy" is from none of example.com/*; take one that '
    "is; change one of them, or write a PolicyException\n"
)


@pytest.mark.parametrize(
    ("text", "out"),
    [
        pytest.param(
            injection("i", "{intents: [accelerator]}", inject=SIDECAR % "")
            + guard("g", "{namespaces: {selector: {matchLabels: {env: prod}}}}", ALLOWED),
            'p.yaml:2:1: error: InjectionPolicy "i": guard-refuses-injection: GuardPolicy "g" '
            f"(p.yaml:7) refuses what this adds: {BROUGHT}",
            id="denied",
        ),
        pytest.param(
            injection("i", "{}", inject=SIDECAR % "offered: true,") + guard("g", "{}", ALLOWED),
            'p.yaml:2:1: warning: InjectionPolicy "i": guard-refuses-injection: GuardPolicy "g" '
            f"(p.yaml:7) refuses what this adds: {BROUGHT}",
            id="only-where-it-is-asked-for",
        ),
        pytest.param(
            injection("i", "{}", inject=SIDECAR % "")
            + guard("g", "{}", f"enforcement: Warn, {ALLOWED}"),
            'p.yaml:2:1: warning: InjectionPolicy "i": guard-refuses-injection: GuardPolicy "g" '
            f"(p.yaml:7) warns of what this adds: {BROUGHT}",
            id="warned-of",
        ),
        pytest.param(
            injection("i", "{namespaces: {names: [a]}}", inject=SIDECAR % "")
            + guard("g", "{namespaces: {names: [b]}}", ALLOWED),
            "",
            id="never-together",
        ),
        pytest.param(
            injection("i", "{}", inject=SIDECAR % "")
            + guard("g", "{}", ALLOWED)
            + one("PolicyException", "e", "{policies: [g], rules: [images], reason: x}"),
            "",
            id="let-off",
        ),
    ],
)
def test_a_guard_that_refuses_what_an_injection_adds(
    lint: Callable[..., Outcome], text: str, out: str
) -> None:
    outcome = lint(text, "--no-library")

    assert outcome == Outcome(code=int(": error: " in out), out=out, err="")


def test_a_guard_against_the_library_is_the_users_to_change(lint: Callable[..., Outcome]) -> None:
    out = lint(guard("g", "{}", ALLOWED)).out

    assert out.startswith(
        'p.yaml:2:1: warning: GuardPolicy "g": guard-refuses-injection: this refuses what '
        'InjectionPolicy "logs" (library) adds: image "fluent/fluent-bit:'
    )


@pytest.mark.parametrize(
    ("text", "out"),
    [
        pytest.param(
            "kind: [\n", "p.yaml:2:1: error: policies: did not find", id="no-yaml"
        ),
        pytest.param(
            VERSION + "kind: GuardPolcy\nmetadata: {name: x}\n",
            "p.yaml:1:1: error: GuardPolcy x: policies: kind: there is no kind",
            id="no-kind-of-ours",
        ),
        pytest.param(
            guard("g") + guard("g"),
            "p.yaml:1:1: error: GuardPolicy g: policies: metadata.name: GuardPolicy g is also in",
            id="twice",
        ),
        pytest.param(
            guard("g").replace("metadata: {name: g}\n", ""),
            'p.yaml:1:1: error: GuardPolicy: policies: "metadata" is missing',
            id="no-name",
        ),
        pytest.param(
            guard("g").replace("kubectl-ml.io", "kubectlml.io"),
            'p.yaml:1:1: error: GuardPolicy g: policies: apiVersion: "kubectlml.io/v1alpha1" is',
            id="no-group-of-ours",
        ),
    ],
)  # fmt: skip
def test_what_cant_be_read(lint: Callable[..., Outcome], text: str, out: str) -> None:
    outcome = lint(text)

    assert (outcome.code, outcome.err) == (1, "")
    assert outcome.out.startswith(out)


def test_the_library_alone_has_no_errors() -> None:
    assert invoke("policy", "lint").code == 0


WARNED = exception("[g]", "expires: '2020-01-01T00:00:00Z',") + guard("g")


@pytest.mark.parametrize(
    ("text", "fail_on", "code"),
    [
        (WARNED, "error", 0),
        (WARNED, "warning", 1),
        (WARNED, "never", 0),
        (exception("[h]"), "error", 1),
        (exception("[h]"), "never", 0),
    ],
)
def test_the_exit_code(lint: Callable[..., Outcome], text: str, fail_on: str, code: int) -> None:
    assert lint(text, "--fail-on", fail_on).code == code


def test_json_and_sarif(lint: Callable[..., Outcome]) -> None:
    [finding] = json.loads(lint(WARNED, "-o", "json").out)["findings"]
    [run] = json.loads(lint(WARNED, "-o", "sarif").out)["runs"]

    assert finding == {
        "severity": "warning",
        "policy": "exception",
        "message": "it has expired 2020-01-01T00:00:00Z; renew it or delete it",
        "object": "PolicyException.kubectl-ml.io/e",
        "pointer": "/spec/expires",
        "file": "p.yaml",
        "line": 5,
        "column": 23,
    }
    assert run["tool"]["driver"]["rules"] == [{"id": "exception"}]
    assert run["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] == 5


def test_a_directory_needs_no_flag(tmp_path: Path) -> None:
    quota = one("QuotaPolicy", "q", "{budget: {pods: many}}")
    (tmp_path / "p.yaml").write_text(quota)

    assert invoke("policy", "lint", str(tmp_path)) == invoke(
        "policy", "lint", "--policies", str(tmp_path)
    )
    assert "spec.budget.pods" in invoke("policy", "lint", str(tmp_path)).out


def test_a_directory_that_is_not_there() -> None:
    outcome = invoke("policy", "lint", "--policies", "nowhere")

    assert outcome == Outcome(
        code=1,
        out="nowhere:1:1: error: policies: there is no such file or directory; check the path\n",
        err="",
    )


@pytest.mark.parametrize(
    ("spec", "printed"),
    [
        pytest.param(
            "{budget: {accelerators.a1000: 8}}",
            'p.yaml:5:17: error: QuotaPolicy "q": budget: spec.budget["accelerators.a1000"]: there '
            'is no device class "a1000", so this bounds nothing; did you mean "a100"?\n',
            id="a-class-that-is-none",
        ),
        pytest.param(
            "{budget: {pods: 1}, overrides: [{group: a, budget: {accelerators.l40x: 1}}]}",
            'p.yaml:5:59: error: QuotaPolicy "q": budget: spec.overrides[0].budget'
            '["accelerators.l40x"]: there is no device class "l40x", so this bounds nothing; did '
            'you mean "l40s"?\n',
            id="in-an-override",
        ),
        pytest.param("{budget: {accelerators: 8, accelerators.a100: 8}}", "", id="classes"),
        pytest.param(
            "{schedules: [{budget: {pods: 1}}, {days: [Sat], budget: {pods: 2}}]}",
            'p.yaml:5:41: error: QuotaPolicy "q": budget: spec.schedules[1]: those before it hold '
            "whenever it would, so it never counts; put it before them\n",
            id="a-schedule-after-one-that-always-holds",
        ),
    ],
)
def test_what_of_a_quota_does_nothing(
    lint: Callable[..., Outcome], spec: str, printed: str
) -> None:
    assert lint(one("QuotaPolicy", "q", spec)).out == printed
