"""Codes coded with a model's tables: exact, smaller, and safe against any bytes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from kit.audio import RATE, speechlike, tiny_model
from kit.entropy import SIZE, random_patches, random_tables
from kit.processes import run
from kit.vision import CONV, model, scene

from josiecodec import TokenFile
from josiecodec.bitstream.bitpacking import packed_size
from josiecodec.bitstream.container import BLOCK_FRAMES, TokenReader
from josiecodec.bitstream.payload_codings import RANGE_CODED, RANGE_CODED_PATCHES
from josiecodec.bitstream.statistics import code_usage
from josiecodec.entropy.code_tables import (
    FREQUENCY_BITS,
    EntropyTables,
    LevelTable,
    decode_frames,
    decode_patches,
    encode_frames,
    encode_patches,
    frame_bits,
    patch_bits,
)
from josiecodec.entropy.tables_file import read_tables, tables_bytes
from josiecodec.errors import FormatError, ModelError
from josiecodec.fingerprint import TABLES_FILE
from josiecodec.hub.store import load, save
from josiecodec.media.images import save_image
from josiecodec.settings import EncoderSettings, Rate
from josiecodec.training.audio.data import load_recordings
from josiecodec.training.entropy.tables import Observations, audio_tables, fit_level, to_frequencies
from josiecodec.training.entropy.trainer import make_tables
from josiecodec.training.vision.data import Pictures
from josiecodec.vision.grouping import to_groups


def test_ten_thousand_round_trips_are_exact():
    random = np.random.default_rng(0)
    for _ in range(40):
        audio, vision = random_tables(random, 6, True), random_tables(random, 8, False)
        for _ in range(125):
            frames, levels = int(random.integers(1, 12)), int(random.integers(1, 7))
            codes = random.integers(0, SIZE, (frames, levels)).astype(np.uint16)
            data = encode_frames(codes, audio)
            assert np.array_equal(decode_frames(data, frames, levels, audio), codes)
            assert abs(max(frame_bits(codes, audio).sum(), codes.size) / 8 - len(data)) < 2
            modes, counts, codes = random_patches(random, 8)
            data = encode_patches(modes, counts, codes, vision)
            assert np.array_equal(decode_patches(data, modes, counts, vision), codes)
            assert abs(max(patch_bits(modes, counts, codes, vision).sum(), len(codes)) / 8 - len(data)) < 2


def test_the_likeliest_codes_take_a_bit_each():
    """Zeros fill up, so that a short file cannot ask for endless work; anything else behind the codes is an error."""
    within = to_frequencies(np.array([1e9] + [1.0] * (SIZE - 1)))
    tables = EntropyTables([LevelTable(np.zeros(SIZE, np.int64), np.full((1, 1, 1), 1 << FREQUENCY_BITS), within)])
    codes = np.zeros((800, 1), np.uint16)
    data = encode_frames(codes, tables)
    assert len(data) == 100
    assert np.array_equal(decode_frames(data, 800, 1, tables), codes)
    for bad in (data + b"\0", data[:-1] + b"\1", data[:-1]):
        with pytest.raises(FormatError):
            decode_frames(bad, 800, 1, tables)


def test_any_bytes_give_codes_or_an_error():
    random = np.random.default_rng(1)
    audio, vision = random_tables(random, 6, True), random_tables(random, 8, False)
    refused = 0
    for _ in range(2000):
        data = random.bytes(int(random.integers(0, 60)))
        try:
            assert decode_frames(data, 8, 6, audio).max() < SIZE
        except FormatError:
            refused += 1
        modes, counts, _ = random_patches(random, 8)
        try:
            assert decode_patches(data, modes, counts, vision).max(initial=0) < SIZE
        except FormatError:
            refused += 1
    assert 1000 < refused < 4000
    with pytest.raises(FormatError, match="codes in"):
        decode_frames(b"12", 1000, 6, audio)
    with pytest.raises(FormatError, match="codes in"):
        decode_patches(b"", np.zeros((1, 1), np.uint8), np.full((1, 1), 8, np.uint8), vision)


def test_tables_that_do_not_add_up_are_refused(tmp_path):
    classes, given, within = (
        np.zeros(4, np.int64),
        np.full((1, 1, 1), 1 << FREQUENCY_BITS),
        np.full(4, 1 << FREQUENCY_BITS - 2),
    )
    LevelTable(classes, given, within)
    for bad in ((classes + 1, given, within), (classes, given - 1, within), (classes, given, within + 1)):
        with pytest.raises(FormatError):
            LevelTable(*bad)
    (tmp_path / "x").write_bytes(tables_bytes([(classes, given, within)], (0, 3)))
    with pytest.raises(ModelError, match="start"):
        read_tables(tmp_path / "x")
    (tmp_path / "x").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be read"):
        read_tables(tmp_path / "x")


def test_tables_learn_what_follows_on_what():
    """A code that is a function of the one before takes hardly any bits; one that is random takes all of them."""
    random = np.random.default_rng(0)
    classes = np.arange(16)
    for order, least, most in ((True, 0.0, 0.2), (False, 3.9, 4.1)):
        before = random.integers(0, 16, 20000)
        codes = before * 5 % 16 if order else random.integers(0, 16, 20000)
        seen = Observations()
        seen.add(codes, before, np.full(len(codes), -1))
        table = LevelTable(*fit_level(classes, seen, (17, 1)))
        bits = table.class_bits[before, 0, codes].mean() + table.code_bits[codes].mean()
        assert least <= bits < most


@pytest.fixture(scope="module")
def audio_model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("audio") / "model"
    save(tiny_model(), folder)
    codec = load(folder)

    (folder / TABLES_FILE).write_bytes(audio_tables(codec, [_all_levels(codec, s) for s in range(6)]))

    return folder


def _all_levels(codec, seed: int) -> np.ndarray:
    return codec.encode(speechlike(300, seed=seed), codec.n_q)[0].numpy()


def without_tables(folder: Path, target: Path) -> Path:
    """A copy of a model."""
    codec = load(folder)
    codec.tables = None
    return save(codec, target)


def codings(data: bytes) -> list[int | None]:
    """Payload codings of the blocks of a file."""
    with TokenReader(data, codes=False) as reader:
        return [block.coding for block in reader.blocks()]


def test_a_model_with_tables_makes_smaller_files(audio_model, tmp_path):
    codec = load(audio_model)
    plain = without_tables(audio_model, tmp_path / "plain")
    wave = speechlike(200, seed=9)
    data, more = codec.compress(wave[0]), load(plain).compress(wave[0])
    assert set(codings(data)) == {RANGE_CODED}
    assert len(data) < len(more) - 10
    assert torch.equal(codec.decompress(data), load(plain).decompress(more))
    assert codec.fingerprint != load(plain).fingerprint
    with pytest.raises(ModelError, match="give its folder"):
        TokenFile.from_bytes(data)
    file = TokenFile.from_bytes(data, tables=codec.known_tables)
    assert file.to_bytes(codec.known_tables) == data
    assert np.array_equal(file.streams[0].codes, TokenFile.from_bytes(more).streams[0].codes)
    # A cut-off file gives every whole block.
    assert load(save(codec, tmp_path / "copy")).fingerprint == codec.fingerprint
    half = TokenFile.from_bytes(data[: len(data) * 3 // 4], salvage=True, tables=codec.known_tables)
    frames = half.streams[0].codes.shape[1]
    assert frames == BLOCK_FRAMES
    assert np.array_equal(half.streams[0].codes, file.streams[0].codes[:, :frames])


def test_damaged_blocks_are_errors(audio_model):
    codec = load(audio_model)
    data = codec.compress(speechlike(60)[0])
    random = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(data)
        damaged[random.integers(120, len(data))] ^= 1 << random.integers(8)
        with pytest.raises(FormatError):
            TokenFile.from_bytes(bytes(damaged), tables=codec.known_tables)


@pytest.fixture(scope="module")
def vision_model(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("vision")
    codec = model(
        dataclasses.replace(CONV, encoding=EncoderSettings(n_q=4, beams=1, masking=0.0))
    )  # the nearest codes are easier to predict
    with torch.no_grad():
        latents = torch.cat([codec.latent(to_groups(scene(160, 160, seed=s)[:, :, :1], 2)) for s in range(8)])
        codec.rvq.initialise(latents.flatten(0, -2), torch.Generator().manual_seed(0))
    save(codec, root / "model")
    (root / "pictures").mkdir()
    for seed in range(40):
        save_image(scene(160, 160, seed=seed)[0, :, 0], root / "pictures" / f"{seed}.png")
    make_tables(root / "model", Pictures(root / "pictures"))
    return root / "model"


def test_pictures_and_videos_with_tables(vision_model, tmp_path):
    codec = load(vision_model)
    plain = load(without_tables(vision_model, tmp_path / "plain"))
    x = scene(200, 240, 5, seed=50)[0]
    for rate in (Rate(n_q=4), Rate(rd_lambda=0.01)):
        for picture in (x[:, 0], x) if rate.n_q else (x[:, 0],):  # videos at a rate have motion
            data, more = codec.compress(picture, rate=rate), plain.compress(picture, rate=rate)
            assert set(codings(data)) == {RANGE_CODED_PATCHES}
            assert len(data) < len(more)
            if rate.n_q:  # else codes are chosen by what they take
                assert torch.equal(codec.decompress(data), plain.decompress(more))
            assert codec.decompress(data).shape == picture.shape
            (tmp_path / "a.josie").write_bytes(data)
            use = code_usage([tmp_path / "a.josie"], codec.known_tables)
            # What is written beside the codes: modes and counts, heads of blocks.
            assert use.bits.sum() / 8 < len(data) < use.bits.sum() / 8 + 400
    for bpp in (0.08, 0.15):
        size = 8 * len(codec.compress(x[:, 0], rate=Rate(bpp=bpp)))
        assert size / (200 * 240) == pytest.approx(bpp, rel=0.05)


def test_the_command_line(audio_model, tmp_path):
    folder = tmp_path / "model"
    without_tables(audio_model, folder)
    (tmp_path / "sounds").mkdir()
    soundfile.write(tmp_path / "sounds" / "a.wav", speechlike(200)[0, 0].numpy(), RATE)
    assert len(load_recordings(tmp_path / "sounds").segments) == 1
    assert "bytes of tables" in run("train", "entropy", folder, "--data", tmp_path / "sounds")
    source, file = tmp_path / "sounds" / "a.wav", tmp_path / "a.josie"
    run("encode", source, file, "--model", folder)
    assert RANGE_CODED in codings(file.read_bytes())
    used = [json.loads(line) for line in run("eval", "codes", file, "--model", folder, "--json").splitlines()]
    assert all(line["range_coded_bits"] < line["fixed_length_bits"] == 6 for line in used)
    run("decode", file, tmp_path / "b.wav", "--model", folder)
    assert soundfile.info(tmp_path / "b.wav").frames == 200 * 1920
    assert "4 levels" in run("info", file)
    assert "give its folder" in run("trim", file, tmp_path / "c.josie", "--n-q", 2, code=2)
    run("trim", file, tmp_path / "c.josie", "--n-q", 2, "--model", folder)
    tables = load(folder).known_tables
    assert TokenFile.read(tmp_path / "c.josie", tables=tables).streams[0].info.levels == 2
    with TokenReader(tmp_path / "c.josie", codes=False) as reader:
        sizes = [(block.size, packed_size(2 * block.units, 64)) for block in reader.blocks()]
    assert len(sizes) == 200 // BLOCK_FRAMES
    assert all(size < fixed_length for size, fixed_length in sizes)
