#!/usr/bin/env bash
# The spectrum operators of ONNX, DFT and STFT, in the CPU runtime, at the window lengths of speech.
#
# Expected: the float32 error of a Fourier transform grows with the logarithm of its length: some -130 to -140 dB, as
#   other libraries have at any length, prime factors or not.
# Happens:  lengths that are no power of two go to a plain sum whose angles are float32 products, and the error grows
#   with the length: -91 dB at 400 (25 ms at 16 kHz), -81 dB at 960 (20 ms at 48 kHz), -75 dB at 1,920 and -69 dB at
#   4,800, where 512, 2,048 and 8,192 have -124 to -128 dB. A log spectrum has a floor there that the trained network
#   has never seen: exported feature extractors and codecs give other tokens for quiet sounds. A matrix of cosines and
#   sines made in float64 has -130 dB and more in the same runtime.
# Seen with: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, scipy 1.17.1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6 scipy==1.17.1
cat >"$work/dft.py" <<'EOF2'
import numpy as np
import onnxruntime
import scipy.fft
from onnx import TensorProto, helper


def run(node, constants, x):
    """The output of a graph of one node."""
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def decibels(spectrum, right):
    return 20 * np.log10(np.linalg.norm(spectrum - right) / np.linalg.norm(right))


random = np.random.default_rng(0)
lengths = [400, 960, 1920, 4800, 512, 2048, 8192]
errors = {}
print("length   onnx DFT   onnx matrix   scipy float32   (error in dB)")
for length in lengths:
    x = random.standard_normal((1, length, 1)).astype(np.float32)
    right = np.fft.rfft(x[0, :, 0].astype(np.float64))
    dft = helper.make_node("DFT", ["x", "", "axis"], ["y"], onesided=1)
    pairs = run(dft, [helper.make_tensor("axis", TensorProto.INT64, [], [1])], x)[0]
    angles = 2 * np.pi * (np.outer(np.arange(length // 2 + 1), np.arange(length)) % length) / length
    matrix = np.concatenate([np.cos(angles), -np.sin(angles)]).astype(np.float32).T
    weights = helper.make_tensor("matrix", TensorProto.FLOAT, matrix.shape, matrix.tobytes(), raw=True)
    product = run(helper.make_node("MatMul", ["x", "matrix"], ["y"]), [weights], x[..., 0])[0].reshape(2, -1)
    errors[length] = (
        decibels(pairs[:, 0] + 1j * pairs[:, 1], right),
        decibels(product[0] + 1j * product[1], right),
        decibels(scipy.fft.rfft(x[0, :, 0]), right),
    )
    print(f"{length:6}   {errors[length][0]:8.1f}   {errors[length][1]:11.1f}   {errors[length][2]:13.1f}")

window = np.hanning(401)[:-1].astype(np.float32)
signal = random.standard_normal((1, 8000)).astype(np.float32)
constants = [
    helper.make_tensor("hop", TensorProto.INT64, [], [160]),
    helper.make_tensor("window", TensorProto.FLOAT, [400], window),
]
frames = run(helper.make_node("STFT", ["x", "hop", "window"], ["y"], onesided=1), constants, signal)[0]
cut = np.stack([signal[0, 160 * i : 160 * i + 400] for i in range(len(frames))]).astype(np.float64)
stft = decibels(frames[..., 0] + 1j * frames[..., 1], np.fft.rfft(cut * window))
print(f"STFT of windows of 400: {stft:.1f} dB")

for length in lengths:
    dft, product, scipy_error = errors[length]
    assert scipy_error < -130 and product < -125
    assert dft < -120 if length & (length - 1) == 0 else dft > -92
assert errors[4800][0] > errors[1920][0] > errors[960][0] > errors[400][0] and stft > -97
EOF2
"$work/venv/bin/python" "$work/dft.py"
echo; echo "DFT and STFT lose three digits at lengths that are no power of two."
