"""The detail layer of still pictures: exact numbers, bytes, files and damage, on small models."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import struct
import zlib

import numpy as np
import pytest
import torch
from kit.vision import CONV, model, scene

from josiecodec.bitstream import patch_payload
from josiecodec.bitstream.container import TokenReader, TokenWriter
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.bitstream.patch_payload import PatchRows
from josiecodec.coding.detail import DetailCoder
from josiecodec.coding.picture_encoder import COARSEST, step_for
from josiecodec.coding.picture_file import read_picture
from josiecodec.errors import ConfigError, FormatError, ModelError
from josiecodec.hub.store import load, save
from josiecodec.kernels import SWITCH
from josiecodec.metrics.vision import psnr
from josiecodec.settings import Rate
from josiecodec.training.vision.detail_layer import add_detail_layer, layer_of, tensors
from josiecodec.training.vision.detail_network import DrawnSteps, TrainedNetwork, laplacian_frequencies
from josiecodec.vision.block_transform import from_coefficients, to_coefficients
from josiecodec.vision.config import DetailConfig
from josiecodec.vision.detail_steps import DetailSteps

SMALL = DetailConfig(channels=16, blocks=(1, 1, 1), filter_channels=8, filter_blocks=1)


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


def base_of(codec, height: int = 6, width: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Latents and level counts of a random base."""
    random = torch.Generator().manual_seed(0)
    codes = torch.randint(codec.codebook_size, (height * width, 4), generator=random)
    counts = torch.randint(5, (height * width,), generator=random)
    codes[torch.arange(4) >= counts[:, None]] = -1
    return codec.whole_latents(codes).view(height, width, -1).numpy(), counts.view(height, width).numpy()


def test_the_transform_keeps_lengths_and_is_undone():
    x = torch.rand(2, 3, 24, 40)
    y = to_coefficients(x)
    assert y.shape == (2, 3, 5, 192)
    assert torch.allclose(y.square().sum(), x.square().sum(), rtol=1e-5)
    assert torch.allclose(from_coefficients(y), x, atol=1e-5)
    flat = to_coefficients(torch.ones(1, 3, 8, 8))[0, 0, 0]
    assert (flat.abs() > 1e-5).nonzero().flatten().tolist() == [0]


def test_the_network_is_the_one_that_is_trained(codec):
    layer, (latents, counts) = layer_of(codec), base_of(codec)
    trained = TrainedNetwork(codec, SMALL, tensors(layer))
    trained.start_from(layer)
    symbols = torch.randint(-9, 10, (1, 12, 10, 192), generator=torch.Generator().manual_seed(2)).float()
    steps = DetailSteps(60)
    drawn = DrawnSteps([steps], torch.device("cpu"))
    with torch.no_grad():
        want = trained(torch.from_numpy(latents)[None].float(), torch.from_numpy(counts)[None], drawn, symbols)
    for members, (scales, into) in zip(layer.passes, layer.network().scales(latents, counts, steps)):
        into[...] = symbols[0][..., members].numpy()
        off = scales - want[0][..., members].floor().numpy()
        assert np.abs(off).max() <= 1  # logarithms of whole numbers are a little coarser
        assert (off == 0).mean() > 0.85


def test_sums_are_exact_in_any_order(codec, monkeypatch):
    monkeypatch.setenv(SWITCH, "off")  # compiled code takes single precision
    network, (latents, counts) = layer_of(codec).network(), base_of(codec)

    def all_scales() -> list[np.ndarray]:
        found = []
        for scales, into in network.scales(latents, counts, DetailSteps(60)):
            into[...] = scales % 7 - 3
            found.append(scales)
        return found

    single, network = all_scales(), layer_of(codec).network()
    network._n = {name: value.astype(np.float64) for name, value in network._n.items()}
    for a, b in zip(single, all_scales()):
        np.testing.assert_array_equal(a, b)


def test_numbers_that_could_not_be_exact_are_refused(codec):
    layer = add_detail_layer(model(CONV), SMALL, "x").detail
    layer.tensor("blocks.1.expand.weight").fill_(2000)
    with pytest.raises(ModelError, match=r"blocks\.1\.expand"):
        layer.network()


