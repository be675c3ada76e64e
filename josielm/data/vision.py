"""Pictures that precede the audio: patches of tokens, with their positions and times."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from josiecodec.datasets.dataset import TokenDataset
from josiecodec.errors import CodecError, CodesError, ModelError

from ..model.config import VisionConfig
from ..model.language_model import Inputs
from .groups import by_group


@dataclass(frozen=True)
class Prefix:
    """Patches of one or more pictures.

    Attributes:
        codes: int64 [levels, P]; `absent` where a patch has no further level. One without any is not looked at.
        grid: float32 [3, P]: time in frames of the audio (0 where the audio begins), row, column.
        absent: codebook_size + 1.
    """

    codes: np.ndarray
    grid: np.ndarray
    absent: int


class Pictures:
    """The pictures and videos of a dataset, found by the `group` that they share with audio.

    Args:
        dataset: of pictures; the metadata of a clip have its `grid`: groups of pictures, rows and columns.
        config: what the model reads of them.
        frame_rate: frames of audio per second.

    Pictures of more patches than are looked at are left out, with one warning.

    Raises:
        CodecError: if the dataset holds no pictures.
        ModelError: if its codes are not those the model reads.
    """

    def __init__(self, dataset: TokenDataset, config: VisionConfig, frame_rate: float):
        if not dataset.info.is_vision:
            raise CodecError(f"{dataset.folder}: holds no pictures")
        if dataset.info.codebook_size != config.codebook_size:
            raise ModelError(f"{dataset.folder}: codes of {dataset.info.codebook_size}, not {config.codebook_size}")
        self.dataset, self.config, self.frame_rate = dataset, config, frame_rate
        self._members = by_group(dataset)
        self._warned = False

    def of(self, group: Any, start: int) -> Prefix | None:
        """What of a group has been shown when frame `start` of its audio begins; None if it has none that fits."""
        for clip, _ in self._members.get(str(group), []):
            prefix = self.prefix(clip, start)
            if prefix.codes.shape[1] <= self.config.max_patches:
                return prefix
            if not self._warned:
                self._warned = True
                name, patches = self.dataset.meta(clip).get("id"), prefix.codes.shape[1]
                warnings.warn(
                    f"left out: picture {name!r} and others have {patches} patches, "
                    f"more than the {self.config.max_patches} that a model looks at",
                    stacklevel=2,
                )
        return None

    def prefix(self, clip: int, start: int = 0) -> Prefix:
        """Patches of the pictures of one clip that are shown by frame `start`, the latest ones if they are many.

        Raises:
            CodecError: if the clip's grid does not fit its codes.
        """
        stored = self.dataset[clip]
        signed = stored.signed[:, : self.config.n_q]
        pictures, rows, columns = grid_of(stored.meta, len(signed))
        times = np.round(_times(stored.meta, pictures) * self.frame_rate - start, 6)
        last = max(int((times <= 0).sum()), 1)
        first = max(last - max(self.config.max_patches // (rows * columns), 1), 0)
        indices = np.indices((last - first, rows, columns)).reshape(3, -1)
        grid = np.stack([times[first + indices[0]], indices[1], indices[2]]).astype(np.float32)
        each = rows * columns
        kept = signed[first * each : last * each].T
        absent = self.config.codebook_size + 1
        codes = np.full((self.config.n_q, kept.shape[1]), absent)
        codes[: len(kept)] = np.where(kept < 0, absent, kept)
        return Prefix(codes, grid, absent)


def _times(meta: dict[str, Any], groups: int) -> np.ndarray:
    """Seconds at which each group of pictures begins; the first picture is a group of its own."""
    duration = meta.get("duration")
    seconds = float(duration) if isinstance(duration, (int, float)) else 0.0
    pictures = meta.get("pictures")
    if isinstance(pictures, int) and pictures > groups > 1:
        size = -(-(pictures - 1) // (groups - 1))
        first = np.concatenate([[0], 1 + size * np.arange(groups - 1)])
        return first * (seconds / pictures)
    return np.arange(groups) * (seconds / groups)


def shrunk(picture: Tensor, patch: int, max_patches: int) -> Tensor:
    """A picture [C, H, W] made smaller, in its shape, until it has at most `max_patches` patches of `patch` pixels."""
    height, width = picture.shape[-2:]
    side = float(patch)  # of what becomes a patch
    while -(-height // side) * -(-width // side) > max_patches:
        side *= 1.02
    if side == patch:
        return picture
    rows, columns = (max(int(n * patch / side), 1) for n in (height, width))
    return F.interpolate(picture[None], (rows, columns), mode="bicubic", antialias=True)[0].clamp(0, 1)


def picture_inputs(codes: Tensor, config: VisionConfig) -> Inputs:
    """Codes of a picture [1, levels, H, W], -1 where a patch has no further level, as what is shown at frame 0.

    Raises:
        CodesError: if it has more patches than are looked at.
    """
    absent = config.codebook_size + 1
    levels, rows, columns = codes.shape[1:]
    if rows * columns > config.max_patches:
        raise CodesError(f"a picture of {rows} x {columns} patches; no more than {config.max_patches} are looked at")
    flat = codes[:, : config.n_q].flatten(2)
    out = torch.full((1, config.n_q, rows * columns), absent, device=codes.device)
    out[:, : min(levels, config.n_q)] = torch.where(flat < 0, absent, flat)
    indices = np.indices((1, rows, columns)).reshape(3, -1).astype(np.float32)
    return Inputs(vision=out, grid=torch.from_numpy(indices.T.copy())[None].to(codes.device))


def grid_of(meta: dict[str, Any], patches: int) -> tuple[int, int, int]:
    """Groups of pictures, rows and columns of a clip of so many patches."""
    grid = meta.get("grid")
    if (
        not isinstance(grid, list)
        or len(grid) != 3
        or not all(isinstance(n, int) and n > 0 for n in grid)
        or grid[0] * grid[1] * grid[2] != patches
    ):
        raise CodecError(f"clip {meta.get('id')!r}: a grid of {grid!r} does not hold its {patches} patches")
    return grid[0], grid[1], grid[2]
