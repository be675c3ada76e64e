"""Entry point: the command group, and how errors reach the user."""

from __future__ import annotations

import sys

import click

from .eval import eval_group
from .files import decode, encode
from .inspect import info, models, trim
from .share import export, push, save
from .tokenize import tokenize
from .tokens import tokens_group
from .train import train_group


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="josiecodec")
def cli() -> None:
    """Sound and pictures as tokens: encode media files to small .josie files and decode them again."""


for command in (
    encode, decode, info, trim, models, save, push, export, train_group, eval_group, tokenize, tokens_group,
):  # fmt: skip
    cli.add_command(command)


def main() -> None:
    """Run the command line. Bad input prints one line and exits with 2."""
    from josiecodec.errors import CodecError

    try:
        sys.exit(cli(standalone_mode=False) or 0)
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


if __name__ == "__main__":
    main()
