"""The command group."""

from __future__ import annotations

import click

from josiecodec import __version__

from .entry import Lazy, enter

COMMANDS = {
    "encode": ("files", "encode"),
    "decode": ("files", "decode"),
    "info": ("inspect", "info"),
    "trim": ("trim", "trim"),
    "models": ("catalogue", "models"),
    "save": ("share", "save"),
    "push": ("share", "push"),
    "export": ("share", "export"),
    "train": ("train_commands", "train_group"),
    "eval": ("eval", "eval_group"),
    "tokenize": ("tokenize", "tokenize"),
    "tokens": ("tokens_export", "tokens_group"),
    "serve": ("serve", "serve"),
    "adapt": ("adapt", "adapt"),
    "align": ("align", "align"),
}


@click.group(cls=Lazy, places=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="josiecodec")
def cli() -> None:
    """Encode audio, images and video to .josie files of tokens, and decode them again."""


def main() -> None:
    """Run the command line."""
    enter(cli)


if __name__ == "__main__":
    main()
