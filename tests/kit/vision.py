"""Small models of vision, and pictures for them."""

from __future__ import annotations

import dataclasses

import torch

from josiecodec.coding.jovio import Jovio
from josiecodec.quantization.config import ResidualQuantizerConfig
from josiecodec.settings import EncoderSettings
from josiecodec.vision.config import ConvConfig, JovioConfig, VitConfig
from josiecodec.vision.convnet import ConvDecoder, ConvEncoder, start_linear
from josiecodec.vision.grouping import to_groups

CONV = JovioConfig(
    name="small",
    latent_dim=24,
    quantizer=ResidualQuantizerConfig(levels=8, codebook_size=64, shared_from=5),
    encoding=EncoderSettings(n_q=4, masking=0.0),
    starts=(1, 2, 4),
    encoder=ConvConfig(fine_channels=8, fine_blocks=1, channels=16, blocks=1),
    decoder=ConvConfig(fine_channels=8, fine_blocks=1, channels=16, blocks=2),
)


VIT = dataclasses.replace(
    CONV,
    encoder=VitConfig(channels=32, layers=2, heads=2, hidden=48, window=3, max_frames=3),
    decoder=VitConfig(channels=32, layers=2, heads=2, hidden=48, window=3, max_frames=3),
)


def scene(height: int, width: int, pictures: int = 1, seed: int = 0) -> torch.Tensor:
    """Soft blobs and waves on the right of which all moves: [1, 3, T, H, W]."""
    random = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    frames = []
    waves = torch.rand(12, 6, generator=random)
    for t in range(pictures):
        moved = torch.where(x > width // 2, x + 2 * t, x)
        picture = torch.full((3, height, width), 0.5)
        for k, (a, b, phase, red, green, blue) in enumerate(waves.tolist()):
            wave = ((a - 0.5) * moved * 1.5 ** (k / 2 - 3) + (b - 0.5) * y * 1.5 ** (k / 2 - 3) + 6 * phase).sin()
            color = torch.tensor([red, green, blue])[:, None, None] - 0.2
            picture = picture + 0.2 * color * wave
        frames.append(picture)
    return torch.stack(frames, 1).clamp(0, 1)[None]


def model(config: JovioConfig) -> Jovio:
    torch.manual_seed(0)
    codec = Jovio(config).eval().requires_grad_(False)
    for parameter in codec.parameters():  # zeroed branches would hide what they do
        if parameter.dim() > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
    pictures = torch.cat([scene(160, 160, seed=s) for s in range(30)])
    if isinstance(codec.encoder, ConvEncoder) and isinstance(codec.decoder, ConvDecoder):
        patches = pictures[:, :, 0].unfold(2, 16, 16).unfold(3, 16, 16).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
        start_linear(codec.encoder, codec.decoder, patches)
    latents = codec.latent(to_groups(pictures, 2)).reshape(-1, config.latent_dim)
    codec.rvq.initialise(latents, torch.Generator().manual_seed(0))
    return codec
