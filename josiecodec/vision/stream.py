"""Run a vision codec on live video: any number of pictures in, codes out, and codes in, pictures out."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import CodesError
from ..nn.streaming import State
from ..settings import EncoderSettings
from .grouping import from_groups, padded, to_groups


class GroupCodec(Protocol):
    """What a codec must offer to be run on a stream: whole frame groups, with the stream's memory handed in."""

    config: Any

    @property
    def patch(self) -> int: ...
    def pictures(self, x: Tensor) -> tuple[Tensor, bool]: ...
    def checked_codes(self, codes: Tensor) -> tuple[Tensor, bool]: ...
    def encode_groups(
        self, groups: Tensor, n_q: int, state: State | None = None, settings: EncoderSettings | None = None
    ) -> Tensor: ...
    def decode_groups(self, codes: Tensor, state: State | None = None) -> Tensor: ...


class VideoStream:
    """Two independent directions, encoding and decoding, each with its own memory.

        stream = codec.streaming()
        for pictures in camera:                   # [1, 3, any number, H, W]
            codes = stream.encode(pictures)       # [1, n_q, the groups that are complete, h, w]
            screen.show(stream.decode(codes))     # [1, 3, their pictures, H, W]
        codes = stream.flush()                    # the last, incomplete group

    On the CPU the codes and pictures are those of `Jovio.encode` and `Jovio.decode` on the whole video (of a
    transformer but for rounding). A group that was filled up on `flush` gives a picture too many.

    Args:
        codec: the model; it is not changed, and any number of streams can share it.
        n_q: levels of every patch.
        size: height and width of the pictures; None to take them from the first that are encoded.
        settings: of the encoder; None for those of the model.
    """

    def __init__(
        self,
        codec: GroupCodec,
        n_q: int,
        size: tuple[int, int] | None = None,
        settings: EncoderSettings | None = None,
    ):
        self.codec = codec
        self.n_q = n_q
        self.fixed = size
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget everything, as if the stream had just been opened."""
        self.size = self.fixed
        self._encoder, self._decoder = State(), State()
        self._begun = self._shown = False
        self._waiting: Tensor | None = None

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Take pictures [B, 3, any, H, W]; return the codes [B, n_q, G, h, w] of the G groups now complete."""
        x, still = self.codec.pictures(x)
        if still:
            raise CodesError("a stream takes videos [B, 3, T, H, W]")
        self.size = self.size or (x.shape[-2], x.shape[-1])
        if (x.shape[-2], x.shape[-1]) != self.size:
            raise CodesError(
                f"pictures of {x.shape[-1]} x {x.shape[-2]} in a stream of {self.size[1]} x {self.size[0]}"
            )
        x = padded(x, self.codec.patch)
        if self._waiting is not None:
            x = torch.cat([self._waiting, x], 2)
        group = self.codec.config.group
        lead = 0 if self._begun else min(1, x.shape[2])
        ready = lead + (x.shape[2] - lead) // group * group
        self._waiting = x[:, :, ready:].clone()
        return self._groups(x[:, :, :ready])

    @torch.no_grad()
    def flush(self) -> Tensor:
        """End the video: codes [B, n_q, 0 or 1, h, w] of the pictures that still wait for their group."""
        if self._waiting is None:
            raise CodesError("nothing was encoded yet")
        rest, self._waiting = self._waiting, self._waiting[:, :, :0]
        return self._groups(rest)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Take codes [B, K, G, h, w]; return their pictures [B, 3, T, H, W] at once."""
        codes, _ = self.codec.checked_codes(codes)
        groups = codes.shape[2]
        size = self.size or (codes.shape[-2] * self.codec.patch, codes.shape[-1] * self.codec.patch)
        first = not self._shown
        pictures = groups * self.codec.config.group - (self.codec.config.group - 1 if first and groups else 0)
        self._shown |= groups > 0
        x = from_groups(self.codec.decode_groups(codes, self._decoder), self.codec.config.group, pictures, first)
        return x[..., : size[0], : size[1]].clamp(0, 1)

    def _groups(self, x: Tensor) -> Tensor:
        groups = to_groups(x, self.codec.config.group, not self._begun)
        self._begun |= x.shape[2] > 0
        return self.codec.encode_groups(groups, self.n_q, self._encoder, self.settings)
