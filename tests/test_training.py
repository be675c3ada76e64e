"""Training: it learns, resumes bit for bit, follows its schedules, and runs in several processes."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import signal
import subprocess
import sys

import pytest
import torch
from kit.audio import speechlike, tiny_config
from kit.audio_training import config, make_recordings, trainer, weights

from josiecodec.config import to_dict
from josiecodec.errors import CodecError, ConfigError, ModelError
from josiecodec.hub.store import load, load_for_training
from josiecodec.training.audio.data import crop_frames, load_recordings
from josiecodec.training.audio.levels import draw_levels
from josiecodec.training.audio.trainer import AudioTrainer
from josiecodec.training.core import checkpoint
from josiecodec.training.core.interrupt import run_until_interrupted
from josiecodec.training.core.schedule import learning_rate, ramp
from josiecodec.training.core.settings import changed_names


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_recordings(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="module")
def recordings(folder):
    return load_recordings(folder)


def test_a_resumed_run_is_an_uninterrupted_one_bit_for_bit(recordings, tmp_path):
    whole = trainer(recordings, tmp_path / "whole")
    whole.run()
    assert whole.step == 12
    for stop in (2, 7, 10):  # before the codebooks, after them, with the adversary
        first = trainer(recordings, tmp_path / f"cut{stop}")
        first.run(until_step=stop)
        second = trainer(recordings, tmp_path / f"cut{stop}")
        torch.manual_seed(99)
        second.resume()
        second.run()
        for name, value in weights(whole).items():
            assert torch.equal(value, weights(second)[name]), (stop, name)
    entries = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert entries[-1]["step"] == 12
    for term in ("mel", "magnitude", "fine", "vq", "pesq", "stoi", "pitch", "teacher_cosine", "adversarial"):
        assert math.isfinite(entries[-1][term]), term


def test_what_is_trained_can_be_loaded_and_learns(recordings, tmp_path):
    settings = config(
        steps=60,
        adversary={"start": 1.0},
        loss={"pesq": 0.0, "overlap": 2},
        optimizer={"warmup": 2, "lr": 3e-3, "ema": 0.9},
        quantization={"continuous": 0.1, "buffer": 200},
    )
    t = trainer(recordings, tmp_path, settings)
    first = [float(t.advance()["mel"]) for _ in range(3)]
    t.run()
    last = [float(t.objective.spectral(*_pair(t))["mel"]) for _ in range(3)]
    assert sum(last) < 0.8 * sum(first)
    codec = load(tmp_path / "model")
    codes = codec.encode(speechlike(20))
    assert codes.unique().numel() > 10
    assert codec.decode(codes).isfinite().all()


def _pair(t: AudioTrainer):
    x, _, _ = t.sampler.batch(4, t.length)
    with torch.no_grad():
        return t.model(x).audio[:, 0], x[:, 0]


def test_minutes_make_a_whole_run(recordings, tmp_path):
    """The clock is set by hand, so that the test does not depend on how fast a step is."""
    t = trainer(recordings, tmp_path, config(adversary={"start": 1.0}), minutes=1000.0)
    t.run(until_step=2)
    assert t.seconds > 0
    assert not t.codebooks_ready
    t.seconds = 30_000.0
    t.run(until_step=3)
    assert t.codebooks_ready
    t.seconds = 60_000.0
    t.run()
    assert (t.progress, t.step) == (1.0, 3)
    longer = trainer(recordings, tmp_path, config(adversary={"start": 1.0}), minutes=2000.0)
    longer.resume()
    assert longer.progress == 0.5
    assert longer.changed_at == longer.step == 3  # the learning rate rises anew
    longer.run(stop_after=1e-9)
    assert longer.progress < 1


def test_validation_is_logged(recordings, tmp_path):
    t = trainer(recordings, tmp_path, config(adversary={"start": 1.0}), valid=recordings)
    t.excerpts = t.excerpts[:2]
    t.run()
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    scores = entries[-1]["valid"]
    assert {"mel@1", "mel@4", "mel@6", "entropy_bits/0", "used/5"} <= set(scores)
    assert {f"{measure}@unquantised" for measure in ("mel", "pesq_wb", "stoi", "si_sdr")} <= set(scores)
    assert (tmp_path / "spectrogram.png").stat().st_size > 1000
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path)).Reload()
    assert events.Tags()["images"] == ["spectrogram"]
    assert {"excerpt/original", "excerpt/n_q 1"} <= set(events.Tags()["audio"])


def test_the_decoder_can_be_trained_alone(recordings, tmp_path):
    trainer(recordings, tmp_path / "a").run()
    start = load_for_training(tmp_path / "a" / "model")
    t = trainer(recordings, tmp_path / "b", config(freeze_codes=True, adversary={"start": 1.0}))
    t.start_from(start)
    t.run()
    before, after = start.state_dict(), t.model.state_dict()
    for name in before:
        assert torch.equal(before[name], after[name]) == (not name.startswith("decoder") or name.endswith("curve")), (
            name
        )


def test_checkpoints_that_do_not_fit_are_refused(recordings, tmp_path):
    with pytest.raises(ModelError):
        trainer(recordings, tmp_path).resume()
    trainer(recordings, tmp_path).run(until_step=1)
    other = dataclasses.replace(tiny_config(), latent_dim=64)
    with pytest.raises(ModelError, match="does not fit"):
        trainer(recordings, tmp_path, config(model=to_dict(other))).resume(changed=["model"])
    with pytest.raises(ModelError, match="architecture"):
        trainer(recordings, tmp_path, config(model=to_dict(other))).start_from(load_for_training(tmp_path / "model"))
    path = tmp_path / "checkpoint.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:1000])
    with pytest.raises(ModelError, match="no checkpoint"):
        trainer(recordings, tmp_path).resume()
    path.write_bytes(data)
    tensors, meta = checkpoint.read(tmp_path)
    del meta["version"]
    checkpoint.write(tmp_path, tensors, meta)
    with pytest.raises(ModelError, match="earlier version"):
        trainer(recordings, tmp_path).resume()


def test_a_run_goes_on_with_its_own_settings(recordings, tmp_path):
    trainer(recordings, tmp_path).run(until_step=1)
    before = (tmp_path / "config.json").read_text()
    loss = {**to_dict(config().loss), "mel": 2.0}
    for changes, text in (
        ({"seed": 5}, "seed = 0, not 5; --change seed"),
        ({"batch": 3}, "batch = 2, not 3"),
        ({"loss": loss}, "loss.mel = 1.0, not 2.0"),
    ):
        with pytest.raises(ConfigError, match=text):
            trainer(recordings, tmp_path, config(**changes)).resume()
        with pytest.raises(ConfigError, match=text):
            trainer(recordings, tmp_path, config(**changes)).resume(changed=["optimizer", "los"])
    assert (tmp_path / "config.json").read_text() == before
    trainer(recordings, tmp_path, config(steps=99)).resume()
    t = trainer(recordings, tmp_path, config(loss=loss, batch=3))
    t.resume(changed=["loss.mel", "batch"])
    t.run(until_step=2)
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    (entry,) = (e for e in entries if "changed" in e)
    assert entry["step"] == 1
    assert entry["changed"] == {"batch": [2, 3], "loss.mel": [1.0, 2.0]}
    trainer(recordings, tmp_path, config(loss=loss, batch=3)).resume()  # these are its settings now
    values = json.loads(before)
    (tmp_path / "config.json").write_text(json.dumps({**values, "old_name": 1}))
    with pytest.raises(ConfigError, match="old_name = 1, a setting that no longer exists"):
        trainer(recordings, tmp_path).resume()
    (tmp_path / "config.json").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        trainer(recordings, tmp_path).resume()


def test_changed_settings_are_named():
    assert changed_names(("seed = 1", "optimizer.lr = 1e-3")) == ("seed", "optimizer.lr")
    assert changed_names(("teacher = {kind='none', layer=1}",)) == ("teacher", "teacher.layer")
    with pytest.raises(ConfigError, match="setting"):
        changed_names(("seed",))


def test_a_bad_batch_does_not_end_a_run(recordings, tmp_path):
    t = trainer(recordings, tmp_path, config(adversary={"start": 1.0}))
    before = weights(t)["model/encoder.input_proj.weight"].clone()
    batch = t.sampler.batch
    t.sampler.batch = lambda *a: (batch(*a)[0] * math.nan, *batch(*a)[1:])
    assert "skipped" in t.advance()
    assert torch.equal(weights(t)["model/encoder.input_proj.weight"], before)


def test_interrupts_wait_for_the_step(recordings, tmp_path):
    """Ctrl-C in the middle of a step: what is saved is that step, whole. A second Ctrl-C does not wait."""
    whole = trainer(recordings, tmp_path / "whole")
    whole.run(until_step=5)
    before = signal.getsignal(signal.SIGINT)  # a process in the background may ignore it
    for times, error in ((1, CodecError), (2, KeyboardInterrupt)):
        t = trainer(recordings, tmp_path / f"cut{times}")
        batch = t.sampler.batch

        def interrupted(*args, t=t, batch=batch, times=times):
            crops = batch(*args)
            for _ in range(times if t.step == 4 else 0):
                signal.raise_signal(signal.SIGINT)
            return crops

        t.sampler.batch = interrupted
        with pytest.raises(error):
            run_until_interrupted(t)
        assert t.step == (5 if times == 1 else 4)
    assert signal.getsignal(signal.SIGINT) is before
    known, saved = (checkpoint.read(tmp_path / name)[0] for name in ("whole", "cut1"))
    assert known.keys() == saved.keys()
    assert all(torch.equal(known[name], saved[name]) for name in known)
    assert not (tmp_path / "cut2" / "checkpoint.safetensors").exists()


SCRIPT = """
import sys, torch
sys.path.insert(0, {tests!r})
from kit.audio_training import config, trainer, weights
from josiecodec.training.audio.data import load_recordings
from josiecodec.training.core.distributed import distributed_device, leave_group
import torch.distributed as dist
distributed_device("cpu")
torch.set_num_threads(1)
t = trainer(load_recordings({folder!r}), {out!r})
t.run(until_step=6)
t = trainer(load_recordings({folder!r}), {out!r})
t.resume()
t.run()
flat = torch.cat([v.flatten().double() for v in weights(t).values()])
both = [torch.empty_like(flat) for _ in range(2)]
dist.all_gather(both, flat)
assert torch.equal(*both), "the processes have drifted apart"
leave_group()
"""


def test_two_processes_stay_together(folder, tmp_path):
    script = tmp_path / "train.py"
    here = os.path.dirname(__file__)
    script.write_text(SCRIPT.format(tests=here, folder=str(folder), out=str(tmp_path / "run")))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*command, str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert load(tmp_path / "run" / "model").config.name == "tiny-spectral"


def test_every_name_in_a_line_of_training_is_explained_once(recordings, tmp_path):
    said: list[str] = []
    run = trainer(recordings, tmp_path)
    run.report = said.append
    run.run()
    shown = {word for line in said if line.startswith("step") for word in re.findall(r"[a-z]\w+(?= -?\d+\.\d)", line)}
    assert {"loss", "mel", "vq"} <= shown
    for name in shown:
        assert sum(f"{name}: " in line for line in said) == 1


def test_schedules():
    settings = config().optimizer
    rates = [learning_rate(settings, p, 100) for p in (0.0, 0.5, 1.0)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(settings.lr * settings.final)
    assert learning_rate(settings, 0.0, 0) == pytest.approx(settings.lr / 2)
    assert (ramp(0.1, 0.2), ramp(0.9, 0.2)) == (0.0, 1.0)
    levels = draw_levels(config().quantization, 4000, 4, 6, torch.Generator().manual_seed(0))
    assert levels.min() == 1
    assert levels.max() == 6
    assert 0.5 < float((levels == 4).float().mean()) < 0.65
    assert crop_frames(1.6, 24000, 1920) == 20 * 1920
