"""Graphs whose weights take fewer bits compute the same, or are refused."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from kit.audio import tiny_model
from onnx import TensorProto, helper, numpy_helper

from josiecodec.errors import CodecError, ModelError
from josiecodec.export import export_codec
from josiecodec.export_precision import Heard, sample, store_half, store_int8, voiced

RANDOM = np.random.default_rng(0)


def graph(path, weights: dict[str, np.ndarray]):
    """A graph that multiplies by some matrices one after the other."""
    nodes, last = [], "x"
    for k, name in enumerate(weights):
        nodes.append(helper.make_node("MatMul", [last, name], [f"y{k}"]))
        last = f"y{k}"
    shape = [None, next(iter(weights.values())).shape[0]]
    made = helper.make_graph(
        nodes,
        "products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def run(path, x: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def test_half_changes_nothing(tmp_path):
    exact = RANDOM.standard_normal((64, 64)).astype(np.float16).astype(np.float32)
    other = RANDOM.standard_normal((64, 64)).astype(np.float32)
    path, x = graph(tmp_path / "graph.onnx", {"a": exact, "b": other}), RANDOM.standard_normal((3, 64), np.float32)
    want, size = run(path, x), path.stat().st_size
    store_half(path)
    assert np.array_equal(run(path, x), want)
    assert path.stat().st_size < size - 8000  # of the first alone: the other has more bits
    types = {tensor.name: tensor.data_type for tensor in onnx.load(path).graph.initializer}
    assert types == {"a.half": TensorProto.FLOAT16, "b": TensorProto.FLOAT}


def test_large_layers_take_eight_bits(tmp_path):
    large = RANDOM.standard_normal((256, 256)).astype(np.float16).astype(np.float32)
    path = graph(tmp_path / "graph.onnx", {"decoder.stages.0.weight": large, "decoder.head.weight": large})
    x, size = RANDOM.standard_normal((3, 256), np.float32), path.stat().st_size
    want = run(path, x)
    store_int8(path)
    found = run(path, x)
    assert path.stat().st_size < size * 0.4
    error = np.square(found - want).mean() / np.square(want).mean()
    assert 0 < error < 1e-4
    kinds = {tensor.name: tensor.data_type for tensor in onnx.load(path).graph.initializer}
    assert kinds["decoder.stages.0.weight.int8"] == TensorProto.INT8
    assert kinds["decoder.head.weight.half"] == TensorProto.FLOAT16


@pytest.mark.parametrize(
    ("heard", "text"),
    [
        (Heard(0.99, 2.0, 2.0, 0.6, 0.6), "1.00% of the codes differ"),
        (Heard(1.0, 1.97, 2.0, 0.6, 0.6), "PESQ falls from 2.000 to 1.970"),
        (Heard(1.0, 2.0, 2.0, 0.26, 0.8), "26.0% of the frames are voiced, not 80.0%"),
    ],
)
def test_what_sounds_otherwise_is_refused(heard, text):
    with pytest.raises(ModelError, match=text):
        heard.check("int8")


def test_what_sounds_alike_is_not_refused():
    Heard(1.0, 1.985, 2.0, 0.605, 0.6).check("int8")


def test_voices_are_told_from_noise_and_silence():
    time = np.arange(24000) / 24000
    pulses = sum(np.sin(2 * np.pi * 120 * k * time) for k in range(1, 8)) / 7
    assert voiced(pulses).mean() == 1
    assert voiced(0.1 * RANDOM.standard_normal(24000)).mean() < 0.05
    assert voiced(np.zeros(24000)).mean() == 0
    assert 0.3 < voiced(sample(24000)).mean() < 0.9


def test_an_export_of_fewer_bits_says_how_it_sounds(tmp_path, monkeypatch):
    small = sample(24000)[:48000]
    monkeypatch.setattr("josiecodec.export.sample", lambda rate: small)
    model = tiny_model().half().float()
    report = export_codec(model, tmp_path, n_q=5, precision="fp16")
    assert report == json.loads((tmp_path / "export.json").read_text())
    assert report["precision"] == "fp16"
    assert report["heard"]["equal_codes"] == 1
    assert report["heard"]["pesq"] == pytest.approx(report["heard"]["pesq_of_codec"], abs=0.02)
    monkeypatch.setattr("josiecodec.export.listen", lambda *_: Heard(1.0, 1.0, 2.0, 0.5, 0.5))
    with pytest.raises(ModelError, match="--precision fp16 does not do for this model: PESQ falls"):
        export_codec(model, tmp_path / "worse", n_q=5, precision="fp16")
    assert not list((tmp_path / "worse").iterdir())


def test_other_kinds_of_graphs_have_all_bits(tmp_path):
    with pytest.raises(CodecError, match="torchscript have fp32 alone"):
        export_codec(tiny_model(), tmp_path, "torchscript", precision="int8")
