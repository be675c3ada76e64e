"""The .josie file: round trips, damage, hostile bytes."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
import zlib
from fractions import Fraction

import numpy as np
import pytest

from josiecodec.bitstream.bitpacking import code_bits, pack, packed_size, unpack
from josiecodec.bitstream.container import BLOCK_FRAMES, TokenReader, TokenWriter
from josiecodec.bitstream.header import MAGIC, AudioInfo, VisionInfo, read_header, write_header
from josiecodec.bitstream.josie_file import TokenFile, TokenStream
from josiecodec.bitstream.patch_payload import PatchRows
from josiecodec.bitstream.scan import summarise, trim_file
from josiecodec.bitstream.varint import get_varint, put_varint
from josiecodec.errors import CodecError, CodesError, FormatError


def info(**changes) -> AudioInfo:
    values = dict(
        model="tiny", fingerprint="ab" * 32, levels=9, codebook_size=2048, sample_rate=24000,
        frame_size=1920, length=None, original_rate=44100, original_channels=2,
    )  # fmt: skip
    return AudioInfo(**{**values, **changes})


def stream(frames=120, seed=0, **changes) -> TokenStream:
    i = info(**changes)
    codes = np.random.default_rng(seed).integers(0, i.codebook_size, (i.levels, frames)).astype(np.uint16)
    return TokenStream(i, codes)


def sample(frames=120, length=120 * 1920 - 77) -> bytes:
    return TokenFile([stream(frames, length=length)]).to_bytes()


@pytest.mark.parametrize("length", [120 * 1920 - 77, None])
def test_files_are_described_and_trimmed_in_passing(tmp_path, length):
    whole = TokenFile([stream(length=length), stream(frames=50, seed=1, levels=3)])
    whole.write(tmp_path / "a.josie")
    found, problems = summarise(tmp_path / "a.josie")
    assert [s.units for s in found] == [120, 50]
    assert found[0].seconds == pytest.approx((length or 120 * 1920) / 24000)
    assert not problems
    trim_file(tmp_path / "a.josie", tmp_path / "b.josie", 4)
    trimmed = TokenFile.read(tmp_path / "b.josie")
    for one, other in zip(trimmed.streams, TokenFile.from_bytes(whole.to_bytes()).trimmed(4).streams):
        assert one.info == other.info
        assert np.array_equal(one.codes, other.codes)
    with pytest.raises(CodesError):
        trim_file(tmp_path / "a.josie", tmp_path / "b.josie", 0)
    data = (tmp_path / "a.josie").read_bytes()
    (tmp_path / "cut.josie").write_bytes(data[: len(data) * 9 // 10])
    with pytest.raises(FormatError):
        trim_file(tmp_path / "cut.josie", tmp_path / "c.josie", 2)
    assert not (tmp_path / "c.josie").exists()
    found, problems = summarise(tmp_path / "cut.josie", salvage=True)
    assert problems
    assert 0 < found[0].units <= 120


@pytest.mark.parametrize("codebook_size", [2, 3, 1000, 2048, 65536])
@pytest.mark.parametrize("frames", [0, 1, 7, 25])
def test_packing_round_trips(codebook_size, frames):
    codes = np.random.default_rng(1).integers(0, codebook_size, (frames, 5))
    data = pack(codes, codebook_size)
    assert len(data) == packed_size(codes.size, codebook_size)
    assert np.array_equal(unpack(data, frames, 5, codebook_size), codes)


def test_packing_is_the_documented_one():
    assert pack(np.array([[1, 2047], [0, 1024]]), 2048).hex() == "003ffc004000"
    assert code_bits(2048) == 11
    assert packed_size(9, 2048) == 13  # 99 bits


def test_packing_refuses_what_does_not_fit():
    with pytest.raises(CodesError):
        pack(np.array([[2048]]), 2048)
    with pytest.raises(CodesError):
        pack(np.array([[-1]]), 2048)
    with pytest.raises(FormatError):
        unpack(b"\xff", 1, 1, 3)  # code 3 of 3
    with pytest.raises(FormatError):
        unpack(b"\x01", 1, 1, 2)  # filling bits
    with pytest.raises(FormatError):
        unpack(b"", 1, 1, 2)


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 1 << 20, (1 << 48) - 1])
def test_varints(number):
    data = put_varint(number)
    assert get_varint(data, 0, 1 << 48) == (number, len(data))
    with pytest.raises(FormatError):
        get_varint(data[:-1], 0, 1 << 48)


@pytest.mark.parametrize("frames", [0, 1, 99, 100, 101, 500])
def test_files_round_trip(tmp_path, frames):
    one = stream(frames, length=max(0, frames * 1920 - 5))
    two = stream(frames // 2, seed=1, levels=3, length=frames // 2 * 1920)
    TokenFile([one, two]).write(tmp_path / "a.josie")
    back = TokenFile.read(tmp_path / "a.josie")
    assert back.problems == []
    for a, b in zip((one, two), back.streams):
        assert np.array_equal(a.codes, b.codes)
        assert a.info == b.info
    assert TokenFile.from_bytes(back.to_bytes()).streams[0].info == one.info


def test_overhead_is_small():
    data = sample(frames=12 * 60, length=None)
    payload = 12 * 60 * 99 / 8
    assert len(data) < 1.05 * payload + 200


def test_trimming_keeps_the_first_levels():
    file = TokenFile([stream(length=120 * 1920 - 9)])
    less = TokenFile.from_bytes(file.trimmed(4).to_bytes())
    assert np.array_equal(less.streams[0].codes, file.streams[0].codes[:4])
    assert less.streams[0].info.levels == 4
    assert np.array_equal(file.trimmed(99).streams[0].codes, file.streams[0].codes)
    with pytest.raises(CodesError):
        file.trimmed(0)


def test_writing_in_pieces_is_writing_at_once(tmp_path):
    one = stream(333, length=333 * 1920)
    with TokenWriter(tmp_path / "a.josie", [info()]) as writer:
        for part in np.array_split(one.codes.T, 40):
            writer.add(0, part)
        writer.close([333 * 1920])
    assert (tmp_path / "a.josie").read_bytes() == TokenFile([one]).to_bytes()
    assert writer.size == (tmp_path / "a.josie").stat().st_size


def test_an_error_while_writing_leaves_nothing(tmp_path):
    with pytest.raises(CodesError), TokenWriter(tmp_path / "a.josie", [info()]) as writer:
        writer.add(0, np.zeros((3, 4)))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FormatError):
        TokenWriter(tmp_path / "nowhere" / "a.josie", [info()])


def test_every_cut_gives_its_whole_blocks():
    data = sample()
    reference = TokenFile.from_bytes(data).streams[0].codes
    header = read_header(data)[1]
    for cut in range(len(data)):
        if cut < header:
            with pytest.raises(FormatError):
                TokenFile.from_bytes(data[:cut], salvage=True)
            continue
        with pytest.raises(FormatError):
            TokenFile.from_bytes(data[:cut])
        file = TokenFile.from_bytes(data[:cut], salvage=True)
        codes = file.streams[0].codes
        assert np.array_equal(codes, reference[:, : codes.shape[1]])
        assert file.problems
        block = BLOCK_FRAMES * 99 / 8
        assert codes.shape[1] >= min(120, (cut - header) // (block + 12) * BLOCK_FRAMES - BLOCK_FRAMES)


def test_damage_costs_only_its_block():
    size = BLOCK_FRAMES
    data = bytearray(sample(frames=8 * size, length=None))
    header = read_header(bytes(data))[1]
    reference = TokenFile.from_bytes(bytes(data)).streams[0].codes.T
    data[header + 28 * size] ^= 4  # in the third block
    reader = TokenReader(bytes(data))
    blocks = list(reader.blocks(salvage=True))
    assert len(reader.problems) >= 1
    assert [b.first for b in blocks] == [n * size for n in (0, 1, 3, 4, 5, 6, 7)]
    for b in blocks:
        assert np.array_equal(b.codes, reference[b.first : b.first + size])
    with pytest.raises(FormatError, match="checksum"):
        TokenFile.from_bytes(bytes(data))


def test_a_length_that_was_never_written():
    out = io.BytesIO()
    writer = TokenWriter(out, [info()])
    writer.add(0, np.zeros((2 * BLOCK_FRAMES, 9)))
    file = TokenFile.from_bytes(out.getvalue(), salvage=True)
    assert file.streams[0].info.length is None
    assert file.streams[0].codes.shape == (9, 2 * BLOCK_FRAMES)
    assert file.streams[0].seconds == 2 * BLOCK_FRAMES * 0.08


def mutate(data: bytes, random_: random.Random) -> bytes:
    kind = random_.randrange(6)
    out = bytearray(data)
    if kind == 0:
        return bytes(out[: random_.randrange(len(out))])
    if kind == 1:
        for _ in range(random_.randrange(1, 8)):
            out[random_.randrange(len(out))] = random_.randrange(256)
    elif kind == 2:
        out[random_.randrange(len(out))] ^= 1 << random_.randrange(8)
    elif kind == 3:  # hostile numbers in the header, with a checksum that is right
        end = read_header(data)[1] - 4
        for _ in range(random_.randrange(1, 5)):
            out[random_.randrange(8, end)] = random_.choice((0, 1, 127, 128, 254, 255, random_.randrange(256)))
        struct.pack_into("<I", out, end, zlib.crc32(out[:end]))
    elif kind == 4:  # a hostile block with a checksum that is right
        at = read_header(data)[1]
        block = bytes([0x42, random_.randrange(256)]) + b"".join(
            put_varint(random_.choice((0, 1, 25, 1024, 1 << 20, 1 << 40))) for _ in range(3)
        )
        block += bytes(random_.randrange(256) for _ in range(random_.randrange(40)))
        out[at:at] = block + struct.pack("<I", zlib.crc32(block))
    else:
        a, b = sorted(random_.randrange(len(out)) for _ in range(2))
        del out[a:b]
    return bytes(out)


def test_hostile_files_give_typed_errors_and_little_memory():
    """100,000 of these were run when the format was made; a sample is run every time."""
    data = TokenFile([stream(60, length=60 * 1920), stream(20, seed=3, levels=2, length=None)]).to_bytes()
    random_ = random.Random(0)
    outcomes = {"read": 0, "refused": 0}
    tracemalloc.start()
    for number in range(3000):
        damaged = mutate(data, random_)
        try:
            file = TokenFile.from_bytes(damaged, salvage=number % 2 == 0)
            assert all(s.codes.max(initial=0) < s.info.codebook_size for s in file.streams)
            outcomes["read"] += 1
        except CodecError:
            outcomes["refused"] += 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20
    assert min(outcomes.values()) > 300


def test_headers_are_bounded():
    with pytest.raises(FormatError, match=r"not a \.josie file"):
        read_header(b"RIFF" + bytes(100))
    later = bytearray(sample())
    later[6] = 7
    with pytest.raises(FormatError, match="version 7"):
        read_header(bytes(later))
    for bad in ({"levels": 65}, {"codebook_size": 1}, {"model": "x" * 65}, {"model": "a\nb"}, {"frame_size": 0}):
        with pytest.raises(FormatError):
            write_header([info(**bad)])
    with pytest.raises(FormatError):
        write_header([])
    for huge in (MAGIC + b"\2" + put_varint(65535), b"\x89JOSIE\r\n" + struct.pack("<HH", 1, 65535)):
        with pytest.raises(FormatError):
            read_header(huge + bytes(70000))


def test_files_of_version_1_are_read():
    """Written by hand, as the format was described then."""
    one, two = stream(length=120 * 1920 - 77), pictures()
    body = bytes([2])
    for kind, i in enumerate((one.info, two.info)):
        name = i.model.encode()
        body += struct.pack("<BBI", kind, i.levels, i.codebook_size) + bytes.fromhex("ab" * 32)
        body += bytes([len(name)]) + name
        if kind == 0:
            body += struct.pack("<IIQIH", i.sample_rate, i.frame_size, i.length, i.original_rate, i.original_channels)
        else:
            body += struct.pack("<IIQIIBB", i.width, i.height, i.length, 25, 1, i.patch, i.group)
    head = b"\x89JOSIE\r\n" + struct.pack("<HH", 1, len(body)) + body
    head += struct.pack("<I", zlib.crc32(head))
    streams, size = read_header(head)
    assert streams == [one.info, two.info]
    assert size == len(head)
    new = TokenFile([one, two]).to_bytes()
    old = TokenFile.from_bytes(head + new[read_header(new)[1] :])
    assert np.array_equal(old.streams[0].codes, one.codes)
    later = bytearray(head)
    later[8] = 2
    with pytest.raises(FormatError, match="version 2"):
        read_header(bytes(later[:-4]) + struct.pack("<I", zlib.crc32(later[:-4])))
    for cut in range(len(head)):
        with pytest.raises(FormatError):
            read_header(head[:cut])


def test_missing_files_are_typed_errors(tmp_path):
    with pytest.raises(FormatError):
        TokenFile.read(tmp_path / "none.josie")
    with pytest.raises(FormatError):
        TokenFile.read(tmp_path)


def pictures() -> TokenStream:
    """Codes of nine pictures, with every mode and count."""
    i = VisionInfo(
        model="tiny", fingerprint="ab" * 32, levels=8, codebook_size=2048, length=9,
        width=100, height=70, rate=Fraction(25), patch=16, group=2,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 9, (i.total_rows or 0, i.columns)).astype(np.uint8)
    modes = rng.integers(0, 4, counts.shape).astype(np.uint8)
    codes = rng.integers(0, 2048, int(counts.sum())).astype(np.uint16)
    return TokenStream(i, PatchRows(modes, counts, codes))


def test_hostile_files_of_pictures_give_typed_errors():
    whole = pictures()
    data = TokenFile([whole, stream(20, seed=3, levels=2)]).to_bytes()
    back = TokenFile.from_bytes(data).streams[0].codes
    assert isinstance(back, PatchRows)
    assert isinstance(whole.codes, PatchRows)
    for one, other in zip(
        (back.modes, back.counts, back.codes), (whole.codes.modes, whole.codes.counts, whole.codes.codes)
    ):
        assert np.array_equal(one, other)
    random_ = random.Random(2)
    read = 0
    for n in range(5000):
        try:
            TokenFile.from_bytes(mutate(data, random_), salvage=n % 2 == 0)
            read += 1
        except CodecError:
            pass
    assert 1000 < read < 4000


def test_a_writer_ends_its_file_and_holds_it_to_its_length(tmp_path):
    codes = stream(30).codes.T
    with TokenWriter(tmp_path / "a.josie", [info(length=30 * 1920)]) as writer:
        writer.add(0, codes)
    assert np.array_equal(TokenFile.read(tmp_path / "a.josie").streams[0].codes, codes.T)
    with pytest.raises(CodesError, match="20 frames"), TokenWriter(tmp_path / "b.josie", [info()]) as writer:
        writer.add(0, codes[:20])
        writer.close([30 * 1920])
    assert [p.name for p in tmp_path.iterdir()] == ["a.josie"]
