"""How a command line is entered, and how errors reach the user."""

from __future__ import annotations

import difflib
import sys
import warnings
from importlib import import_module
from typing import Any

import click

from .missing import missing


class Suggesting(click.Group):
    """A group that says which command was meant, whatever the version of click does by itself."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command, or name those that are like it."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            close = difflib.get_close_matches(args[0], self.list_commands(ctx), 1) if args else []
            if close and close[0] not in error.message:
                raise click.UsageError(f"{error.message} Did you mean {close[0]!r}?", ctx) from None
            raise


class Lazy(Suggesting):
    """A group whose commands are imported when they are called, or listed with their help.

    Args:
        places: module of this package and name in it of each command.
    """

    def __init__(self, *args: Any, places: dict[str, tuple[str, str]] | None = None, **given: Any):
        super().__init__(*args, **given)
        self.places = places or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in order."""
        return sorted({*super().list_commands(ctx), *self.places})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name."""
        if cmd_name not in self.commands and cmd_name in self.places:
            module, name = self.places[cmd_name]
            self.add_command(getattr(import_module(f".{module}", __package__), name), cmd_name)
        return super().get_command(ctx, cmd_name)


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
    except ModuleNotFoundError as error:
        text = missing(error)
        if text is None:
            raise
        click.echo(f"error: {text}", err=True)
        sys.exit(2)
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
