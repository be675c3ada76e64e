"""Image codecs of the package compressai, with the interface `codecs.Codec`: compressai:ARCHITECTURE@QUALITY."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..errors import CodecError, ModelError
from .package_codecs import weights_of

PREFIX = "compressai:"
MULTIPLE = 64  # of both sides, which every architecture takes
DEFAULT_QUALITY = "3"


class CompressAi:
    """A model of compressai's zoo, optimised for squared error, whose weights are where the package itself puts them.

    Files have height and width of the picture and of the latent, and each string behind its length. The setting is a
    quality, from 1 on.
    """

    kinds = ("image",)

    def __init__(self, name: str, setting: str, device: str):
        try:
            from compressai.zoo import image
            from compressai.zoo.pretrained import load_pretrained
        except ImportError as error:
            raise CodecError(f"{name} needs compressai: pip install compressai ({error})") from None
        architecture = name.removeprefix(PREFIX)
        if architecture not in image.model_urls:
            raise CodecError(f"compressai has no {architecture!r}; it has {', '.join(image.model_urls)}")
        urls = image.model_urls[architecture]["mse"]
        quality = int(setting or DEFAULT_QUALITY)
        if quality not in urls:
            raise CodecError(f"{name} has qualities from {min(urls)} to {max(urls)}, not {quality}")
        path = Path(torch.hub.get_dir()) / "checkpoints" / urls[quality].rpartition("/")[2]
        if not path.is_file():
            raise ModelError(f"{name}@{quality}: its weights, {path.name}, are not in {path.parent}")
        self.model: Any = image.model_architectures[architecture].from_state_dict(load_pretrained(weights_of(path)))
        self.model.eval().to(device).update()
        self.device = device

    @torch.no_grad()
    def encode(self, media: Tensor, rate: int | Fraction) -> bytes:
        height, width = media.shape[-2:]
        x = pad(media[None], (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")
        found = self.model.compress(x.to(self.device))
        strings = [string for part in found["strings"] for string in part]
        head = struct.pack("<5H", height, width, *found["shape"], len(strings))
        return head + b"".join(struct.pack("<I", len(string)) + string for string in strings)

    @torch.no_grad()
    def decode(self, data: bytes, rate: int | Fraction) -> Tensor:
        height, width, rows, columns, count = struct.unpack_from("<5H", data)
        strings, at = [], 10
        for _ in range(count):
            size = struct.unpack_from("<I", data, at)[0]
            strings.append([data[at + 4 : at + 4 + size]])
            at += 4 + size
        out = self.model.decompress(strings, (rows, columns))["x_hat"]
        return out[0, :, :height, :width].clamp(0, 1).cpu()
