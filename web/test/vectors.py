"""What the tests of the page compare with: codes and samples of golden files, and of a recording made here.

    python test/vectors.py FOLDER

Needs josiecodec; everything is written anew each time.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr

import josiecodec
from josiecodec.bitstream.container import TokenReader
from josiecodec.page_files import MODELS, Page
from josiecodec.runtime.audio_codec import AudioCodec
from josiecodec.runtime.picture_codec import PictureCodec
from josiecodec.settings import Rate
from josiecodec.shipped import WEIGHTS
from josiecodec_cli.models import Models

GOLDEN = Path(__file__).parents[2] / "tests" / "golden"
SAMPLE = Path(josiecodec.__file__).parent / "samples" / "speech.flac"


def golden(folder: Path) -> None:
    """Each golden file of sound or of a picture with its codes (u16 [frames, levels] of sound) and, where there are
    some, its samples (i16) or pixels (u8 [H, W, 3])."""
    listed = []
    for path in sorted(path for kind in ("audio", "image") for path in GOLDEN.glob(f"{kind}_*.josie")):
        shutil.copy(path, folder)
        with np.load(path.with_suffix(".npz")) as arrays:
            entry: dict[str, object] = {"name": path.stem, "streams": []}
            for key, values in arrays.items():
                kind = np.uint16 if key.endswith("codes") else np.int16 if key.endswith("samples") else np.uint8
                values = values[0].transpose(1, 2, 0) if key.endswith("pixels") else values
                np.ascontiguousarray(values, kind).tofile(folder / f"{path.stem}.{key}.bin")
                entry["streams"].append({"key": key, "shape": list(values.shape)})  # type: ignore[attr-defined]
        listed.append(entry)
    others = [path for path in GOLDEN.glob("*.josie") if not path.stem.startswith("audio_")]
    for path in others:
        shutil.copy(path, folder)
        shutil.copy(path.with_suffix(".json"), folder)
    (folder / "others.json").write_text(json.dumps(sorted(path.stem for path in others)))
    (folder / "golden.json").write_text(json.dumps(listed))


def models(folder: Path) -> None:
    """The models as the page loads them."""
    with tempfile.TemporaryDirectory() as built:
        (Path(built) / "index.html").touch()
        page = Page(Path(built), Models.DEFAULTS)
        for name in page.names():
            if name.startswith(MODELS):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(page.read(name))


def recording(folder: Path) -> None:
    """A recording at 24 kHz of ten seconds, the file that the command line makes of it, its codes and its samples."""
    from josiecodec.coding.audio import decode_file, encode_file

    wave, rate = soundfile.read(SAMPLE, dtype="float32", always_2d=True)
    assert rate == 24000
    wave = np.tile(wave[:, 0], 1 + 240000 // len(wave))[:240000]
    soundfile.write(folder / "ten.wav", wave, rate, "PCM_16")
    codec = AudioCodec(WEIGHTS / "jodio-24k-v4", 1)
    encode_file(codec, folder / "ten.wav", folder / "ten.josie")
    decode_file(codec, folder / "ten.josie", folder / "ten_decoded.wav")
    with TokenReader(folder / "ten.josie") as reader:
        codes = np.concatenate([block.codes for block in reader.blocks()])
    codes.astype(np.uint16).tofile(folder / "ten.codes.bin")


def other_rates(folder: Path) -> None:
    """Three seconds at other rates, in other forms of WAV, with the codes of the command line."""
    from josiecodec.coding.audio import encode_file

    wave, rate = soundfile.read(SAMPLE, dtype="float32")
    codec = AudioCodec(WEIGHTS / "jodio-24k-v4", 1)
    for target, form, channels in (
        (8000, "PCM_U8", 1),
        (16000, "FLOAT", 1),
        (44100, "PCM_16", 1),
        (48000, "PCM_24", 2),
    ):
        samples = soxr.resample(wave[: 3 * rate], rate, target)
        path = folder / f"rate_{target}.wav"
        soundfile.write(path, np.stack([samples, 0.5 * samples], 1)[:, :channels], target, form)
        encode_file(codec, path, path.with_suffix(".josie"))


def levels(folder: Path) -> None:
    """Three seconds, quiet and loud, with the files of the command line, which have a gain."""
    from josiecodec.coding.audio import encode_file

    wave, rate = soundfile.read(SAMPLE, dtype="float32")
    codec = AudioCodec(WEIGHTS / "jodio-24k-v4", 1)
    for name, gain, count in (("quiet", 0.01, 72000), ("loud", 6.0, 72000), ("short", 0.01, 5000)):
        path = folder / f"level_{name}.wav"
        soundfile.write(path, np.clip(gain * wave[rate : rate + count], -1, 1), rate, "PCM_16")
        encode_file(codec, path, path.with_suffix(".josie"))


def pictures(folder: Path) -> None:
    """Pictures as bytes [H, W, 4], and the files that the command line makes of them at the lambdas of steps."""
    from PIL import Image

    from josiecodec.coding.image import encode_image

    random = np.random.default_rng(5)
    height, width = 150, 200
    waves = sum(
        np.asarray(
            Image.fromarray(random.normal(0, 1, (size, size, 3)).mean(2)).resize(
                (width, height), Image.Resampling.BICUBIC
            )
        )[..., None]
        * np.array([1.0, 0.8, 0.6])
        * 400
        / size
        for size in (3, 6, 12, 40, 120)
    )
    picture = np.clip(120 + waves, 0, 255)
    y, x = np.mgrid[:height, :width]
    picture[np.hypot(y - 60, x - 80) < 40] *= (1.0, 0.4, 0.2)
    alpha = np.clip(4 * (90 - np.hypot(y - 75, x - 100)), 0, 255)
    grey = picture.mean(2, keepdims=True).repeat(3, 2)
    codec = PictureCodec(WEIGHTS / Models.DEFAULTS["vision"], 1)
    listed = []
    for name, pixels, form, steps in (
        ("photo", picture, "RGB", (40, 76, 100)),
        ("grey", grey, "RGB", (64,)),
        ("seen", np.concatenate([picture, alpha[..., None]], 2), "RGBA", (88,)),
    ):
        made = Image.fromarray(pixels.astype(np.uint8), form)
        made.convert("RGBA").save(folder / f"{name}.png")
        (folder / f"{name}.rgba").write_bytes(made.convert("RGBA").tobytes())
        made.save(folder / "source.png")
        for step in steps:
            target = folder / f"{name}_{step}.josie"
            rate = Rate(rd_lambda=4 * 2 ** (step / 24) * 0.03 / 75)
            encode_image(codec, folder / "source.png", target, rate=rate)
            listed.append({"name": name, "step": step, "width": width, "height": height})
    (folder / "pictures.json").write_text(json.dumps(listed))


def main() -> None:
    """Write everything."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    golden(folder)
    models(folder)
    recording(folder)
    other_rates(folder)
    levels(folder)
    pictures(folder)


if __name__ == "__main__":
    main()
