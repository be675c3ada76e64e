"""The network of vision as callers meet it: arrays, checked pixels, rates of files."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..bitstream.patch_payload import PatchRows
from ..entropy.code_tables import EntropyTables
from ..errors import CodecError, CodesError
from ..nn.streaming import State
from ..settings import EncoderSettings, Rate, asked_rate, fitting_rate
from ..vision.network import JovioNetwork, JovioOutput
from .detail_decoder import drawn
from .door import FileDoor, as_codes, as_tensor, check_pixels, check_precision
from .reconstruct import reconstruct
from .tensor_base import TensorBase, full_precision
from .vision_encoder import GroupEncoder

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class VisionDoor(FileDoor, JovioNetwork):
    """What `Jovio` takes from callers; the network takes checked tensors."""

    tables: EntropyTables | None

    @torch.no_grad()
    def key_picture(self, rows: PatchRows, height: int, width: int, base: np.ndarray | None = None) -> np.ndarray:
        """See `motion_base.KeyNetwork`."""
        with full_precision():
            if rows.details:
                return drawn(TensorBase(self), rows, base)[0, :, :height, :width]
            group = reconstruct(self, rows, None)
            x = self.synthesize(group.latent[None, None], group.effective_levels[None, None], State())[0, 0, :3]
            picture: np.ndarray = x[:, :height, :width].clamp(0, 1).float().cpu().numpy()
            return picture

    def encode(
        self,
        x: Tensor | ArrayLike,
        n_q: int | None = None,
        settings: EncoderSettings | None = None,
        *,
        bpp: float | None = None,
        kbps: float | None = None,
        rate: Rate | None = None,
        pictures_per_second: Fraction | int = 25,
    ) -> Tensor:
        """Turn pictures or videos into codes.

        Args:
            x: pictures [B, 3, H, W] or videos [B, 3, T, H, W], RGB in [0, 1], tensor or NumPy array, any size from
                1 x 1 on.
            n_q: levels of every patch, 1 .. self.n_q; None for those of the settings.
            settings: of the encoder for this call; None for `self.settings`.
            bpp: bits per pixel (and picture), about, that the codes take; of one picture or video at a time. The
                number of levels of each patch is chosen by rate-distortion optimisation.
            kbps: of videos, thousands of bits per second.
            rate: the same as a `Rate`.
            pictures_per_second: of a video, for `kbps`.

        Returns:
            int64 [B, K, h, w] or [B, K, G, h, w]; with a rate -1 where a patch has no further level. Every patch is
            coded by itself, so that videos take more than in a `.josie` file, see `compress`.

        Raises:
            CodesError: on a wrong shape or type, values far from [0, 1], or `n_q` out of range.
            CodecError: if both `n_q` and a rate are given, or a rate that a picture cannot have.
        """
        rate = asked_rate(rate, kbps, bpp)
        if rate is None or rate.n_q is not None:
            levels = n_q if rate is None else fitting_rate("image", n_q, rate).n_q
            return super().encode(as_tensor(x, "pictures"), levels, settings)
        video, still = self.pictures(x)
        rate = fitting_rate("image" if still else "video", n_q, rate)
        if rate.psnr is not None:
            raise CodecError("psnr is a rate of files: use compress or encode_file")
        if len(video) != 1 or not video.shape[2]:
            raise CodesError(f"with a rate one image or video is encoded at a time, not {list(video.shape)}")
        size, per_second = (video.shape[-2], video.shape[-1]), Fraction(0 if still else pictures_per_second)
        encoder = GroupEncoder(self, rate, size, per_second, settings=settings, tables=self.tables, predict=False)
        rows = [r for picture in video[0].unbind(1) for r in encoder.add(picture)] + encoder.finish()
        h, w = self.grid(*size)
        signed = []
        for group in rows:
            present = np.arange(self.n_q) < group.counts.reshape(-1, 1)
            codes = np.full(present.shape, -1, np.int64)
            codes[present] = group.codes
            signed.append(codes.reshape(-1, h, w, self.n_q))
        grid = np.concatenate(signed).transpose(3, 0, 1, 2)
        used = max(int((grid >= 0).any((1, 2, 3)).sum()), 1)
        out = torch.from_numpy(np.ascontiguousarray(grid[:used]))[None].to(self.device)
        return out[:, :, 0] if still else out

    def decode(
        self, codes: Tensor | ArrayLike, size: tuple[int, int] | None = None, pictures: int | None = None
    ) -> Tensor:
        """Turn codes back into pictures or videos.

        Args:
            codes: integers of any type [B, K, h, w] or [B, K, G, h, w], tensor or NumPy array; -1 where a patch has no
                further level.
            size: height and width of the pictures; None for whole patches.
            pictures: length of the videos; None for whole groups.

        Returns:
            [B, 3, H, W] or [B, 3, T, H, W] in [0, 1].

        Raises:
            CodesError: on a wrong shape or type, codes out of range, or a size that does not fit.
        """
        check_precision(self)
        return super().decode(as_codes(codes, self.n_q, self.device), size, pictures)

    def forward(self, groups: Tensor, counts: Any = None, quantize: bool = True) -> JovioOutput:
        """Encode, quantize and decode frame groups for training, see `JovioNetwork.forward`.

        Raises:
            CodesError: if these are pictures: `encode` and `decode` take those.
        """
        if groups.dim() != 5 or groups.shape[2] != 6:
            raise CodesError(
                f"forward is for training, on frame groups [B, G, 6, H, W], not {list(groups.shape)}; "
                "pictures are coded by encode and decode"
            )
        return super().forward(groups, counts, quantize)

    def describe(self) -> str:
        """What it codes, in a few words."""
        return f"images and video, patches of {self.patch} x {self.patch}"

    def pictures(self, x: Any) -> tuple[Tensor, bool]:
        """`x` as float32 [B, 3, T, H, W] on the model's device, and whether it was a still picture.

        Raises:
            CodesError: if it cannot be that, or its values are far from [0, 1].
        """
        check_precision(self)
        x = as_tensor(x, "pictures")
        if not x.is_floating_point():
            raise CodesError(f"pictures must be floating point in [0, 1], not {x.dtype}; divide bytes by 255")
        video, still = super().pictures(x.to(self.device))
        check_pixels(video)
        return video, still
