"""Labels of whole folders of recordings, computed once and kept in a safetensors file.

One tensor for each audio file, one value for each `STEP` samples from its beginning. Phones (`phones.py`) and
pitch (`pitch.py`) are kept so.
"""

from __future__ import annotations

import multiprocessing
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import safetensors.torch
import torch
import torch.distributed as dist
from torch import Tensor

from ...atomic import write_bytes
from ...errors import MediaError
from .data import GRID, Recordings, Segment

STEP = GRID // 2  # samples per label: 10 ms


class NothingToLabel(MediaError):
    """There is no recording of the kind that a labeller is made for."""


def label_segments(
    recordings: Recordings,
    segments: Iterable[Segment],
    labeller: Callable[[Tensor, int], Tensor],
    unknown: int,
    out: str | Path,
    workers: int = 2,
) -> None:
    """Label segments in several processes and write the labels of their files to `out`.

    Args:
        recordings: where the segments are.
        segments: which to label; all else is `unknown`.
        labeller: picklable, (waveform [T], sample rate) -> labels [ceil(T / STEP)] (any integer type).
        unknown: label of what was not labelled.
        out: the file.
        workers: processes.

    Raises:
        NothingToLabel: if there are no segments.
        MediaError: if they are not at 24 kHz, which `STEP` counts in.
    """
    chosen = list(segments)
    if recordings.sample_rate != 24000:
        raise MediaError(f"labels are made of recordings at 24000 Hz, not {recordings.sample_rate}")
    if not chosen:
        raise NothingToLabel("none of the recordings can be labelled so")
    ends = dict(zip(recordings.files, [*list(recordings.files.values())[1:], len(recordings.samples)]))
    labels: dict[str, Tensor] = {}
    waves = (recordings.waveform(s) for s in chosen)
    # A forked process cannot use OpenMP after its parent has: it would hang.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        for segment, found in zip(chosen, _mapped(pool, labeller, waves, recordings.sample_rate, 8 * workers)):
            begin = recordings.files[segment.path]
            if segment.path not in labels:
                labels[segment.path] = torch.full(((ends[segment.path] - begin) // STEP,), unknown, dtype=found.dtype)
            row = labels[segment.path]
            first = (segment.start - begin) // STEP
            row[first : first + len(found)] = found[: len(row) - first]
    write_bytes(out, safetensors.torch.save(labels))


def _mapped(
    pool: ProcessPoolExecutor, labeller: Callable[[Tensor, int], Tensor], waves: Iterator[Tensor], rate: int, ahead: int
) -> Iterator[Tensor]:
    """As `pool.map`, but with no more than `ahead` waveforms on their way."""
    waiting: deque[Future[Tensor]] = deque()
    for wave in waves:
        waiting.append(pool.submit(labeller, wave, rate))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def labels_file(
    setting: str, folder: Path, name: str, maker: Callable[[Recordings, Path], None], recordings: Recordings
) -> str:
    """Where the labels are that a setting asks for: its path, or "auto" for a file in `folder`, made if need be.

    Returns "" for a setting of "", which asks for none, and if "auto" finds nothing that it can label. Of several
    processes that train together the first one makes the file.
    """
    if setting != "auto":
        return setting
    path = folder / f"{name}.safetensors"
    together = dist.is_available() and dist.is_initialized()
    if not path.exists() and (not together or dist.get_rank() == 0):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            maker(recordings, path)
        except NothingToLabel as error:
            warnings.warn(f"no {name}: {error}", stacklevel=2)
    if together:
        dist.barrier()
    return str(path) if path.exists() else ""


def load_labels(path: str | Path, recordings: Recordings, unknown: int) -> Tensor:
    """Labels of all recordings end to end [samples / STEP]; what the file does not know is `unknown`.

    Raises:
        MediaError: if the file is missing, no safetensors file, or of other recordings altogether.
    """
    try:
        labels = safetensors.torch.load_file(str(path))
    except Exception as error:  # the library raises its own kind beside OSError
        raise MediaError(f"{path}: no labels ({error})") from None
    known = [name for name in recordings.files if name in labels]
    if not known:
        raise MediaError(f"{path}: labels of other recordings")
    out = torch.full((len(recordings.samples) // STEP,), unknown, dtype=labels[known[0]].dtype)
    for name in known:
        first = recordings.files[name] // STEP
        row = labels[name][: len(out) - first]
        out[first : first + len(row)] = row
    return out