@pytest.mark.parametrize("step", [0, 40, 128])
def test_coefficients_come_back(codec, step):
    coder, (latents, counts) = DetailCoder(layer_of(codec)), base_of(codec)
    wanted = 3 * np.random.default_rng(step).standard_normal((12, 10, 192))
    wanted[3, 4, 5:9] = (14.8, -15.2, 16.0, -3000.0)
    steps = DetailSteps(step)
    chosen = coder.choose(latents, counts, wanted, steps, 0.1)
    found_steps, symbols, _ = coder.unpack(latents, counts, coder.pack(chosen, counts))
    assert found_steps == steps
    np.testing.assert_array_equal(symbols, chosen.symbols)
    assert symbols[3, 4, 8] == -3000
    assert abs(8 * len(coder.pack(chosen, counts)) / chosen.bits - 1) < 0.02


def test_more_bits_are_better_and_none_are_too_many(codec, picture):
    found = []
    for bpp in (2.0, 3.0, 4.0):
        data = codec.compress(picture, bpp=bpp)
        assert 0.9 < 8 * len(data) / (bpp * 12000) < 1.02
        found.append(float(psnr(codec.decompress(data), picture)))
    assert found == sorted(found)
    assert found[-1] > found[0] + 3
    alone = codec.compress(picture, 8)
    assert not TokenFile.from_bytes(alone).streams[0].codes.details
    assert float(psnr(codec.decompress(alone), picture)) < found[-1] - 3


def test_one_lambda_sets_both(codec, picture):
    fine, coarse, alone = (codec.compress(picture, rate=Rate(rd_lambda=v)) for v in (0.01, 0.05, 5.0))
    assert len(fine) > len(coarse) > len(alone)
    assert not TokenFile.from_bytes(alone).streams[0].codes.details
    steps = [step_for(v) for v in (1e-6, 0.001, 0.01, 0.04, 0.08, 0.2, 9.0)]
    assert steps == sorted(steps)
    assert steps[0] == 0
    assert steps[2] < COARSEST < steps[-2]


def test_the_file_is_written_again_as_it_was(codec, picture):
    data = codec.compress(picture, bpp=2.0)
    file = TokenFile.from_bytes(data)
    assert file.to_bytes() == data
    assert file.trimmed(codec.n_q).to_bytes() == data
    shorter = file.trimmed(1)
    assert not shorter.streams[0].codes.details  # it fits the levels that it was made with
    assert len(shorter.to_bytes()) < len(data) / 2
    assert torch.equal(codec.decompress(shorter.to_bytes()), codec.decompress(data, 1))


def test_parts_of_a_large_picture_are_apart(codec, picture, monkeypatch):
    monkeypatch.setattr(patch_payload, "BLOCK_PATCHES", 16)  # two rows of patches in a block
    data = codec.compress(picture, bpp=2.5)
    rows = TokenFile.from_bytes(data).streams[0].codes
    assert [(part.first, part.rows) for part in rows.details] == [(0, 2), (2, 2), (4, 2), (6, 1)]
    whole = codec.decompress(data)
    broken = bytearray(data)
    broken[data.index(rows.details[2].data) + 5] ^= 1
    with pytest.raises(FormatError, match="checksum"):
        codec.decompress(bytes(broken))
    back = torch.from_numpy(read_picture(codec, TokenReader(bytes(broken), codec.known_tables), salvage=True).rgb)
    assert torch.equal(back[:, :16], whole[:, :16])
    assert (back[:, 98:] - whole[:, 98:]).abs().max() < 0.1  # the base's network looks around
    assert not torch.equal(back[:, 70:90], whole[:, 70:90])


def test_rows_keep_their_details_when_cut_and_joined(codec, picture):
    rows = TokenFile.from_bytes(codec.compress(picture, bpp=2.0)).streams[0].codes
    joined = PatchRows.joined([rows, rows], rows.counts.shape[1])
    assert [(part.first, part.rows) for part in joined.details] == [(0, 7), (7, 7)]
    first, second = joined.split(7)
    assert first.details == second.details == rows.details
    assert not joined.cut([3])[0].details  # half of a part says nothing


