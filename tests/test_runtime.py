"""The runtime without torch gives what torch gives, and its graphs are those of the networks."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from kit.audio import speechlike, tiny_model

import josiecodec
from josiecodec.audio.layer_configs import LowBandFilterConfig
from josiecodec.audio.source import pitch_bins
from josiecodec.bitstream.container import Block
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.coding.audio_decoder import BlockDecoder
from josiecodec.coding.sample_decoder import SampleDecoder
from josiecodec.errors import CodecError, CodesError, ModelError
from josiecodec.export_runtime import BODIES
from josiecodec.hub.store import save
from josiecodec.hub.tensor_names import file_name
from josiecodec.quantization.beam_search import beam_encode
from josiecodec.runtime.audio_codec import AudioCodec
from josiecodec.runtime.choose import better_with_torch, decide, levels_reason, model_reason
from josiecodec.runtime.graphs import GRAPHS, Graph, description, misfits, usual_threads
from josiecodec.runtime.model_files import Weights
from josiecodec.runtime.source import HarmonicNoise, log_pitch, noise_spectra
from josiecodec.shipped import available
from josiecodec.weight_files import WEIGHTS

GOLDEN = Path(__file__).parent / "golden"
LSB = 1 / 32768


@pytest.fixture(scope="module")
def ours() -> josiecodec.Jodio:
    return josiecodec.load("jodio-24k-v3")


@pytest.fixture(scope="module")
def light() -> AudioCodec:
    return AudioCodec(WEIGHTS / "jodio-24k-v3", 1)


@pytest.fixture(scope="module")
def wave() -> np.ndarray:
    return speechlike(37.4, seed=3)[0, 0].numpy()


def encoded(codec, wave: np.ndarray, n_q: int, step: int | None = None) -> np.ndarray:
    stream = codec.array_encoder(n_q)
    parts = [stream.encode(wave[i : i + (step or len(wave))]) for i in range(0, len(wave), step or len(wave))]
    return np.concatenate([*parts, stream.flush()])


def decoded(codec, codes: np.ndarray, step: int | None = None) -> np.ndarray:
    stream = codec.array_decoder()
    parts = [stream.decode(codes[i : i + (step or len(codes))]) for i in range(0, len(codes), step or len(codes))]
    return np.concatenate([*parts, stream.finish()])


@pytest.mark.parametrize("n_q", [1, 4, 9])
def test_codes_and_samples_are_those_of_torch(ours, light, wave, n_q):
    codes = encoded(light, wave, n_q)
    assert np.array_equal(codes, encoded(ours, wave, n_q))
    assert np.abs(decoded(light, codes) - decoded(ours, codes)).max() < 8 * LSB  # phases differ by their rounding


def test_one_hypothesis_takes_the_nearest_codes(ours, light, wave):
    settings = replace(ours.settings, beams=1)
    found = [codec.array_encoder(9, settings).encode(wave[:19200]) for codec in (ours, light)]
    assert np.array_equal(*found)


@pytest.mark.parametrize(("levels", "step"), [(9, 1), (9, 3), (9, 50), (38, 1), (38, 7), (24, 50)])
def test_streams_decode_exactly_as_a_whole(light, levels, step):
    codes = np.random.default_rng(0).integers(0, 2048, (61, levels))
    assert np.array_equal(decoded(light, codes), decoded(light, codes, step))


@pytest.mark.parametrize("step", [777, 5000, 48000])
def test_streams_encode_exactly_as_a_whole(light, wave, step):
    assert np.array_equal(encoded(light, wave, 9), encoded(light, wave, 9, step))


def test_samples_differ_by_nothing_but_the_rounding_of_pitch(ours, light, monkeypatch):
    codes = np.random.default_rng(1).integers(0, 2048, (40, 9))
    source, used = ours.decoder.source, []
    plain = source._pitch
    monkeypatch.setattr(source, "_pitch", lambda logits: used.append(plain(logits)) or used[-1])
    want = decoded(ours, codes)
    pitches = iter(np.concatenate([pitch[0].numpy() for pitch in used]))
    take = lambda _, logits: np.array([next(pitches) for _ in logits])  # noqa: E731
    monkeypatch.setattr(HarmonicNoise, "_pitch", take)
    error = np.square(decoded(light, codes) - want).mean() / np.square(want).mean()
    assert -10 * math.log10(error) > 100


def test_no_frames_give_no_samples(light):
    stream = light.array_decoder()
    assert len(stream.decode(np.zeros((0, 38), int))) == len(stream.finish()) == 0
    assert len(light.array_encoder(9).flush()) == 0


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_short_recordings_of_all_levels(ours, light, frames):
    codes = np.random.default_rng(frames).integers(0, 2048, (frames, 38))
    found, want = decoded(light, codes), decoded(ours, codes)
    assert len(found) == len(want) == 1920 * frames
    assert np.abs(found - want).max() < 16 * LSB


def test_phases_of_ten_minutes_do_not_drift():
    source = HarmonicNoise(240, 960, 24000)
    pitch = np.full(60000, 123.456, np.float32)
    exact = (round(float(pitch[0]) * 240 / 24000 * 2**32) * 60000) % 2**32
    parts = [source._phases(part) for part in np.array_split(pitch, 7)]
    assert int(parts[-1][-1]) == exact


def test_constants_are_those_of_torch(ours):
    source = ours.decoder.source
    assert np.array_equal(log_pitch(), pitch_bins().numpy())
    noise = noise_spectra(240, 960)
    assert np.allclose(noise.real, source.noise_real.numpy(), atol=2e-6)
    assert np.allclose(noise.imag, source.noise_imag.numpy(), atol=2e-6)


@pytest.mark.parametrize("name", [n for n in available() if n.startswith("jodio")])
def test_all_shipped_models_are_covered(name):
    assert model_reason(WEIGHTS / name) is None


@pytest.mark.parametrize(
    "name",
    [
        *("range_coded_n_q_1", "range_coded_n_q_32", "waveform_layer_n_q_9", "waveform_layer_n_q_17"),
        *("waveform_layer_n_q_32", "by_frame_2.5_kbps", "by_frame_n_q_38"),
    ],
)
def test_golden_files_sound_as_with_torch(name):
    stream = TokenFile.read(GOLDEN / f"audio_{name}.josie").streams[0]
    codec = AudioCodec(WEIGHTS / stream.info.model, 1)
    codes = np.asarray(stream.codes).T[:50]
    want, found = decoded(josiecodec.load(stream.info.model), codes), decoded(codec, codes)
    assert len(found) == len(want)
    assert np.abs(found - want).max() < 16 * LSB


def test_search_finds_what_torch_finds(ours, light):
    generator = torch.Generator().manual_seed(0)
    stack = ours.quantizer.acoustic_rvq
    x = 3 * torch.randn(1, 150, stack._dim(), generator=generator)
    for beams in (2, 4, 32):
        want = _without_projection(stack, x, beams)
        found = light.quantizer.search(np.zeros((150, 48), np.float32), x[0].numpy(), 9, beams)[:, 1:]
        assert (found == want).mean() > 0.999


def _without_projection(stack, x, beams):
    enter, stack.enter = stack.enter, lambda z: z
    try:
        return beam_encode(stack, x, 8, beams)[0].numpy()
    finally:
        stack.enter = enter


@pytest.mark.parametrize("name", sorted(BODIES))
def test_graphs_are_up_to_date(ours, light, name):
    """What the networks compute now is what the graphs compute; else `python -m josiecodec.export_runtime`."""
    made = BODIES[name](ours)
    described = description(name)
    assert hashlib.sha256((GRAPHS / f"{name}.onnx").read_bytes()).hexdigest() == described["sha256"]
    assert described["memory"] == {part: list(memory.shape) for part, memory in zip(made.names, made.memory)}
    for full, (short, shape) in described["weights"].items():
        assert list(made.get_parameter(full).shape) == shape
        assert file_name(full.removeprefix("codec.")) == short
    torch.manual_seed(1)
    inputs = [torch.randn_like(example) for example in made.examples]
    memory = [torch.randn_like(past) for past in made.memory]
    with torch.no_grad():
        want = made(*inputs, *memory)
    past = {f"past.{part}": value.numpy() for part, value in zip(made.names, memory)}
    given = dict(zip(made.inputs, (value.numpy() for value in inputs)))
    found, after = Graph(name, light.weights, 1)(given, past)
    outputs = [*(found[key] for key in made.outputs), *(after[f"past.{part}"] for part in made.names)]
    assert len(outputs) == len(want)
    for ours_, theirs in zip(want, outputs):
        assert np.allclose(ours_.numpy(), theirs, atol=2e-4, rtol=1e-4)


def test_graphs_hold_no_weights():
    for name in BODIES:
        numbers = sum(math.prod(shape) for _, shape in description(name)["weights"].values())
        assert (GRAPHS / f"{name}.onnx").stat().st_size < numbers / 10
        assert json.loads((GRAPHS / f"{name}.json").read_text())["weights"]


def test_weights_that_do_not_fit_are_refused(light):
    weights = dict(light.weights)
    assert not misfits("decoder", weights)
    weights["decoder.norm.bias"] = weights["decoder.norm.bias"][:-1]
    with pytest.raises(ModelError, match=r"decoder\.norm\.bias is float16 \[255\], not \[256\]"):
        Graph("decoder", weights)
    del weights["decoder.norm.bias"]
    with pytest.raises(ModelError, match="is missing"):
        Graph("decoder", weights)


def test_memory_of_a_step_is_not_touched_by_the_next(light):
    inputs = {"spectra": np.zeros((1, 8, 481), np.float32), "fine": np.ones((1, 8, 484), np.float32)}
    _, first = light.encoder(inputs, light.encoder.beginning())
    kept = {name: value.copy() for name, value in first.items()}
    light.encoder(inputs, first)
    assert all(np.array_equal(kept[name], first[name]) for name in first)


def test_a_gap_is_decoded_as_with_torch(ours, light):
    codes = np.random.default_rng(0).integers(0, 2048, (40, 5))
    info = ours.stream_info(5, 40 * 1920)
    found = []
    for make, codec in ((BlockDecoder, ours), (SampleDecoder, light)):
        decoder = make(codec, info, salvage=True)
        parts = [*decoder.push(Block(0, 0, 10, codes[:10])), *decoder.push(Block(0, 25, 15, codes[25:]))]
        found.append(np.concatenate([np.asarray(part) for part in (*parts, *decoder.finish())]))
        assert decoder.problems == []
    assert len(found[0]) == len(found[1]) == 40 * 1920
    assert np.abs(found[0] - found[1]).max() < 8 * LSB


def test_wrong_codes_are_refused(light):
    for codes in (np.full((3, 9), 2048), np.zeros((3, 39), int), np.zeros(3, int), np.full((1, 2), -1)):
        with pytest.raises(CodesError):
            light.array_decoder().decode(codes)


def test_samples_that_cannot_be_meant_are_told(ours, light, wave):
    loud = wave[:9600].copy()
    loud[5] = np.nan
    with pytest.warns(UserWarning, match="not finite"):
        found = light.array_encoder(9).encode(loud)
    with pytest.warns(UserWarning, match="not finite"):
        assert np.array_equal(found, ours.array_encoder(9).encode(loud))
    with pytest.warns(UserWarning, match=r"reach .*: waveforms are expected"):
        light.array_encoder(9).encode(loud[100:] * 1e4)


def test_other_networks_need_torch(tmp_path):
    for kind in ("spectral", "seanet", "mimi"):
        folder = save(tiny_model(kind), tmp_path / kind)
        assert "needs torch" in (model_reason(folder) or "")


def test_models_that_do_not_fit_their_configuration_are_left_to_torch(tmp_path):
    place = tmp_path / "model"
    shutil.copytree(WEIGHTS / "jodio-24k-v3", place)
    assert model_reason(place) is None
    tensors = safetensors.numpy.load_file(place / "model.safetensors")
    name = "acoustic_rvq.quantizers.3.codebook.weight"
    safetensors.numpy.save_file(tensors | {name: tensors[name][:5]}, place / "model.safetensors")
    assert "needs torch" in (model_reason(place) or "")
    (place / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be read"):
        model_reason(place)


@pytest.mark.parametrize("change", [{"decimation": 1, "hops": 1}, {"books": 64}, {"filter": LowBandFilterConfig(4096)}])
def test_other_layers_need_torch(change):
    codec = AudioCodec(WEIGHTS / "jodio-24k-v3", 1)
    codec.config = replace(codec.config, waveform=replace(codec.config.waveform, **change))
    assert "need torch" in (levels_reason(codec, 38) or "")


@pytest.mark.parametrize(
    ("runtime", "device", "reason", "torch_there", "onnx_there", "want"),
    [
        ("auto", "cpu", None, True, True, True),
        ("auto", "cpu", None, False, True, True),
        ("auto", "cpu", None, True, False, False),
        ("auto", "cpu", "pictures need torch", True, True, False),
        ("auto", "cuda", None, True, True, False),
        ("torch", "cpu", None, True, True, False),
        ("onnx", "cpu", None, True, True, True),
        ("auto", "cpu", "pictures need torch", False, True, "pictures need torch, which is not installed: pip"),
        ("torch", "cpu", None, False, True, "asked for, which is not installed: pip install torch"),
        ("onnx", "cpu", "pictures need torch", True, True, "--runtime onnx cannot"),
        ("onnx", "cpu", None, True, False, "pip install onnxruntime"),
        ("auto", "cpu", None, False, False, "pip install"),
    ],
)
def test_which_runtime_when(monkeypatch, runtime, device, reason, torch_there, onnx_there, want):
    monkeypatch.setattr("josiecodec.runtime.choose.has_torch", lambda: torch_there)
    monkeypatch.setattr("josiecodec.runtime.choose.has_onnx", lambda: onnx_there)
    if isinstance(want, bool):
        assert decide(runtime, device, reason) is want
    else:
        with pytest.raises(CodecError, match=want):
            decide(runtime, device, reason)


@pytest.mark.parametrize(("value", "want"), [("3", 3), ("4,2", 4), ("", 0), ("-1", 0), ("all", 0), ("9" * 20, 0)])
def test_threads_are_those_of_the_variable(monkeypatch, value, want):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert usual_threads() == want


def test_no_level_of_the_package_needs_torch(light):
    assert levels_reason(light, 9) is None
    assert levels_reason(light, 38) is None


def test_long_recordings_of_all_levels_without_marks_are_left_to_torch(light, monkeypatch):
    def better(seconds: int | None, levels: int = 38, salvage: bool = False, marked: bool = False) -> bool:
        info = light.stream_info(levels, None if seconds is None else 24000 * seconds)
        return better_with_torch(info, levels, 9, salvage, lambda: marked)

    assert [better(50), better(70), better(None)] == [False, True, True]
    assert not better(70, marked=True)
    assert not better(70, levels=9)
    assert better(5, salvage=True)
    assert not better(5, levels=9, salvage=True)
    monkeypatch.setattr("josiecodec.runtime.choose.has_torch", lambda: False)
    assert not better(70)


def test_weights_of_another_layer_need_torch():
    codec = AudioCodec(WEIGHTS / "jodio-24k-v3", 1)
    codec.weights = {name: value for name, value in codec.weights.items() if "filter" not in name}
    assert "need torch" in (levels_reason(codec, 18) or "")
    assert levels_reason(codec, 9) is None


def test_weights_stay_on_disk_and_say_what_is_missing(light):
    weights = Weights(WEIGHTS / "jodio-24k-v2")  # shares those of another model
    assert weights["decoder.norm.bias"].shape == (256,)
    assert len(weights) == len(list(weights))
    with pytest.raises(KeyError):
        light.weights["nothing"]
