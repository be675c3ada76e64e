"""Networks that hear: streams, the way through the letters, spelling, what is refused."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import json

import numpy as np
import pytest
import torch

from josiecodec.errors import CodecError, ConfigError, ModelError
from josiecodec.hearing.alignment import ANY, SILENCE, best_path, best_states, emissions, states_of
from josiecodec.hearing.conformer import PRESETS, STEP, Conformer, ConformerBlock, ConformerConfig
from josiecodec.hearing.latent_attention import LatentAttention, LatentCache
from josiecodec.hearing.mel import LogMel
from josiecodec.hearing.speaker import SpeakerConfig
from josiecodec.hearing.spelling import spelled, written_words
from josiecodec.hearing.store import load, save
from josiecodec.nn.streaming import State

SMALL = ConformerConfig(dim=32, layers=2, heads=2, rank=12, kernel=7, context=9, delay=3)


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def conformer():
    torch.manual_seed(0)
    return Conformer(SMALL).eval()


def test_bands_of_a_stream_are_those_of_the_whole():
    mel, wave, state = LogMel(), noise(16000), State()
    parts = [mel(part[None], state) for part in wave.split([160, 1600, 480, 13760])]
    assert torch.allclose(torch.cat(parts, 2), mel(wave[None]), atol=1e-5)
    assert mel(wave[None]).shape == (1, 80, 100)


@pytest.mark.parametrize("size", [100, 320, 777, 16000])
def test_a_stream_hears_what_is_in_the_whole(conformer, size):
    wave = noise(9999)
    whole = conformer.hear(wave, "en")
    parts = list(conformer.stream(iter(wave.split(size)), "en"))
    for number in range(2):
        heard = torch.cat([part[number] for part in parts])
        assert heard.shape[0] == -(-len(wave) // STEP)
        assert torch.allclose(heard, whole[number], atol=1e-5)


def test_what_a_stream_remembers_does_not_grow(conformer):
    def kept(steps: int) -> int:
        state = State()
        for _ in range(steps):
            conformer(conformer.mel(noise(STEP)[None], state), torch.tensor([0]), state)
        found = [v.latents if isinstance(v, LatentCache) else v for v in state.values()]
        return sum(v.numel() for v in found)

    assert kept(2) == kept(40)


def test_later_sound_changes_nothing_before_but_for_the_delay(conformer):
    wave = noise(16000)
    other = torch.cat([wave[:8000], noise(8000, 1)])
    first, second = (conformer.hear(x, "en")[0] for x in (wave, other))
    same = 8000 // STEP - SMALL.delay
    assert torch.allclose(first[:same], second[:same], atol=1e-5)
    assert not torch.allclose(first[same + 1 :], second[same + 1 :], atol=1e-3)


def test_without_a_limit_latent_attention_is_attention():
    """Against softmax written out, with the keys and values made of the short vectors."""
    torch.manual_seed(0)
    layer = LatentAttention(16, 2, 6, 50, causal=False)
    x = torch.randn(1, 7, 16)
    angles = torch.arange(7)[:, None] * 10000.0 ** -(torch.arange(0, 8, 2) / 8)
    turn = torch.polar(torch.ones_like(angles), angles)

    def turned(y):
        z = torch.complex(y[..., :4], y[..., 4:]) * turn
        return torch.cat([z.real, z.imag], -1)

    latents = layer.kv_a_norm(layer.kv_a_proj(x))
    k, v = layer.kv_b_proj(latents).view(1, 7, 2, 2, 8).permute(2, 0, 3, 1, 4)
    q = layer.q_proj(x).view(1, 7, 2, 8).transpose(1, 2)
    weights = (turned(q) @ turned(k).transpose(-1, -2) / 8**0.5).softmax(-1)
    expected = layer.out_proj((weights @ v).transpose(1, 2).reshape(1, 7, 16))
    assert torch.allclose(layer(x), expected, atol=1e-5)


def brute_force(scores: np.ndarray, optional: np.ndarray) -> float:
    """The best of all ways through the states, tried one by one."""
    frames, states = scores.shape
    best = -np.inf
    for way in itertools.product(range(states), repeat=frames):
        steps = np.diff(way)
        if way[0] > 1 or way[-1] < states - 2 or (steps < 0).any() or (steps > 2).any():
            continue
        if all(optional[a + 1] for a, s in zip(way, steps) if s == 2):
            best = max(best, scores[np.arange(frames), list(way)].sum())
    return float(best)


@pytest.mark.parametrize("seed", range(6))
def test_the_best_way_is_the_best_of_all_ways(seed):
    random = np.random.default_rng(seed)
    frames = np.log(random.dirichlet(np.ones(4), 6))
    words = [[[1], [2, 3]], [[2, 2], [ANY]], [[1, 2, 3]]][seed % 3]
    states, score = best_states(frames, words)
    letters, optional, _ = states_of(words)
    scores = emissions(frames, letters)
    assert score == pytest.approx(brute_force(scores, optional))
    assert scores[np.arange(6), states].sum() == pytest.approx(score)


def test_words_are_where_their_letters_sound():
    said = [0, 0, 1, 1, 2, 0, 3, 3, 1, 0]
    frames = np.full((len(said), 4), -5.0)
    frames[np.arange(len(said)), said] = -0.1
    path = best_path(frames, [[1, 2], [3, 1]])
    assert path.words == [(2, 5), (6, 9)]
    assert path.score == pytest.approx(-0.1)
    assert best_path(frames, [[ANY], [3, 1]]).words == [(2, 5), (6, 9)]


def test_long_texts_are_aligned():
    said = np.repeat(np.arange(400) % 3 + 1, 3)
    frames = np.full((len(said), 4), -3.0)
    frames[np.arange(len(said)), said] = -0.2
    letters = [int(n) for n in said[::3]]
    found = best_path(frames, [letters[i : i + 4] for i in range(0, 400, 4)]).words
    assert found == [(12 * i, 12 * i + 12) for i in range(100)]


def test_what_cannot_be_aligned():
    frames = np.zeros((3, 4))
    with pytest.raises(ValueError, match="4 letters do not fit into 3 frames"):
        best_path(frames, [[1, 2], [3, 1]])
    for words in ([], [[1], []]):
        with pytest.raises(ValueError, match="no word"):
            best_path(frames, words)
    with pytest.raises(ValueError, match="too long"):
        best_states(np.zeros((40000, 4), np.float32), [[1] * 20000])


def test_words_are_spelled_with_the_letters_that_are_known():
    letters = ConformerConfig().letters
    text = "Größe, naïve - don't “Æsop” 1984 ..."
    words = written_words(text, "de")
    assert words == ["Größe,", "naïve", "don't", "“Æsop”", "1984"]
    found = ["".join(letters[n] for n in word if n != ANY) for word in spelled(words, letters, "de")]
    assert found == ["grosse", "naive", "don't", "aesop", ""]
    assert spelled(["1984", "'", "мир"], letters, "en") == [[ANY]] * 3
    assert letters.index(" ") == SILENCE


def test_chinese_is_spelled_in_pinyin():
    assert written_words("你好, world 3", "zh") == ["你", "好", "world", "3"]
    if importlib.util.find_spec("pypinyin") is None:
        with pytest.raises(CodecError, match="pip install pypinyin"):
            spelled(["你"], " a", "zh")
        return
    letters = ConformerConfig().letters
    found = spelled(written_words("银行 abc 绿", "zh"), letters, "zh")
    assert ["".join(letters[n] for n in word) for word in found] == ["yin", "hang", "abc", "lv"]


@pytest.mark.parametrize(
    "change", [{"heads": 3}, {"kernel": 4}, {"letters": "abc"}, {"causal": False}, {"languages": ()}, {"rank": 0}]
)
def test_settings_that_make_no_conformer(change):
    with pytest.raises(ConfigError, match="conformer: "):
        dataclasses.replace(ConformerConfig(), **change)


@pytest.mark.parametrize("change", [{"cepstra": 80}, {"centres": 0}, {"sharpness": 0.0}])
def test_settings_that_make_no_speaker_encoder(change):
    with pytest.raises(ConfigError, match="speaker: "):
        dataclasses.replace(SpeakerConfig(), **change)


def test_the_printed_preset_has_the_printed_sizes():
    assert PRESETS["printed"].layers == 6
    block = ConformerBlock(PRESETS["printed"])
    assert block.attn.kv_a_proj.weight.shape == (256, 1024)
    assert block.ff1.linear1.weight.shape == (4096, 1024)
    assert block.conv.depthwise.kernel_size == (31,)


def test_networks_are_saved_and_loaded(tmp_path, conformer):
    save(conformer, tmp_path / "a")
    again = load(tmp_path / "a", "conformer")
    assert again.config == SMALL
    wave = noise(3200)
    assert torch.allclose(again.hear(wave, "nl")[0], conformer.hear(wave, "nl")[0], atol=0.05)
    with pytest.raises(ModelError, match="kind"):
        load(tmp_path / "a", "speaker")
    with pytest.raises(ModelError, match="neither a folder"):
        load(tmp_path / "b", "conformer")


def test_damaged_networks_are_refused(tmp_path, conformer):
    save(conformer, tmp_path)
    config, weights = tmp_path / "config.json", tmp_path / "model.safetensors"
    good, data = json.loads(config.read_text()), weights.read_bytes()
    for values in (good | {"dim": 4096}, good | {"odd": 1}, good | {"layers": 3}, [], good | {"context": "x"}):
        config.write_text(json.dumps(values))
        with pytest.raises(ModelError, match="cannot be read"):
            load(tmp_path, "conformer")
    config.write_text(json.dumps(good))
    for part in (b"", data[:100], data[:-1], b"\xff" * 64):
        weights.write_bytes(part)
        with pytest.raises(ModelError, match="cannot be read"):
            load(tmp_path, "conformer")
