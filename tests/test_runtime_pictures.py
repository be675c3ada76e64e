"""Still pictures without torch are those of torch."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from kit.vision import scene
from PIL import Image

import josiecodec
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.coding.image import decode_image, encode_image
from josiecodec.coding.motion_codec import video_encoder
from josiecodec.coding.picture_file import read_picture
from josiecodec.coding.tensor_pictures import TensorPictures
from josiecodec.export_pictures import PICTURE_BODIES
from josiecodec.hub.tensor_names import file_name
from josiecodec.media.pixels import load_pixels
from josiecodec.quantization.beam_search import beam_search
from josiecodec.runtime.choose import picture_reason
from josiecodec.runtime.graphs import description
from josiecodec.runtime.model_files import Weights
from josiecodec.runtime.picture_codec import PictureCodec
from josiecodec.settings import Rate
from josiecodec.shipped import available
from josiecodec.vision import tiling
from josiecodec.vision.detail_network import ACTIVATION, LATENT, LEVEL, logarithms
from josiecodec.vision.visual_weights import window_weights
from josiecodec.weight_files import WEIGHTS

NAME = "jovio-16-v7"


@pytest.fixture(scope="module")
def ours() -> josiecodec.Jovio:
    return josiecodec.load(NAME)


@pytest.fixture(scope="module")
def light() -> PictureCodec:
    return PictureCodec(WEIGHTS / NAME, 1)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "a.png"
    pixels = (scene(83, 110)[0, :, 0].permute(1, 2, 0) * 255).round().byte().numpy()
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("rate", [Rate(bpp=0.8), Rate(n_q=3), Rate(rd_lambda=0.2), Rate(bpp=0.08)])
def test_files_and_pixels_are_those_of_torch(ours, light, source, tmp_path, rate):
    for name, codec in (("torch", ours), ("onnx", light)):
        encode_image(codec, source, tmp_path / f"{name}.josie", rate=rate)
        decode_image(codec, tmp_path / "torch.josie", tmp_path / f"{name}.png")
    a, b = ((tmp_path / f"{name}.josie").read_bytes() for name in ("torch", "onnx"))
    same = TokenFile.from_bytes(a).streams[0].codes, TokenFile.from_bytes(b).streams[0].codes
    np.testing.assert_array_equal(same[0].counts, same[1].counts)
    assert (same[0].codes != same[1].codes).sum() <= 0.01 * len(same[0].codes)  # there may be none
    assert abs(len(a) - len(b)) <= 4
    first, second = (np.asarray(Image.open(tmp_path / f"{name}.png")).astype(int) for name in ("torch", "onnx"))
    assert np.abs(first - second).max() <= 1
    assert (first != second).mean() < 1e-3


def test_whole_latents_are_equal_to_the_last_bit(ours, light):
    codes = np.random.default_rng(0).integers(-1, 2048, (400, 32))
    codes = np.where((codes < 0).cumsum(1) > 0, -1, codes)
    want = ours.whole_latents(torch.from_numpy(codes)).numpy()
    np.testing.assert_array_equal(light.stack.sums(codes, LATENT).astype(np.int64), want)


def test_scales_of_the_detail_are_equal(ours, light):
    for name in ("decisions", "chances", "mixing", "matrix", "strength"):
        np.testing.assert_array_equal(light.detail.numbers(name), ours.detail.numbers(name))
    assert all(np.array_equal(a, b) for a, b in zip(light.detail.passes, ours.detail.passes, strict=True))
    assert light.detail.margin == ours.detail.margin


def test_search_finds_what_torch_finds(ours, light):
    x = 2 * torch.randn(150, 96, generator=torch.Generator().manual_seed(0))
    costs = [torch.from_numpy(ours.tables.typical_bits(k) - 11).float() for k in range(32)]
    each = torch.full((150,), 0.03)
    for beams in (1, 4, 16):
        want = beam_search(ours.rvq, x, 9, beams, 0, -1.0, costs, each)
        found = light.stack.search(x.numpy(), 9, beams, None, [c.numpy() for c in costs], each.numpy())
        np.testing.assert_allclose(found.errors, want.errors.numpy(), rtol=1e-4)
        counts = np.arange(150) % 10
        assert (found.path(counts) == want.path(torch.from_numpy(counts)).numpy()).mean() > 0.999


def test_tiles_and_bands_make_no_difference(light, monkeypatch):
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 5, (9, 7)).astype(np.uint8)
    rows = josiecodec.bitstream.patch_payload.PatchRows(
        np.zeros_like(counts), counts, rng.integers(0, 2048, int(counts.sum())).astype(np.uint16)
    )
    whole = light.base(rows)
    monkeypatch.setattr(tiling, "TILE", 3)
    np.testing.assert_allclose(light.base(rows), whole, atol=2e-5)
    np.testing.assert_allclose(light.base_rows(rows).rows(2, 6), whole[:, :, 32:96], atol=2e-5)


def test_weights_of_windows_are_those_of_torch(ours, light, source):
    x = np.pad(load_pixels(source).rgb, ((0, 0), (0, 13), (0, 2)), "edge")[None]
    found, want = light.window_weights(x), window_weights(torch.from_numpy(x))
    np.testing.assert_allclose(found, want, rtol=0.03)  # where nothing varies, a difference of rounded numbers
    pixels = np.random.default_rng(0).standard_normal((1, 3, 32, 48)).astype(np.float32)
    np.testing.assert_allclose(light.coefficients(pixels), TensorPictures(ours).coefficients(pixels), atol=1e-5)


def test_previews(ours, light, source, tmp_path):
    encode_image(ours, source, tmp_path / "a.josie", rate=Rate(bpp=0.8))
    for size in (20, 50, 100):
        found = []
        for name, codec in (("torch", ours), ("onnx", light)):
            decode_image(codec, tmp_path / "a.josie", tmp_path / f"{name}.png", size=size)
            found.append(np.asarray(Image.open(tmp_path / f"{name}.png")).astype(int))
        assert np.abs(found[0] - found[1]).max() <= 1


@pytest.mark.parametrize("name", [n for n in available() if n.startswith("jovio")])
def test_all_shipped_models_are_covered(name):
    assert picture_reason(WEIGHTS / name) is None


@pytest.mark.parametrize("name", list(PICTURE_BODIES))
def test_graphs_name_the_weights_of_the_networks(ours, name):
    parameters = {full for full, _ in PICTURE_BODIES[name](ours).named_parameters()}
    described = description(name)["weights"]
    assert set(described) <= parameters
    assert all(short == file_name(full.removeprefix("codec.")) for full, (short, _) in described.items())


def test_other_networks_are_left_to_torch(tmp_path, light):
    folder = tmp_path / "m"
    folder.mkdir()
    config = json.loads((WEIGHTS / NAME / "config.json").read_text())
    config["config"]["decoder"]["blocks"] = 8
    (folder / "config.json").write_text(json.dumps(config))
    assert "only torch runs" in picture_reason(folder)
    assert Weights(WEIGHTS / NAME)["detail.matrix"].dtype == np.int32
    assert light.settings == replace(light.settings)


def test_torch_is_not_imported(source, tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from josiecodec_cli.models import Models\n"
        "from josiecodec.coding.image import decode_image, encode_image\n"
        "from josiecodec.settings import Rate\n"
        "codec = Models((), 'cpu', 1, 'onnx').to_encode_picture()\n"
        "encode_image(codec, sys.argv[1], sys.argv[2], rate=Rate(bpp=0.8))\n"
        "decode_image(codec, sys.argv[2], sys.argv[3], size=64)\n"
    )
    made = [source, tmp_path / "a.josie", tmp_path / "a.png"]
    subprocess.run([sys.executable, "-c", code, *map(str, made)], check=True)
    with josiecodec.bitstream.container.TokenReader(made[1]) as reader:
        assert read_picture(josiecodec.load(NAME), reader).rgb.shape == (3, 83, 110)


def test_logarithms_are_exact():
    one = 2 * ACTIVATION * (LEVEL.bit_length() - 1)
    some = [0, 1, 2, 3, 16, 48, 112, 1000, 4080, 32752, 65519, 65535]
    want = [((LEVEL + n) ** (2 * ACTIVATION)).bit_length() - one for n in some]
    np.testing.assert_array_equal(logarithms()[some], np.array(want) // 2)


def test_videos_are_those_of_torch_but_for_how_bases_of_key_pictures_are_rounded(ours, light, monkeypatch):
    film = [np.roll(scene(50, 70)[0, :, 0].numpy(), 2 * n, 2) for n in range(9)]
    monkeypatch.setattr(light, "key_picture", ours.key_picture)
    made = []
    for codec in (ours, light):
        encoder = video_encoder(codec, Rate(kbps=150), (50, 70), Fraction(10), stills=False)
        parts = [part for picture in film for part in encoder.add(picture)] + [*encoder.finish()]
        made.append([picture.to_bytes() for part in parts for picture in part.pictures])
    assert len(made[0]) == 9
    assert made[0] == made[1]
