"""Models in folders: what makes their fingerprint and what does not, formats of `config.json`, and hostile folders."""

from __future__ import annotations

import dataclasses
import json
import math
import resource
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from kit.audio import speechlike, tiny_config, tiny_model
from kit.vision import CONV
from kit.vision import model as tiny_vision_model

from josiecodec import load, save_pretrained
from josiecodec.coding.jodio import Jodio
from josiecodec.errors import ModelError
from josiecodec.hub.store import copy, save
from josiecodec.hub.tensor_names import attribute_name, file_name
from josiecodec.shipped import WEIGHTS
from josiecodec.weight_files import tables_file, weights_bytes

GOLDEN = Path(__file__).parent / "golden"
SHIPPED = {
    "jodio-24k": "audio_range_coded_n_q_9",
    "jodio-24k-v4": "audio_by_frame_8_kbps",
    "jodio-24k-v3": "audio_by_frame_2.5_kbps",
    "jodio-24k-v2": "audio_waveform_layer_n_q_17",
    "jovio-16": "image_adaptive",
    "jovio-16-v2": "image_detail",
    "jovio-16-v3": "image_screen_v3",
    "jovio-16-v4": "image_matrix",
    "jovio-16-v5": "image_shapes",
    "jovio-16-v6": "image_dependent",
    "jovio-16-v7": "image_smoothed",
}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_copy_of_what_ships_is_the_same_model(name, tmp_path):
    codec = load(name)
    data = (GOLDEN / f"{SHIPPED[name]}.josie").read_bytes()
    again = load(save_pretrained(codec, tmp_path))
    for file in ("config.json", "model.safetensors", "entropy.safetensors"):
        place = tables_file(WEIGHTS / name) if "entropy" in file else WEIGHTS / name / file
        shipped = weights_bytes(WEIGHTS / name) if "model" in file else place.read_bytes()
        assert (tmp_path / file).read_bytes() == shipped, file
    assert (tmp_path / "encoder.json").exists() == (WEIGHTS / name / "encoder.json").exists()
    assert again.fingerprint == codec.fingerprint
    assert again.settings == codec.settings
    assert torch.equal(again.decompress(data), codec.decompress(data))


@pytest.mark.parametrize("name", SHIPPED)
def test_encoder_settings_are_saved_but_not_hashed(name, tmp_path):
    codec = load(name)
    codec.settings = dataclasses.replace(codec.settings, n_q=3, beams=2)
    again = load(save_pretrained(codec, tmp_path / "a"))
    assert again.fingerprint == codec.fingerprint
    assert again.settings == again.config.encoding == codec.settings
    twice = load(copy(tmp_path / "a", tmp_path / "b")[0])
    assert (twice.fingerprint, twice.settings) == (codec.fingerprint, codec.settings)
    codec.settings = load(name).settings
    assert load(save_pretrained(codec, tmp_path / "a")).settings == codec.settings  # those from before are gone


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_copy_is_of_the_same_type(dtype, tmp_path):
    model = tiny_model()
    with torch.no_grad():
        for value in model.parameters():  # every type holds these
            value.copy_(value.sign())
    codec = load(save(model, tmp_path / "a", dtype))
    assert load(save_pretrained(codec, tmp_path / "b")).fingerprint == codec.fingerprint


@pytest.mark.parametrize("layout", ["josiecodec", "transformers"])
def test_new_models_have_encoder_settings_beside_them(layout, tmp_path):
    model = tiny_model("mimi")
    model.settings = dataclasses.replace(model.settings, n_q=2)
    folder = save(model, tmp_path / "a", torch.float32, layout)
    assert "n_q" not in (folder / "config.json").read_text().replace("num_q", "")
    first = load(folder)
    assert first.settings == model.settings
    first.settings = dataclasses.replace(first.settings, n_q=6)
    second = load(save_pretrained(first, tmp_path / "b", layout))
    assert second.settings.n_q == 6
    assert second.fingerprint == first.fingerprint
    (folder / "encoder.json").unlink()
    assert load(folder).fingerprint == first.fingerprint
    assert 1 <= load(folder).settings.n_q <= model.n_q


def test_infinite_thresholds_are_json(tmp_path):
    model = tiny_model()
    model.settings = dataclasses.replace(model.settings, water_level=-math.inf, envelope_threshold=math.inf)
    folder = save(model, tmp_path / "m", torch.float32)
    values = json.loads((folder / "encoder.json").read_text(), parse_constant=pytest.fail)
    assert values["water_level"] is None, "all levels"
    settings = load(folder).settings
    assert settings.water_level is None
    assert settings.envelope_threshold > 1e300, "none"


def test_fingerprints_of_models_that_were_not_saved_ignore_encoder_settings():
    torch.manual_seed(0)
    model = Jodio(tiny_config())
    before = model.fingerprint
    model.config = dataclasses.replace(model.config, encoding=dataclasses.replace(model.config.encoding, n_q=1))
    assert model.fingerprint == before


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"beam": 3}', "unknown key 'beam'"),
        ('{"beams": "many"}', "beams"),
        ('{"n_q": 99}', "n_q must be in 1..6"),
        ("{", "cannot be read"),
    ],
)
def test_wrong_encoder_settings_are_refused(text, error, tmp_path):
    folder = save(tiny_model(), tmp_path)
    (folder / "encoder.json").write_text(text)
    with pytest.raises(ModelError, match=rf"encoder\.json.*{error}"):
        load(folder)
    (folder / "encoder.json").write_text('{"beams": 7}')  # the others are the usual ones
    assert load(folder).settings.beams == 7


