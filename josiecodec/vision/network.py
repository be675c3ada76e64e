"""JOVIO: picture or video -> codes -> picture or video.

    [B, 3, T, H, W] -> groups -> encoder -> latent of each patch -> residual codebooks -> decoder -> [B, 3, T, H, W]

A still picture is a video of length 1. Codes are [B, K, G, h, w]: K levels, G frame groups, h x w patches;
a patch may have fewer levels than others, its further codes are then -1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import CodesError
from ..network import CodecNetwork
from ..nn.streaming import State, Streaming
from ..quantization.beam_search import beam_encode
from ..quantization.rvq import ResidualVectorQuantizer
from ..settings import EncoderSettings
from .config import ConvConfig, JovioConfig
from .convnet import ConvDecoder, ConvEncoder
from .detail_layer import DetailLayer
from .detail_network import LATENT
from .grouping import as_floats, from_groups, group_count, padded, to_groups
from .stream import VideoStream
from .tiling import tiled
from .vit import VitDecoder, VitEncoder

COARSE_TILE = 96  # patches a side, of what looks far


@dataclass
class JovioOutput:
    """What `JovioNetwork.forward` returns for training.

    Attributes:
        groups: decoded mean and half difference of each group [B, G, 6, H, W].
        latent: what the encoder gave [B, G, h, w, D].
        codes: [B, K, G, h, w] of the levels used.
        vq_loss: scalar, commitment and codebook losses.
    """

    groups: Tensor
    latent: Tensor
    codes: Tensor
    vq_loss: Tensor


class JovioNetwork(CodecNetwork):
    """Encoder, quantizer and decoder of JOVIO. See `JovioConfig` for its parts."""

    config: JovioConfig

    def __init__(self, config: JovioConfig):
        super().__init__(config)
        dim, patch = config.latent_dim, config.patch
        self.encoder: ConvEncoder | VitEncoder
        self.decoder: ConvDecoder | VitDecoder
        if isinstance(config.encoder, ConvConfig):
            self.encoder = ConvEncoder(dim, patch, config.encoder)
        else:
            self.encoder = VitEncoder(dim, patch, config.encoder)
        q = config.quantizer
        shared_from = q.shared_from if q.shared_from >= 0 else None
        self.rvq = ResidualVectorQuantizer(dim, q.levels, shared_from=shared_from, **q.codebook)
        if isinstance(config.decoder, ConvConfig):
            self.decoder = ConvDecoder(dim, patch, config.n_q, config.decoder)
        else:
            self.decoder = VitDecoder(dim, patch, config.n_q, config.decoder)
        self.detail = None if config.detail is None else DetailLayer(config.detail, dim, patch)

    # What the codec is ------------------------------------------------------------------------

    @property
    def n_q(self) -> int:
        """Levels that the model has."""
        return self.config.n_q

    @property
    def patch(self) -> int:
        """Side of a patch in pixels."""
        return self.config.patch

    @property
    def codebook_size(self) -> int:
        """Codes in each codebook; codes are in 0 .. codebook_size - 1."""
        return self.config.quantizer.codebook_size

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of patches of a picture."""
        return -(-height // self.patch), -(-width // self.patch)

    # Use ------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, x: Tensor, n_q: int | None = None, settings: EncoderSettings | None = None) -> Tensor:
        """Turn pictures or videos into codes, with the same number of levels for every patch.

        Args:
            x: pictures [B, 3, H, W] or videos [B, 3, T, H, W], RGB in [0, 1], any size from 1 x 1 on.
            n_q: levels, 1 .. self.n_q; None for those of the settings.
            settings: of the encoder for this call; None for `self.settings`.

        Returns:
            int64 [B, n_q, h, w] or [B, n_q, G, h, w].

        Raises:
            CodesError: on a wrong shape or type, or `n_q` out of range.
        """
        n_q = self.levels(n_q, settings)
        video, still = self.pictures(x)
        codes = self.encode_groups(to_groups(padded(video, self.patch), self.config.group), n_q, None, settings)
        return codes[:, :, 0] if still else codes

    @torch.no_grad()
    def decode(self, codes: Tensor, size: tuple[int, int] | None = None, pictures: int | None = None) -> Tensor:
        """Turn codes back into pictures or videos.

        Args:
            codes: integers [B, K, h, w] or [B, K, G, h, w]; -1 where a patch has no further level.
            size: height and width of the pictures; None for whole patches.
            pictures: length of the videos; None for whole groups.

        Returns:
            [B, 3, H, W] or [B, 3, T, H, W] in [0, 1].

        Raises:
            CodesError: on a wrong shape or type, codes out of range, or a size that does not fit.
        """
        codes, still = self.checked_codes(codes)
        height, width = codes.shape[-2] * self.patch, codes.shape[-1] * self.patch
        size = size or (height, width)
        if self.grid(*size) != (codes.shape[-2], codes.shape[-1]):
            raise CodesError(f"size {size} does not fit {codes.shape[-2]} x {codes.shape[-1]} patches")
        groups = codes.shape[2]
        if pictures is None:
            pictures = 0 if groups == 0 else 1 + (groups - 1) * self.config.group
        if group_count(pictures, self.config.group) != groups:
            raise CodesError(f"{pictures} pictures do not make {groups} groups")
        video = from_groups(self.decode_groups(codes), self.config.group, pictures)
        video = video[..., : size[0], : size[1]].clamp(0, 1)
        return video[:, :, 0] if still else video

    def streaming(
        self,
        n_q: int | None = None,
        size: tuple[int, int] | None = None,
        settings: EncoderSettings | None = None,
    ) -> VideoStream:
        """A stream of pictures in and out, see `VideoStream`; `n_q` and `settings` as of `encode`."""
        return VideoStream(self, self.levels(n_q, settings), size, settings)

    # Whole groups, offline or with the memory of a stream ------------------------------------------

    def latent(self, groups: Tensor, state: State | None = None) -> Tensor:
        """Groups [B, G, 6, H, W] of whole patches -> latents [B, G, h, w, D]."""
        if isinstance(self.encoder, Streaming):
            return self.encoder(groups, state)
        encoder, flat = self.encoder, groups.flatten(0, 1)
        if self.training:
            z = encoder(flat)
        else:
            z = tiled(
                lambda x: encoder(x).permute(0, 3, 1, 2), (flat,), (self.patch,), 1, self._margin(self.config.encoder)
            ).permute(0, 2, 3, 1)
        return z.reshape(*groups.shape[:2], *z.shape[1:])

    def synthesize(self, z: Tensor, counts: Tensor, state: State | None = None) -> Tensor:
        """Latents [B, G, h, w, D] and levels of each patch [B, G, h, w] -> groups [B, G, 6, H, W]."""
        if isinstance(self.decoder, Streaming):
            return self.decoder(z, counts, state)
        decoder, flat = self.decoder, z.flatten(0, 1)
        if self.training:
            y = decoder(flat, counts.flatten(0, 1))
        else:
            y = tiled(
                lambda a, b: decoder(a.permute(0, 2, 3, 1), b),
                (flat.permute(0, 3, 1, 2), counts.flatten(0, 1)),
                (1, 1),
                self.patch,
                self._margin(self.config.decoder),
            )
        return y.reshape(*z.shape[:2], *y.shape[1:])

    def still_latent(self, picture: Tensor) -> Tensor:
        """A picture [1, 3, H, W] of whole patches, in [0, 1] or bytes -> latents [h, w, D], as `latent` of its group,
        in less memory."""
        if isinstance(self.encoder, Streaming):
            return self.latent(to_groups(as_floats(picture).unsqueeze(2), self.config.group))[0, 0]
        encoder = self.encoder

        def run(x: Tensor) -> Tensor:
            x = as_floats(x)
            return encoder(torch.cat([x, torch.zeros_like(x)], 1)).permute(0, 3, 1, 2)

        return tiled(run, (picture,), (self.patch,), 1, self._margin(self.config.encoder)).permute(0, 2, 3, 1)[0]

    def still_picture(self, z: Tensor, counts: Tensor) -> Tensor:
        """Latents [h, w, D] and levels of each patch [h, w] -> picture [1, 3, H, W], as `synthesize` of its group."""
        if isinstance(self.decoder, Streaming):
            return self.decoder(z[None, None], counts[None, None], None)[:, 0, :3]
        return self._in_two_halves(self.decoder, z[None].permute(0, 3, 1, 2), counts[None])

    def _in_two_halves(self, decoder: ConvDecoder, z: Tensor, counts: Tensor) -> Tensor:
        """`still_picture` of latents [1, D, h, w]: the coarse half, which looks far, in large tiles, and in these the
        fine one, which does not, in small ones."""
        far, near = self._margins(self.config.decoder)

        def hidden(a: Tensor, b: Tensor) -> Tensor:
            return decoder.hidden(a.permute(0, 2, 3, 1), b).permute(0, 3, 1, 2)

        def pixels(a: Tensor, y: Tensor) -> Tensor:
            return decoder.pixels(a.permute(0, 2, 3, 1), y.permute(0, 2, 3, 1))[:, :3]

        return tiled(pixels, (z, tiled(hidden, (z, counts), (1, 1), 1, far, COARSE_TILE)), (1, 1), self.patch, near)

    @property
    def still_margin(self) -> int:
        """Patches that the decoder of a still picture looks beyond each patch; 0 if it is not convolutional."""
        return 0 if isinstance(self.decoder, Streaming) else self._margin(self.config.decoder)

    @property
    def is_convolutional(self) -> bool:
        """Whether patches of a still picture only depend on those around."""
        return isinstance(self.decoder, ConvDecoder)

    @property
    def still_margins(self) -> tuple[int, int]:
        """What of that the coarse and the fine half of a convolutional one look."""
        return self._margins(self.config.decoder)

    def encode_groups(
        self, groups: Tensor, n_q: int, state: State | None = None, settings: EncoderSettings | None = None
    ) -> Tensor:
        """Groups [B, G, 6, H, W] of whole patches -> codes [B, n_q, G, h, w]. No checks."""
        if not groups.shape[1]:
            h, w = (n // self.patch for n in groups.shape[-2:])
            return torch.zeros(len(groups), n_q, 0, h, w, dtype=torch.long, device=groups.device)
        z = self.latent(groups, state)
        b, g, h, w, d = z.shape
        codes = beam_encode(self.rvq, z.reshape(b, g * h * w, d), n_q, (settings or self.settings).beams)
        return codes.transpose(1, 2).reshape(b, n_q, g, h, w)

    def decode_groups(self, codes: Tensor, state: State | None = None) -> Tensor:
        """Codes [B, K, G, h, w] -> groups [B, G, 6, H, W]. No checks."""
        b, k, g, h, w = codes.shape
        if not g:
            return torch.zeros(b, 0, 6, h * self.patch, w * self.patch, device=codes.device)
        z = self.dequantize(codes.movedim(1, -1).reshape(-1, k)).view(b, g, h, w, -1)
        return self.synthesize(z, (codes >= 0).sum(1), state)

    def dequantize(self, codes: Tensor, start: int = 0) -> Tensor:
        """Codes [N, K] of the levels from `start` on (-1 for none) -> [N, D]."""
        total = torch.zeros(len(codes), self.config.latent_dim, device=codes.device)
        for k in range(codes.shape[1]):
            quantizer, scale = self.rvq.level(start + k)
            known = (codes[:, k] >= 0).unsqueeze(-1)
            total = total + quantizer.decode(codes[:, k].clamp_min(0)) * scale * known
        return total

    def whole_latents(self, codes: Tensor) -> Tensor:
        """Codes [N, K] of the first levels (-1 for none) -> latents in whole units of 1 / `LATENT`, int64 [N, D].

        They are the same on every machine.
        """
        total = torch.zeros(len(codes), self.config.latent_dim, device=codes.device)
        for k in range(codes.shape[1]):
            quantizer, scale = self.rvq.level(k)
            known = (codes[:, k] >= 0).unsqueeze(-1)
            total = total + (quantizer.decode(codes[:, k].clamp_min(0)) * scale * LATENT).round() * known
        return total.long()

    # Training -------------------------------------------------------------------------------------

    def forward(
        self,
        groups: Tensor,
        counts: Tensor | Callable[[Tensor], Tensor] | None = None,
        quantize: bool = True,
    ) -> JovioOutput:
        """Encode, quantize and decode for training.

        Args:
            groups: [B, G, 6, H, W], whole patches, see `to_groups`.
            counts: int [B, G, h, w] on the CPU, levels of each patch; or what gives them for latents
                [B, G, h, w, D]; None for the config's default.
            quantize: False leaves the codebooks out, and as they are.
        """
        z = self.latent(groups).float()
        b, g, h, w, d = z.shape
        if counts is None:
            counts = torch.full((b, g, h, w), self.settings.n_q)
        elif not isinstance(counts, Tensor):
            counts = counts(z.detach())
        known = counts.to(z.device)
        if not quantize:
            codes = torch.zeros(b, 0, g, h, w, dtype=torch.long, device=z.device)
            return JovioOutput(self.synthesize(z, known), z, codes, z.new_zeros(()))
        with torch.autocast(z.device.type, enabled=False):
            out = self.rvq(z.reshape(b, g * h * w, d), counts.reshape(b, -1))
        codes = out.codes.transpose(1, 2).reshape(b, -1, g, h, w)
        return JovioOutput(self.synthesize(out.vectors.view(z.shape), known), z, codes, out.loss)

    # Inside -----------------------------------------------------------------------------------------

    def _margin(self, config: object) -> int:
        """Patches that a convolutional network looks beyond each patch."""
        return sum(self._margins(config))

    def _margins(self, config: object) -> tuple[int, int]:
        """What of that its coarse and its fine half look."""
        assert isinstance(config, ConvConfig)
        fine = config.fine_blocks * (config.fine_kernel // 2) * config.fine
        return config.blocks * (config.kernel // 2), -(-fine // self.patch)

    def pictures(self, x: Tensor) -> tuple[Tensor, bool]:
        """`x` as [B, 3, T, H, W], and whether it was a still picture; raises CodesError if it cannot be that."""
        if not isinstance(x, Tensor):
            raise CodesError(f"pictures must be tensors, not {type(x).__name__}")
        if not x.is_floating_point():
            raise CodesError(f"pictures must be floating point in [0, 1], not {x.dtype}")
        still = x.dim() == 4
        if still:
            x = x.unsqueeze(2)
        if x.dim() != 5 or x.shape[1] != 3 or 0 in x.shape[-2:] or not len(x):
            raise CodesError(f"pictures must be [B, 3, H, W] or [B, 3, T, H, W], not {list(x.shape)}")
        return x.to(next(self.parameters()).dtype), still

    def checked_codes(self, codes: Tensor) -> tuple[Tensor, bool]:
        """`codes` as int64 [B, K, G, h, w], and whether of a still picture; raises CodesError if they are none."""
        if codes.is_floating_point() or codes.dtype == torch.bool:
            raise CodesError(f"codes must be integers, not {codes.dtype}")
        still = codes.dim() == 4
        if still:
            codes = codes.unsqueeze(2)
        if codes.dim() != 5 or not 1 <= codes.shape[1] <= self.n_q or 0 in codes.shape[-2:]:
            raise CodesError(f"codes must be [B, 1..{self.n_q}, (G,) h, w], not {list(codes.shape)}")
        codes = codes.long()
        if codes.numel() and not -1 <= int(codes.min()) <= int(codes.max()) < self.codebook_size:
            raise CodesError(f"codes must be in -1..{self.codebook_size - 1}")
        if bool(((codes[:, :-1] < 0) & (codes[:, 1:] >= 0)).any()):
            raise CodesError("a code behind a level that is left out")
        return codes, still
