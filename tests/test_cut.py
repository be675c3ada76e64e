"""Pieces cut out of files of sound without decoding."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch
from kit.audio import RATE, layered_model, speechlike, tiny_model
from kit.processes import run

from josiecodec.bitstream.container import TokenReader, TokenWriter
from josiecodec.bitstream.cut import cut_file, find_cut
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.errors import CodecError, CodesError, FormatError

FRAME = 1920


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """A model, a file of 25 s in blocks of 100 frames, and its codes."""
    model, path = tiny_model(), tmp_path_factory.mktemp("talk") / "talk.josie"
    x = speechlike(313)[0, :, : 25 * RATE]
    path.write_bytes(model.compress(x))
    return model, path, TokenFile.read(path).streams[0].codes


@pytest.mark.parametrize(
    ("start", "seconds", "first", "length"),
    [
        (0.0, 3.0, 0, 3 * RATE),
        (10.0, 5.0, 125, 5 * RATE),
        (8.05, 0.01, 100, round(8.06 * RATE) - 100 * FRAME),
        (24.0, 90.0, 300, RATE),
        (7.0, None, 87, 25 * RATE - 87 * FRAME),
    ],
)
def test_a_piece_has_the_codes_of_its_frames(talk, tmp_path, start, seconds, first, length):
    model, path, codes = talk
    cut = cut_file(path, tmp_path / "piece.josie", start, seconds)
    assert (cut.first, cut.length, cut.shortened) == (first, length, False)
    (stream,) = TokenFile.read(tmp_path / "piece.josie").streams
    assert stream.info.length == length
    assert np.array_equal(stream.codes, codes[:, first : first - (-length // FRAME)])
    assert model.decompress((tmp_path / "piece.josie").read_bytes()).shape == (1, length)
    (same,) = TokenFile.read(path, start=start, seconds=seconds).streams
    assert np.array_equal(same.codes, stream.codes)


def test_only_what_a_piece_takes_is_read(talk):
    _, path, codes = talk
    out = io.BytesIO()
    info = TokenFile.read(path).streams[0].info.with_length(300 * FRAME * 200)
    with TokenWriter(out, [info]) as writer:
        for _ in range(200):  # more than an hour
            writer.add(0, codes[:, :300].T)

    class Counting(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.taken += len(data)
            return data

    for start in (5.0, 2000.0, 4790.0):
        source = Counting(out.getvalue())
        (stream,) = TokenFile.read(source, start=start, seconds=4.0).streams
        assert stream.units == -(-stream.info.length // FRAME)
        assert source.taken < 15_000 < len(out.getvalue()) / 10


def test_levels_after_the_base_need_what_comes_before(tmp_path):
    model, path = layered_model(), tmp_path / "talk.josie"
    left = speechlike(60)[0]
    path.write_bytes(model.compress(torch.cat([left, 0.3 * left]), model.n_q, stereo=True))
    cut = cut_file(path, tmp_path / "a.josie", 1.0, 2.0, base=lambda info: model.base_levels)
    assert cut.shortened
    assert [s.levels for s in cut.streams] == [model.base_levels, 7]
    assert model.decompress((tmp_path / "a.josie").read_bytes()).shape == (2, cut.length)
    whole = cut_file(path, tmp_path / "b.josie", 0.0, 2.0, base=lambda info: model.base_levels)
    assert not whole.shortened, "from the beginning on nothing is missing"
    with pytest.raises(CodecError, match="salvage"):
        TokenFile.read(path, salvage=True, start=1.0)
    piece, all_of_it = (model.decompress((tmp_path / f"{n}.josie").read_bytes()) for n in ("b", "talk"))
    assert torch.equal(piece[:, :RATE], all_of_it[:, :RATE])


def test_pieces_that_cannot_be(talk, tmp_path):
    _, path, _ = talk
    for arguments, error in (
        ((25.0, 1.0), CodecError),
        ((-1.0, 1.0), CodecError),
        ((0.0, 0.0), CodecError),
        ((float("nan"), 1.0), CodecError),
        ((0.0, 1.0, 0), CodesError),
        ((1e300, None), CodecError),
    ):
        with pytest.raises(error):
            cut_file(path, tmp_path / "x.josie", *arguments)
    data = path.read_bytes()
    (tmp_path / "cut.josie").write_bytes(data[:-30])
    with pytest.raises(FormatError, match="cut off"):
        cut_file(tmp_path / "cut.josie", tmp_path / "x.josie", 1.0)
    broken = bytearray(data)
    with TokenReader(data) as reader:
        broken[[*reader.index().places(0, 0, 999)][1].position + 30] ^= 255
    (tmp_path / "broken.josie").write_bytes(broken)
    with pytest.raises(FormatError, match="checksum"):
        cut_file(tmp_path / "broken.josie", tmp_path / "x.josie", 10.0)
    assert not (tmp_path / "x.josie").exists()
    cut_file(tmp_path / "broken.josie", tmp_path / "x.josie", 1.0, 2.0)  # damage elsewhere does not matter
    with TokenReader(data) as reader:
        assert find_cut(reader, 3.3).start == pytest.approx(3.28)


def test_the_command(talk, tmp_path):
    _, path, codes = talk
    out = run("trim", path, tmp_path / "a.josie", "--start", 10, "--seconds", 2.5, "--n-q", 2, "--json")
    said = json.loads(out)
    assert (said["start"], said["seconds"]) == (10.0, 2.5)
    assert np.array_equal(TokenFile.read(tmp_path / "a.josie").streams[0].codes, codes[:2, 125:157])
    for options, text in (
        (("--start", 30), "the sound ends after 25.00 s"),
        (("--start", 3, "--kbps", 1), "--kbps is for whole files"),
        ((), "give --n-q or --kbps"),
    ):
        assert text in run("trim", path, tmp_path / "b.josie", *options, code=2)
    assert not (tmp_path / "b.josie").exists()
