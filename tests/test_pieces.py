"""Pieces of recordings: read through the index, decoded to the samples that the whole gives."""

from __future__ import annotations

import io
import math
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from kit.audio import RATE, layered_model, speechlike, tiny_model
from kit.processes import run

import josiecodec
from josiecodec.audio.resume import WARM_UP, EnteredStream, phase_of, run_up
from josiecodec.bitstream.container import TokenReader, TokenWriter
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.bitstream.marks import Mark
from josiecodec.coding import audio_piece
from josiecodec.coding.audio import decode_file, encode_file
from josiecodec.coding.audio_piece import AudioPiece
from josiecodec.coding.audio_stereo import encode_stereo
from josiecodec.coding.sample_decoder import SampleDecoder
from josiecodec.coding.stretch import PastTheEnd, Stretch
from josiecodec.errors import CodecError, FormatError
from josiecodec.nn.streaming import State
from josiecodec_cli.main import cli

FRAMES = 620
LENGTH = FRAMES * 1920 - 500


class Counting(io.BytesIO):
    """A file in memory that counts what is read of it."""

    def __init__(self, data: bytes):
        super().__init__(data)
        self.taken = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    x = speechlike(FRAMES)[0, 0, :LENGTH]
    soundfile.write(path, torch.stack([x, 0.3 * x], 1).numpy(), RATE)
    return path


@pytest.fixture(scope="module")
def layered(talk, tmp_path_factory):
    """A model with all layers, and a file of it that has a mark."""
    model, path = layered_model(), tmp_path_factory.mktemp("layered") / "talk.josie"
    encode_file(model, talk, path, model.n_q)
    return model, path, model.decompress(path.read_bytes())


def test_a_piece_is_the_samples_of_the_whole(layered, monkeypatch):
    model, path, whole = layered
    assert [f for s in TokenFile.read(path).streams for f in s.marks] == [500]
    monkeypatch.setattr(audio_piece, "NEAR", 1.0)
    for start, seconds in ((0.0, 0.7), (12.34, 1.0), (42.6, 2.5), (47.0, None)):
        begin = round(start * RATE)
        end = None if seconds is None else begin + round(seconds * RATE)
        piece = model.decode_piece(path, start, seconds)
        assert torch.equal(piece, whole[:, begin:end]), start
    assert torch.equal(model.decode_piece(path.read_bytes(), 49.0, 100.0), whole[:, 49 * RATE :])
    fewer = model.decompress(path.read_bytes(), 3)
    assert model.decode_piece(path, 44.0, 1.0, n_q=3).shape == fewer[:, 44 * RATE : 45 * RATE].shape, "no mark for it"


def test_without_a_mark_only_the_phase_is_another():
    model = tiny_model()
    codes = torch.randint(0, 64, (1, model.n_q, 120), generator=torch.Generator().manual_seed(0))
    state = State()
    before = model.decode_frames(codes[..., :80], state)
    whole = torch.cat([before, model.decode_frames(codes[..., 80:], state)], -1)
    counted = State()
    model.decode_frames(codes[..., :80], counted)
    first = 80 - run_up(model)
    for phase, same in ((phase_of(model, counted), True), (phase_of(model, counted) ^ 1 << 30, False)):
        stream = EnteredStream(model, first, 80, (80, phase))
        piece = torch.cat([stream.decode(codes[..., first:90]), stream.decode(codes[..., 90:]), stream.finish()], -1)
        skipped, begun = (run_up(model) + 2) * 1920, 82 * 1920
        assert torch.equal(piece[..., skipped:], whole[..., begun:]) == same


@pytest.mark.parametrize("kind", ["seanet", "mimi"])
def test_decoders_that_count_nothing_are_exact_after_a_run_up(kind, talk, tmp_path, monkeypatch):
    monkeypatch.setattr(audio_piece, "NEAR", 1.0)
    model = tiny_model(kind)
    x = speechlike(130)
    (tmp_path / "x.josie").write_bytes(model.compress(x[0]))
    whole = model.decompress((tmp_path / "x.josie").read_bytes())
    piece = model.decode_piece(tmp_path / "x.josie", 8.0, 1.5)
    assert piece.shape == (1, 36000)
    assert float((piece - whole[:, 8 * RATE : 8 * RATE + 36000]).abs().max()) < 1e-5  # positions are counted


