"""Repositories of the Hugging Face hub: from the cache without a network, fetched, published, and what can go wrong."""

from __future__ import annotations

import dataclasses
import json
import sys
import time

import pytest
import safetensors.torch
import torch
from kit.audio import RATE, speechlike, tiny_config, tiny_model
from kit.fake_hub import COMMIT, FakeHub, fill_cache
from kit.processes import run

import josiecodec
from josiecodec import TokenFile, load, push_to_hub, save_pretrained
from josiecodec.coding.jodio import Jodio
from josiecodec.errors import ModelError
from josiecodec.evaluation.codecs import build
from josiecodec.hub.store import copy, load_for_training, save
from josiecodec.hub.tensor_names import file_name
from josiecodec.nn.conv import fold_weight_norm

NAME = "hf:me/tiny"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and no network."""
    from huggingface_hub import constants

    folder = tmp_path / "home" / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HOME", str(folder.parent))  # for the command line
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return folder


@pytest.fixture
def hub(cache, monkeypatch):
    """A hub that can be reached."""
    from huggingface_hub import constants

    with FakeHub() as server:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setenv("HF_TOKEN", "nothing")
        yield server
        server.shutdown()


def test_from_the_cache_without_a_network(cache, tmp_path, model):
    folder = save_pretrained(model, tmp_path / "model")
    fill_cache(cache, "me/tiny", folder)
    codec = load(NAME)
    x = speechlike(5)
    assert torch.equal(codec.encode(x), load(folder).encode(x))
    assert codec.fingerprint == load(folder).fingerprint
    assert load(NAME, revision=COMMIT).fingerprint == codec.fingerprint


def test_a_mimi_of_transformers_from_the_cache(cache, tmp_path):
    model = tiny_model("mimi")
    fill_cache(cache, "me/tiny", save_pretrained(model, tmp_path / "model", "transformers"))
    x = speechlike(5)
    assert torch.equal(load(NAME).encode(x, 6), model.encode(x, 6))


def test_the_command_line_takes_repositories(cache, tmp_path):
    import soundfile

    fill_cache(cache, "me/tiny", save_pretrained(tiny_model("mimi"), tmp_path / "model", "transformers"))
    soundfile.write(tmp_path / "a.wav", speechlike(12)[0, 0].numpy(), RATE)
    run("encode", tmp_path / "a.wav", "--model", NAME)
    run("decode", tmp_path / "a.josie", tmp_path / "b.wav", "--model", NAME)
    assert soundfile.info(tmp_path / "b.wav").frames == 12 * 1920
    assert TokenFile.read(tmp_path / "a.josie").streams[0].info.model == "mimi"
    assert "cannot be reached" in run("encode", tmp_path / "a.wav", "--overwrite", "--model", "hf:me/nothing", code=2)


def test_without_cache_and_network_the_error_is_clear(cache):
    with pytest.raises(ModelError, match="not all of it is in the local cache, and the hub cannot be reached"):
        load(NAME)


def test_half_a_cache_is_no_model(cache, tmp_path):
    snapshot = fill_cache(cache, "me/tiny", save_pretrained(tiny_model(), tmp_path / "model"))
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="not all of it is in the local cache"):
        load(NAME)


def test_a_damaged_file_of_the_cache_is_refused(cache, tmp_path):
    folder = save_pretrained(tiny_model(), tmp_path / "model")
    for name in ("model.safetensors", "config.json"):
        snapshot = fill_cache(cache, "me/" + name, folder)
        data = bytearray((snapshot / name).read_bytes())
        data[len(data) // 2] ^= 1
        (snapshot / name).resolve().write_bytes(data)
        with pytest.raises(ModelError, match="damaged"):
            load("hf:me/" + name)


@pytest.mark.parametrize("values", [{"model_type": "llama"}, {}, [1]])
def test_other_models_are_not_even_fetched(hub, values):
    hub.files["me/tiny"] = {"config.json": json.dumps(values).encode(), "model.safetensors": b"\0" * 5000}
    with pytest.raises(ModelError, match="neither a josiecodec model nor a Mimi"):
        load(NAME)
    assert not any("safetensors" in path for path in hub.asked)


def test_nesting_without_end_is_no_configuration(hub, tmp_path):
    folder = save(tiny_model(), tmp_path / "model")
    deep = b'{"a":' * 100000
    (folder / "config.json").write_bytes(deep)
    hub.files["me/tiny"] = {"config.json": deep}
    for name in (folder, NAME):
        with pytest.raises(ModelError, match="cannot be read"):
            load(name)


def test_a_model_is_published_and_fetched(hub, cache, tmp_path, model, monkeypatch):
    from huggingface_hub import constants

    address = push_to_hub(model, "me/tiny", private=True, licence="mit", token="nothing")
    assert address.endswith("me/tiny")
    print(hub.made)
    files = hub.files["me/tiny"]
    assert set(files) == {"config.json", "encoder.json", "model.safetensors", "README.md"}
    card = files["README.md"].decode()
    assert card.startswith('---\nlicense: "mit"\nlibrary_name: josiecodec\n')
    assert "hf:me/tiny" in card
    fetched = load(NAME)
    assert fetched.fingerprint in card
    x = speechlike(5)
    again = load(save_pretrained(model, tmp_path / "same"))
    assert torch.equal(fetched.encode(x), again.encode(x))
    asked = len(hub.asked)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load(NAME).fingerprint == fetched.fingerprint  # from now on the cache is enough
    assert len(hub.asked) == asked


def test_tables_and_encoder_settings_travel_with_a_model(hub, cache):
    codec = load("jodio-24k")
    codec.settings = dataclasses.replace(codec.settings, n_q=5)
    push_to_hub(codec, "me/tiny", token="nothing")
    fetched = load(NAME)
    assert fetched.fingerprint == codec.fingerprint
    assert fetched.settings == codec.settings
    assert fetched.tables is not None
    assert fetched.decompress(codec.compress(speechlike(3)[0])).shape[-1] == 3 * 1920


def test_tables_and_settings_of_the_model_before_go(hub):
    hub.files["me/tiny"] = {"entropy.safetensors": b"of another model", "encoder.json": b"too"}
    push_to_hub(load("jodio-24k"), "me/tiny", token="nothing")
    assert "encoder.json" not in hub.files["me/tiny"]
    push_to_hub(tiny_model(), "me/tiny", token="nothing")
    assert "entropy.safetensors" not in hub.files["me/tiny"]


def test_a_card_that_is_there_stays(hub):
    hub.files["me/tiny"] = {"README.md": b"mine"}
    push_to_hub(tiny_model("mimi"), "me/tiny", layout="transformers", token="nothing")
    assert hub.files["me/tiny"]["README.md"] == b"mine"
    assert json.loads(hub.files["me/tiny"]["config.json"])["model_type"] == "mimi"
    push_to_hub(tiny_model("mimi"), "me/tiny", card="yours", token="nothing")
    assert hub.files["me/tiny"]["README.md"] == b"yours"


def test_what_the_hub_refuses_is_one_error(hub):
    with pytest.raises(ModelError, match="me/none: "):
        load("hf:me/none")
    hub.files["me/tiny"] = {"config.json": b'{"model_type": "mimi"}'}
    with pytest.raises(ModelError, match=r"no model\.safetensors"):
        load(NAME)
    hub.refuses = True
    with pytest.raises(ModelError, match="me/new"):
        push_to_hub(tiny_model(), "me/new", token="nothing")


def test_a_hub_that_cannot_be_reached_takes_nothing(hub):
    hub.shutdown()
    hub.server_close()
    with pytest.raises(ModelError, match="me/new"):
        push_to_hub(tiny_model(), "me/new", token="nothing")
    with pytest.raises(ModelError, match="cannot be reached"):
        load("hf:me/new")


def test_without_a_network_nobody_waits(hub, monkeypatch):
    hub.shutdown()
    hub.server_close()
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    with pytest.raises(ModelError, match="cannot be reached"):
        load("hf:me/new")
    assert sum(waited) < 1


def test_a_comparison_with_a_repository_that_cannot_be_had_does_not_begin(cache, tmp_path):
    import soundfile

    soundfile.write(tmp_path / "a.wav", speechlike(12)[0, 0].numpy(), RATE)
    for name in ("hf:me/nothing@4", "transformers:me/nothing"):
        error = run("eval", "audio", tmp_path, "--codecs", name, "--out", tmp_path / "out", code=2)
        assert error.startswith(f"error: {name.split('@')[0]}: ")
        assert "not " in error
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["hf:", "hf:alone", "hf:a/b/c.bin", "hf:../x/y", "hf:a/b/../../etc.safetensors"])
def test_names_that_are_no_repositories(cache, name):
    with pytest.raises(ModelError):
        load(name)


def test_only_repositories_have_revisions(tmp_path):
    with pytest.raises(ModelError, match="revision"):
        load("jodio-24k", revision="main")


def test_the_extra_is_named_when_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match=r"josiecodec\[hub\]"):
        josiecodec.load(NAME)


def test_saving_by_the_command_line(tmp_path):
    model = save_pretrained(tiny_model("mimi"), tmp_path / "a")
    run("save", model, tmp_path / "b", "--layout", "transformers")
    assert load(tmp_path / "b").fingerprint == load(model).fingerprint
    assert "already" in run("save", model, tmp_path / "b", code=2)


@pytest.mark.parametrize("kind", ["seanet", "spectral"])
def test_copies_of_a_trained_model_keep_its_fingerprint(tmp_path, kind):
    """Training saves a model with its weight norm; what is loaded has none."""
    trained = save(Jodio(tiny_config(kind)), tmp_path / "trained")
    codec = load(trained)
    assert load(save_pretrained(codec, tmp_path / "again")).fingerprint == codec.fingerprint
    assert load(save(codec, tmp_path / "half")).fingerprint == codec.fingerprint
    assert copy(trained, tmp_path / "copy")[1] == load(tmp_path / "copy").fingerprint == codec.fingerprint


def test_copies_are_the_same_bytes(tmp_path):
    model = Jodio(tiny_config("seanet"))
    folder = save(model, tmp_path / "a")
    tensors = {file_name(name): value.half() for name, value in model.state_dict().items()}
    assert any("parametrizations" in name for name in tensors)  # as earlier versions wrote them
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "entropy.safetensors").write_bytes(b"of another model")
    shown = run("save", folder, tmp_path / "b", "--overwrite")
    assert load(folder).fingerprint[:12] in shown
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "b").iterdir()
    }


@pytest.mark.parametrize("layout", ["josiecodec", "transformers"])
def test_training_goes_on_from_what_was_saved(tmp_path, layout):
    model = Jodio(tiny_config("mimi"))
    model.decoder.output_proj.linear.parametrizations.weight.original0.data.zero_()
    folder = save_pretrained(model, tmp_path, layout)
    again = load_for_training(folder)
    kinds = [{n: (p.shape, p.requires_grad) for n, p in m.named_parameters()} for m in (again, model)]
    assert kinds[0] == kinds[1]
    fold_weight_norm(again)
    torch.testing.assert_close(dict(again.state_dict()), dict(load(folder).state_dict()))


def test_layouts_are_for_a_mimi(tmp_path):
    with pytest.raises(ModelError, match="no Mimi"):
        save_pretrained(load("jodio-24k"), tmp_path / "b", "transformers")
    assert not (tmp_path / "b").exists()


def test_eval_tells_codecs_of_ours_from_those_of_others(cache, tmp_path):
    fill_cache(cache, "me/tiny", save_pretrained(tiny_model("mimi"), tmp_path / "model", "transformers"))
    codec = build(f"{NAME}@3", ("audio",))
    x = speechlike(5)[0, 0]
    assert len(codec.decode(codec.encode(x, RATE), RATE)) == len(x)
    assert codec.rate.n_q == 3
    (tmp_path / "peer").mkdir()
    (tmp_path / "peer" / "config.json").write_text('{"model_type": "encodec"}')
    fill_cache(cache, "me/peer", tmp_path / "peer")
    with pytest.raises(ModelError, match="me/peer"):
        build("hf:me/peer@1.5", ("audio",))


def test_a_full_precision_model_loses_nothing(tmp_path):
    model = tiny_model()
    again = load(save_pretrained(model, tmp_path / "m"))
    for name, value in again.state_dict().items():
        if name in model.state_dict():
            assert torch.equal(value, model.state_dict()[name])
