"""Training data of audio: recordings, crops, labels, and what teachers make of them."""

from __future__ import annotations

import math

import pytest
import soundfile
import torch
from kit.audio import RATE, speechlike, tiny_model
from kit.audio_training import make_recordings

from josiecodec.errors import CodecError, MediaError
from josiecodec.training.audio.data import CropSampler, DataConfig, load_recordings
from josiecodec.training.audio.teacher import TeacherConfig, make_teacher


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_recordings(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="module")
def recordings(folder):
    return load_recordings(folder)


def test_crops_come_evenly_from_voices_and_kinds(recordings):
    data = DataConfig(speech=0.5, music=0.5, env=0.5, mix=0.0, telephone=0.0, voice_power=0.0)
    sampler = CropSampler(recordings, data, torch.device("cpu"))
    assert float(sampler.weights.sum()) == pytest.approx(1.0)
    x, first, speech = sampler.batch(64, 9600)
    assert x.shape == (64, 1, 9600)
    assert x.abs().max() <= 1
    assert (first % 480 == 0).all()
    assert 15 < int(speech.sum()) < 50
    again = CropSampler(recordings, data, torch.device("cpu"))
    assert torch.equal(again.batch(64, 9600)[0], x)


def test_crops_longer_than_a_file_are_padded_or_run_on(recordings):
    sampler = CropSampler(recordings, DataConfig(), torch.device("cpu"))
    x, _, _ = sampler.batch(4, len(recordings.samples) + 960)
    assert x.isfinite().all()


def test_augmentation_keeps_what_it_should(recordings):
    data = DataConfig(mix=1.0, telephone=1.0, gain_db=(-3.0, -3.0))
    x, _, _ = CropSampler(recordings, data, torch.device("cpu")).batch(8, 48000)
    spectrum = torch.fft.rfft(x[:, 0]).abs().square().mean(0)
    assert spectrum[5000 * 2 :].sum() < 1e-4 * spectrum.sum()


def test_folders_without_a_manifest(tmp_path):
    for voice in ("ann", "bob"):
        (tmp_path / voice).mkdir()
        soundfile.write(tmp_path / voice / "a.wav", speechlike(3)[0, 0].numpy(), RATE)
    found = load_recordings(tmp_path)
    assert {s.speaker for s in found.segments} == {"ann", "bob"}
    assert found.voices == 2
    assert found.seconds() == pytest.approx(0.48)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CodecError):
        load_recordings(tmp_path / "empty")


def test_teachers(recordings, tmp_path):
    teacher = make_teacher(recordings, TeacherConfig(), 1920, torch.device("cpu"))
    first = torch.tensor([0, 4800])
    assert teacher.feature_targets(first, 10).shape == (2, 10, 24)
    segment = recordings.segments[0]
    rows = teacher.features[: segment.length // 480].float()
    assert rows[:, :12].mean(0).abs().max() < 0.05  # normalised per recording
    assert teacher.phone_targets(first, 10) is None
    assert make_teacher(recordings, TeacherConfig(kind="none"), 1920, torch.device("cpu")) is None
    with pytest.raises(CodecError, match=r"not on this machine|no folder"):
        make_teacher(recordings, TeacherConfig(kind="wavlm", model="no/such"), 1920, torch.device("cpu"))


def test_the_wavlm_teacher_runs_where_its_weights_are(recordings, tmp_path):
    transformers = pytest.importorskip("transformers")
    small = transformers.WavLMConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, conv_dim=(8,) * 7
    )
    transformers.WavLMModel(small).save_pretrained(tmp_path)
    teacher = make_teacher(
        recordings, TeacherConfig(kind="wavlm", model=str(tmp_path), layer=1), 1920, torch.device("cpu")
    )
    assert teacher.dim == 16
    found = teacher.features[: recordings.segments[0].length // 480 - 2].float()
    assert (found.abs().sum(1) > 0).all()


def test_labels_of_recordings(recordings, tmp_path):
    from josiecodec.training.audio.labels import load_labels
    from josiecodec.training.audio.phones import PHONES, UNKNOWN, label_recordings, load_phones

    pytest.importorskip("pocketsphinx")
    label_recordings(recordings, tmp_path / "phones.safetensors", workers=1)
    labels = load_phones(tmp_path / "phones.safetensors", recordings)
    assert len(labels) == len(recordings.samples) // 240
    known = labels[labels != UNKNOWN]
    assert len(known) > 0.5 * len(labels) * 10 / 12
    assert known.max() < len(PHONES)
    music = recordings.segments[-1]
    assert (labels[music.start // 240 :][: music.length // 240] == UNKNOWN).all()
    with pytest.raises(CodecError):
        load_labels(tmp_path / "none", recordings, 0)


def test_labels_of_long_recordings_do_not_hang(tmp_path):
    """Longer than what one thread works on, after the parent has used several."""
    from josiecodec.training.audio.phones import UNKNOWN, label_recordings, load_phones

    pytest.importorskip("pocketsphinx")
    soundfile.write(tmp_path / "a.flac", speechlike(70)[0, 0].numpy(), RATE)
    lines = "path\tduration_s\tlanguage\na.flac\t5.5\ten\n"
    (tmp_path / "manifest.tsv").write_text(lines)
    recordings = load_recordings(tmp_path)
    torch.rand(1 << 20).clamp(0.1, 0.9)
    label_recordings(recordings, tmp_path / "phones.safetensors", workers=1)
    assert (load_phones(tmp_path / "phones.safetensors", recordings) != UNKNOWN).float().mean() > 0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file\tx\na.flac\t1\n", "column 'path'"),
        ("path\toffset_s\na.flac\tabc\n", "line 2: a number"),
        ("path\toffset_s\na.flac\t99\n", "does not lie"),
        ("path\toffset_s\na.flac\t-1\n", "does not lie"),
        ("path\tkind\na.flac\tSpeech\n", "kind 'Speech'"),
    ],
)
def test_wrong_manifests_are_named(tmp_path, text, message):
    soundfile.write(tmp_path / "a.flac", speechlike(10)[0, 0].numpy(), RATE)
    (tmp_path / "manifest.tsv").write_text(text)
    with pytest.raises(MediaError, match=message):
        load_recordings(tmp_path)


def test_pitch_labels_follow_the_pitch(tmp_path):
    pytest.importorskip("swift_f0")
    from josiecodec.training.audio.pitch import label_pitch

    time = torch.arange(2 * RATE) / RATE
    wave = sum(torch.sin(2 * math.pi * 180 * k * time) / k for k in range(1, 9)) * 0.1
    labels = label_pitch(torch.cat([wave, torch.zeros(RATE)]), RATE).float() / 10
    assert labels[20:180].median() == pytest.approx(180, abs=2)
    assert (labels[-60:] == 0).all()


def test_the_probe_finds_what_is_there(recordings):
    from josiecodec.training.audio.probe import probe_levels

    model = tiny_model()
    phones = torch.zeros(len(recordings.samples) // 240, dtype=torch.uint8)
    for segment in recordings.segments:  # "phones" that follow loudness, which codes surely carry
        wave = recordings.waveform(segment)[: segment.length // 1920 * 1920].view(-1, 1920)
        loud = (wave.square().mean(1) > 0.002).to(torch.uint8) * 2 + 3
        first = segment.start // 240
        phones[first : first + len(loud) * 8] = loud.repeat_interleave(8)
    found = probe_levels(model, (recordings, phones), (recordings, phones), levels=2)
    assert found["accuracy/0"] > found["majority"] + 0.05
    assert found["information/0"] > 0.1
