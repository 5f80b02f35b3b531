"""
`spec.match` as ValidatingAdmissionPolicy says it: constraints, and conditions in CEL.

    {"intents": ["accelerator"]}
    -> ("intents", "has(object.metadata.annotations) && 'kubectl-ml.io/accelerator' in …")

https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from kubectl_ml import celtext
from policies import conditions as cel
from policies.engine import UNTOUCHED
from policies.model import DOMAIN, LabelSelector, Manifest, Match, NamespaceMatch, Subjects
from policies.workloads.catalogue import Catalogue

_CREATED = ("CREATE", "UPDATE")
_ACCOUNT = "system:serviceaccount:"
_OBJECT = "object"
_OF_DELETED = "(object != null ? object : oldObject)"


def constraints(match: Match, known: Catalogue) -> Manifest:
    """Give `matchConstraints`: kinds, operations and the labels of namespaces."""
    operations = list(match.operations or _CREATED)
    groups: dict[str, list[str]] = {}
    for kind in match.kinds or ("Pod",):
        group, plural, _ = resource(kind, known)
        groups.setdefault(group, []).append(plural)
    rules = [
        {
            "apiGroups": [group],
            "apiVersions": ["*"],
            "operations": operations,
            "resources": plurals,
        }
        for group, plurals in groups.items()
    ]
    found: Manifest = {"resourceRules": rules}
    if match.namespaces and match.namespaces.selector:
        found["namespaceSelector"] = _selector(match.namespaces.selector)
    return found


def resource(kind: str, known: Catalogue) -> tuple[str, str, bool]:
    """Give the group and plural of a kind, and whether the plural was guessed."""
    found = known.named(kind)
    if found is not None:
        return found.group, found.plural, False
    name, _, group = kind.lower().partition(".")
    plural = f"{name[:-1]}ies" if name.endswith("y") else f"{name}es" if name[-1] in "sx" else name
    return group, plural if plural != name else f"{name}s", True


def _selector(selector: LabelSelector) -> Manifest:
    found: Manifest = {}
    if selector.match_labels:
        found["matchLabels"] = dict(selector.match_labels)
    if selector.match_expressions:
        found["matchExpressions"] = [dict(one) for one in selector.match_expressions]
    return found


def conditions(match: Match) -> Iterator[tuple[str, str]]:
    """Give `matchConditions`, by name: what constraints can't say."""
    for namespace in sorted(UNTOUCHED):
        yield f"not-{namespace}", f"request.namespace != {celtext.string(namespace)}"
    yield from _terms(match, _object(match))
    for name, expression in _written(match):
        if not _sees_namespace(expression):
            yield name, boolean(expression)
    if match.exclude and not _needs_namespace(match.exclude):
        yield "exclude", f"!({_all(match.exclude, _object(match))})"


def late(match: Match) -> str:
    """Write what no match condition can say, as it needs the namespace; nothing: there is none."""
    terms = [boolean(text) for _, text in _written(match) if _sees_namespace(text)]
    if match.exclude and _needs_namespace(match.exclude):
        terms.append(f"!({_all(match.exclude, _object(match))})")
    return " && ".join(f"({term})" for term in terms)


def of_template(match: Match, new: Mapping[str, str]) -> str:
    """Write the whole match for the pod that a template makes; `new` says how that is called."""
    terms = [f"request.namespace != {celtext.string(one)}" for one in sorted(UNTOUCHED)]
    terms += [term for _, term in _terms(replace(match, owners=()), new["object"])]
    terms += [boolean(celtext.renamed(text, new)) for _, text in match.conditions]
    if match.exclude:
        terms.append(f"!({_all(match.exclude, new['object'], new)})")
    return " && ".join(f"({term})" for term in terms)


def boolean(expression: str) -> str:
    """Write an expression as one of which the API server knows that it gives true or false."""
    return f"({expression}) == true" if is_dynamic(expression, "STRING") else expression


def is_dynamic(expression: str, other: str) -> bool:
    """Tell whether the type of an expression is known only when it runs: it could be `other`."""
    try:
        cel.compiled(expression, other)
    except cel.ExpressionError:
        return False
    return True


def _written(match: Match) -> Iterator[tuple[str, str]]:
    """Give the conditions of a match, each by a name that the API server takes."""
    for number, (name, expression) in enumerate(match.conditions):
        plain = re.sub("[^A-Za-z0-9-]+", "-", name)[:40].strip("-")
        yield f"condition-{number}{f'-{plain}' if plain else ''}", expression


def _sees_namespace(expression: str) -> bool:
    return "namespaceObject" in celtext.names(expression)


def _needs_namespace(match: Match) -> bool:
    """Tell whether the namespace itself is asked for, which no match condition can see."""
    asks = bool(match.namespaces and match.namespaces.selector)
    asks |= any(_sees_namespace(text) for _, text in match.conditions)
    return asks or bool(match.exclude and _needs_namespace(match.exclude))


