"""Graphs for other runtimes do what the codec does, in one step and on a stream."""

from __future__ import annotations

import dataclasses
import json
import sys

import onnxruntime
import pytest
import torch
from kit.audio import speechlike, tiny_config, tiny_model
from kit.processes import run

from josiecodec import save_pretrained
from josiecodec.audio.presets import preset
from josiecodec.coding.jodio import Jodio
from josiecodec.errors import CodecError, ModelError
from josiecodec.export import compare, export_codec
from josiecodec.nn.spectra import fourier_matrix


class Graph:
    """A file of ONNX, run as `export.json` says."""

    def __init__(self, folder, name):
        report = json.loads((folder / "export.json").read_text())
        self.session = onnxruntime.InferenceSession(str(folder / report[name]["file"]))
        self.memory = {
            m["in"]: torch.zeros(m["shape"], dtype=getattr(torch, m["type"])).numpy() for m in report[name]["memory"]
        }
        self.next = [(m["in"], m["out"]) for m in report[name]["memory"]]
        self.source, self.target = ("audio", "codes") if name == "encoder" else ("codes", "audio")

    def __call__(self, x):
        names = [self.target, *(out for _, out in self.next)]
        found = dict(zip(names, self.session.run(names, {self.source: x.numpy(), **self.memory})))
        self.memory = {name: found[out] for name, out in self.next}
        return torch.from_numpy(found[self.target])


def shallow_mimi() -> Jodio:
    """A Mimi of few layers: recording a graph takes its time."""
    config = tiny_config("mimi")
    part = dataclasses.replace(config.encoder, strides=(40, 24))
    model = Jodio(dataclasses.replace(config, encoder=part, decoder=part)).eval()
    with torch.no_grad():
        model.initialise_codebooks(
            model.latent(speechlike(60, batch=2)).flatten(0, 1), torch.Generator().manual_seed(0)
        )
    return model


@pytest.mark.parametrize("kind", ["spectral", "mimi"])
def test_onnx_gives_the_same_codes_and_samples(kind, tmp_path):
    model = tiny_model(kind) if kind == "spectral" else shallow_mimi()
    report = export_codec(model, tmp_path, "onnx", 5)
    print(kind, report["check"])
    assert report["check"]["equal_codes"] == 1
    x = speechlike(26, seed=4)
    codes = model.encode(x, 5)
    encoder, decoder = Graph(tmp_path, "encoder"), Graph(tmp_path, "decoder")
    sizes = (1, 4, 1, 20)
    found = [encoder(piece) for piece in x.split([1920 * s for s in sizes], -1)]
    assert torch.equal(torch.cat(found, -1), codes)
    sound = torch.cat([decoder(piece) for piece in found], -1)
    far = float((sound - model.decode(codes)).abs().max())
    print(f"{kind}: largest difference of samples {far:.1e}")
    assert far < (1e-2 if kind == "spectral" else 1e-5)


@pytest.mark.parametrize(
    ("kind", "to"), [("spectral", "torchscript"), ("mimi", "torchscript"), ("spectral", "torch.export")]
)
def test_other_kinds_of_graphs(kind, to, tmp_path):
    report = export_codec(tiny_model(kind), tmp_path, to)
    assert report["check"]["equal_codes"] == 1
    assert report["check"]["largest_difference"] < (1e-2 if kind == "spectral" else 1e-5)
    assert {p.name for p in tmp_path.iterdir()} == {"export.json", report["encoder"]["file"], report["decoder"]["file"]}


def test_a_graph_that_does_something_else_is_noticed(spectral):
    def codes(x, *memory):
        return [torch.zeros(1, 4, x.shape[-1] // 1920, dtype=torch.long), *memory]

    def samples(x, *memory):
        return [torch.ones(1, 1, x.shape[-1] * 1920), *memory]

    check = compare(spectral, 4, codes, samples)
    assert check["equal_codes"] < 0.5
    assert check["largest_difference"] > 0.5


def test_exporting_leaves_the_model_alone(tmp_path):
    model = tiny_model()
    x = speechlike(4)
    before = model.encode(x)
    export_codec(model, tmp_path, "torchscript")
    assert model.encoder.spectrum.matrix is None
    assert torch.equal(model.encode(x), before)


def test_what_cannot_be_exported(tmp_path, monkeypatch):
    with torch.device("meta"):
        symmetric = Jodio(preset("jodio-v4o"))
    with pytest.raises(CodecError, match="looks ahead"):
        export_codec(symmetric, tmp_path)
    with pytest.raises(ModelError, match="no audio codec"):
        export_codec(torch.nn.Module.__new__(_Other), tmp_path)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ModelError, match=r"josiecodec\[export\]"):
        export_codec(tiny_model(), tmp_path)


class _Other(torch.nn.Module):
    config = tiny_config()


def test_the_command_line(tmp_path):
    folder = save_pretrained(tiny_model("mimi"), tmp_path / "model")
    shown = run("export", folder, tmp_path / "out", "--to", "torchscript", "--n-q", 2)
    assert "2 levels, 100.00% of the codes equal" in shown
    (tmp_path / "out" / "encoder.ts").unlink()
    assert "already" in run("export", folder, tmp_path / "out", code=2)


def test_the_matrix_is_the_transform():
    x = torch.randn(5, 96)
    real, imag = (x @ fourier_matrix(96).t()).chunk(2, -1)
    torch.testing.assert_close(torch.complex(real, imag), torch.fft.rfft(x), atol=1e-5, rtol=1e-5)
