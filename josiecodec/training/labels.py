"""Labels of whole folders of recordings, computed once and kept in a safetensors file.

One tensor for each sound file, one value for each `STEP` samples from its beginning. Phones (`phones.py`) and
pitch (`pitch.py`) are kept so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from ..errors import MediaError
from .data import GRID, Recordings, Segment

STEP = GRID // 2  # samples per label: 10 ms


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
    """
    chosen = list(segments)
    if not chosen:
        raise MediaError("none of the recordings can be labelled so")
    ends = dict(zip(recordings.files, [*list(recordings.files.values())[1:], len(recordings.samples)]))
    labels: dict[str, Tensor] = {}
    waves = (recordings.waveform(s) for s in chosen)
    with ProcessPoolExecutor(workers) as pool:
        results = pool.map(labeller, waves, [recordings.sample_rate] * len(chosen), chunksize=4)
        for segment, found in zip(chosen, results):
            begin = recordings.files[segment.path]
            if segment.path not in labels:
                labels[segment.path] = torch.full(((ends[segment.path] - begin) // STEP,), unknown, dtype=found.dtype)
            row = labels[segment.path]
            first = (segment.start - begin) // STEP
            row[first : first + len(found)] = found[: len(row) - first]
    safetensors.torch.save_file(labels, str(out))


def labels_file(
    setting: str, folder: Path, name: str, maker: Callable[[Recordings, Path], None], recordings: Recordings
) -> str:
    """Where the labels are that a setting asks for: its path, or "auto" for a file in `folder`, made if need be.

    Returns "" for a setting of "", which asks for none.
    """
    if setting != "auto":
        return setting
    path = folder / f"{name}.safetensors"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        maker(recordings, path)
    return str(path)


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
