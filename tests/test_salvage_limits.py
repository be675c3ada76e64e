"""Claims of damaged and hostile files cost no more than what is there."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from fractions import Fraction

import pytest
from kit.vision import CONV, model, scene

from josiecodec.bitstream import container
from josiecodec.bitstream.container import Block, TokenReader
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.bitstream.motion_payload import MotionPayload
from josiecodec.coding.motion_decoder import MotionDecoder
from josiecodec.coding.vision_decoder import GroupDecoder
from josiecodec.errors import FormatError
from josiecodec.settings import Rate


@pytest.fixture(scope="module")
def codec():
    return model(CONV)


@pytest.mark.parametrize("rate", [Rate(n_q=2), Rate(kbps=40)])
def test_a_few_bytes_are_not_believed_to_follow_on_many_pictures(codec, rate):
    data = codec.compress(scene(32, 48, 9)[0], rate=rate, pictures_per_second=25)
    stream = TokenFile.from_bytes(data, tables=codec.known_tables).streams[0]
    kind = MotionDecoder if rate.kbps else GroupDecoder
    arguments = (codec.tables,) if rate.kbps else (None,)
    info = replace(stream.info, length=None)
    units = len(stream.codes.pictures) * info.rows if rate.kbps else len(stream.codes.counts)
    for far, size, shown in ((20, 40, True), (3000, 40, False), (3000, 4000, True)):
        decoder = kind(codec, info, *arguments, salvage=True)
        block = Block(0, far * info.rows, units, stream.codes, size)
        pictures = itertools.chain(decoder.push(block), decoder.finish())
        assert bool(list(itertools.islice(pictures, 3))) == shown


def test_a_picture_that_is_shown_before_the_first(codec):
    data = codec.compress(scene(32, 48, 9)[0], rate=Rate(kbps=40), pictures_per_second=10)
    stream = TokenFile.from_bytes(data, tables=codec.known_tables).streams[0]
    key, other = stream.codes.pictures[:2]
    early = MotionPayload(replace(other.head, later=-2, references=(1,) * len(other.head.references)), other.bits)
    decoder = MotionDecoder(codec, stream.info, codec.tables)
    list(decoder._decode(key))
    with pytest.raises(FormatError, match="picture -1"):
        list(decoder._decode(early))


def test_the_search_for_a_whole_block_ends(codec, monkeypatch):
    data = codec.compress(scene(32, 48, 3)[0], rate=Rate(n_q=2), pictures_per_second=Fraction(25))
    head = data[: data.index(bytes([container.BLOCK_START]), 40)]
    like_a_block = data[len(head) : len(head) + 4] + b"\xff\xff\x0f"  # of 256 kB
    hostile = head + like_a_block * 20000 + os.urandom(300_000)
    monkeypatch.setattr(container, "_MAX_SEARCH", 1 << 24)
    reader = TokenReader(hostile, codec.known_tables)
    assert list(reader.blocks(salvage=True)) == []
    assert "too damaged to be looked through" in " ".join(reader.problems)
