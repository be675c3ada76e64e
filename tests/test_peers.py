"""What every neural peer must do: say the same twice, mind no other clip, and give odd lengths back."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from kit.audio import RATE, speechlike
from kit.peers import OF_TRANSFORMERS, PACKAGED, of_transformers

from josiecodec.errors import CodecError, ModelError
from josiecodec.evaluation.codecs import AUDIO, build, version_key
from josiecodec.evaluation.transformers_codec import ADAPTERS

LENGTHS = (4801, 3840, 700)  # whole frames or not
LONGEST_FRAME = 0.5  # seconds that may be added behind the end


def contract(name: str) -> None:
    codec, other = build(name, AUDIO), build(name, AUDIO)
    x = speechlike(13)[0, 0]
    for length in LENGTHS:
        data = codec.encode(x[:length], RATE)
        decoded = codec.decode(data, RATE)
        assert decoded.isfinite().all()
        assert length <= len(decoded) < length + LONGEST_FRAME * RATE
        codec.encode(x.flip(0)[:5000], RATE)  # a neighbour
        assert codec.encode(x[:length], RATE) == data
        assert torch.equal(codec.decode(data, RATE), decoded)
    assert other.encode(x[:length], RATE) == data


@pytest.mark.parametrize("kind", OF_TRANSFORMERS)
def test_codecs_of_transformers(kind, tmp_path):
    transformers = pytest.importorskip("transformers")
    if not hasattr(transformers, f"{OF_TRANSFORMERS[kind][0]}Model"):
        pytest.skip(f"transformers {transformers.__version__} has no {kind}")
    contract(of_transformers(kind, tmp_path))


@pytest.mark.parametrize("kind", PACKAGED)
def test_codecs_of_other_packages(kind, tmp_path):
    package = kind.partition("-")[0]
    try:
        __import__(package)
    except ImportError as error:
        pytest.skip(f"needs the package of {package} ({error})")
    contract(PACKAGED[kind](tmp_path))


def test_every_class_that_turns_sound_into_codes_and_back_has_an_adapter():
    """Looks at the installed package: a class of a later version that is not known here fails."""
    pytest.importorskip("transformers")
    found = set()
    for path in (Path(importlib.util.find_spec("transformers").origin).parent / "models").glob("*/modeling_*.py"):
        text = path.read_text()
        if "def encode(" in text and "def decode(" in text and "input_values" in text and "audio_values" in text:
            found.add(path.parent.name)
    assert found - {"musicgen", "musicgen_melody", "moshi", "vibevoice", "kyutai_speech_to_text"} <= set(ADAPTERS)


def test_what_is_wrong_is_one_error(tmp_path):
    pytest.importorskip("transformers")
    name = of_transformers("pocket_tts_audio_tokenizer", tmp_path)
    with pytest.raises(CodecError, match="has no settings, such as '3'"):
        build(f"{name}@3", AUDIO)
    with pytest.raises(ModelError, match="hf:"):
        build(f"transformers:{tmp_path / 'none'}", AUDIO)
    xcodec = of_transformers("xcodec", tmp_path / "x").partition("@")[0]
    with pytest.raises(CodecError, match=r"has bandwidths of 0\.5, 1, 1\.5, 2, 4 kbit/s"):
        build(f"{xcodec}@3", AUDIO)
    for package in ("snac", "dac", "encodec"):
        (tmp_path / "w.th").write_bytes(b"no weights")
        with pytest.raises(CodecError, match=f"needs {package}|needs descript|no weights|no model"):
            build(f"{package}:{tmp_path / 'w.th'}", AUDIO)
        with pytest.raises(CodecError, match="takes the path"):
            build(f"{package}:", AUDIO)


def test_weights_that_are_code_are_refused(tmp_path):
    pytest.importorskip("dac", exc_type=ImportError)

    class Evil:
        def __reduce__(self):
            return (print, ("unpickled",))

    torch.save({"state_dict": Evil(), "metadata": {"kwargs": {}}}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="no weights"):
        build(f"dac:{tmp_path / 'w.pth'}", AUDIO)


def test_results_are_kept_by_the_files_of_weights(tmp_path):
    path = tmp_path / "w.pth"
    path.write_bytes(b"a")
    first = version_key(f"dac:{path}@3")
    path.write_bytes(b"ab")
    assert first
    assert version_key(f"dac:{path}@3") != first


def test_pictures_of_compressai(tmp_path, monkeypatch):
    try:
        from compressai.zoo import image
    except ImportError as error:
        pytest.skip(f"needs the package compressai ({error})")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    for name in ("bmshj2018-factorized", "mbt2018-mean"):
        with pytest.raises(ModelError, match=r"pth\.tar, are not in"):
            build(f"compressai:{name}@1", ("image",))
        torch.manual_seed(0)
        model = image.model_architectures[name](8, 12)
        model.update()
        path = tmp_path / "hub" / "checkpoints" / image.model_urls[name]["mse"][1].rpartition("/")[2]
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), path)
        codec, other = (build(f"compressai:{name}@1", ("image",)) for _ in range(2))
        for size in ((70, 131), (64, 64)):
            picture = torch.rand(3, *size, generator=torch.Generator().manual_seed(1))
            data = codec.encode(picture, 0)
            codec.encode(picture.flip(2), 0)
            assert codec.encode(picture, 0) == other.encode(picture, 0) == data
            decoded = codec.decode(data, 0)
            assert decoded.shape == picture.shape
            padded = torch.nn.functional.pad(picture[None], (0, -size[1] % 64, 0, -size[0] % 64), mode="replicate")
            with torch.no_grad():
                known = model.eval()(padded)["x_hat"][0, :, : size[0], : size[1]].clamp(0, 1)
            assert (decoded - known).abs().max() < 1e-3
    with pytest.raises(CodecError, match="has qualities from 1 to 8, not 9"):
        build("compressai:mbt2018-mean@9", ("image",))
    with pytest.raises(CodecError, match="compressai has no 'x'"):
        build("compressai:x", ("image",))


def test_a_libopus_of_ones_own():
    import av

    found = sorted(Path(av.__file__).parent.with_name("av.libs").glob("libopus-*.so*"))
    if not found:
        pytest.skip("no libopus in PyAV")
    name = f"libopus:{found[0]}"
    try:
        contract(f"{name}@12")
    except CodecError as error:
        if "older than 1.5" in str(error):
            pytest.skip(str(error))
        raise
    x = speechlike(26)[0, 0]
    rates = []
    for kbps in (8, 24):
        codec = build(f"{name}@{kbps}", AUDIO)
        data = codec.encode(x, RATE)
        decoded = codec.decode(data, RATE)
        rates.append(codec.payload_bytes(data) * 8 / len(x) * RATE / 1000)
        assert len(decoded) == len(x)
        assert float(torch.corrcoef(torch.stack([decoded, x]))[0, 1]) > 0.8  # in step
    assert rates[0] < rates[1]
    assert rates[1] == pytest.approx(24, rel=0.3)
    with pytest.raises(CodecError, match="no libopus here"):
        build("libopus:/nowhere.so@6", AUDIO)
