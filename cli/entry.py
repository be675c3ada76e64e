"""How a command line is entered, and how errors reach the user."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import click


def enter(group: click.Group) -> None:
    """Run a command line. Bad input prints one line and exits with 2."""
    from josiecodec.errors import CodecError

    warnings.showwarning = _show_warning  # type: ignore[assignment]
    try:
        sys.exit(group(standalone_mode=False) or 0)
    except getattr(click.exceptions, "NoArgsIsHelpError", ()) as error:  # of newer versions of click
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except (click.ClickException, CodecError, OSError) as error:
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(f"error: {' '.join(text.split())}", err=True)
        sys.exit(2)


def _show_warning(message: Any, category: type[Warning], *_: Any) -> None:
    """A warning as a line for the user; those for programmers are not shown."""
    if issubclass(category, UserWarning):
        click.echo(f"warning: {' '.join(str(message).split())}", err=True)
