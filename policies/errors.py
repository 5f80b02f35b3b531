"""
What goes wrong inside the engine.

    PoliciesError
    ├── InvalidPolicies      policy files that can't be used; carries every fault of every file
    └── UnusableIntent       an intent that can't be read or carried out; becomes a `Violation`
"""

from __future__ import annotations

from dataclasses import dataclass


class PoliciesError(Exception):
    """Raised when the engine can't do what it was asked; the root of all its exceptions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    One thing that is wrong in one policy file.

    `str()` gives the sentence a person reads, for example
    `gpu.yaml: document 2 (Accelerator a100): spec.memory: "80GB" is not a quantity; write "80Gi"`.
    """

    file: str
    document: int  # counted from 1; 0: the file as a whole
    object: str = ""  # "Accelerator a100" where it is known
    path: str = ""  # "spec.memory"; empty: the document as a whole
    message: str

    @property
    def sentence(self) -> str:
        """Say what is wrong in whose field, for those who see the object."""
        return f"{self.path}: {self.message}" if self.path else self.message

    def __str__(self) -> str:
        """Say where the fault is, what it is and how to mend it, in one line."""
        where = [self.file]
        if self.document:
            named = f" ({self.object})" if self.object else ""
            where.append(f"document {self.document}{named}")
        if self.path:
            where.append(self.path)
        return ": ".join([*where, self.message])


class InvalidPolicies(PoliciesError):  # noqa: N818 -- named for what it holds
    """Raised when policy files hold faults; `faults` has all of them, not the first."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        super().__init__("\n".join(str(fault) for fault in faults))


class UnusableIntent(PoliciesError):  # noqa: N818 -- named for what it holds
    """Raised when an intent's value can't be read or carried out; says how to fix it."""