def test_encoder_settings_are_not_hidden_in_the_configuration(tmp_path):
    folder = save(tiny_model(), tmp_path)
    values = json.loads((folder / "config.json").read_text())
    assert values["format"] == 2
    values["config"]["encoding"] = {"n_q": 2}
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(ModelError, match=r"belong in encoder\.json"):
        load(folder)


def as_format_1(folder: Path) -> None:
    """Rewrite the configuration of a saved model as versions before format 2 had it."""
    values = json.loads((folder / "config.json").read_text())
    encoder = json.loads((folder / "encoder.json").read_text())
    (folder / "encoder.json").unlink()
    config = values["config"]
    config["default_n_q"] = encoder["n_q"]
    if values["type"] == "jodio":
        config["quantizer"]["beams"] = encoder["beams"]
        config["decoder"]["told"] = config["decoder"].pop("level_conditioned")
    else:
        config["quantizer"].pop("normalize")
        config |= config.pop("quantizer")
        config |= {"beams": encoder["beams"], "weight": encoder["rd_lambda"], "masking": encoder["masking"]}
    (folder / "config.json").write_text(json.dumps({**values, "format": 1}))


@pytest.mark.parametrize("make", [tiny_model, lambda: tiny_vision_model(CONV)])
def test_models_of_format_1_are_read_and_written_again(make, tmp_path):
    model = make()
    folder = save(model, tmp_path / "a", torch.float32)
    config = load(folder).config
    as_format_1(folder)
    old = load(folder)
    assert old.config == config
    assert load(save_pretrained(old, tmp_path / "b")).fingerprint == old.fingerprint
    assert json.loads((tmp_path / "b" / "config.json").read_text())["format"] == 1
    old.config = dataclasses.replace(old.config, name="changed")
    save_pretrained(old, tmp_path / "c")
    assert json.loads((tmp_path / "c" / "config.json").read_text())["format"] == 2
    assert load(tmp_path / "c").config == old.config


@pytest.mark.parametrize("changes", [{"quantizer": "x"}, {"quantizer": [1]}, {"levels": {}}, {"default_n_q": None}])
def test_nonsense_in_format_1_is_an_error(changes, tmp_path):
    folder = save(tiny_vision_model(CONV), tmp_path)
    as_format_1(folder)
    values = json.loads((folder / "config.json").read_text())
    values["config"] |= changes
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(ModelError, match=r"config\.json"):
        load(folder)


def test_names_of_tensors_in_files_stay(tmp_path):
    model = tiny_model()
    with safetensors.safe_open(str(save(model, tmp_path) / "model.safetensors"), "pt") as file:
        names = set(file.keys())
    assert {"semantic_rvq.codebook.weight", "acoustic_rvq.quantizers.0.codebook.weight"} <= names
    assert "decoder.coarseness.weight" in names
    assert {attribute_name(name) for name in names} == set(model.state_dict())
    assert all(file_name(attribute_name(name)) == name for name in names)


@pytest.mark.parametrize(
    "change",
    [
        {"latent_dim": 1 << 19},
        {"latent_dim": 1 << 40},
        {"encoder": {"kind": "spectral", "channels": [1 << 19, 32], "blocks": [1, 1]}},
        {"encoder": {"kind": "spectral", "channels": [32, 32], "blocks": [1 << 19, 1]}},
        {"encoder": {"kind": "spectral", "channels": [32] * 100, "blocks": [1] * 100, "strides": [1] * 98 + [4]}},
        {"encoder": {"kind": "spectral", "channels": [32, 32], "blocks": [1, 1], "kernel": 1 << 19}},
        {"decoder": {"kind": "spectral", "hop": 1 << 19, "window": 1 << 20}},
        {"encoder_transformer": {"dim": 32, "layers": 1 << 19, "heads": 1, "hidden": 1}},
        {"encoder_transformer": {"dim": 32, "layers": 1, "heads": 1, "hidden": 1 << 19}},
        {"quantizer": {"acoustic_levels": 63, "codebook_size": 65536, "dim": 1 << 19}},
        {"quantizer": {"acoustic_levels": 1 << 30}},
    ],
)
def test_a_configuration_of_a_far_larger_model_is_refused_at_once(change, tmp_path):
    folder = save(tiny_model(), tmp_path)
    values = json.loads((folder / "config.json").read_text())
    values["config"] |= change
    (folder / "config.json").write_text(json.dumps(values))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError, match=r"config|larger model|limit"):
        load(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 300e3  # kB


def test_a_configuration_is_a_small_file(tmp_path):
    folder = save(tiny_model(), tmp_path)
    (folder / "config.json").write_bytes(b" " * (1 << 21))
    with pytest.raises(ModelError, match="too large"):
        load(folder)


def test_codes_of_a_copy_are_those_of_the_model(tmp_path):
    model = tiny_model()
    again = load(save(model, tmp_path, torch.float32))
    x = speechlike(5)
    assert np.array_equal(again.encode(x).numpy(), model.encode(x).numpy())
