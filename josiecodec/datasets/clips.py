"""Clips and crops of a dataset, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import CodesError, FormatError

if TYPE_CHECKING:
    from torch import Tensor

PADDING = -1  # no code; an embedding that is given it by mistake fails


@dataclass(frozen=True)
class Clip:
    """One clip: a recording, a part of one, an image or a video.

    Attributes:
        codes: uint16 [frames, n_q]; of vision [patches, n_q], see `levels`.
        meta: its metadata, one line of the jsonl: id, source, start, duration, n_frames and more.
        levels: uint8 [patches], of vision: level count of each row, its other codes being 0; None for audio.
    """

    codes: np.ndarray
    meta: dict[str, Any]
    levels: np.ndarray | None = None

    def __repr__(self) -> str:
        rows = "frames" if self.levels is None else "patches"
        return f"Clip({self.meta.get('id')!r}, {len(self.codes)} {rows} x {self.codes.shape[1]} levels)"

    @property
    def signed(self) -> np.ndarray:
        """Codes as int64 [rows, n_q], -1 where a patch has no further level: what `Jovio.decode` takes."""
        codes = self.codes.astype(np.int64)
        if self.levels is None:
            return codes
        return np.where(np.arange(codes.shape[1]) < self.levels[:, None], codes, -1)

    @property
    def levels_first(self) -> np.ndarray:
        """Codes in the layout of the codecs, int64: what `codec.decode` takes, and what `codec.encode` gave.

        Of audio [1, n_q, frames]; of images [1, n_q, h, w] and of videos [1, n_q, G, h, w], with -1 where a patch has
        no further level. Datasets store a frame or patch as a row, [rows, n_q], so that any part of a clip is one
        piece of the file; this is the other view of the same codes.

        Raises:
            FormatError: if the metadata of a picture do not say its grid of patches.
        """
        codes = np.ascontiguousarray(self.signed.T)[None]
        if self.levels is None:
            return codes
        try:
            t, h, w = (int(n) for n in self.meta["grid"])
            grid = codes.reshape(1, codes.shape[1], t, h, w)
            return grid if int(self.meta["rate"][0]) else grid[:, :, 0]
        except (KeyError, TypeError, ValueError, IndexError):
            raise FormatError(f"clip {self.meta.get('id')!r}: its grid of patches is not known") from None


class Crop(NamedTuple):
    """A part of a clip: `dataset[Crop(clip, start, frames)]` is `dataset.crop(clip, start, frames)`."""

    clip: int
    start: int
    frames: int


class Batch(NamedTuple):
    """Clips or crops side by side.

    Attributes:
        codes: int64 [B, n_q, F] in the layout of the codecs, F frames (of vision patches) of the longest; -1 behind the
            end of shorter ones, and where a patch has no further level.
        lengths: int64 [B], frames of each.
        meta: metadata of each; {} of a crop.
    """

    codes: Tensor
    lengths: Tensor
    meta: list[dict[str, Any]]

    @property
    def mask(self) -> Tensor:
        """bool [B, F], where frames are."""
        import torch

        return torch.arange(self.codes.shape[-1], device=self.lengths.device) < self.lengths[:, None]


def collate(samples: Sequence[Clip | np.ndarray]) -> Batch:
    """Clips, or crops [frames, n_q], as a batch: `DataLoader(dataset, collate_fn=dataset.collate)`.

    Raises:
        CodesError: if there are none, or their numbers of levels differ.
    """
    rows = [s.signed if isinstance(s, Clip) else np.asarray(s) for s in samples]
    if not rows or len({r.shape[1] for r in rows}) != 1:
        raise CodesError(f"a batch has samples of one number of levels, not {sorted({r.shape[1] for r in rows})}")
    import torch

    codes = torch.full((len(rows), rows[0].shape[1], max(len(r) for r in rows)), PADDING)
    for item, row in zip(codes, rows):
        item[:, : len(row)] = torch.from_numpy(row.astype(np.int64)).t()
    lengths = torch.tensor([len(r) for r in rows])
    return Batch(codes, lengths, [s.meta if isinstance(s, Clip) else {} for s in samples])
