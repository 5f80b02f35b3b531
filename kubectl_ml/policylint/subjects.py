"""What is linted: every usable object as it was written and as a value, and what is found of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kubectl_ml.findings import Finding
from kubectl_ml.lint_output import Found
from kubectl_ml.policy_objects import LIBRARY, Held
from policies import load
from policies.model import (
    Accelerator,
    GuardPolicy,
    InjectionPolicy,
    Match,
    PolicyException,
    PolicySet,
)


@dataclass(frozen=True, kw_only=True)
class Subjects:
    """
    Objects without faults, the library's too.

    Only `linted` ones are spoken of: the user's, or the library's where there are no others.
    """

    held: Sequence[Held]
    now: float
    only_library: bool = False

    @cached_property
    def policies(self) -> PolicySet:
        """Give them as the engine takes them."""
        return load.over(PolicySet(), [one.manifest for one in self.held])

    @cached_property
    def by_name(self) -> Mapping[tuple[str, str], Held]:
        """Find what was written by kind and name."""
        return {(one.kind, one.name): one for one in self.held}

    def linted(self, one: Held) -> bool:
        """Tell whether an object is one to speak of."""
        return self.only_library or one.origin != LIBRARY

    def injection(self, policy: InjectionPolicy) -> Held:
        """Find how an InjectionPolicy was written."""
        return self.by_name["InjectionPolicy", policy.name]

    def guard(self, policy: GuardPolicy) -> Held:
        """Find how a GuardPolicy was written."""
        return self.by_name["GuardPolicy", policy.name]

    def exception(self, policy: PolicyException) -> Held:
        """Find how a PolicyException was written."""
        return self.by_name["PolicyException", policy.name]

    def accelerator(self, one: Accelerator) -> Held:
        """Find how a device class was written."""
        return self.by_name["Accelerator", one.name]

    @cached_property
    def matching(self) -> Sequence[tuple[Held, Match]]:
        """Give everything that has a match."""
        policies = self.policies
        return (
            *((self.injection(one), one.match) for one in policies.injections),
            *((self.guard(one), one.match) for one in policies.guards),
            *((self.exception(one), one.match) for one in policies.exceptions),
            *((self.by_name["QuotaPolicy", one.name], one.match) for one in policies.quotas),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Says what is wrong with one object: `rule` is what SARIF calls the kind of finding."""

    held: Held
    rule: str

    def __call__(self, severity: str, message: str, pointer: str = "") -> Found:
        """Make a finding, with the place where it stands."""
        return Found(
            finding=Finding(severity=severity, policy=self.rule, message=message, pointer=pointer),
            place=self.held.place(pointer),
            reference=f"{self.held.kind}.kubectl-ml.io/{self.held.name}",
            title=self.held.title,
        )


def at(*steps: Any) -> str:
    """Write a JSON Pointer."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)
