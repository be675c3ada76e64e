"""The command group."""

from __future__ import annotations

import click

from josiecodec_cli.entry import enter

from .evaluate import evaluate
from .generate import generate
from .memory import memory
from .talk import talk
from .train import train


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="josiecodec", prog_name="josielm")
def cli() -> None:
    """A language model over audio tokens: train it on token datasets, generate audio, or talk with it."""


for command in (train, evaluate, generate, talk, memory):
    cli.add_command(command)


def main() -> None:
    """Run the command line."""
    enter(cli)


if __name__ == "__main__":
    main()
