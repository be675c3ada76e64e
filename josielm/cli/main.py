"""The command group."""

from __future__ import annotations

from typing import Any

import click

from josiecodec_cli.entry import enter

from .evaluate import evaluate
from .generate import generate
from .memory import memory
from .speak import speak
from .talk import talk
from .train import train
from .train_speak import train_speak


class _Train(click.Group):
    """A command with an argument that has commands of its own: `train speak` beside `train EXPERIMENT`."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """`train speak` is a command of two words."""
        if args[:2] == ["train", "speak"]:
            return "train speak", train_speak, args[2:]
        return super().resolve_command(ctx, args)


@click.group(cls=_Train, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="josiecodec", prog_name="josielm")
def cli() -> None:
    """A language model over audio tokens: train it on token datasets, generate audio, or talk with it."""


for command in (train, evaluate, generate, talk, memory, speak):
    cli.add_command(command)


def main() -> None:
    """Run the command line."""
    enter(cli)


if __name__ == "__main__":
    main()