def test_stereo_and_other_sample_rates(talk, tmp_path, monkeypatch):
    monkeypatch.setattr(audio_piece, "NEAR", 1.0)
    model, path = layered_model(), tmp_path / "talk.josie"
    encode_stereo(model, talk, path, model.n_q)
    whole = model.decompress(path.read_bytes())
    assert len(whole) == 2
    piece = model.decode_piece(path, 42.5, 2.0)
    assert float((piece - whole[:, round(42.5 * RATE) :][:, : 2 * RATE]).abs().max()) < 1e-6
    assert torch.equal(
        model.decode_piece(path, 42.5, 2.0, mono=True),
        model.decompress(path.read_bytes(), mono=True)[:, 1020000:1068000],
    )
    decode_file(model, path, tmp_path / "whole.wav", sample_rate=44100)
    done = decode_file(model, path, tmp_path / "piece.wav", sample_rate=44100, stretch=Stretch(42.5, 2.0))
    assert done.seconds == pytest.approx(2.0)
    all_of_it, part = (soundfile.read(tmp_path / f"{name}.wav")[0] for name in ("whole", "piece"))
    begin = round(42.5 * 44100)
    assert part.shape == (88200, 2)
    assert np.abs(part - all_of_it[begin : begin + 88200]).max() < 2e-4


def test_what_is_read_follows_the_piece(layered, monkeypatch):
    model, path, _ = layered
    file = TokenFile.read(path)
    codes, size = np.tile(file.streams[0].codes[:, :600], 20), 600 * 1920
    out = io.BytesIO()
    writer = TokenWriter(out, [file.streams[0].info.with_length(20 * size)])
    writer.add(0, codes.T)
    writer.close()
    source = Counting(out.getvalue())
    model.decode_piece(source, 300.0, 1.0, n_q=2)
    assert source.taken < 20_000 < len(out.getvalue()) / 5


def test_files_without_an_index(layered, tmp_path):
    model, path, whole = layered
    data = path.read_bytes()
    reader = TokenReader(data[:-100])
    piece = AudioPiece(model, reader, 0, Stretch(5.0, 1.0))
    found = np.concatenate(list(piece.samples()), 1)
    assert np.array_equal(found, whole[:, 5 * RATE : 6 * RATE].numpy())
    assert "gone through" in reader.problems[-1]
    with pytest.raises(FormatError, match="holds"):
        model.decode_piece(data[:-1500], 49.0, 0.4)

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    assert torch.equal(model.decode_piece(Pipe(data), 5.0, 1.0), whole[:, 5 * RATE : 6 * RATE])


def test_damage_elsewhere_does_not_matter(layered):
    model, path, whole = layered
    data = bytearray(path.read_bytes())
    place = [*TokenReader(bytes(data)).index().places(0, 0, math.inf)][2]
    data[place.position + 40] ^= 255
    assert torch.equal(model.decode_piece(bytes(data), 2.0, 1.0), whole[:, 2 * RATE : 3 * RATE])
    with pytest.raises(FormatError, match="checksum"):
        model.decode_piece(bytes(data), 17.0, 1.0)
    assert model.decode_piece(bytes(data), 17.0, 1.0, salvage=True).shape == (1, RATE)


def test_the_index_is_where_the_blocks_are(layered):
    _, path, _ = layered
    with TokenReader(path) as reader:
        index = reader.index()
        places = list(index.places(0, 0, math.inf))
        blocks = list(reader.blocks_at(places))
    with TokenReader(path) as reader:
        for block, other in zip(reader.blocks(), blocks, strict=True):
            assert block.first == other.first
            assert np.array_equal(block.codes, other.codes)
    assert index.units(0) == FRAMES
    assert [p.first for p in index.places(0, 250, 301)] == [200, 300]
    assert [p.first for p in index.back_from(0, 250)] == [200, 100, 0]
    assert list(index.places(1, 0, 5)) == list(index.back_from(1, 5)) == []


def test_hostile_end_records(layered):
    """Any bytes at the end: an index that agrees with the file, or none; never anything else."""
    _, path, _ = layered
    data = path.read_bytes()
    length = struct.unpack("<I", data[-8:-4])[0]
    random = np.random.default_rng(0)
    for n in range(2000):
        body = bytearray(data[-length:-12])
        for _ in range(random.integers(1, 4)):
            body[random.integers(1, len(body))] = random.integers(256)
        record = bytes(body) + struct.pack("<I", zlib.crc32(body)) + struct.pack("<I", length) + b"JEND"
        if n % 3 == 0:
            record = record[:-8] + struct.pack("<I", int(random.integers(1 << 32))) + b"JEND"
        reader = TokenReader(data[:-length] + record)
        try:
            for _ in reader.blocks_at(reader.index().places(0, 300, 301)):
                pass
        except FormatError:
            pass