def _object(match: Match) -> str:
    return _OF_DELETED if "DELETE" in match.operations else _OBJECT


def _all(match: Match, obj: str, new: Mapping[str, str] | None = None) -> str:
    """Write a match in one expression; `new`: for the pod of a template, which is called so."""
    terms = [term for _, term in _terms(match, obj)]
    if match.kinds and new:
        terms.append("true" if "Pod" in match.kinds else "false")
    elif match.kinds:
        terms.append(_any(_kind(kind) for kind in match.kinds))
    if match.operations:
        terms.append(f"request.operation in {celtext.literal(list(match.operations))}")
    if match.namespaces and match.namespaces.selector:
        labels = "namespaceObject.metadata"
        terms += [f"namespaceObject != null && {_has(match.namespaces.selector, labels)}"]
    if match.exclude:
        terms.append(f"!({_all(match.exclude, obj, new)})")
    terms += [boolean(celtext.renamed(text, new or {})) for _, text in match.conditions]
    return " && ".join(f"({term})" for term in terms) or "true"


def _kind(kind: str) -> str:
    name, dot, group = kind.partition(".")
    test = f"request.kind.kind == {celtext.string(name)}"
    return f"{test} && request.kind.group == {celtext.string(group)}" if dot else test


def _terms(match: Match, obj: str) -> Iterator[tuple[str, str]]:
    if match.namespaces and match.namespaces.names:
        yield "namespaces", f"request.namespace.matches({_names(match.namespaces)})"
    if match.objects:
        yield "objects", _has(match.objects, f"{obj}.metadata")
    if match.owners:
        owners = f"{obj}.metadata.ownerReferences"
        test = _any(_owner(kind) for kind in match.owners)
        controls = "has(o.controller) && o.controller"
        yield "owners", f"has({owners}) && {owners}.exists(o, {controls} && ({test}))"
    if match.subjects:
        yield "subjects", _any(_subjects(match.subjects))
    for key in match.intents:
        there = f"{obj}.metadata.annotations"
        name = celtext.string(f"{DOMAIN}/{key}")
        yield f"intent-{key}", f"has({there}) && {name} in {there}"


def _any(tests: Iterable[str]) -> str:
    return " || ".join(f"({test})" for test in tests) or "false"


def _owner(kind: str) -> str:
    name, dot, group = kind.partition(".")
    test = f"o.kind == {celtext.string(name)}"
    return f"{test} && o.apiVersion.startsWith({celtext.string(f'{group}/')})" if dot else test


def _names(found: NamespaceMatch) -> str:
    return _regex(found.names)


def _subjects(found: Subjects) -> Iterator[str]:
    user = "request.userInfo.username"
    if found.users:
        yield f"{user}.matches({_regex(found.users)})"
    if found.groups:
        groups = "request.userInfo.groups"
        yield f"has({groups}) && {groups}.exists(g, g.matches({_regex(found.groups)}))"
    if found.service_accounts:
        accounts = [f"{_ACCOUNT}{one.removeprefix(_ACCOUNT)}" for one in found.service_accounts]
        yield f"{user}.matches({_regex(accounts)})"


def _has(selector: LabelSelector, metadata: str) -> str:
    """Write a label selector as a test of labels."""
    labels = f"{metadata}.labels"
    tests = [
        f"has({labels}) && {celtext.string(key)} in {labels} && "
        f"{labels}[{celtext.string(key)}] == {celtext.string(value)}"
        for key, value in selector.match_labels.items()
    ]
    tests += [_expression(one, labels) for one in selector.match_expressions]
    return " && ".join(f"({test})" for test in tests) or "true"


def _expression(one: Manifest, labels: str) -> str:
    key = celtext.string(one["key"])
    there = f"has({labels}) && {key} in {labels}"
    within = f"{there} && {labels}[{key}] in {_strings(one.get('values') or ())}"
    match one["operator"]:
        case "In":
            return within
        case "NotIn":
            return f"!({within})"
        case "Exists":
            return there
        case _:
            return f"!({there})"


def _strings(values: Iterable[Any]) -> str:
    return f"[{', '.join(celtext.string(str(value)) for value in values)}]"


def _regex(globs: Iterable[str]) -> str:
    return celtext.string(f"^(?:{'|'.join(_of_glob(one) for one in globs)})$")


def _of_glob(glob: str) -> str:
    """Write a glob as RE2 does: `ml-*` is `ml-.*`."""
    parts = re.findall(r"\*|\?|\[!?\]?[^\]]*\]|.", glob, re.DOTALL)
    return "".join(_part(part) for part in parts)


def _part(part: str) -> str:
    if part in ("*", "?"):
        return ".*" if part == "*" else "."
    if part.startswith("[") and part.endswith("]") and len(part) > 2:
        inner = part[1:-1].replace("\\", "\\\\")
        return f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
    return re.sub(r"([.+^$()\[\]{}|\\])", r"\\\1", part)
