"""Tokenization on Ray: readers and encoders as actors, a shard a task. A shard whose encoder dies is made again.

All nodes must see the media files, the folder of the dataset and the model under the same paths.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..coding.jodio import Jodio
from ..errors import CodecError
from ..hub.store import find, load
from .manifest import Item
from .plan import Plan, Settings
from .ray_actors import Encoder, Reader
from .tokenize import Report, begin, collect_errors

QUEUED = 2  # shards that an encoder has, so that the next one is there when one is done
DEATHS = 3  # of an actor, or of a shard, that are made good


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
    readers: int | None = None,
) -> list[Report]:
    """Tokenize on a Ray cluster: that of `RAY_ADDRESS` or one that was joined already, else this machine.

    Args:
        model: name or folder of the model.
        plan, folder, settings, part, parts: as of `tokenize`.
        device: of the model of each encoder; "cuda" gives each a GPU of its own.
        actors: encoders; None for as many as the cluster has CPUs (or GPUs).
        threads: CPUs per encoder.
        on_shard: is called with the outcome of each shard.
        readers: actors that decode media; None for one an encoder on CPUs, where they take a small part of a CPU, and
            for all CPUs of a cluster with GPUs.

    Raises:
        CodecError: as `tokenize`, or if Ray is not installed or gives up.
    """
    codec = load(model)
    writer = begin(codec, plan, folder, settings)
    todo = [index for index in plan.share(part, parts) if not writer.done(index)]
    reports: list[Report] = []
    if todo:
        rate = codec.sample_rate if isinstance(codec, Jodio) else None
        on_gpu = device.startswith("cuda")
        with _connected() as ray:
            resources = ray.cluster_resources()
            count = min(actors or _most(resources, on_gpu, threads), len(todo))
            reading = readers or (max(int(resources.get("CPU", 1)), 1) if on_gpu else count)
            lasting = {"max_restarts": DEATHS, "max_task_retries": DEATHS}
            reader = ray.remote(num_cpus=1 if on_gpu else 0, **lasting)(Reader)
            needs: dict[str, float] = {"num_gpus": 1, "num_cpus": 0} if on_gpu else {"num_cpus": threads}
            encoder = ray.remote(**needs, **lasting)(Encoder)
            sources = [reader.remote(rate, settings.batch_seconds) for _ in range(reading)]
            about = (str(find(model).resolve()), device, os.path.abspath(folder), settings, threads)
            turns = [sources[i:] + sources[:i] for i in (n * reading // count for n in range(count))]
            encoders = {encoder.remote(*about): turn for turn in turns}
            for report in _made(ray, encoders, todo, plan):
                reports.append(report)
                if on_shard is not None:
                    on_shard(report)
    collect_errors(writer.folder)
    return reports


def _made(ray: Any, encoders: dict[Any, list[Any]], todo: list[int], plan: Plan) -> Iterator[Report]:
    """Shards as they are done, each encoder, here with its readers, having the one that it makes and the next."""
    waiting = deque(todo)
    running: dict[Any, Any] = {}  # from the outcome to who makes it

    def give(encoder: Any) -> None:
        if waiting:
            index = waiting.popleft()
            items = [_with_absolute_path(i) for i in plan.shards[index]]
            running[encoder.make.remote(index, items, encoders[encoder])] = encoder

    for _ in range(QUEUED):
        for encoder in encoders:
            give(encoder)
    while running:
        for done in ray.wait(list(running))[0]:
            encoder = running.pop(done)
            give(encoder)
            yield ray.get(done)


def _most(resources: dict[str, float], on_gpu: bool, threads: int) -> int:
    """Number of encoders that the cluster has resources for."""
    return max(int(resources.get("GPU", 0) if on_gpu else resources.get("CPU", 1) // threads), 1)


def _with_absolute_path(item: Item) -> Item:
    """An item as sent to an actor, which may run in another folder."""
    return replace(item, path=os.path.abspath(item.path))


@contextlib.contextmanager
def _connected() -> Iterator[Any]:
    """Ray, connected to its cluster; one that was started for this is stopped again."""
    try:
        import ray
    except ImportError:
        raise CodecError("the engine ray needs the extra: pip install 'josiecodec[ray]'") from None
    ours = not ray.is_initialized()
    if ours:
        ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.WARNING)
    try:
        yield ray
    except ray.exceptions.RayError as error:
        raise CodecError(f"ray: {str(error).strip().splitlines()[-1]}") from None
    finally:
        if ours:
            ray.shutdown()
