"""
Build the control plane, and start and end one that stays.

`python -m tests.e2e.controlplane build|up|down`; only what is for a shell goes to standard output.
"""

import signal
import sys
import time
from types import FrameType
from typing import NoReturn

import click

from tests.e2e import installed
from tests.e2e.controlplane import background, build, errors


@click.group(help=__doc__)
def main() -> None: ...


@main.command("build")
def build_programs() -> None:
    """Build the programs, once for each version of the lock files."""
    build.ensure()


@main.command()
def up() -> None:
    """Start a cluster with fake GPU nodes and the webhook, and leave it running."""
    signal.signal(signal.SIGTERM, _exit)
    cluster = background.Background()
    began = time.monotonic()
    try:
        cluster.up(installed.put_into)
        click.echo(f"the cluster is ready ({time.monotonic() - began:.1f} s); paste:", err=True)
    finally:
        if cluster.kubeconfig.exists():
            click.echo(f"export KUBECONFIG={cluster.kubeconfig}")


@main.command()
def down() -> None:
    """End the cluster that `up` started."""
    ended = background.Background().down()
    click.echo(f"ended {ended} processes" if ended else "no cluster is running", err=True)


def _exit(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    try:
        main()
    except errors.ControlPlaneError as error:
        sys.exit(str(error))