def test_hostile_marks():
    assert Mark.from_bytes(Mark(9, 2**32 - 1).to_bytes()) == Mark(9, 2**32 - 1)
    for data in (b"", b"\x01" * 4, b"\x00" * 5, b"\x41" + bytes(4)):
        with pytest.raises(FormatError):
            Mark.from_bytes(data)


def test_marks_stay_as_long_as_they_hold(layered, tmp_path):
    model, path, _ = layered
    run("trim", path, tmp_path / "less.josie", "--n-q", model.base_levels + 1)
    run("trim", path, tmp_path / "least.josie", "--n-q", model.base_levels - 1)
    marks = [list(TokenFile.read(tmp_path / f"{name}.josie").streams[0].marks) for name in ("less", "least")]
    assert marks == [[500], []]


def test_what_is_said_about_pieces_that_cannot_be(tmp_path):
    soundfile.write(tmp_path / "a.wav", speechlike(25)[0, 0].numpy(), RATE)
    josiecodec.encode_file(tmp_path / "a.wav", n_q=2)
    source = tmp_path / "a.josie"
    said = run("decode", source, tmp_path / "b.wav", "--start", 2, code=2)
    assert said == f"error: {source}: the sound ends after 2.00 s, before 2 s\n"
    for options in (("--start", "-1"), ("--seconds", "0")):
        done = CliRunner().invoke(cli, ["decode", str(source), str(tmp_path / "b.wav"), *options])
        assert done.exit_code == 2
        assert "not in the range" in done.output
    assert not (tmp_path / "b.wav").exists()
    with pytest.raises(PastTheEnd):
        josiecodec.decode_piece(source, 5.0)
    with pytest.raises(CodecError):
        josiecodec.decode_piece(source, -1.0)
    for start in (1e300, 1e308):
        with pytest.raises(PastTheEnd):
            josiecodec.decode_piece(source, start)
    assert josiecodec.decode_piece(source, 0.5, 1e308).shape[-1] == 1.5 * RATE
    josiecodec.decode_file(source, tmp_path / "d.wav", start=0.5, seconds=0.25)
    assert soundfile.info(tmp_path / "d.wav").frames == 6000


def test_a_piece_of_standard_input(tmp_path):
    soundfile.write(tmp_path / "a.wav", speechlike(25)[0, 0].numpy(), RATE)
    josiecodec.encode_file(tmp_path / "a.wav", n_q=2)
    command = [sys.executable, "-m", "josiecodec_cli.main", "decode", "-", str(tmp_path / "c.wav"), "--start", "1"]
    with open(tmp_path / "a.josie", "rb") as file:
        assert subprocess.run(command, stdin=file, check=False).returncode == 0
    assert soundfile.info(tmp_path / "c.wav").frames == RATE


def test_marks_of_bytes_and_of_what_lies_before_them(layered, talk):
    """`compress` makes the marks that files have; behind a gap the phase is counted back from the next one."""
    model, path, whole = layered
    x, _ = soundfile.read(talk, dtype="float32")
    data = model.compress(x.mean(1), model.n_q)
    (stream,) = TokenFile.from_bytes(data).streams
    assert stream.marks == TokenFile.read(path).streams[0].marks
    broken = bytearray(path.read_bytes())
    place = [*TokenReader(bytes(broken)).index().places(0, 0, math.inf)][2]
    broken[place.position + 40] ^= 255
    decoder = SampleDecoder(model, stream.info, salvage=True)
    parts = []
    for block in TokenReader(bytes(broken)).blocks(salvage=True):
        parts.extend(decoder.push(block))
    back = np.concatenate([*parts, *decoder.finish()])
    sure = (300 + 2 * WARM_UP) * 1920
    assert len(back) == whole.shape[1]
    assert decoder.problems == []
    assert np.array_equal(back[sure:], whole[0, sure:].numpy())
    assert not np.array_equal(back[300 * 1920 : sure], whole[0, 300 * 1920 : sure].numpy())
