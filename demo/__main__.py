"""
Show what the webhook does to the manifests of `examples/`: `python -m demo`.

Exit codes: 0 all was as expected; 1 something wasn't.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from demo import difference
from demo.apiserver import NotAnswered, Webhook
from demo.controllers import pod_of
from demo.expected import EXPECTED, REFUSED
from demo.server import NotStarted, running
from policies import manifests
from policies.model import Manifest

EXAMPLES = Path(__file__).parent.parent / "examples"


@dataclass(slots=True, kw_only=True)
class Demo:
    """One run: what to ask, where to print, and what was not as expected."""

    webhook: Webhook
    print: Callable[[str], object]
    color: bool
    faults: list[str] = field(default_factory=list)
    changed: str = ""  # every added line of the file at hand

    def admit(self, name: str) -> None:
        """Send the manifest of one file, and the pod that comes of it, and show what changed."""
        text = (EXAMPLES / name).read_text()
        (manifest,) = manifests.documents(text)
        self.changed = ""
        self._title(f"examples/{name}", _story(text))
        stored = self._create(manifest, user="ada@example.com", what=_kind(manifest))
        if stored["kind"] != "Pod":
            pod, user = pod_of(stored)
            self._create(pod, user=user, what="Its pod")
        for line in EXPECTED.get(name, ()):
            if line not in self.changed:
                self.faults.append(f"examples/{name}: nothing added {line!r}")

    def refuse(self, name: str) -> None:
        """Send a manifest that must be refused, and show the sentence."""
        text = (EXAMPLES / name).read_text()
        (manifest,) = manifests.documents(text)
        self._title(f"examples/{name}", _story(text))
        asked = self.webhook.mutate(_in_namespace(manifest))
        answer = self.webhook.validate(asked.object)
        code, sentence = REFUSED[name]
        self.print(f"{_kind(manifest)}: {self._paint('refused', '1;31')} ({answer.code})")
        for line in answer.message.splitlines():
            self.print(f"   {line}")
        if answer.allowed or answer.code != code or sentence not in answer.message.splitlines():
            self.faults.append(f"examples/{name}: expected a refusal, {code}: {sentence}")

    def _create(self, manifest: Manifest, *, user: str, what: str) -> Manifest:
        before = _in_namespace(manifest)
        mutated = self.webhook.mutate(before, user=user)
        again = self.webhook.mutate(mutated.object, user=user)
        verdict = self.webhook.validate(mutated.object, user=user)
        plain = difference.show(before, mutated.object, color=False)
        by = ", ".join(difference.policies_of(mutated.object))
        outcome = f"changed by {by}" if plain else "nothing left to add"
        self.print(f"{self._paint(what, '1')}: {outcome}")
        self.changed += "".join(f"{line}\n" for line in plain if line.startswith("+"))
        for line in difference.show(before, mutated.object, color=self.color):
            self.print(line)
        for warning in (*mutated.warnings, *verdict.warnings):
            self.print(self._paint(f"   warning: {warning}", "33"))
        if again.object != mutated.object:
            self.faults.append(f"{what}: a second call changed it again")
        if not verdict.allowed:
            self.faults.append(f"{what}: refused: {verdict.message}")
        return mutated.object

    def _title(self, name: str, story: list[str]) -> None:
        self.print("")
        self.print(self._paint(f"── {name} {'─' * (84 - len(name))}", "1;34"))
        for line in story:
            self.print(self._paint(line, "2"))

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.color else text


def run(environ: Mapping[str, str]) -> int:
    """Run the demo and print it; give the exit code."""
    started = time.monotonic()
    color = sys.stdout.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    with tempfile.TemporaryDirectory(prefix="kubectl-ml-demo-") as scratch:
        directory = Path(scratch)
        with running(directory, policies=EXAMPLES / "policies") as address:
            print(f"The webhook listens on https://{address}, with a certificate that it made.")
            print("What was written, and what comes back; beside each addition, whose it is:")
            webhook = Webhook.at(address, ca=directory / "ca.crt")
            demo = Demo(webhook=webhook, print=print, color=color)
            others = sorted({one.name for one in EXAMPLES.glob("*.yaml")} - EXPECTED.keys())
            for name in (*EXPECTED, *others):
                demo.admit(name)
            for name in REFUSED:
                demo.refuse(name)
            webhook.connection.close()
    return _close(demo, seconds=time.monotonic() - started)


def _close(demo: Demo, *, seconds: float) -> int:
    times = sorted(demo.webhook.seconds)
    print()
    for fault in demo.faults:
        print(f"not as expected: {fault}", file=sys.stderr)
    verdict = "all as expected" if not demo.faults else f"{len(demo.faults)} not as expected"
    print(
        f"{len(times)} reviews in {seconds:.1f} s, half of them under "
        f"{times[len(times) // 2] * 1000:.1f} ms: {verdict}."
    )
    if demo.faults:
        return 1
    print("Now yours: .venv/bin/kubectl-ml render -f FILE -o diff")
    return 0


def _story(text: str) -> list[str]:
    """Take the comment that opens a file."""
    lines = text.splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return [line.removeprefix("# ") for line in lines[:end]]


def _kind(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def _in_namespace(manifest: Manifest) -> Manifest:
    """Put the object where `kubectl apply` puts what names no namespace."""
    return {**manifest, "metadata": {"namespace": "default", **manifest["metadata"]}}


def main() -> int:
    """Run the demo; a signal ends it as an error does, so that the webhook is always stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run(os.environ)
    except (NotStarted, NotAnswered) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader has seen enough: `make demo | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
