"""Key pictures of videos that are coded as still pictures."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from kit.vision import CONV, model, scene

import josiecodec
from josiecodec.bitstream.exact_rounding import CLOSE
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.bitstream.motion_payload import MIXED, STILL, MotionPayload, PictureHead
from josiecodec.bitstream.patch_payload import DetailPart, PatchRows
from josiecodec.bitstream.still_payload import pack_still, still_parts, unpack_still
from josiecodec.coding.jovio import Jovio
from josiecodec.coding.motion_codec import video_encoder
from josiecodec.coding.motion_pictures import PictureDecoder
from josiecodec.coding.motion_sequence import Vocabulary, details_of, from_sequence, to_sequence
from josiecodec.coding.motion_stills import KeyStills
from josiecodec.coding.motion_tokens import from_motion_tokens, motion_tokens
from josiecodec.errors import CodecError, CodesError, FormatError
from josiecodec.runtime.picture_codec import PictureCodec
from josiecodec.settings import Rate
from josiecodec.weight_files import WEIGHTS

NAME = "jovio-16-v7"
SIZE = 40, 70


@pytest.fixture(scope="module")
def codec() -> Jovio:
    return josiecodec.load(NAME)


@pytest.fixture(scope="module")
def data(codec) -> bytes:
    return codec.compress(scene(*SIZE, 5)[0], kbps=100, pictures_per_second=10)


@pytest.fixture(scope="module")
def pictures(codec, data) -> list[MotionPayload]:
    return TokenFile.from_bytes(data, tables=codec.known_tables).streams[0].codes.pictures


def test_keys_are_still_pictures_without_levels(codec, data, pictures):
    key, *others = pictures
    assert key.head.still
    assert key.bare
    assert not any(p.head.still or p.bare for p in others)
    assert 0 < len(key.head.parities) < 20
    assert MotionPayload.from_bytes(key.to_bytes()) == key
    decoder = PictureDecoder(codec, *SIZE, codec.n_q, codec.tables)
    assert decoder.decode(key)[1].y.shape == (48, 80)


def test_both_runtimes_show_the_same(codec, data, pictures):
    light = PictureCodec(WEIGHTS / NAME, 1)
    ours, other = (PictureDecoder(c, *SIZE, c.n_q, c.tables) for c in (codec, light))
    for picture in pictures:
        one, two = ours.decode(picture)[1], other.decode(picture)[1]
        for plane in "yuv":
            np.testing.assert_array_equal(getattr(one, plane), getattr(two, plane))


def test_a_machine_that_computes_otherwise_shows_the_same(codec, data, monkeypatch):
    whole, exact = codec.decompress(data), Jovio.key_picture

    def otherwise(*args) -> np.ndarray:
        picture = exact(*args)
        return picture + np.random.default_rng(0).uniform(-1, 1, picture.shape) * 0.9 * CLOSE / 255

    monkeypatch.setattr(Jovio, "key_picture", otherwise)
    assert torch.equal(codec.decompress(data), whole)


def test_tokens_and_sequences_come_back(codec, data, pictures):
    tokens = [*motion_tokens(codec, data)]
    assert from_motion_tokens(codec, tokens).pictures == pictures
    v, (h, w) = Vocabulary(codec.codebook_size), tokens[0].codes.shape[1:]
    sequence = np.concatenate([to_sequence(t, n, v) for n, t in enumerate(tokens)]).tolist()
    parities = [t.parities for t in tokens if t.base is not None]
    details = [d for t in tokens if (d := details_of(t)) is not None]
    back = from_sequence(sequence, h, w, v, parities, details)
    assert from_motion_tokens(codec, back).pictures == pictures
    with pytest.raises(CodesError, match="0 parts of the detail"):
        list(from_sequence(sequence, h, w, v, parities))


def test_tokens_that_fit_no_still_picture(codec, data):
    key = next(motion_tokens(codec, data))
    for wrong in (
        replace(key, base=None),
        replace(key, base=replace(key.base, details=())),
        replace(key, parities=b""),
        replace(key, tools=key.tools - STILL),
    ):
        with pytest.raises(CodesError):
            from_motion_tokens(codec, [wrong])


def test_without_stills_all_is_in_tokens(codec):
    encoder = video_encoder(codec, Rate(kbps=100), SIZE, Fraction(10), stills=False)
    film = scene(*SIZE, 2)[0].numpy()
    parts = [part for n in range(2) for part in encoder.add(film[:, n])] + [*encoder.finish()]
    assert not any(p.head.still for part in parts for p in part.pictures)


def test_pictures_of_flat_colours_stay_flat(codec):
    x = torch.full((3, 2, 32, 48), 0.3)
    x[:, :, :, 24:] = 0.8
    back = codec.decompress(codec.compress(x, kbps=20, pictures_per_second=10))
    assert float((back - x).abs().max()) < 2.5 / 255


def test_no_still_is_made_where_flat_colours_forbid_it(codec, monkeypatch):
    monkeypatch.setattr(KeyStills, "still", lambda *_: pytest.fail("a still picture that nothing shows"))
    assert codec.compress(torch.full((3, 1, 32, 48), 0.3), kbps=20, pictures_per_second=10)


@pytest.mark.filterwarnings("ignore:this machine computes")
def test_damaged_stills_are_typed_errors_or_pictures(codec, pictures):
    random, key, errors = np.random.default_rng(0), pictures[0].to_bytes(), 0
    for n in range(40):
        wrong = bytearray(key)
        wrong[int(random.integers(len(wrong)))] ^= 1 << int(random.integers(8))
        raw = bytes(wrong[: None if n % 3 else int(random.integers(len(wrong)))])
        try:
            planes = PictureDecoder(codec, *SIZE, codec.n_q, codec.tables).decode(MotionPayload.from_bytes(raw))[1]
            assert planes.y.shape == (48, 80)
        except CodecError:
            errors += 1
    assert errors > 8


def test_heads_of_stills():
    head = PictureHead(0, 7, base=b"abc", parities=b"d", tools=MIXED | STILL)
    assert MotionPayload.from_bytes(MotionPayload(head, b"").to_bytes()) == MotionPayload(head, b"")
    with pytest.raises(FormatError, match="without parities"):
        MotionPayload.from_bytes(MotionPayload(replace(head, parities=b""), b"").to_bytes())


def test_a_model_without_a_detail_layer_cannot_show_them(codec, pictures):
    other = model(CONV)
    with pytest.raises(FormatError, match="detail layer"):
        PictureDecoder(other, *SIZE, other.n_q, codec.tables).decode(pictures[0])


def test_parts():
    assert still_parts(60, 128) == [(0, 32), (32, 60)]
    maps = np.zeros((60, 128), np.uint8)
    parts = tuple(DetailPart(a, b - a, bytes([a])) for a, b in still_parts(60, 128))
    rows = PatchRows(maps, maps, np.zeros(0, np.uint16), parts)
    payload, coded = pack_still(rows, 32, 2048)
    assert unpack_still(payload, 60, 128, 32, 2048, coded).details == parts
    for wrong in (parts[:1], (replace(parts[0], screen=b"x"), parts[1])):
        with pytest.raises(CodesError, match="parts"):
            pack_still(replace(rows, details=wrong), 32, 2048)
    with pytest.raises(FormatError):
        unpack_still(payload[:1], 60, 128, 32, 2048)
