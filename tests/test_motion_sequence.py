"""Videos with motion as sequences of tokens: from Python, and in datasets."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from kit.processes import run_cli
from kit.video import write_video
from kit.vision import CONV, model, scene

from josiecodec.coding.motion_sequence import Vocabulary, from_sequence, to_sequence
from josiecodec.coding.motion_tokens import from_motion_tokens, motion_tokens
from josiecodec.datasets.dataset import TokenDataset
from josiecodec.datasets.export import export
from josiecodec.datasets.verify import contents, problems
from josiecodec.errors import CodecError, CodesError, ConfigError, FormatError
from josiecodec.media.images import load_image, save_image
from josiecodec.media.video_reader import load_video
from josiecodec.settings import Rate
from josiecodec.tokenization.compare import compare
from josiecodec.tokenization.decode import decode_clip
from josiecodec.tokenization.motion import clip_pictures, decode_motion
from josiecodec.tokenization.plan import Settings, make_plan
from josiecodec.tokenization.tokenize import tokenize

MOTION = Settings(1, motion=True, rate=Rate(kbps=40))


@pytest.fixture(scope="module")
def codec():
    return model(CONV)


@pytest.fixture(scope="module")
def video():
    return scene(40, 50, 14)[0]


@pytest.fixture(scope="module")
def tokens(codec, video):
    return codec.encode_motion(video, kbps=40, pictures_per_second=10, key_seconds=0.8)


@pytest.fixture(scope="module")
def sequence(codec, tokens):
    v = Vocabulary(codec.codebook_size)
    return np.concatenate([to_sequence(p, n, v) for n, p in enumerate(tokens.pictures)])


@pytest.fixture(scope="module")
def dataset(codec, tmp_path_factory):
    """A folder with media, and a dataset of them in `d`."""
    folder = tmp_path_factory.mktemp("motion")
    (folder / "media").mkdir()
    write_video(folder / "media" / "a.mkv", (40, 50), 9, Fraction(10))
    write_video(folder / "media" / "b.mkv", (33, 64), 3, Fraction(25))
    save_image(scene(20, 20)[0, :, 0], folder / "media" / "c.png")
    tokenize(codec, make_plan(folder / "media", "vision"), folder / "d", MOTION)
    return folder


def test_tokens_from_python_are_those_of_the_file(codec, video, tokens):
    data = codec.compress(video, rate=Rate(rd_lambda=0.01), pictures_per_second=10)
    same = codec.encode_motion(video, rate=Rate(rd_lambda=0.01), pictures_per_second=10)
    assert [p.shown for p in motion_tokens(codec, data)] == [p.shown for p in same.pictures]
    assert torch.equal(codec.decode_motion(same), codec.decompress(data))
    assert sum(p.layer == 0 for p in tokens.pictures) == 2
    assert codec.decode_motion(tokens).shape == video.shape
    for wrong in (video[:, 0], video[None].repeat(2, 1, 1, 1, 1), video[:, :0]):
        with pytest.raises(CodesError, match="not one video"):
            codec.encode_motion(wrong)
    with pytest.raises(CodesError, match="do not make"):
        codec.decode_motion(replace(tokens, size=(80, 50)))
    with pytest.raises(CodecError, match="n_q"):
        codec.encode_motion(video, rate=Rate(n_q=2))


def test_sequences_come_back(codec, tokens, sequence):
    v = Vocabulary(codec.codebook_size)
    assert 0 <= sequence.min() <= sequence.max() < v.size == codec.codebook_size + 10262
    parities = [p.parities for p in tokens.pictures if p.base is not None]
    back = from_sequence(sequence.tolist(), 3, 4, v, parities)
    expected = from_motion_tokens(codec, tokens.pictures)
    assert from_motion_tokens(codec, back) == expected
    assert len(expected.pictures) == 14


def test_damaged_sequences_are_typed_errors_or_pictures(codec, sequence):
    random, v, errors = np.random.default_rng(0), Vocabulary(codec.codebook_size), 0
    for n in range(60):
        wrong, at = sequence.copy(), int(random.integers(len(sequence)))
        wrong[at] = random.choice(sequence) if n % 3 else random.integers(v.size)
        wrong = wrong[: None if n % 4 else int(random.integers(len(wrong)))]
        try:
            for p in from_sequence(wrong.tolist(), 3, 4, v):
                assert p.codes.shape[1:] == (3, 4)
                assert p.uses.shape == (6, 8)
                assert p.vectors.shape == (len(p.references), 6, 8, 2)
        except CodesError:
            errors += 1
    assert errors > 20


def test_a_run_cannot_be_longer_than_the_picture(codec):
    v = Vocabulary(codec.codebook_size)
    head = [v.pictures, v.zero + 40]  # a grey key picture
    assert next(from_sequence([*head, v.run, v.zero + 12], 3, 4, v)).codes.shape == (0, 3, 4)
    for patches in ([v.run, v.zero + 13], [v.same] * 11 + [v.run, v.zero + 2], [v.run, v.zero + 11], [0] * 12):
        with pytest.raises(CodesError):
            list(from_sequence([*head, *patches], 3, 4, v))


def test_one_patch_of_many_codes_does_not_fill_the_memory_of_a_large_picture():
    v = Vocabulary(64)
    many = [v.same, *[v.levels] * (1 << 14)]
    runs = [v.run, v.zero + 4096] * 15 + [v.run, v.zero + 4095]
    tokens = [v.pictures, v.zero + 1, *many, *runs]
    with pytest.raises(CodesError, match="a patch of 16384 codes in a picture of 65536 patches"):
        next(from_sequence(tokens, 256, 256, v))
    picture = next(from_sequence([v.pictures, v.zero + 1, *many, v.run, v.zero + 15], 4, 4, v))
    assert picture.codes.shape == (1 << 14, 4, 4)


def test_datasets_of_videos_with_motion(codec, dataset, tmp_path):
    tokens = TokenDataset(dataset / "d")
    assert not list(problems(dataset / "d", 1))
    assert tokens.info.kind == "motion"
    assert "tokens, 1 levels" in repr(tokens)
    assert [tokens.meta(i)["grid"] for i in range(2)] == [[9, 3, 4], [3, 3, 4]]
    errors = (dataset / "d" / "errors.jsonl").read_text().splitlines()
    assert len(errors) == 1
    assert "no motion" in json.loads(errors[0])["error"]
    assert [c.equal for c in compare(codec, tokens, dataset / "media", 9)] == [1.0, 1.0]
    assert contents(tokens).rows == len(tokens[0].codes) + len(tokens[1].codes)
    for n, name in enumerate("ab"):
        x, rate = load_video(dataset / "media" / f"{name}.mkv")
        whole = torch.stack([*decode_motion(codec, tokens[n])], 1)
        assert torch.equal(whole, codec.decode_motion(codec.encode_motion(x, kbps=40, pictures_per_second=rate)))
        decode_clip(codec, tokens.info, tokens[n], tmp_path / f"{name}.josie")
        assert torch.equal(codec.decompress((tmp_path / f"{name}.josie").read_bytes()), whole)
        decode_clip(codec, tokens.info, tokens[n], tmp_path / f"{name}.mkv")
        assert load_video(tmp_path / f"{name}.mkv")[0].shape == whole.shape
        decode_clip(codec, tokens.info, tokens[n], tmp_path / f"{name}.png")
        assert load_image(tmp_path / f"{name}.png").shape == whole[:, 0].shape
    shown = [p.shown for p in clip_pictures(codec, tokens[0])]
    assert sorted(shown) == list(range(9))
    with pytest.raises(CodesError, match="of audio"):
        tokens.piece(0, 0.1)


@pytest.mark.parametrize("kind", ["npy", "webdataset", "parquet"])
def test_exports(dataset, tmp_path, kind):
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    assert export(TokenDataset(dataset / "d"), tmp_path / "out", kind) == 2
    if kind == "npy":
        codes = np.load(tmp_path / "out" / "00000" / "000000.npy")
        assert np.array_equal(codes, TokenDataset(dataset / "d")[0].codes)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"parities": ["x"]}, FormatError),
        ({"size": [40, 500]}, CodesError),
        ({"pictures": 10}, FormatError),
        ({"rate": [0, 1]}, FormatError),
        ({"size": [1 << 40, 1]}, FormatError),
        ({"size": None}, CodecError),
    ],
)
def test_metadata_that_are_wrong(codec, dataset, change, error):
    clip = TokenDataset(dataset / "d")[0]
    with pytest.raises(error):
        list(decode_motion(codec, replace(clip, meta={**clip.meta, **change})))


def test_settings_that_cannot_be(codec, dataset):
    for how in ({"n_q": 2}, {"n_q": 1, "adaptive": True}, {"n_q": 1, "rate": Rate(n_q=3)}):
        with pytest.raises(ConfigError):
            Settings(**how, motion=True)
    with pytest.raises(ConfigError, match="with motion"):
        Settings(4, rate=Rate(kbps=3))
    plan = make_plan(dataset / "media", "vision")
    with pytest.raises(CodecError, match="motion"):
        tokenize(codec, plan, dataset / "d", Settings(1, motion=True, rate=Rate(kbps=50)))
    with pytest.raises(CodecError, match="holds tokens"):
        tokenize(codec, plan, dataset / "d", Settings(4))


@pytest.mark.parametrize("wrong", [["--kbps", "30"], ["--motion", "--n-q", "4"], ["--motion", "--kind", "audio"]])
def test_what_the_command_line_refuses(tmp_path, wrong):
    (tmp_path / "media").mkdir()
    done = run_cli("tokenize", str(tmp_path / "media"), str(tmp_path / "d"), *wrong, code=2)
    assert "--motion" in done.stderr
