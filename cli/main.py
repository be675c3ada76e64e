"""The command group."""

from __future__ import annotations

import click

from josiecodec import __version__

from .adapt import adapt
from .catalogue import models
from .entry import Suggesting, enter
from .eval import eval_group
from .files import decode, encode
from .inspect import info
from .serve import serve
from .share import export, push, save
from .tokenize import tokenize
from .tokens_export import tokens_group
from .train import train_group
from .train_detail import detail
from .train_waveform import waveform
from .trim import trim


@click.group(cls=Suggesting, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="josiecodec")
def cli() -> None:
    """Encode audio, images and video to .josie files of tokens, and decode them again."""


for command in (
    encode, decode, info, trim, models, save, push, export, train_group, eval_group, tokenize, tokens_group,
    serve, adapt,
):  # fmt: skip
    cli.add_command(command)

train_group.add_command(waveform)
train_group.add_command(detail)


def main() -> None:
    """Run the command line."""
    enter(cli)


if __name__ == "__main__":
    main()
