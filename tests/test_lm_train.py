"""Training runs: exact resume, several processes, what is logged and saved, and models that cannot be loaded."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from kit.audio import tiny_model
from kit.lm import LEVELS, TINY, VARIANTS, dataset, info, random_clips
from kit.lm_training import CONFIG, trainer, weights

from josiecodec.errors import CodecError, ConfigError, ModelError
from josielm import load, save
from josielm.data.batches import Pieces, open_datasets
from josielm.data.text import TextRows, byte_tokenizer
from josielm.inference.duplex import BUDGET, Report, framed
from josielm.model.config import VisionConfig
from josielm.model.ids import Ids
from josielm.model.language_model import LM
from josielm.training.baselines import Floors, clips_of, floors
from josielm.training.evaluate import negative_log_likelihood, table
from josielm.training.start import code_vectors, start_from_vectors
from josielm.training.trainer import Trainer


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("tokens"), random_clips(60))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_resumed_run_is_an_uninterrupted_one(tokens, tmp_path, precision):
    config = replace(CONFIG, precision=precision)
    trainer(tokens, tmp_path / "whole", config).run()
    trainer(tokens, tmp_path / "parts", config).run(until_step=5)
    for until in (8, None):
        again = trainer(tokens, tmp_path / "parts", config)
        again.resume()
        torch.manual_seed(99)  # whatever happened before
        again.resume()
        again.run(until_step=until)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert not list((tmp_path / "parts").rglob("*.pt"))


def test_a_run_goes_on_with_its_own_settings(tokens, tmp_path):
    trainer(tokens, tmp_path / "run").run(until_step=1)
    for changes, text in (
        ({"seed": 5}, "seed = 0, not 5"),
        ({"optimizer": replace(CONFIG.optimizer, lr=1.0)}, "optimizer.lr"),
        ({"model": replace(CONFIG.model, delays=(0, 1, 2))}, "model.delays"),
    ):
        with pytest.raises(ConfigError, match=text):
            trainer(tokens, tmp_path / "run", replace(CONFIG, **changes)).resume()
    trainer(tokens, tmp_path / "run", replace(CONFIG, steps=99)).resume()
    again = trainer(tokens, tmp_path / "run", replace(CONFIG, seed=5))
    again.resume(changed=["seed"])
    again.run(until_step=2)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["changed"] for line in lines if "changed" in line] == [{"seed": [0, 5]}]
    (tmp_path / "run" / "config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        trainer(tokens, tmp_path / "run").resume()


def test_a_run_that_is_stopped_saves_whole_steps(tokens, tmp_path):
    """Whenever in a step it is told to stop, the step is finished, and the run goes on as if nothing had been."""
    trainer(tokens, tmp_path / "whole").run()
    begun = trainer(tokens, tmp_path / "parts")
    batch = begun.pieces.batch

    def interrupted(seed, step, which):
        if step == 4:
            begun.stop()
        return batch(seed, step, which)

    begun.pieces.batch = interrupted
    begun.run()
    assert (begun.stopped, begun.step) == (True, 5)
    again = trainer(tokens, tmp_path / "parts")
    again.resume()
    again.run()
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


LIGHT = """
import sys
import josielm
assert "torch" not in sys.modules, "the package"
import josielm.model.config, josielm.training.config
josielm.training.config.read_train_config("tiny", ("optimizer.lr = 0.1",))
rooms = ("torch", "soundfile", "josiecodec.audio", "josiecodec.coding", "josiecodec.hub", "josiecodec.training.audio")
found = [m for m in sys.modules if m in rooms or m.startswith(tuple(r + "." for r in rooms))]
assert not found, found
"""


def test_settings_are_light():
    """To read them, neither a codec nor its teachers, discriminators and audio files have to be imported."""
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_parts_of_a_batch_add_up(tokens, tmp_path):
    """Gradient accumulation changes nothing but rounding, where all parts have as many frames."""
    config = replace(CONFIG, model=replace(CONFIG.model, temporal=TINY.temporal), depth_frame_fraction=1.0, steps=3)
    trainer(tokens, tmp_path / "one", config).run()
    trainer(tokens, tmp_path / "two", replace(config, accumulate=2)).run()
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=2e-5, rtol=1e-4)
    with pytest.raises(ConfigError, match="equal parts"):
        replace(config, accumulate=3)


WORKER = """
import sys
from dataclasses import replace
sys.path.insert(0, sys.argv[3])
from kit.lm_training import CONFIG, trainer
from pathlib import Path
from josiecodec.training.core.distributed import distributed_device, leave_group
from kit.lm import TINY
distributed_device("cpu")
config = replace(CONFIG, model=replace(CONFIG.model, temporal=TINY.temporal), depth_frame_fraction=1.0, steps=3)
trainer(Path(sys.argv[1]), Path(sys.argv[2]), config).run()
leave_group()
"""


def test_two_processes_train_one_model(tokens, tmp_path):
    from pathlib import Path

    config = replace(CONFIG, model=replace(CONFIG.model, temporal=TINY.temporal), depth_frame_fraction=1.0, steps=3)
    trainer(tokens, tmp_path / "alone", config).run()
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    command += [str(script), str(tokens), str(tmp_path / "pair"), str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    alone, pair = weights(tmp_path / "alone"), weights(tmp_path / "pair")
    for name in alone:
        torch.testing.assert_close(alone[name], pair[name], atol=2e-5, rtol=1e-4)


def test_a_model_learns_and_says_so(tokens, tmp_path):
    """On walks along the codes a short run gets below the unigram; the log has all that is to be watched."""
    data = open_datasets([tokens])
    valid = open_datasets([dataset(tmp_path / "valid", random_clips(6, seed=9))])
    config = replace(CONFIG, steps=120, batch=8, depth_frame_fraction=1.0, validate_every=60)
    pieces, judged = (Pieces(d, config.model, config.frames) for d in (data, valid))
    said = []
    Trainer(config, pieces, tmp_path / "run", judged, report=said.append).run()
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    last = [line for line in lines if "nll" in line][-1]
    assert {"loss", "grad_norm", "tokens_per_second", "mfu", "lr", "unigram"} <= last.keys()
    assert 0 < last["mfu"] < 1
    assert last["nll"].keys() == last["unigram"].keys() == {f"level_{k}" for k in range(LEVELS)}
    assert [line["step"] for line in lines if "valid" in line] == [60, 120, 120]
    assert list((tmp_path / "run").glob("events*"))
    trained = load(tmp_path / "run" / "model")
    rows = table(
        negative_log_likelihood(trained.model, judged),
        floors(clips_of(data, LEVELS), clips_of(valid, LEVELS), config.model.codebook_size),
    )
    assert all(row.model < 0.7 * row.unigram for row in rows)
    assert any("valid" in line for line in said)


def test_judging_counts_every_code_once(tokens):
    torch.manual_seed(0)
    model, data = LM(TINY), open_datasets([tokens])
    pieces = Pieces(data, TINY, 12)
    one = negative_log_likelihood(model, pieces, batch=1)
    many = negative_log_likelihood(model, pieces, batch=16)
    assert one == pytest.approx(many, abs=1e-5)
    assert negative_log_likelihood(model, pieces, max_frames=100) != many


def test_a_run_starts_from_the_codec(tmp_path):
    codec = tiny_model()
    torch.manual_seed(0)
    model = LM(replace(TINY, n_q=6, codebook_size=64))
    before = float(model.code_tables.tables[2].weight.detach().std())
    vectors = code_vectors(codec, 6)
    assert [len(v) for v in vectors] == [64] * 6
    start_from_vectors(model, vectors)
    table_, vector = model.code_tables.tables[2].weight[:64], vectors[2] - vectors[2].mean(0)
    near, far = torch.pdist(vector), torch.pdist(table_)
    assert torch.corrcoef(torch.stack([near, far]))[0, 1] > 0.7  # what is close for the codec is close here
    assert float(table_.detach().std()) == pytest.approx(before, rel=0.3)


@pytest.mark.parametrize("name", VARIANTS)
def test_parameters_are_bounded_from_below(name):
    count = LM(VARIANTS[name]).parameter_count()
    assert 0.8 * count < VARIANTS[name].min_parameters <= count


def test_a_level_without_figures_is_no_number():
    found = Floors([1.0, 2.0], [1.0, 2.0], [1.0, 2.0])
    rows = table({"level_0": 0.5}, found)
    assert (rows[0].model, math.isnan(rows[1].model)) == (0.5, True)


def test_the_mode_is_kept(tmp_path):
    writing = replace(TINY, text_head="temporal", text_size=258)
    rows = TextRows(byte_tokenizer(), Ids(writing.codebook_size, 258), 12.5)
    folder = save(tmp_path / "m", LM(writing), info(), rows, mode="turns")
    assert load(folder).mode == "turns"
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"mode": "turns"', '"mode": "songs"'))
    with pytest.raises(ModelError, match="songs"):
        load(folder)
    (folder / "config.json").write_text(text.replace(',\n "mode": "turns"', ""))
    assert load(folder).mode == "stream"


def test_an_earlier_name_of_a_setting_is_known(tmp_path):
    looking = replace(TINY, vision=VisionConfig(n_q=2, codebook_size=16, max_patches=7))
    folder = save(tmp_path / "m", LM(looking), info(), vision=info(kind="visual", n_q=2))
    text = (folder / "config.json").read_text()
    assert '"max_patches": 7' in text
    (folder / "config.json").write_text(text.replace("max_patches", "most"))
    assert load(folder).model.config == looking


def test_what_cannot_be_loaded_is_refused(tmp_path):
    torch.manual_seed(0)
    model = LM(TINY)
    folder = save(tmp_path / "m", model, info())
    assert load(folder).model.config == TINY
    assert load(folder).codec == info()
    text = (folder / "config.json").read_text()
    values = json.loads(text)
    config = values["config"]
    for change in (
        {"config": {**config, "nonsense": 1}},
        {"config": {**config, "n_q": 4}},
        {"config": {**config, "codebook_size": 10**9}},
        {"config": {**config, "n_q": 10**9}},
        {"type": "jodio"},
        {"format": 2},
        {"codec": None},
    ):
        (folder / "config.json").write_text(json.dumps({**values, **change}))
        with pytest.raises(ModelError):
            load(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        load(folder)
    (folder / "config.json").write_text(text)
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match="cannot be read"):
        load(folder)
    with pytest.raises(ModelError, match="no model here"):
        load(tmp_path)
    with pytest.raises(ModelError, match="no checkpoint"):
        data = open_datasets([dataset(tmp_path / "d", random_clips(3))])
        Trainer(CONFIG, Pieces(data, CONFIG.model, 8), tmp_path / "none").resume()


def test_frames_of_any_blocks():
    blocks = [torch.arange(n).float() for n in (3, 0, 7, 5)]
    got = list(framed(iter(blocks), 4))
    assert [real for _, real in got] == [4, 4, 4, 3]
    assert torch.equal(torch.cat([f[0, 0, :r] for f, r in got]), torch.cat(blocks))
    assert got[-1][0].shape == (1, 1, 4)


def test_a_report_counts_what_is_late():
    report = Report(seconds=[0.01] * 98 + [BUDGET + 0.01] * 2)
    figures = report.figures(0.08)
    assert (figures["frames"], figures["over_budget"]) == (100, 2)
    assert figures["median_ms"] == 10
    assert figures["p99_ms"] == 150
    assert Report().figures(0.08)["frames"] == 0


def test_processes_must_be_able_to_share(tokens, tmp_path, monkeypatch):
    monkeypatch.setattr("josiecodec.training.core.loop.rank_and_world", lambda: (0, 3))
    with pytest.raises(ConfigError, match="3 processes"):
        trainer(tokens, tmp_path / "x")
    assert issubclass(ConfigError, CodecError)
