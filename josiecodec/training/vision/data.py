"""Training pictures and videos, kept in memory as bytes, and random crops of them."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import MediaError
from ...media.images import IMAGE_SUFFIXES, load_image
from ...media.video_reader import VIDEO_SUFFIXES, VideoReader
from ...vision.grouping import to_groups

MAX_PICTURES = 600  # of a video, from its beginning
MAX_BYTES = 12 << 30  # of pixels that are kept


class Pictures:
    """Pictures and videos below a folder, each read on first use and kept while there is room.

    Args:
        folders: where they are.
        device: where they are kept.
        videos: read videos, too.

    Attributes:
        images, videos: paths.

    Raises:
        MediaError: if there is nothing.
    """

    def __init__(self, *folders: str | Path, device: str | torch.device = "cpu", videos: bool = True):
        files = sorted(p for folder in folders for p in Path(folder).rglob("*") if p.is_file())
        self.images = [p for p in files if p.suffix.lower() in IMAGE_SUFFIXES]
        self.videos = [p for p in files if p.suffix.lower() in VIDEO_SUFFIXES] if videos else []
        self.device = torch.device(device)
        if not self.images and not self.videos:
            raise MediaError(f"no pictures in {', '.join(map(str, folders))}")
        self._kept: dict[Path, Tensor] = {}
        self._bytes = 0
        self._bad: set[Path] = set()

    def image(self, index: int) -> Tensor:
        """A picture as uint8 [3, 1, H, W]; another one if it cannot be read."""
        return self._readable(self.images, index)

    def video(self, index: int) -> Tensor:
        """A video, or its beginning, as uint8 [3, T, H, W]; another one if it cannot be read."""
        return self._readable(self.videos, index)

    def _readable(self, paths: list[Path], index: int) -> Tensor:
        for offset in range(len(paths)):
            path = paths[(index + offset) % len(paths)]
            if path in self._bad:
                continue
            try:
                return self._get(path)
            except MediaError as error:
                self._bad.add(path)
                warnings.warn(f"left out: {error}", stacklevel=2)
        raise MediaError("none of the pictures can be read")

    def _get(self, path: Path) -> Tensor:
        video = self._kept.get(path)
        if video is None:
            video = self._read(path).to(self.device)
            if self._bytes + video.numel() <= MAX_BYTES:
                self._kept[path] = video
                self._bytes += video.numel()
        return video

    def _read(self, path: Path) -> Tensor:
        if path.suffix.lower() in VIDEO_SUFFIXES:
            with VideoReader(path) as reader:
                return torch.stack([_bytes(p) for p in itertools.islice(reader.pictures(), MAX_PICTURES)], 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # transparency
            return _bytes(load_image(path)).unsqueeze(1)


def _bytes(x: Tensor) -> Tensor:
    return (x.clamp(0, 1) * 255).round().byte()


@dataclass(frozen=True)
class DataConfig:
    """What a batch of pictures is made of.

    Attributes:
        size: side of the crops in pixels.
        scale: crops are made smaller by a factor between these, which hides the blocks and blur of compressed
            originals; a picture that is too small for that is made smaller less, or larger.
        video: share of the batches that are videos.
        groups: groups in a video crop; a batch of them has so many times fewer items.
        skip: pictures of a video that are left out between two, at most.
        shuffle_colors: share of the crops whose channels are put in another order.
    """

    size: int = 256
    scale: tuple[float, ...] = (0.6, 1.0)
    video: float = 0.0
    groups: int = 3
    skip: int = 0
    shuffle_colors: float = 0.05


class PictureSampler:
    """Random crops of `Pictures` as float batches of groups."""

    def __init__(self, pictures: Pictures, config: DataConfig, group: int, seed: int = 0):
        self.pictures = pictures
        self.config = config
        self.group = group
        self.random = torch.Generator().manual_seed(seed)

    def batch(self, items: int, random: torch.Generator | None = None) -> Tensor:
        """Draw crops: groups [B, G, 6, size, size], see `to_groups`.

        `random` decides between pictures and videos; processes that train together must share it.
        """
        c = self.config
        wanted = float(torch.rand((), generator=self.random if random is None else random)) < c.video
        moving = bool(self.pictures.videos) and (wanted or not self.pictures.images)
        length = 1 + (c.groups - 1) * self.group if moving else 1
        items = max(1, items // c.groups) if moving else items
        crops = [self._crop(self._clip(length) if moving else self._still()) for _ in range(items)]
        return to_groups(torch.stack(crops), self.group)

    def patches(self, count: int, patch: int) -> Tensor:
        """Random patches [count, 3, patch, patch] of random crops."""
        patches: list[Tensor] = []
        while sum(map(len, patches)) < count:
            crop = self._crop(self._still() if self.pictures.images else self._clip(1))[:, 0]
            size = crop.shape[-1] // patch * patch
            cut = crop[:, :size, :size].unfold(1, patch, patch).unfold(2, patch, patch)
            patches.append(cut.permute(1, 2, 0, 3, 4).flatten(0, 1))
        return torch.cat(patches)[:count]

    def _random(self) -> float:
        return float(torch.rand((), generator=self.random))

    def _below(self, n: int) -> int:
        return int(torch.randint(max(n, 1), (), generator=self.random))

    def _still(self) -> Tensor:
        return self.pictures.image(self._below(len(self.pictures.images)))

    def _clip(self, length: int) -> Tensor:
        video = self.pictures.video(self._below(len(self.pictures.videos)))
        step = 1 + self._below(self.config.skip + 1)
        if video.shape[1] < 1 + (length - 1) * step:
            step = 1
        first = self._below(video.shape[1] - (length - 1) * step)
        clip = video[:, first : first + 1 + (length - 1) * step : step]
        missing = length - clip.shape[1]
        return torch.cat([clip, clip[:, -1:].expand(-1, missing, -1, -1)], 1) if missing else clip

    def _crop(self, x: Tensor) -> Tensor:
        """A random part of [3, T, H, W] at a random scale: float [3, T, size, size]."""
        c = self.config
        low, high = c.scale
        factor = low + (high - low) * self._random()
        side = min(round(c.size / factor), x.shape[-2], x.shape[-1])
        top, left = self._below(x.shape[-2] - side + 1), self._below(x.shape[-1] - side + 1)
        part = x[:, :, top : top + side, left : left + side].float() / 255
        if side != c.size:
            size = (c.size, c.size)
            part = F.interpolate(part, size, mode="bilinear", antialias=side > c.size).clamp(0, 1)
        if self._random() < 0.5:
            part = part.flip(-1)
        if self._random() < 0.1:
            part = part.transpose(-1, -2)
        if self._random() < c.shuffle_colors:
            part = part[torch.randperm(3, generator=self.random)]
        return part

    def state(self) -> Tensor:
        """Where the random row stands, for exact resumption."""
        return self.random.get_state()

    def restore(self, state: Tensor) -> None:
        """Continue the random row from `state`."""
        self.random.set_state(state)
