"""Functions that tests run in processes of their own, some of which are killed. Few imports, for a quick start."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import torch

from josiecodec.hub.store import load
from josiecodec.tokenization.plan import Settings, make_plan
from josiecodec.tokenization.tokenize import tokenize

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["josiecodec.tokenization.tokenize", "josiecodec.hub.store", "soundfile", "resource"])
KILLED = -signal.SIGKILL


def run(
    model: Path, source: Path, out: Path, share: tuple[int, int] = (1, 1), die_at: int = -1, die_after: int = -1
) -> None:
    """Tokenize; the process kills itself at step `die_at` or after so many clips.

    Steps are just before and just after a file gets its name; clips are counted in the middle of writing a shard.
    """
    replace, step, clips = os.replace, itertools.count(), itertools.count(1)

    def on_clip(_: float) -> None:
        if next(clips) == die_after:
            os.kill(os.getpid(), signal.SIGKILL)

    def dangerous(*names: Path) -> None:
        if next(step) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*names)
        if next(step) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = dangerous
    torch.set_num_threads(1)
    tokenize(load(model), make_plan(source, shard_clips=5), out, Settings(4, batch_seconds=6.0), *share, on_clip)


def run_measured(model: Path, source: Path, out: Path, report: Path) -> None:
    """Tokenize, and write to `report` by how many MiB the process has grown meanwhile."""
    torch.set_num_threads(1)
    plan, codec = make_plan(source), load(model)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tokenize(codec, plan, out, Settings(4))
    report.write_text(str((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024))


def in_child(target: Callable, *args: object) -> int:
    """Exit code of a function in a process of its own."""
    process = SERVER.Process(target=target, args=args)
    process.start()
    process.join()
    return process.exitcode


def contents_of(folder: Path) -> dict[str, bytes]:
    """The finished files of a dataset."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith(".")}
