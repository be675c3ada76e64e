"""The preset `jodio-v4o` is the printed architecture; the table of it is a fixture."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from kit.audio import speechlike
from torch import nn

from josiecodec.audio.presets import PRESETS, preset
from josiecodec.coding.jodio import Jodio
from josiecodec.errors import CodecError, ConfigError
from josiecodec.hub.store import load, save
from josiecodec.hub.tensor_names import file_name

TABLE = Path(__file__).parent / "fixtures" / "architecture_v4o.tsv"


def rows() -> list[tuple[str, str, str]]:
    """(module, type, arguments) of every jodio module, with ranges like layers.0-11 written out."""
    out = []
    with open(TABLE, newline="") as f:
        for row in csv.DictReader(f, delimiter="\t"):
            parts = row["module"].split(".")
            if parts[0] != "jodio":
                continue
            kind = row["type"].split(" x ")[-1]
            names = [""]
            for part in parts[1:]:
                if "-" in part:
                    first, last = map(int, part.split("-"))
                    names = [f"{s}.{i}" for s in names for i in range(first, last + 1)]
                else:
                    names = [f"{s}.{part}" for s in names]
            out += [(s[1:], kind, row["arguments"]) for s in names]
    return out


def modules_by_published_name(model: Jodio) -> dict[str, nn.Module]:
    """Files call the quantizers as they were published."""
    return {file_name(f"{name}.").removesuffix("."): module for name, module in model.named_modules()}


@pytest.fixture(scope="module")
def printed() -> Jodio:
    with torch.device("meta"):
        return Jodio(preset("jodio-v4o"))


def test_the_table_is_whole():
    assert len(rows()) > 300


def test_every_printed_module_is_there(printed):
    modules = modules_by_published_name(printed)
    for name, kind, arguments in rows():
        assert name in modules, name
        module = modules[name]
        assert type(module).__name__ == kind, name
        if kind == "Embedding":
            assert arguments == f"{module.num_embeddings}, {module.embedding_dim}", name
        elif arguments:
            assert module.extra_repr() == arguments, name


def test_nothing_else_has_parameters(printed):
    known = {name for name, _, _ in rows()}
    for name, module in modules_by_published_name(printed).items():
        if list(module.parameters(recurse=False)):
            owner = name.split(".parametrizations")[0]
            assert owner in known, name


def test_sizes(printed):
    parts = modules_by_published_name(printed).items()
    by_part = {name: sum(p.numel() for p in part.parameters()) for name, part in parts}
    assert by_part["encoder_transformer"] == 12 * (4 * 512 * 512 + 2 * 512 * 2048 + 2 * 512) + 512
    assert by_part["decoder_transformer"] == 12 * (4 * 512 * 504 + 2 * 512 * 2048 + 2 * 512) + 512
    assert by_part["acoustic_rvq"] == 8 * 2048 * 512


def test_it_trains_a_step_and_round_trips(tmp_path):
    model = Jodio(preset("jodio-v4o"))
    x = speechlike(2)
    optimizer = torch.optim.SGD(model.parameters(), 1e-4)
    before = model.encoder.input_proj.parametrizations.weight.original1.detach().clone()
    out = model(x)
    (out.audio.square().mean() + out.vq_loss).backward()
    optimizer.step()
    assert not torch.equal(model.encoder.input_proj.parametrizations.weight.original1, before)
    model.eval()
    for samples in (1, 1920, 3000):
        codes = model.encode(x[..., :samples])
        assert codes.shape == (1, 9, -(-samples // 1920))
        assert model.decode(codes, samples).shape == (1, 1, samples)
    with pytest.raises(CodecError, match="looks ahead"):
        model.streaming()
    loaded = load(save(model, tmp_path, torch.float32))
    torch.testing.assert_close(loaded.decode(codes), model.decode(codes), atol=1e-4, rtol=1e-3)


def test_every_preset_can_be_built():
    for name in PRESETS:
        assert preset(name).name == name
        if name != "jodio-v4o":  # built above
            assert Jodio(preset(name)).frame_rate == 12.5
    with pytest.raises(ConfigError):
        preset("nothing")
