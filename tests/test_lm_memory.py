"""What a model takes in memory: predicted, measured, and with caches that keep less."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner
from kit.lm import TINY, VARIANTS, inputs_for, made

from josiecodec.errors import ConfigError
from josielm import save
from josielm.cli.main import cli
from josielm.inference.memory import caches, fill, predicted
from josielm.inference.sampling import Draw, Sampling
from josielm.inference.stream import CacheConfig, LMStream

GREEDY = Sampling(Draw(0), Draw(0), Draw(0))


def size(stream):
    return sum(p.keys.nbytes + p.values.nbytes for _, p in caches(stream))


@pytest.mark.parametrize(
    "cache", [CacheConfig(), CacheConfig("bfloat16"), CacheConfig(frames=5), CacheConfig("float16", 3)]
)
def test_the_cache_is_as_large_as_predicted(cache):
    stream = LMStream(made(TINY), [0, 1], GREEDY, cache=cache)
    wanted = predicted(TINY, "float32", cache, batch=2).cache
    grown = []
    for _ in range(20):
        stream.step()
        grown.append(size(stream))
    assert grown[0] < wanted == grown[-1]
    early = LMStream(made(TINY), [0, 1], GREEDY, cache=cache)
    early.step()
    fill(early)
    assert size(early) == wanted


def test_weights_are_as_large_as_predicted():
    for config in (TINY, VARIANTS["all"], VARIANTS["v4o"]):
        model = made(config)
        assert predicted(config).weights == sum(p.nbytes for p in model.parameters())
        assert predicted(config, "bfloat16").weights == predicted(config).weights / 2
    with pytest.raises(ConfigError, match="float32"):
        predicted(TINY, "int3")


def test_a_process_grows_by_that_much():
    wide = ("temporal.dim=512", "temporal.heads=8", "temporal.hidden=4096", "temporal.layers=6")
    changes = [part for change in wide for part in ("--set", f"model.{change}")]
    command = [sys.executable, "-m", "josielm.cli.main", "memory", "tiny", *changes, "--measure", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["measured"] == pytest.approx(figures["total"], rel=0.1)


def test_a_shorter_past_is_that_of_a_shorter_context():
    model = made(TINY)
    short = made(replace(TINY, context=5))
    short.load_state_dict(model.state_dict())
    codes = inputs_for(TINY, frames=20).codes
    found = []
    for stream in (LMStream(model, [0, 1], GREEDY, cache=CacheConfig(frames=5)), LMStream(short, [0, 1], GREEDY)):
        for t in range(20):
            stream.step(codes=codes[..., t])
        found.append(torch.stack([p.keys for _, p in caches(stream)]))
    assert torch.allclose(found[0], found[1], atol=1e-5)
    with pytest.raises(ConfigError, match="two frames"):
        CacheConfig(frames=1)


def test_the_command(tmp_path):
    def run(*args):
        done = CliRunner().invoke(cli, ["memory", *map(str, args)])
        return done.exit_code, done.output

    code, out = run("v4o-paper", "--dtype", "bfloat16", "--cache-dtype", "float16", "--json")
    assert code == 0
    assert json.loads(out)["weights"] == pytest.approx(5.6e9, rel=0.01), "as the paper says"
    from kit.lm import info

    save(tmp_path / "m", made(TINY), info())
    code, out = run(tmp_path / "m", "--measure")
    assert code == 0
    assert "measured" in out
    assert run("nothing", "--json")[0] != 0
