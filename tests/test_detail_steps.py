"""Quantization matrices of a detail layer, and what its bits are tuned for, on small models."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from kit.processes import run
from kit.vision import CONV, model, scene

from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.coding.detail import DetailCoder
from josiecodec.coding.picture_base import PictureBase
from josiecodec.coding.picture_tools import TUNINGS, Fineness, Tools
from josiecodec.errors import ConfigError, FormatError
from josiecodec.hub.store import load, save
from josiecodec.media.images import save_image
from josiecodec.metrics.vision import psnr
from josiecodec.settings import EncoderSettings
from josiecodec.training.vision.detail_layer import add_detail_layer, layer_of, tensors
from josiecodec.training.vision.detail_network import DrawnSteps, TrainedNetwork
from josiecodec.vision.block_transform import frequencies, from_coefficients
from josiecodec.vision.config import DetailConfig
from josiecodec.vision.detail_steps import RATIO, DetailSteps

SMALL = DetailConfig(channels=16, blocks=(1, 1, 1), filter_channels=8, filter_blocks=1, strengths=8)


@pytest.fixture(scope="module")
def codec():
    codec = add_detail_layer(model(CONV), SMALL, "small-detail")
    torch.manual_seed(1)
    trained = TrainedNetwork(codec, SMALL, tensors(layer_of(codec)))
    for parameter in trained.parameters():  # a network that has learned nothing would hide what it does
        parameter.data += 0.1 * torch.randn_like(parameter) / max(1, parameter.shape[-1]) ** 0.5
    trained.export(layer_of(codec))
    return codec


@pytest.fixture(scope="module")
def picture():
    noise = torch.rand(3, 100, 120, generator=torch.Generator().manual_seed(3)) - 0.5
    return (scene(100, 120)[0, :, 0] + 0.05 * noise).clamp(0, 1)


@pytest.fixture(scope="module")
def base(codec) -> tuple[np.ndarray, np.ndarray]:
    """Latents and level counts of a random base."""
    codes = torch.randint(codec.codebook_size, (30, 4), generator=torch.Generator().manual_seed(0))
    return codec.whole_latents(codes).view(6, 5, -1).numpy(), np.full((6, 5), 4)


def test_steps_grow_with_the_frequency():
    assert (DetailSteps(40).sizes() == DetailSteps(40).size).all()
    steps = DetailSteps(40, 5)
    assert steps.sizes()[0] == steps.size
    np.testing.assert_array_equal(steps.shifts(), (5 * frequencies() + 5) // 10)
    np.testing.assert_allclose(np.log(steps.sizes() / steps.size), RATIO * steps.shifts())


def test_the_network_is_the_one_that_is_trained(codec, base):
    layer, steps = layer_of(codec), DetailSteps(60, 5)
    trained = TrainedNetwork(codec, SMALL, tensors(layer))
    trained.start_from(layer)
    assert trained.strength is not None
    assert float(trained.strength.detach().abs().max()) > 0
    symbols = torch.randint(-9, 10, (1, 12, 10, 192), generator=torch.Generator().manual_seed(2)).float()
    given = torch.from_numpy(base[0])[None].float(), torch.from_numpy(base[1])[None]
    with torch.no_grad():
        want = trained(*given, DrawnSteps([steps], torch.device("cpu")), symbols)
    for members, (scales, into) in zip(layer.passes, layer.network().scales(*base, steps)):
        into[...] = symbols[0][..., members].numpy()
        off = scales - want[0][..., members].floor().numpy()
        assert np.abs(off).max() <= 1  # logarithms of whole numbers are a little coarser
        assert (off == 0).mean() > 0.85


def test_coefficients_come_back(codec, base):
    coder, steps = DetailCoder(layer_of(codec)), DetailSteps(30, 6)
    wanted = 3 * np.random.default_rng(0).standard_normal((12, 10, 192))
    chosen = coder.choose(*base, wanted, steps, 0.1)
    data = coder.pack(chosen, base[1])
    assert data[:2] == bytes([30, 6])
    found, symbols, _ = coder.unpack(*base, data)
    assert found == steps
    np.testing.assert_array_equal(symbols, chosen.symbols)
    for bad in (b"", data[:1], bytes([129, 0]) + data[2:], bytes([30, 8]) + data[2:]):
        with pytest.raises(FormatError, match="step"):
            coder.unpack(*base, bad)


def test_each_coefficient_has_its_step(codec):
    layer, steps = layer_of(codec), DetailSteps(50, 7)
    symbols = torch.randint(-3, 4, (4, 4, 192), generator=torch.Generator().manual_seed(0))
    shrunk = symbols - 0.05 * symbols.sign()
    expected = from_coefficients((shrunk * torch.from_numpy(steps.sizes()))[None].float()) / 255
    assert torch.allclose(layer.residual(symbols, steps), expected, atol=1e-5)


def test_a_file_keeps_its_matrix(codec, picture, tmp_path):
    data = codec.compress(picture, bpp=3.0, settings=EncoderSettings(n_q=4, masking=0.0, tune="ssim"))
    part = TokenFile.from_bytes(data).streams[0].codes.details[0]
    assert part.data[1] == TUNINGS["ssim"].strength
    other = TokenFile.from_bytes(codec.compress(picture, bpp=3.0)).streams[0].codes.details[0]
    assert other.data[1] == TUNINGS["psnr"].strength
    again = load(save(codec, tmp_path / "m", torch.float32))
    same = again.compress(picture, bpp=3.0, settings=EncoderSettings(n_q=4, masking=0.0, tune="ssim"))
    assert torch.equal(again.decompress(same), codec.decompress(data))


def test_what_the_filter_will_add_is_not_coded(codec, picture):
    """A filter that lifts a picture by a constant: the detail must bring it down again."""
    lifting = load_copy(codec)
    layer_of(lifting).output_proj.bias.data += 0.05
    tools = Tools.of(lifting.picture_network(), lifting.settings, lifting.tables)
    x = torch.nn.functional.pad(picture, (0, 8, 0, 12), mode="replicate")[None]
    found = []
    for foreseen in (False, True):
        base = PictureBase.coded(tools, x.numpy(), lifting.still_latent(x))
        at = Fineness(20)
        if foreseen:
            base.foresee(at)
        (part,) = base.parts
        chosen = base.choose(part, at)
        residual = layer_of(lifting).residual(torch.from_numpy(chosen.symbols), chosen.steps)
        found.append(float(psnr(layer_of(lifting).smoothed(torch.from_numpy(base.decoded), residual, chosen.steps), x)))
    assert found[1] > found[0] + 3


def load_copy(codec):
    copy = type(codec)(codec.config)
    copy.load_state_dict(codec.state_dict())
    copy.settings, copy.tables = codec.settings, codec.tables
    return copy.eval().requires_grad_(False)


def test_bits_go_where_errors_count(codec):
    noise = torch.rand(3, 96, 128, generator=torch.Generator().manual_seed(3)) - 0.5
    noise[..., :64] *= 0.2
    x = (scene(96, 128)[0, :, 0] * 0.5 + 0.25 + 0.5 * noise).clamp(0, 1)[None]
    shares = []
    for tune in ("psnr", "ssim"):
        tools = Tools.of(codec.picture_network(), dataclasses.replace(codec.settings, tune=tune), codec.tables)
        base = PictureBase.coded(tools, x.numpy(), codec.still_latent(x))
        size = np.abs(base.choose(base.parts[0], Fineness(40)).symbols.astype(int))
        shares.append((size[:, :8].sum() / size.sum(), size[..., frequencies() > 7].sum() / size.sum()))
    assert shares[1][0] > shares[0][0]  # in the smooth half
    assert shares[1][1] < 0.9 * shares[0][1]  # at high frequencies


def test_only_what_there_is():
    with pytest.raises(ConfigError, match="tune"):
        EncoderSettings(tune="size")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="sizes"):
        DetailConfig(strengths=17)


def test_the_command(tmp_path, picture):
    save_image(picture, tmp_path / "x.png")
    found = []
    for tune in ("psnr", "ssim"):
        run("encode", tmp_path / "x.png", tmp_path / f"{tune}.josie", "--bpp", 1, "--tune", tune)
        found.append((tmp_path / f"{tune}.josie").read_bytes())
    assert found[0] != found[1]
    assert "--tune" in run("encode", tmp_path / "x.png", tmp_path / "y.josie", "--tune", "size", code=2)