def changed(data: bytes, old: bytes, new: bytes) -> bytes:
    """A file of one block with another detail layer, and correct checksums."""
    reader = TokenReader(data)
    (block,) = list(reader.blocks())
    part = dataclasses.replace(block.codes.details[0], data=new)
    out = io.BytesIO()
    writer = TokenWriter(out, reader.streams)
    writer.add_rows(0, dataclasses.replace(block.codes, details=(part,)))
    writer.close([1])
    return out.getvalue()


def test_damage_that_checksums_do_not_see(codec, picture):
    data = codec.compress(picture, bpp=2.0)
    detail = TokenFile.from_bytes(data).streams[0].codes.details[0].data
    random = np.random.default_rng(0)
    for _ in range(30):
        other = bytearray(detail)
        for _ in range(3):
            other[random.integers(1, len(other))] = random.integers(256)
        with contextlib.suppress(FormatError):
            assert torch.isfinite(codec.decompress(changed(data, detail, bytes(other)))).all()
    for bad, what in (
        (b"", "step"),
        (bytes([129]) + detail[1:], "step"),
        (detail + bytes(range(1, 9)), "behind the last bit"),
    ):
        with pytest.raises(FormatError, match=what):
            codec.decompress(changed(data, detail, bad))


def test_a_length_that_is_not_there(codec, picture):
    data = codec.compress(picture, bpp=2.0)
    size = len(TokenFile.from_bytes(data).streams[0].codes.details[0].data)
    at = data.index(b"B\x04") if b"B\x04" in data else data.index(b"B\x05")
    begin = data.index(bytes([size & 127 | 128, size >> 7]), at)
    broken = bytearray(data)
    broken[begin : begin + 2] = b"\xff\x7f"
    end = data.index(b"E", begin + size)
    for end in range(begin + size, len(data) - 4):  # the checksum of the block
        if struct.unpack_from("<I", data, end)[0] == zlib.crc32(data[at:end]):
            break
    broken[end : end + 4] = struct.pack("<I", zlib.crc32(bytes(broken[at:end])))
    with pytest.raises(FormatError, match="allowed here"):
        codec.decompress(bytes(broken))


def test_videos_have_none(codec, picture):
    video = torch.stack([picture] * 3, 1)
    data = codec.compress(video, 3)
    assert not TokenFile.from_bytes(data).streams[0].codes.details
    file = TokenFile.from_bytes(codec.compress(picture, bpp=2.0))
    info = dataclasses.replace(file.streams[0].info, rate=TokenFile.from_bytes(data).streams[0].info.rate)
    file.streams[0].info = info
    with pytest.raises(FormatError, match="can be none"):
        codec.decompress(file.to_bytes())


def test_a_model_is_saved_and_loaded(codec, picture, tmp_path):
    again = load(save(codec, tmp_path / "m", torch.float32))
    data = codec.compress(picture, bpp=2.0)
    assert torch.equal(again.decompress(again.compress(picture, bpp=2.0)), codec.decompress(data))


def test_configurations():
    for bad in ({"splits": ((6, 64), (1, 6, 64))}, {"splits": ((6, 5, 64), (1, 6, 64))}, {"fine": 3}, {"channels": 0}):
        with pytest.raises(ConfigError):
            DetailConfig(**bad)
    with pytest.raises(ConfigError, match="16"):
        dataclasses.replace(CONV, patch=8, detail=SMALL)
    with pytest.raises(ModelError, match="has a detail layer"):
        add_detail_layer(add_detail_layer(model(CONV), SMALL, "x"), SMALL, "y")


def test_frequencies_add_up():
    found = laplacian_frequencies(40)
    assert int(found.min()) >= 1
    assert bool((found.sum(1) == 1 << 15).all())
    assert DetailSteps(24).size == 2 * DetailSteps(0).size
