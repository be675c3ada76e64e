"""Tokenization on Ray Data: shards are rows, actors hold the model. A shard whose actor dies is made again.

All nodes must see the media files, the folder of the dataset and the model under the same paths.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..coding.jodio import Jodio
from ..coding.jovio import Jovio
from ..datasets.dataset import ShardWriter
from ..errors import CodecError
from ..hub.store import find, load
from .manifest import Item
from .plan import Plan, Settings
from .tokenize import Report, begin, collect_errors, dataset_info, tokenize_shard


class ShardMaker:
    """An actor: loads the model once, then makes the shards it is given."""

    def __init__(self, model: str, device: str, folder: str, settings: Settings, threads: int):
        import torch

        torch.set_num_threads(threads)
        self.codec: Jodio | Jovio = load(model, device)
        self.settings = settings
        self.writer = ShardWriter(folder, dataset_info(self.codec, settings.n_q, settings.motion))

    def __call__(self, rows: dict[str, np.ndarray]) -> dict[str, list[Any]]:
        reports = [asdict(self._make(int(n), json.loads(items))) for n, items in zip(rows["shard"], rows["items"])]
        return {key: [report[key] for report in reports] for key in reports[0]}

    def _make(self, index: int, items: list[dict[str, Any]]) -> Report:
        if self.writer.done(index):  # by an actor that died before it reported
            return Report(index, 0, 0, 0.0)
        return tokenize_shard(self.codec, [Item(**i) for i in items], index, self.writer, self.settings)


def tokenize_with_ray(
    model: str | Path,
    plan: Plan,
    folder: str | Path,
    settings: Settings,
    part: int = 1,
    parts: int = 1,
    device: str = "cpu",
    actors: int | None = None,
    threads: int = 1,
    on_shard: Callable[[Report], None] | None = None,
) -> list[Report]:
    """Tokenize on a Ray cluster: that of `RAY_ADDRESS` or one that was joined already, else this machine.

    Args:
        model: name or folder of the model.
        plan, folder, settings, part, parts: as of `tokenize`.
        device: of the model of each actor; "cuda" gives each a GPU of its own.
        actors: how many; None for as many as the cluster has CPUs (or GPUs).
        threads: CPUs per actor.
        on_shard: is called with the outcome of each shard.

    Raises:
        CodecError: as `tokenize`, or if Ray is not installed or gives up.
    """
    writer = begin(load(model), plan, folder, settings)
    todo = [index for index in plan.share(part, parts) if not writer.done(index)]
    reports: list[Report] = []
    if todo:
        with _connected() as ray:
            rows = [{"shard": n, "items": json.dumps([_with_absolute_path(i) for i in plan.shards[n]])} for n in todo]
            needs: dict[str, float] = {"num_gpus": 1} if device.startswith("cuda") else {"num_cpus": threads}
            made = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
                ShardMaker,
                batch_size=1,
                compute=ray.data.ActorPoolStrategy(size=min(actors or _max_actors(ray, device, threads), len(todo))),
                fn_constructor_args=(str(find(model).resolve()), device, os.path.abspath(folder), settings, threads),
                **needs,
            )
            for row in made.iter_rows():
                reports.append(Report(**row))
                if on_shard is not None:
                    on_shard(reports[-1])
    collect_errors(writer.folder)
    return reports


def _max_actors(ray: Any, device: str, threads: int) -> int:
    """Number of actors that the cluster has resources for."""
    resources = ray.cluster_resources()
    return max(int(resources.get("GPU", 0) if device.startswith("cuda") else resources.get("CPU", 1) // threads), 1)


def _with_absolute_path(item: Item) -> dict[str, Any]:
    """An item as sent to an actor, which may run in another folder."""
    return asdict(item) | {"path": os.path.abspath(item.path)}


@contextlib.contextmanager
def _connected() -> Iterator[Any]:
    """Ray, connected to its cluster; one that was started for this is stopped again."""
    try:
        import ray
        import ray.data
    except ImportError:
        raise CodecError("the engine ray needs the extra: pip install 'josiecodec[ray]'") from None
    ours = not ray.is_initialized()
    if ours:
        ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.WARNING)
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield ray
    except ray.exceptions.RayError as error:
        raise CodecError(f"ray: {str(error).strip().splitlines()[-1]}") from None
    finally:
        if ours:
            ray.shutdown()
