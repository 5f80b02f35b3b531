"""
Start the server: `python -m webhook --self-signed build/certificates`.

Exit codes: 0 drained after SIGTERM or SIGINT; 1 it could not start or had to stop; 2 usage.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from policies import errors as policy_errors
from webhook import server, settings, workers
from webhook.errors import BadSettings, WebhookError


@click.command(name="webhook", context_settings={"auto_envvar_prefix": "KUBECTL_ML"})
@click.option("--listen", default="127.0.0.1:9443", show_default=True, help="TLS address.")
@click.option(
    "--metrics-listen", default="127.0.0.1:9090", show_default=True, help="Address of /metrics."
)
@click.option(
    "--policies", multiple=True, type=click.Path(), metavar="DIR", help="Policies; repeatable."
)
@click.option("--no-library", is_flag=True, help="Leave the built-in library out.")
@click.option("--cert", type=click.Path(), metavar="FILE", help="Certificate, PEM.")
@click.option("--key", type=click.Path(), metavar="FILE", help="Its key, PEM.")
@click.option(
    "--self-signed",
    type=click.Path(),
    metavar="DIR",
    help="Make ca.crt, tls.crt and tls.key in DIR.",
)
@click.option("--offline", is_flag=True, help="Use no cluster; the default.")
@click.option("--kubeconfig", type=click.Path(), metavar="FILE", help="Reach the cluster by FILE.")
@click.option("--in-cluster", is_flag=True, help="Reach the cluster as the pod we run in.")
@click.option(
    "--workers",
    type=click.IntRange(1, settings.MAX_WORKERS),
    default=1,
    show_default=True,
    help="Processes that serve.",
)
@click.option(
    "--log-level", type=click.Choice(settings.LOG_LEVELS), default="info", show_default=True
)
def command(**flags: Any) -> int:
    """
    Answer admission reviews from policies.

    Each flag has an environment twin: KUBECTL_ML_LISTEN, KUBECTL_ML_POLICIES (separated by ":")
    and so on.
    """
    told = settings.from_flags(flags)
    return server.run(told) if told.workers == 1 else workers.run(told)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server and give its exit code; what can't be done is said in one sentence."""
    try:
        return int(command.main(arguments, prog_name="webhook", standalone_mode=False) or 0)
    except BadSettings as error:
        return _failed(2, error.message, error.hint)
    except click.UsageError as error:
        return _failed(2, error.format_message(), "see python -m webhook --help")
    except policy_errors.InvalidPolicies as error:
        return _failed(1, *(str(fault) for fault in error.faults))
    except WebhookError as error:
        return _failed(1, str(error))
    except (KeyboardInterrupt, click.Abort):
        return 130


def _failed(code: int, message: str, *more: str) -> int:
    sys.stderr.write("\n".join(filter(None, [f"error: {message}", *more])) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
