"""The delay of a conversation, measured with a device that only keeps the time, and what a model remembers of it."""

from __future__ import annotations

import json

import pytest
import torch
from click.testing import CliRunner
from kit.audio import tiny_model
from kit.lm import TINY, made

from josiecodec.datasets.dataset import DatasetInfo
from josiecodec.hub.store import load as load_codec
from josiecodec.hub.store import save as save_codec
from josielm import Trained, save
from josielm.cli.main import cli
from josielm.inference.duplex import Talk
from josielm.inference.live import converse
from josielm.inference.loopback import LoopBack


class Time:
    """A clock that sleeping moves, and work."""

    def __init__(self):
        self.now = 5.0

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def trained(codec):
    config = TINY.with_levels(3, codec.codebook_size)
    info = DatasetInfo("tiny", codec.fingerprint, "audio", codec.n_q, codec.codebook_size, 24000, (25, 2), 1)
    return Trained(made(config), info, None)


def test_delays_are_those_of_the_clock():
    time = Time()
    device = LoopBack(24000, time.clock, time.sleep)
    for work in (0.03, 0.03, 0.15, 0.01):
        block, _ = device.read(1920)
        time.now += work
        device.write(block)
    # played behind what was played before; the third comes 0.04 s too late, and so does all that follows
    assert [round(1000 * d) for d in device.delays] == [110, 110, 230, 230]
    assert device.gaps == 1
    assert device.figures(0.08) == {"delay_ms": 250.0, "worst_delay_ms": 310.0, "gaps": 1}


def test_a_conversation_answers_what_it_has_just_heard():
    codec = tiny_model()
    talk, offline = (Talk(trained(codec), codec, quiet_after=None) for _ in range(2))
    time, played = Time(), []
    device = LoopBack(24000, time.clock, time.sleep)
    device.write = lambda block: played.append(torch.from_numpy(block)[:, 0])
    with torch.inference_mode():
        converse(talk, 0.4, device)
        expected = [offline.frame(torch.zeros(1, 1, 1920))[0, 0] for _ in range(6)]
    assert len(played) == 5
    for one, other in zip(played, expected[1:]):
        assert torch.equal(one, other.clamp(-1, 1))


@pytest.mark.parametrize(("seconds", "kept"), [(None, TINY.context - 1), (0.3, 3), (0.2, 2), (0.01, 1)])
def test_a_model_remembers_no_more_than_it_is_told(seconds, kept):
    codec = tiny_model()
    talk = Talk(trained(codec), codec, look_back=seconds)
    for _ in range(TINY.context + 3):
        talk._model.step()
    assert {past.keys.shape[2] for past in talk._model.state.values()} == {kept}


def test_the_command(tmp_path):
    save_codec(tiny_model(), tmp_path / "codec")
    model = trained(load_codec(tmp_path / "codec"))
    save(tmp_path / "model", model.model, model.codec)
    options = ["--loop-back", "--seconds", "0.2", "--look-back", "0.3", "--codec", str(tmp_path / "codec"), "--json"]
    done = CliRunner().invoke(cli, ["talk", str(tmp_path / "model"), *options])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["delay_ms"] >= 80
    assert said["frames"] == 3
