"""Ctrl-C while training: the step is finished and saved, since no two parts of half a step would fit together."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...errors import CodecError
from .loop import Trainer


def run_until_interrupted(trainer: Trainer, stop_after: float | None = None) -> None:
    """Run a trainer; Ctrl-C lets it finish its step and save, and a second one ends at once.

    Args:
        trainer: ready to run.
        stop_after: minutes of this call, see `Trainer.run`.

    Raises:
        CodecError: if it was interrupted, once all is saved.
        KeyboardInterrupt: on the second Ctrl-C.
    """
    with _interrupts_stop(trainer):
        trainer.run(stop_after=stop_after)
    if trainer.stopped:
        raise CodecError(f"interrupted at step {trainer.step}; --resume continues")


@contextmanager
def _interrupts_stop(trainer: Trainer) -> Iterator[None]:
    def ask(_number: int, _frame: Any) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        trainer.stop()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
