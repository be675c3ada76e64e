"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from josielm.inference.sampling import Sampling


class _Amount(click.FloatRange):
    """A positive number; "inf" and "nan" are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


AMOUNT = _Amount(0, min_open=True)
STREAMS = ("text", "semantic", "acoustic")


def drawn(function: Callable[..., Any]) -> Callable[..., Any]:
    """How ids are drawn: a temperature and a top-k, for all streams or for one, and the seed."""
    for stream in reversed(STREAMS):
        function = click.option(
            f"--{stream}-top-k", type=click.IntRange(0), help=f"The same for the {stream} stream only."
        )(function)
        name = f"--{stream}-temperature"
        function = click.option(name, type=click.FloatRange(0), help=f"The same for the {stream} stream only.")(
            function
        )
    for option in (
        click.option("--top-k", type=click.IntRange(0), help="Sample among this many most likely ids; 0: all."),
        click.option("--temperature", type=click.FloatRange(0), help="Of sampling; 0 takes the most likely id."),
        click.option("--seed", type=int, default=0, show_default=True, help="Seed of sampling."),
    ):
        function = option(function)
    return function


def sampling(options: dict[str, Any]) -> Sampling:
    """Take the options of `drawn`, but the seed, out of all that were given."""
    from dataclasses import replace

    from josielm.inference.sampling import Sampling

    usual = Sampling()
    changed = {}
    everywhere = {name: options.pop(name) for name in ("temperature", "top_k")}
    for stream in STREAMS:
        own = {name: options.pop(f"{stream}_{name}") for name in everywhere}
        values = {n: own[n] if own[n] is not None else v for n, v in everywhere.items()}
        changed[stream] = replace(getattr(usual, stream), **{n: v for n, v in values.items() if v is not None})
    return replace(usual, **changed)


def refuse_to_replace(path: Path | None, overwrite: bool) -> None:
    """No file is replaced unasked."""
    if path is not None and path.exists() and not overwrite:
        raise click.UsageError(f"{path} already exists; --overwrite replaces it")
