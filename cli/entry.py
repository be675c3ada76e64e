"""How a command line is entered, and how errors reach the user."""

from __future__ import annotations

import sys

import click


def enter(group: click.Group) -> None:
    """Run a command line. Bad input prints one line and exits with 2."""
    from josiecodec.errors import CodecError

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
