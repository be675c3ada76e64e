"""Image files as tensors; `pixels.py` reads and writes them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from .image_open import IMAGE_SUFFIXES, MAX_PIXELS, name_of
from .pixels import WRITABLE, Pixels, flat_rgb, load_pixels, rgb_bytes, save_pixels

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["IMAGE_SUFFIXES", "MAX_PIXELS", "WRITABLE", "Picture", "flat_rgb", "load_image", "load_picture"]
__all__ += ["save_image", "save_picture", "to_bytes_rgb"]


@dataclass(frozen=True)
class Picture:
    """A picture as it is in its file.

    Attributes:
        rgb: float32 [3, H, W] in [0, 1], sRGB, not multiplied by alpha; or bytes, if `load_picture` is asked for them.
        alpha: uint8 [H, W], 255 where it is opaque; None if it is so everywhere.
        grey: whether its three colours are the same in every pixel that is seen.
    """

    rgb: Tensor
    alpha: Tensor | None = None
    grey: bool = False

    def on_white(self) -> Tensor:
        """Its colours [3, H, W] on white."""
        if self.alpha is None:
            return self.rgb
        opacity = self.alpha.to(self.rgb.device) / 255
        return (self.rgb if self.rgb.is_floating_point() else self.rgb / 255) * opacity + (1 - opacity)

    def pixels(self) -> Pixels:
        """The same as arrays."""
        alpha = None if self.alpha is None else self.alpha.cpu().numpy()
        return Pixels(self.rgb.detach().cpu().numpy(), alpha, self.grey)

    @staticmethod
    def of(pixels: Pixels) -> Picture:
        """From arrays."""
        import torch

        alpha = None if pixels.alpha is None else torch.from_numpy(pixels.alpha)
        return Picture(torch.from_numpy(pixels.rgb), alpha, pixels.grey)


def load_image(source: str | Path | IO[bytes]) -> Tensor:
    """Read an image as RGB [3, H, W], float32 in [0, 1], in sRGB.

    It is turned upright by its EXIF orientation; its colour profile is applied; grey of more than 8 bits keeps its
    precision; transparency is put on white, with a warning (`load_picture` keeps it). Of several pictures (pages, an
    animation) the first is read, with a warning. The contract is in docs/media.md.

    Raises:
        MediaError: if it cannot be read, or has more than 2^28 pixels.
    """
    picture = load_picture(source)
    if picture.alpha is None:
        return picture.rgb
    warnings.warn(f"{name_of(source)}: transparency is put on white", stacklevel=2)
    return picture.on_white()


def load_picture(source: str | Path | IO[bytes], as_bytes: bool = False) -> Picture:
    """Read an image with its alpha, otherwise as `load_image`.

    Args:
        source: path of the image, or a binary file.
        as_bytes: leave values of eight bits as they are, in a quarter of the memory.

    Raises:
        MediaError: if it cannot be read, or has more than 2^28 pixels.
    """
    return Picture.of(load_pixels(source, as_bytes))


def to_bytes_rgb(x: Tensor) -> np.ndarray:
    """[3, H, W] in [0, 1], or bytes -> uint8 [H, W, 3]."""
    return rgb_bytes(x.detach().cpu().numpy())


def save_image(x: Tensor, path: str | Path) -> None:
    """Write [3, H, W] in [0, 1] as an image; the suffix says in what format. Whole or not at all.

    Raises:
        MediaError: if the format is unknown or the file cannot be written.
    """
    save_picture(Picture(x), path)


def save_picture(picture: Picture, path: str | Path) -> None:
    """Write a picture as an image, as `save_image`. Grey ones become files of greys. Alpha is kept by PNG, WebP, AVIF
    and TIFF; in other formats it is put on white, with a warning.

    Raises:
        MediaError: if the format is unknown or the file cannot be written.
    """
    save_pixels(picture.pixels(), path)
