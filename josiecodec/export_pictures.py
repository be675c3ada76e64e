"""The graphs of still pictures for the runtime without torch, see `export_runtime.py`.

picture_encoder   pixels [1, 3, 16 h, 16 w] -> latents [1, h, w, D]
picture_hidden    latents [1, h, w, D], levels of each patch [1, h, w] -> [1, h, w, 16 C], the fine grid by patches
picture_fine      the fine grid [1, 4 h, 4 w, C] -> what is added to the linear picture, by places of that grid
picture_filter    decoded base and residual by places of a grid, how they were quantized [C] -> what smooths them
picture_filter_8  the same with 8 blocks

Pixels and places of grids are put in order outside, in NumPy: exported, the reshaping would hold for some sizes alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from .vision.convnet import ConvDecoder, ConvEncoder
from .vision.network import JovioNetwork

EXAMPLE = (3, 5)  # patches


class PictureBody(nn.Module):
    """A network of still pictures, without memory.

    Args:
        codec: of which it is a part.
        inputs: names, and how many places a patch has a side in each, along its axes of height and width; 0 for none.
        axes: of height of each input; width is the one after.
        outputs: names.
        work: makes the outputs of the inputs.
        examples: inputs of `EXAMPLE` patches.
    """

    def __init__(
        self,
        codec: JovioNetwork,
        inputs: dict[str, int],
        axes: tuple[int, ...],
        outputs: tuple[str, ...],
        work: Callable[..., tuple[Tensor, ...]],
        examples: tuple[Tensor, ...],
    ):
        super().__init__()
        self.codec, self.inputs, self.axes, self.outputs = codec, inputs, axes, outputs
        self.work, self.examples = work, examples
        self.names: list[str] = []
        self.memory: list[Tensor] = []

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return self.work(*tensors)

    def free_axes(self) -> tuple[dict[int, object] | None, ...]:
        """Which axes of the inputs have any length."""
        height, width = (torch.export.Dim(name, min=1, max=1 << 12) for name in ("height", "width"))
        return tuple(
            {axis: scale * height, axis + 1: scale * width} if scale else None
            for axis, scale in zip(self.axes, self.inputs.values())
        )


def encoder_body(codec: JovioNetwork) -> PictureBody:
    """The encoder of one picture."""
    encoder = codec.encoder
    assert isinstance(encoder, ConvEncoder)

    def work(pixels: Tensor) -> tuple[Tensor, ...]:
        return (encoder(torch.cat([pixels, torch.zeros_like(pixels)], 1)),)

    h, w = EXAMPLE
    example = torch.rand(1, 3, codec.patch * h, codec.patch * w)
    return PictureBody(codec, {"pixels": codec.patch}, (2,), ("latent",), work, (example,))


def hidden_body(codec: JovioNetwork) -> PictureBody:
    """The coarse half of the decoder."""
    decoder = codec.decoder
    assert isinstance(decoder, ConvDecoder)

    def work(latent: Tensor, levels: Tensor) -> tuple[Tensor, ...]:
        return (decoder.up(decoder.hidden(latent, levels)),)

    examples = torch.randn(1, *EXAMPLE, codec.config.latent_dim), torch.ones(1, *EXAMPLE, dtype=torch.long)
    return PictureBody(codec, {"latent": 1, "levels": 1}, (1, 1), ("hidden",), work, examples)


def fine_body(codec: JovioNetwork) -> PictureBody:
    """The fine half of the decoder."""
    decoder = codec.decoder
    assert isinstance(decoder, ConvDecoder)
    places = codec.patch // decoder.fine

    def work(fine: Tensor) -> tuple[Tensor, ...]:
        return (decoder.output_proj(decoder.norm(decoder.fine_blocks(fine))),)

    example = torch.randn(1, places * EXAMPLE[0], places * EXAMPLE[1], decoder.norm.normalized_shape[0])
    return PictureBody(codec, {"fine": 1}, (1,), ("change",), work, (example,))


def filter_body(codec: JovioNetwork, depth: int) -> PictureBody:
    """The filter of the detail layer, with its first `depth` blocks."""
    layer = codec.detail
    assert layer is not None

    def work(merged: Tensor, known: Tensor) -> tuple[Tensor, ...]:
        y = layer.input_proj(merged) + known
        return (layer.output_proj(layer.norm(layer.filter_blocks[:depth](y))),)

    places = codec.patch // layer.config.fine
    example = torch.randn(1, places * EXAMPLE[0], places * EXAMPLE[1], layer.input_proj.in_features)
    known = torch.randn(layer.config.filter_channels)
    return PictureBody(codec, {"merged": 1, "known": 0}, (1, 0), ("change",), work, (example, known))


PICTURE_BODIES: dict[str, Callable[[JovioNetwork], PictureBody]] = {
    "picture_encoder": encoder_body,
    "picture_hidden": hidden_body,
    "picture_fine": fine_body,
    "picture_filter": partial(filter_body, depth=4),
    "picture_filter_8": partial(filter_body, depth=8),
}
