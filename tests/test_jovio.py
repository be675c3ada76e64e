"""JOVIO: sizes, streams, tiles, rates and files, on small models with random weights."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
import torch
from kit.vision import CONV, VIT, model, scene

from josiecodec.bitstream.header import write_header
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.bitstream.patch_payload import PatchRows, unpack_rows
from josiecodec.coding.jovio import Jovio
from josiecodec.errors import CodecError, CodesError, ConfigError, FormatError, ModelError
from josiecodec.quantization.config import ResidualQuantizerConfig
from josiecodec.settings import EncoderSettings, Rate
from josiecodec.vision import tiling
from josiecodec.vision.config import ConvConfig, VitConfig
from josiecodec.vision.grouping import from_groups, group_count, to_groups
from josiecodec.vision.presets import preset


@pytest.fixture(scope="module", params=["conv", "vit"])
def codec(request):
    return model(CONV if request.param == "conv" else VIT)


@pytest.mark.parametrize("size", [(1, 1), (15, 16), (16, 17), (33, 100)])
def test_any_size_comes_back(codec, size):
    x = scene(*size)[:, :, 0]
    codes = codec.encode(x)
    assert codes.shape == (1, 4, *codec.grid(*size))
    assert codec.decode(codes, size).shape == x.shape
    with pytest.raises(CodesError, match="does not fit"):
        codec.decode(codes, (size[0] + 32, size[1]))


@pytest.mark.parametrize("pictures", [1, 2, 3, 6])
def test_any_length_comes_back(codec, pictures):
    x = scene(20, 30, pictures)
    codes = codec.encode(x, 3)
    assert codes.shape == (1, 3, group_count(pictures, 2), 2, 2)
    assert codec.decode(codes, (20, 30), pictures).shape == x.shape
    with pytest.raises(CodesError, match="groups"):
        codec.decode(codes, (20, 30), pictures + 2)


def test_groups_are_undone():
    for group in (1, 2):
        for pictures in range(7):
            x = torch.rand(2, 3, pictures, 4, 5)
            back = from_groups(to_groups(x, group), group, pictures)
            assert back.shape == x.shape
            assert torch.allclose(back, x, atol=1e-6)


def same(codec, a: torch.Tensor, b: torch.Tensor) -> bool:
    """Exactly the same; from transformers, whose attention rounds in other places, nearly."""
    if isinstance(codec.config.encoder, ConvConfig):
        return torch.equal(a, b)
    if a.is_floating_point():
        return torch.allclose(a, b, atol=1e-4)
    return a.shape == b.shape and float((a == b).float().mean()) > 0.99


def test_a_batch_is_its_items(codec):
    x = torch.cat([scene(40, 56, 5, seed=s) for s in range(3)])
    codes = codec.encode(x)
    back = codec.decode(codes, (40, 56), 5)
    for i in range(3):
        assert same(codec, codec.encode(x[i : i + 1]), codes[i : i + 1])
        assert same(codec, codec.decode(codes[i : i + 1], (40, 56), 5), back[i : i + 1])


@pytest.mark.parametrize("steps", [[1] * 9, [2, 3, 4], [0, 9], [5, 0, 4]])
def test_a_stream_is_exact(codec, steps):
    x = scene(40, 56, 9)
    codes = codec.encode(x)
    back = codec.decode(codes, (40, 56))
    stream = codec.streaming()
    found = [stream.encode(part) for part in x.split(steps, 2)]
    found.append(stream.flush())
    assert same(codec, torch.cat(found, 2), codes)
    groups = codes.split([f.shape[2] for f in found], 2)
    assert same(codec, torch.cat([stream.decode(c) for c in groups], 2), back)
    with pytest.raises(CodesError, match="in a stream of"):
        stream.encode(scene(20, 20, 2))


def test_a_stream_fills_up_its_last_group(codec):
    x = scene(20, 20, 4)
    stream = codec.streaming(2)
    codes = torch.cat([stream.encode(x), stream.flush()], 2)
    assert same(codec, codes, codec.encode(x, 2))
    stream.reset()
    with pytest.raises(CodesError, match="nothing"):
        stream.flush()


def test_tiles_leave_no_seam(monkeypatch):
    codec = model(CONV)
    x = scene(16 * 9, 16 * 11)[:, :, 0]
    codes = codec.encode(x)
    back = codec.decode(codes)
    monkeypatch.setattr(tiling, "TILE", 3)
    assert torch.equal(codec.encode(x), codes)
    assert torch.equal(codec.decode(codes), back)


def test_more_levels_are_closer(codec):
    x = scene(64, 64)[:, :, 0]
    z = codec.latent(to_groups(x.unsqueeze(2), 2))
    flat = z.reshape(-1, z.shape[-1])
    codes = codec.encode(x, 8)[0].flatten(1).t()
    errors = [float((flat - codec.dequantize(codes[:, :n])).square().mean()) for n in (1, 2, 4, 8)]
    assert errors == sorted(errors, reverse=True)


def test_compressing_uniformly_is_encoding(codec):
    x = scene(40, 56, 5)
    data = codec.compress(x[0], 3, pictures_per_second=10)
    assert same(codec, codec.decompress(data), codec.decode(codec.encode(x, 3), (40, 56), 5)[0])
    assert same(codec, codec.decompress(data, 2), codec.decode(codec.encode(x, 3)[:, :2], (40, 56), 5)[0])
    still = scene(40, 56)[0, :, 0]
    back = codec.decompress(codec.compress(still, 3))
    assert same(codec, back, codec.decode(codec.encode(still[None], 3), (40, 56))[0])


@pytest.mark.parametrize("bpp", [0.1, 0.12, 0.16])
def test_a_budget_is_kept(codec, bpp):
    x = scene(320, 320)[0, :, 0]
    data = codec.compress(x, rate=Rate(bpp=bpp))
    assert 8 * len(data) / (320 * 320) == pytest.approx(bpp, rel=0.05)


@pytest.mark.parametrize("bpp", [1e-4, 50.0])
def test_a_budget_that_cannot_be_met_still_gives_every_picture(codec, bpp):
    x = scene(40, 56, 3)[0]
    assert codec.decompress(codec.compress(x, rate=Rate(bpp=bpp), pictures_per_second=10)).shape == x.shape


def test_a_budget_of_a_video_is_kept(codec):
    x = scene(112, 112, 30)[0]
    data = codec.compress(x, rate=Rate(kbps=8), pictures_per_second=10)
    assert 8 * len(data) / 3 / 1000 == pytest.approx(8, rel=0.05)
    back = codec.decompress(data)
    assert back.shape == x.shape


def test_what_stands_still_is_not_coded_again():
    codec = model(CONV)
    x = scene(96, 96)[0].expand(-1, 9, -1, -1)
    file = TokenFile.from_bytes(codec.compress(x, rate=Rate(rd_lambda=0.05), pictures_per_second=10))
    first, *later = file.streams[0].codes.pictures
    assert first.key
    assert sum(len(p.bits) for p in later) < len(later) + len(first.bits) / 8
    back = codec.decompress(file.to_bytes())
    assert (back[:, 7] - back[:, 5]).abs().mean() < 0.002


def test_adaptive_levels_are_better_at_equal_size():
    codec = model(CONV)
    x = scene(320, 320)[0, :, 0]
    x[:, :, :160] = 0.5  # one half is empty
    fixed = codec.compress(x, 4)
    free = codec.compress(x, rate=Rate(bpp=8 * len(fixed) / 320**2))
    latent = codec.latent(to_groups(x[None, :, None], 2))[0, 0]

    def error(data: bytes) -> float:
        from josiecodec.coding.reconstruct import reconstruct

        rows = TokenFile.from_bytes(data).streams[0].codes
        assert isinstance(rows, PatchRows)
        return float((reconstruct(codec, rows, None).latent - latent).square().sum())

    assert error(free) < 0.9 * error(fixed)


def test_files_of_other_models_are_refused(codec):
    data = codec.compress(scene(20, 20)[0, :, 0])
    other = Jovio(CONV).eval()
    with pytest.raises(ModelError, match="made by"):
        other.decompress(data)


def test_damage_gives_typed_errors(codec):
    data = codec.compress(scene(48, 48, 5)[0], 3, pictures_per_second=10)
    random = torch.Generator().manual_seed(0)
    for _ in range(300):
        place = int(torch.randint(len(data), (1,), generator=random))
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(torch.randint(8, (1,), generator=random))
        for bad in (bytes(flipped), data[:place]):
            with pytest.raises(CodecError):
                codec.decompress(bad)


def test_damage_behind_a_right_checksum_gives_typed_errors():
    random = np.random.default_rng(0)
    read = 0
    for _ in range(3000):
        data = random.integers(0, 256, random.integers(0, 60), dtype=np.uint8).tobytes()
        try:
            rows = unpack_rows(data, 2, 3, 4, 64)
        except FormatError:
            continue
        read += 1
        assert rows.counts.max() <= 4
    assert read < 300


@pytest.mark.parametrize("size", [(17000, 40), (16, 8192 * 16)])
def test_narrow_and_wide_pictures_come_back(size):
    codec = model(CONV)
    x = torch.full((3, *size), 0.5)
    assert codec.decompress(codec.compress(x, 1)).shape == x.shape


def test_headers_that_claim_too_much_are_refused():
    codec = model(CONV)
    for size in ((1 << 20, 1 << 20), (16, 8193 * 16), (1 << 15, 1 << 14)):
        with pytest.raises(FormatError):
            write_header([codec.stream_info(size, 4, 1)])
    with pytest.raises(FormatError):
        write_header([codec.stream_info((16, 16), 4, 1, Fraction(5000))])


def test_levels_that_cannot_be_are_refused(codec):
    data = codec.compress(scene(20, 20)[0, :, 0], 3)
    assert torch.equal(codec.decompress(data, 300), codec.decompress(data))
    for bad in (0, -1):
        with pytest.raises(CodesError):
            codec.decompress(data, bad)
    for rate in ({"bpp": float("inf")}, {"kbps": float("nan")}, {"n_q": 0}):
        with pytest.raises(CodecError):
            Rate(**rate)


def test_a_salvaged_video_can_be_written_again(codec):
    data = codec.compress(scene(48, 48, 9)[0], 3, pictures_per_second=10)
    file = TokenFile.from_bytes(data[: len(data) * 2 // 3], salvage=True)
    again = TokenFile.from_bytes(file.to_bytes())
    assert again.streams[0].info.length == file.streams[0].info.length
    assert codec.decompress(file.to_bytes()).shape[1] == file.streams[0].info.length


def test_a_cut_off_video_shows_what_is_whole(codec):
    from josiecodec.bitstream.container import TokenReader
    from josiecodec.coding.vision_decoder import GroupDecoder

    x = scene(48, 48, 9)
    data = codec.compress(x[0], 3, pictures_per_second=10)
    whole = codec.decompress(data)
    reader = TokenReader(data[: len(data) * 2 // 3])
    decoder = GroupDecoder(codec, codec.check_stream(reader.streams[0]), salvage=True)
    pictures = [p for block in reader.blocks(salvage=True) for p in decoder.push(block)]
    pictures += list(decoder.finish())
    assert reader.problems
    assert 3 <= len(pictures) < 9
    assert same(codec, torch.stack(pictures, 1), whole[:, : len(pictures)])


@pytest.mark.parametrize(
    "bad",
    [
        torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
        torch.zeros(3, 8, 8),
        torch.zeros(1, 1, 8, 8),
        torch.zeros(1, 3, 0, 8),
    ],
)
def test_no_pictures_are_refused(codec, bad):
    with pytest.raises(CodesError):
        codec.encode(bad)


@pytest.mark.parametrize(
    "bad",
    [
        torch.zeros(1, 2, 3, 3),
        torch.full((1, 2, 3, 3), 64),
        torch.zeros(1, 9, 3, 3, dtype=torch.long),
        torch.tensor([-1, 3]).view(1, 2, 1, 1),
    ],
)
def test_no_codes_are_refused(codec, bad):
    with pytest.raises(CodesError):
        codec.decode(bad)


def test_wrong_settings_are_refused():
    for changes in ({"group": 3}, {"encoding": EncoderSettings(n_q=9)}, {"starts": (1, 2)}, {"patch": 18}):
        with pytest.raises(ConfigError):
            dataclasses.replace(CONV, **changes)
    with pytest.raises(ConfigError, match="there are"):
        preset("nothing")
    with pytest.raises(CodecError, match="one of"):
        Rate(n_q=3, bpp=0.1)
    with pytest.raises(FormatError):
        TokenFile.from_bytes(b"")


def test_the_published_model():
    """J.O.S.I.E. v4o as published: hidden 512, 8 layers, 16 heads, 32 codebooks of 2048, theta 500000, 12 frames."""
    config = preset("jovio-v4o")
    assert isinstance(config.encoder, VitConfig)
    assert (config.encoder.channels, config.encoder.layers, config.encoder.heads) == (512, 8, 16)
    assert (config.quantizer.levels, config.quantizer.codebook_size) == (32, 2048)
    assert (config.encoder.theta, config.encoder.max_frames) == (500000.0, 12)
    quantizer = ResidualQuantizerConfig(levels=4, codebook_size=16, shared_from=-1)
    small = dataclasses.replace(config, quantizer=quantizer, encoding=EncoderSettings(n_q=2), starts=(1, 2, 3))
    codec = Jovio(small)
    groups = to_groups(scene(32, 32, 3), 2)
    out = codec(groups)
    assert out.groups.shape == groups.shape
    ((out.groups - groups).square().mean() + out.vq_loss).backward()
    grads = [p.grad for n, p in codec.named_parameters() if p.requires_grad]
    assert all(g is not None and g.isfinite().all() for g in grads)


@pytest.mark.parametrize("chunked", [False, True])
def test_positions_tell_all_axes_apart(chunked):
    from josiecodec.vision.vit import rotary_table

    angles = rotary_table(
        tuple(torch.meshgrid(torch.arange(3), torch.arange(4), torch.arange(5), indexing="ij")), 32, 500000.0, chunked
    )
    assert angles.shape == (3, 4, 5, 16)
    flat = angles.reshape(60, 16)
    assert len(torch.unique(flat, dim=0)) == 60
    # A step to the right must turn something by a good part of a circle, which the printed form does not do.
    step = (angles[0, 0, 1] - angles[0, 0, 0]).abs().max()
    assert (step > 0.9) != chunked or (chunked and step < 0.9)
