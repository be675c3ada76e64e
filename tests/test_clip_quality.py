"""Columns of quality: what they say of made sounds, and where exports have them."""

from __future__ import annotations

import gzip
import json
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from click.testing import CliRunner
from kit.datasets import AUDIO_INFO, made_codes

from josiecodec.datasets.dataset import ShardWriter
from josiecodec.errors import CodecError
from josiecodec.evaluation.clip_quality import SAMPLE_RATE, chosen_measures, clipped, columns, level, quality, snr
from josiecodec_cli.main import cli


def talk(noise_db: float, seed: int = 0) -> np.ndarray:
    """Bursts of a voice and pauses, in noise of so many dB below the whole."""
    random = np.random.default_rng(seed)
    t = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    voice = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 12)) * (t % 0.8 < 0.5)
    voice *= 0.1 / np.sqrt(np.mean(voice**2))
    return (voice + 0.1 * 10 ** (-noise_db / 20) * random.standard_normal(len(t))).astype(np.float32)


@pytest.mark.parametrize("known", [0, 10, 20, 40])
def test_snr_is_near_the_known_one(known):
    assert snr(talk(known)) == pytest.approx(known, abs=1.5)
    assert snr(0.1 * talk(known)) == pytest.approx(snr(talk(known)), abs=0.01)  # at any level


def test_level_and_clipping():
    assert level(talk(99)) == pytest.approx(-20, abs=0.1)
    assert snr(talk(140)) > 60
    wave = np.full(1000, 0.5, np.float32)
    wave[::10] = 1.0
    assert clipped(wave) == pytest.approx(0.1)
    assert math.isfinite(snr(wave[:5]))
    assert level(np.zeros(9)) == -120


def test_silence_is_said_first():
    measures = chosen_measures("snr,level,clipped")
    assert columns(measures) == ("silent", "snr_db", "level_dbfs", "clipped")
    for nothing in (np.zeros(48000, np.float32), np.zeros(0, np.float32)):
        assert quality(nothing, measures) == {"silent": 1.0, "snr_db": None, "level_dbfs": None, "clipped": None}
    assert set(quality(None, measures).values()) == {None}
    assert quality(talk(20), measures)["silent"] == 0.0
    with pytest.raises(CodecError, match="no quality 'mos'; there are snr, level"):
        chosen_measures("snr,mos")


def test_dnsmos_is_a_column():
    for package in ("speechmos", "librosa", "onnxruntime"):
        pytest.importorskip(package)
    found = quality(talk(20), chosen_measures("dnsmos"))
    assert 1 < found["dnsmos"] < 3  # a hum with gaps is no good speech
    assert quality(0.1 * talk(20), chosen_measures("dnsmos")) == pytest.approx(found, abs=0.01)  # at any level
    assert quality(np.zeros(48000, np.float32), chosen_measures("dnsmos"))["dnsmos"] is None


def test_exports_have_the_columns(tmp_path):
    (tmp_path / "m").mkdir()
    soundfile.write(tmp_path / "m" / "a.wav", talk(20), SAMPLE_RATE)
    soundfile.write(tmp_path / "m" / "b.wav", np.zeros(SAMPLE_RATE), SAMPLE_RATE)
    codes = made_codes(4)
    lines = [{"id": f"{i}", "source": s, "start": 0.0, "duration": d} for i, (s, d) in
             enumerate([("a.wav", 4.0), ("b.wav", 1.0), ("none.wav", 1.0), ("a.wav", 1.0)])]  # fmt: skip
    lines[3] |= {"start": 0.5, "part": [0.5, 0.29]}  # a pause alone: noise
    writer = ShardWriter(tmp_path / "d", AUDIO_INFO)
    writer.write(0, zip(codes, lines))

    def export(kind):
        options = ["--to", kind, "--media", str(tmp_path / "m"), "--quality", "snr,level"]
        with pytest.warns(UserWarning, match=r"none\.wav: no such file"):
            done = CliRunner().invoke(cli, ["tokens", "export", str(tmp_path / "d"), str(tmp_path / kind), *options])
        assert done.exit_code == 0, done.output
        return tmp_path / kind

    for path in (export("parquet") / "00000.parquet", export("hub") / "data" / "train-00000-of-00001.parquet"):
        rows = pq.read_table(path).to_pylist()
        assert [row["silent"] for row in rows] == [0.0, 1.0, None, 0.0]
        assert rows[0]["snr_db"] == pytest.approx(20, abs=1.5)
        assert rows[3]["snr_db"] < 0
        assert rows[0]["level_dbfs"] == pytest.approx(-20, abs=0.2)
        assert rows[1]["snr_db"] is None
        assert "snr_db" not in json.loads(rows[0]["meta"])
    jsonl = [json.loads(x) for x in (export("jsonl") / "00000.jsonl").open()]
    assert jsonl[0]["snr_db"] == pytest.approx(20, abs=1.5)
    cuts = [json.loads(x) for x in gzip.open(export("lhotse") / "shar" / "cuts.000000.jsonl.gz")]
    assert cuts[0]["custom"]["snr_db"] == jsonl[0]["snr_db"]


def test_quality_needs_recordings(tmp_path):
    writer = ShardWriter(tmp_path / "d", AUDIO_INFO)
    writer.write(0, [])
    wrong = [(["--quality", "snr"], "needs --media"), (["--media", "nowhere"], "is no folder")]
    for options, text in [*wrong, (["--media", str(tmp_path)], "says nothing in hub without --quality")]:
        arguments = ["tokens", "export", str(tmp_path / "d"), str(tmp_path / "o"), "--to", "hub", *options]
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == 2
        assert text in done.output
    assert not (tmp_path / "o").exists()
