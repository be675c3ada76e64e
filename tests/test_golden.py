"""Files of earlier versions: what they hold, what is said about them, and how they sound and look, stays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from kit.processes import run_cli

import josiecodec
from josiecodec import TokenFile
from josiecodec.bitstream.container import TokenReader
from josiecodec.bitstream.motion_payload import MotionRows
from josiecodec.bitstream.patch_payload import PatchRows
from josiecodec.coding.motion_tokens import motion_tokens
from josiecodec.datasets.dataset import TokenDataset

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(path.stem for path in GOLDEN.glob("*.josie"))
WHOLE = [name for name in FILES if "cut_off" not in name]
MOTION = {  # of pictures of videos with motion
    "video_with_motion": ("shown", "step", "uses", "vectors", "codes"),
    "video_with_varied_steps": ("shown", "step", "uses", "vectors", "codes", "offsets"),
    "video_with_tools": ("shown", "step", "uses", "vectors", "codes", "offsets", "tools", "shapes"),
    "video_with_carried_motion": ("shown", "step", "uses", "vectors", "codes", "offsets", "tools", "shapes"),
    "video_with_filter": ("shown", "step", "uses", "vectors", "codes", "offsets", "tools", "shapes"),
    "video_with_stills": ("shown", "step", "uses", "vectors", "codes", "tools"),
}
MADE_BY = {
    "image_uniform": "jovio-16",
    "image_detail": "jovio-16-v2",
    "image_screen": "jovio-16-v2",
    "image_screen_v3": "jovio-16-v3",
    "image_matrix": "jovio-16-v4",
    "image_shapes": "jovio-16-v5",
    "image_dependent": "jovio-16-v6",
    "image_smoothed": "jovio-16-v7",
    "image_smoothed_base": "jovio-16-v7",
    "image_alpha": "jovio-16-v3",
    "image_grey": "jovio-16-v3",
    "image_grey_alpha": "jovio-16-v3",
    "video_with_stills": "jovio-16-v7",
}
SHIPPED = {
    "jodio-24k": "4892de299fa0a003aabc4782f8710be083d28eb92a82577e8a2e3c923043d592",
    "jodio-24k-v2": "ec94e062833aea2fbe6fc6e47632998c06aab309d7b68ecf804b1873ac1715dd",
    "jodio-24k-v4": "e01362991b12b29ae33b36d4d3132258ce4933862b247d5cd3018f9a5979ece1",
    "jodio-24k-v3": "46bcd332df519af284af9e3944812a4b6940de33ff40ea0f4572178ed9604f34",
    "jovio-16-v7": "cc36466947876584b440caeb213e50a3282cedee5c44ef61983bf9ec7da838a0",
    "jovio-16-v6": "2393905560a80a30edddb313cfceb9abfa60c49e6330cc67c32d2b51751da200",
    "jovio-16-v5": "fd34a61351c8d91a74b2b26bb1e95ae5b60398d752c8b131226e6f6bffdca96d",
    "jovio-16-v4": "60b3e6fe6e7cf789fd37fafccbcf213d60f401b918a510a6d06ec45bd852102a",
    "jovio-16-v2": "a19dc90866af48658a10eefa99f181bdf5e728aba20b7936092555ec86ba8469",
    "jovio-16-v3": "5bc699e5b0d5067a99c6f012ae6690830c595a9cd18c4b4cb38485f6e364f2d9",
    "jovio-16": "51a46b949eabf85ff7d2d575039ff7eebc7fc016e5d36499e6b2bf7efb0653be",
}


def expected(name: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return dict(arrays)


def test_there_are_golden_files():
    assert len(FILES) >= 14


@pytest.mark.parametrize("name", FILES)
def test_codes(name):
    want = expected(name)
    found: dict[str, list[np.ndarray]] = {}
    with TokenReader(GOLDEN / f"{name}.josie") as reader:
        for block in reader.blocks(salvage=name not in WHOLE):
            if isinstance(block.codes, MotionRows):
                continue  # see `test_tokens_of_motion`
            if isinstance(block.codes, PatchRows):
                for key in ("modes", "counts", "codes"):
                    found.setdefault(f"{block.stream}.{key}", []).append(getattr(block.codes, key))
            else:
                found.setdefault(f"{block.stream}.codes", []).append(block.codes)
    kept = ("samples", "pixels", *MOTION.get(name, ()))
    assert set(found) == {key for key in want if not key.endswith(kept)}
    for key, parts in found.items():
        np.testing.assert_array_equal(np.concatenate(parts), want[key], err_msg=key)


@pytest.mark.parametrize("name", MOTION)
def test_tokens_of_motion(name):
    want = expected(name)
    codec = josiecodec.load(MADE_BY.get(name, "jovio-16"))
    tokens = list(motion_tokens(codec, (GOLDEN / f"{name}.josie").read_bytes()))
    for key in MOTION[name]:
        found = np.concatenate([np.asarray(getattr(t, key)).reshape(-1) for t in tokens])
        np.testing.assert_array_equal(found, want[f"0.{key}"], err_msg=key)


@pytest.mark.parametrize("name", WHOLE)
def test_written_again_the_blocks_are_the_same_bytes(name):
    data = (GOLDEN / f"{name}.josie").read_bytes()
    again = TokenFile.from_bytes(data).to_bytes()
    if "version_1" not in name:
        assert again == data
    else:  # written as version 2, whose header is shorter
        assert len(again) < len(data)
        assert again[-100:] == data[-100:]


@pytest.mark.parametrize("name", FILES)
def test_info(name):
    salvage = () if name in WHOLE else ("--salvage",)
    done = run_cli("info", "--json", *salvage, GOLDEN / f"{name}.josie")
    said = json.loads(done.stdout)
    said.pop("file")
    assert said == json.loads((GOLDEN / f"{name}.json").read_text())


@pytest.mark.parametrize("name", SHIPPED)
def test_fingerprints_of_the_models_that_ship(name):
    assert josiecodec.load(name).fingerprint == SHIPPED[name]


@pytest.mark.parametrize("name", [n for n in WHOLE if "range_coded" in n])
def test_samples(name):
    codec = josiecodec.load("jodio-24k")
    wave = codec.decompress((GOLDEN / f"{name}.josie").read_bytes()).flatten()
    want = torch.from_numpy(expected(name)["0.samples"].astype(np.float32)) / 32767
    assert len(wave) == len(want)
    assert float((wave - want).abs().max()) < 2e-3


@pytest.mark.parametrize("name", [n for n in WHOLE if "waveform_layer" in n or "by_frame" in n or "gain_2" in n])
def test_samples_of_levels_after_the_base(name):
    """They follow from the decoded base: rounding that differs between machines shows a little more."""
    data = (GOLDEN / f"{name}.josie").read_bytes()
    codec = josiecodec.load(TokenFile.from_bytes(data).streams[0].info.model)
    wave = codec.decompress(data).flatten()
    want = torch.from_numpy(expected(name)["0.samples"].astype(np.float32)) / 32767
    assert len(wave) == len(want)
    assert float((wave - want).square().sum() / want.square().sum()) < 10**-3.5


@pytest.mark.parametrize(
    ("name", "model"), [("audio_stereo_1.5_kbps", "jodio-24k-v3"), ("audio_gain_stereo", "jodio-24k-v4")]
)
def test_samples_of_stereo(name, model):
    data = (GOLDEN / f"{name}.josie").read_bytes()
    wave = josiecodec.load(model).decompress(data)
    want = torch.from_numpy(expected(name)["0.samples"].astype(np.float32)) / 32767
    assert wave.shape == want.shape == (2, 44000)
    assert float((wave - want).square().sum() / want.square().sum()) < 10**-3.5


@pytest.mark.parametrize("name", [n for n in WHOLE if n in MADE_BY or n.startswith(("image_adaptive", "video"))])
def test_pixels(name):
    codec = josiecodec.load(MADE_BY.get(name, "jovio-16"))
    found = codec.decompress((GOLDEN / f"{name}.josie").read_bytes())
    found = found.unsqueeze(0) if found.dim() == 3 else found.transpose(0, 1)
    want = torch.from_numpy(expected(name)["0.pixels"].astype(np.float32)) / 255
    assert found.shape == want.shape
    assert float((found - want).abs().max()) < 1.6 / 255


@pytest.mark.parametrize(
    ("name", "kind", "lengths"), [("dataset_audio", "audio", [19, 13]), ("dataset_images", "vision", [9])]
)
def test_datasets(name, kind, lengths):
    dataset = TokenDataset(GOLDEN / name)
    assert dataset.info.kind == kind
    assert [int(clip.codes.shape[-2]) for clip in (dataset[i] for i in range(len(dataset)))] == lengths
    assert dataset.info.fingerprint == SHIPPED[dataset.info.codec]


def test_times_of_pictures():
    stream = TokenFile.read(GOLDEN / "video_with_times.josie").streams[0]
    times = [0, 0.04, 0.1, 0.12, 0.5, 0.533, 0.9, 1.0, 1.1, 1.4, 1.416, 1.5]
    assert stream.times.tolist() == pytest.approx(times, abs=2e-5)


def test_marks():
    for name in ("audio_marked", "audio_marked_fixed_length"):
        stream = TokenFile.read(GOLDEN / f"{name}.josie").streams[0]
        assert {frame: (m.levels, m.phase) for frame, m in stream.marks.items()} == {100: (9, 3438245959)}
