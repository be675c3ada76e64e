"""Alpha of pictures: its bytes, files, damage, and what becomes of it in other formats."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import random
import struct
import tracemalloc
import zlib
from fractions import Fraction

import numpy as np
import pytest
import torch
from kit.processes import run_cli
from kit.vision import CONV, model, scene
from PIL import Image

import josiecodec
from josiecodec.bitstream.alpha_payload import DIFFERENCES, MAX_ALPHA, PLAIN, VALUES, pack_alpha, unpack_alpha
from josiecodec.bitstream.container import TokenReader, TokenWriter
from josiecodec.bitstream.header import AlphaInfo, VisionInfo, read_header, write_header
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.bitstream.scan import summarise, trim_file
from josiecodec.coding.alpha import with_smooth_colors
from josiecodec.coding.image import decode_image, encode_image
from josiecodec.coding.picture_file import read_picture
from josiecodec.errors import CodecError, CodesError, FormatError
from josiecodec.media.images import Picture, load_image, load_picture, save_picture

SIZE = 50, 70


@pytest.fixture(scope="module")
def codec():
    return model(CONV)


def disc(height: int, width: int, soft: float = 1.0) -> np.ndarray:
    """A disc with an edge that is so many pixels soft: uint8 [H, W]."""
    y, x = np.mgrid[:height, :width]
    away = np.hypot(y - height / 2, x - width / 2) - min(height, width) / 3
    return np.rint(255 * np.clip(0.5 - away / soft, 0, 1)).astype(np.uint8)


def picture(height: int = SIZE[0], width: int = SIZE[1], soft: float = 3.0) -> Picture:
    return Picture(scene(height, width)[0, :, 0], torch.from_numpy(disc(height, width, soft)))


def compressed(codec, soft: float = 3.0, **rate) -> bytes:
    there = picture(soft=soft)
    return codec.compress(there.rgb, alpha=there.alpha, **rate)


@pytest.mark.parametrize(
    "alpha",
    [
        np.full((1, 1), 255, np.uint8),
        np.full((30, 5), 7, np.uint8),
        disc(40, 60, 0.1),
        disc(40, 60, 30.0),
        np.add.outer(np.arange(40), np.arange(90)).astype(np.uint8),
        np.random.default_rng(0).integers(0, 256, (30, 40)).astype(np.uint8),
        np.random.default_rng(0).integers(0, 256, (1, 300)).astype(np.uint8),
        np.random.default_rng(0).integers(0, 2, (300, 1)).astype(np.uint8) * 255,
    ],
)
def test_alpha_comes_back(alpha):
    data = pack_alpha(alpha)
    np.testing.assert_array_equal(unpack_alpha(data, *alpha.shape), alpha)
    assert len(data) <= 1 + alpha.size


def test_each_kind_of_alpha_has_its_coding():
    slope = (np.add.outer(np.arange(64) * 3, np.arange(64) * 2) % 251).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    assert [pack_alpha(a)[0] for a in (disc(64, 64), slope, noise)] == [VALUES, DIFFERENCES, PLAIN]


def test_masks_cost_next_to_nothing():
    mask = np.where(disc(384, 512) > 127, 255, 0).astype(np.uint8)
    assert len(pack_alpha(mask)) < 500
    assert len(pack_alpha(np.zeros((384, 512), np.uint8))) < 10


@pytest.mark.parametrize("data", [b"", b"\3", b"\2abc", bytes([0, 255]) + b"\xff" * 40, bytes([1, 3]) + b"a" * 99])
def test_bytes_that_are_no_alpha(data):
    with pytest.raises(FormatError):
        unpack_alpha(data, 9, 9)
    with pytest.raises(FormatError):
        unpack_alpha(data, 2, MAX_ALPHA)


def test_files_with_alpha(codec, tmp_path):
    there = picture()
    save_picture(there, tmp_path / "a.png")
    done = encode_image(codec, tmp_path / "a.png", tmp_path / "a.josie", 4)
    assert done.size == (tmp_path / "a.josie").stat().st_size
    decode_image(codec, tmp_path / "a.josie", tmp_path / "b.png")
    back = load_picture(tmp_path / "b.png")
    assert torch.equal(back.alpha, there.alpha)
    seen = there.alpha > 0
    assert float((back.rgb - there.rgb)[:, seen].square().mean()) < 0.02
    vision, alpha = summarise(tmp_path / "a.josie")[0]
    assert (vision.alpha_bytes, alpha.units, alpha.info) == (0, SIZE[0], AlphaInfo.of(vision.info))
    assert 0 < alpha.alpha_bytes < 400


def test_opaque_pictures_have_files_as_before(codec):
    colors = scene(*SIZE)[0, :, 0]
    opaque = torch.full(SIZE, 255, dtype=torch.uint8)
    assert codec.compress(colors, 3, alpha=opaque) == codec.compress(colors, 3)
    assert codec.compress(colors, 3)[6] == 2


def test_what_is_not_seen_costs_nothing(codec):
    there = picture(soft=0.1)
    noise = torch.where(there.alpha > 0, there.rgb, torch.rand(there.rgb.shape))
    assert codec.compress(noise, bpp=0.5, alpha=there.alpha) == codec.compress(there.rgb, bpp=0.5, alpha=there.alpha)
    hidden = torch.zeros(SIZE, dtype=torch.uint8)
    assert len(codec.compress(noise, rate=josiecodec.Rate(rd_lambda=0.02), alpha=hidden)) < 160


def test_colors_go_on_smoothly_where_nothing_is_seen():
    there = picture(90, 71, 0.1)
    filled = torch.from_numpy(with_smooth_colors(there.rgb.numpy(), there.alpha.numpy()))
    seen = there.alpha > 0
    assert torch.equal(filled[:, seen], there.rgb[:, seen])
    assert bool(((filled >= 0) & (filled <= 1)).all())
    assert float(filled.diff(dim=-1)[:, :20].abs().max()) < 0.1  # above the disc


def test_the_rate_counts_alpha(codec):
    data = compressed(codec, bpp=1.0)
    assert abs(8 * len(data) / (SIZE[0] * SIZE[1]) - 1) < 0.15  # alpha alone takes more than half of it


def test_colors_get_a_share_of_a_rate_that_alpha_exceeds(codec):
    noise = torch.randint(0, 256, SIZE, dtype=torch.uint8)
    file = TokenFile.from_bytes(codec.compress(scene(*SIZE)[0, :, 0], bpp=4.0, alpha=noise))
    assert file.streams[0].codes.counts.sum() > 20


def test_decompress(codec):
    data = compressed(codec, n_q=4)
    whole = codec.decompress_picture(data)
    assert torch.equal(whole.alpha, picture().alpha)
    with pytest.warns(UserWarning, match="put on white"):
        flat = codec.decompress(data)
    assert torch.equal(flat, whole.on_white())
    assert bool((flat[:, whole.alpha == 0] == 1).all())
    assert codec.decompress_picture(codec.compress(scene(*SIZE)[0, :, 0], 2)).alpha is None


def test_alpha_of_wrong_shape(codec):
    for alpha in (torch.zeros(3, 3, dtype=torch.uint8), torch.zeros(SIZE)):
        with pytest.raises(CodesError, match="alpha must be uint8"):
            codec.compress(scene(*SIZE)[0, :, 0], 2, alpha=alpha)
    with pytest.raises(CodesError, match="images"):
        codec.compress(scene(*SIZE, 3)[0], 2, alpha=torch.zeros(SIZE, dtype=torch.uint8))


def test_token_files_keep_alpha(codec, tmp_path):
    data = compressed(codec, n_q=4)
    file = TokenFile.from_bytes(data)
    assert repr(file.streams[1]) == "TokenStream(alpha, 70 x 50)"
    assert file.to_bytes() == data
    (tmp_path / "a.josie").write_bytes(data)
    trim_file(tmp_path / "a.josie", tmp_path / "b.josie", 2)
    less = (tmp_path / "b.josie").read_bytes()
    assert less == file.trimmed(2).to_bytes()
    assert len(less) < len(data)
    assert torch.equal(codec.decompress_picture(less).alpha, picture().alpha)


def test_readers_of_earlier_versions_refuse_it(codec):
    data = compressed(codec, n_q=2)
    assert data[6] == 4
    streams, size = read_header(data)
    assert write_header(streams) == data[:size]
    for version in (2, 3):  # such files are not in order in these
        head = bytearray(data[: size - 4])
        head[6] = version
        with pytest.raises(FormatError):
            read_header(bytes(head) + struct.pack("<I", zlib.crc32(head)))


def info(**other) -> VisionInfo:
    values = {"width": 70, "height": 50, "rate": Fraction(0), "patch": 16, "group": 1}
    return VisionInfo("m", "0" * 16, 2, 64, 1, **{**values, **other})


def test_alpha_follows_an_image():
    image = info()
    for streams in (
        [AlphaInfo.of(image)],
        [AlphaInfo.of(image), image],
        [image, AlphaInfo.of(image), AlphaInfo.of(image)],
        [image, dataclasses.replace(AlphaInfo.of(image), width=71)],
        [info(rate=Fraction(25)), AlphaInfo.of(image)],
    ):
        with pytest.raises(FormatError):
            write_header(streams)


def damaged(data: bytes, rows: int) -> bytes:
    """A file of which the second of its blocks of alpha, of so many rows each, has a wrong bit."""
    file, out = TokenFile.from_bytes(data), io.BytesIO()
    with TokenWriter(out, [s.info for s in file.streams]) as writer:
        for first in range(0, SIZE[0], rows):
            if first == rows:
                begin = writer.size
            writer.add_alpha(1, file.streams[1].codes[first : first + rows])
        writer.add_rows(0, file.streams[0].codes)
    broken = bytearray(out.getvalue())
    broken[begin + 8] ^= 1
    return bytes(broken)


def test_damaged_alpha_is_an_error_or_opaque(codec):
    data = compressed(codec, n_q=2)
    broken = damaged(data, 20)
    with pytest.raises(FormatError), TokenReader(broken) as reader:
        read_picture(codec, reader)
    with TokenReader(broken) as reader:
        found = read_picture(codec, reader, salvage=True)
        assert any("rows 20 to 39 of alpha are missing, and opaque now" in text for text in reader.problems)
    assert bool((found.alpha[20:40] == 255).all())
    np.testing.assert_array_equal(found.alpha[:20], picture().alpha[:20])
    np.testing.assert_array_equal(found.alpha[40:], picture().alpha[40:])
    np.testing.assert_array_equal(found.rgb, codec.decompress_picture(data).rgb)


def test_hostile_files_give_typed_errors_and_little_memory(codec):
    data, random_ = compressed(codec, n_q=2), random.Random(0)
    header = read_header(data)[1]
    tracemalloc.start()
    for number in range(40):
        broken = bytearray(data)
        for _ in range(random_.randint(1, 3)):
            broken[random_.randrange(header, len(broken))] = random_.randrange(256)
        begin = header
        size = (
            6 + broken[begin + 4]
            if broken[begin + 4] < 128
            else 7 + (broken[begin + 4] & 127) + 128 * broken[begin + 5]
        )
        end = min(begin - 1 + size, len(broken) - 4)
        broken[end : end + 4] = struct.pack("<I", zlib.crc32(broken[begin:end]))  # a checksum that is right
        with contextlib.suppress(CodecError):
            TokenFile.from_bytes(bytes(broken), salvage=number % 2 == 0)
    assert tracemalloc.get_traced_memory()[1] < 60e6
    tracemalloc.stop()


def palette_png(path) -> None:
    indexes = np.tile(np.arange(4, dtype=np.uint8), (50, 16))
    image = Image.fromarray(indexes)
    image = image.convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    image.save(path, transparency=bytes([0, 100, 200, 255]))


def rgba() -> Image.Image:
    pixels = (scene(*SIZE)[0, :, 0].permute(1, 2, 0) * 255).round().byte().numpy()
    return Image.fromarray(np.dstack([pixels, disc(*SIZE, 20.0)]))


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.avif", "a.tif", "la.png", "p.png"])
def test_alpha_is_read_and_written(name, tmp_path):
    path = tmp_path / name
    if name == "p.png":
        palette_png(path)
        want = np.tile(np.array([0, 100, 200, 255], np.uint8), (50, 16))
    else:
        image = rgba()
        image = image.convert("LA") if name == "la.png" else image
        image.save(path, **({"lossless": True} if name == "a.webp" else {"quality": 100} if name == "a.avif" else {}))
        want = disc(*SIZE, 20.0)
    found = load_picture(path)
    np.testing.assert_array_equal(found.alpha.numpy(), want)
    assert found.grey == (name == "la.png")
    save_picture(found, tmp_path / f"again{path.suffix}")
    again = Image.open(tmp_path / f"again{path.suffix}")
    assert again.mode == ("LA" if found.grey else "RGBA")
    np.testing.assert_array_equal(np.asarray(again.getchannel("A")), want)
    with pytest.warns(UserWarning, match="put on white"):
        assert torch.equal(load_image(path), found.on_white())


def test_formats_without_alpha_show_white(tmp_path):
    with pytest.warns(UserWarning, match="put on white, which JPEG cannot keep"):
        save_picture(picture(soft=0.1), tmp_path / "a.jpg")
    assert np.asarray(Image.open(tmp_path / "a.jpg"))[0, 0].min() > 250


def test_the_command_line_keeps_alpha(tmp_path):
    rgba().save(tmp_path / "a.png")
    run_cli("encode", tmp_path / "a.png", "--n-q", 2)
    assert "  alpha: " in run_cli("info", tmp_path / "a.josie").stdout
    run_cli("decode", tmp_path / "a.josie", tmp_path / "b.webp")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "b.webp"))[..., 3], disc(*SIZE, 20.0))
    assert "put on white" in run_cli("decode", tmp_path / "a.josie", tmp_path / "b.jpg").stderr
