"""Mimi beside transformers' implementation of it, on the same random weights; the largest differences are printed."""

from __future__ import annotations

import inspect
import json
import math

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
import transformers
from kit.audio import speechlike, tiny_model
from torch import Tensor

from josiecodec import load, save_pretrained
from josiecodec.audio.presets import preset
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.bitstream.scan import trim_file
from josiecodec.coding.audio import decode_file, encode_file
from josiecodec.coding.jodio import Jodio
from josiecodec.errors import ModelError
from josiecodec.hub.mimi_config import read_mimi_config, write_mimi_config
from josiecodec.hub.store import KYUTAI_FILE

SMALL = {
    "hidden_size": 32, "num_filters": 4, "codebook_size": 64, "codebook_dim": 16, "num_quantizers": 8,
    "vector_quantization_hidden_dimension": 16, "upsample_groups": 32, "num_hidden_layers": 2, "head_dim": 16,
    "intermediate_size": 48, "num_attention_heads": 2, "num_key_value_heads": 2, "sliding_window": 20,
}  # fmt: skip
OTHER = SMALL | {
    "upsampling_ratios": [5, 4, 3], "num_residual_layers": 2, "kernel_size": 5, "last_kernel_size": 5, "compress": 1,
    "residual_kernel_size": 5, "dilation_growth_rate": 3,
    "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
}  # fmt: skip


def peer_model(folder, **settings):
    """A Mimi of transformers with random weights whose codes vary, and its folder."""
    torch.manual_seed(3)
    model = transformers.MimiModel(transformers.MimiConfig(**settings)).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "layer_scale" in name:
                value.uniform_(0.2, 0.5)
        for name, value in model.named_buffers():
            if name.endswith("cluster_usage"):
                value.uniform_(0.5, 2)
        fit_codebooks(model)
        last = model.decoder.decoder_seanet.layers[-1].conv  # as loud as speech
        loudness = 0.1 / model.decode(model.encode(speechlike(12)).audio_codes).audio_values.std()
        last.weight.mul_(loudness)
        last.bias.mul_(loudness)
    model.save_pretrained(folder)
    return model


def fit_codebooks(model) -> None:
    """Spread the codes of every level over what reaches it."""
    wave = speechlike(24, batch=2, seed=5)
    latents = model.encoder(wave).latents
    quantizer = model.quantizer
    for part in (quantizer.semantic_residual_vector_quantizer, quantizer.acoustic_residual_vector_quantizer):
        rest = part.input_proj(latents).transpose(1, 2).flatten(0, 1)
        for layer in part.layers:
            book = layer.codebook
            book._embed = None
            codes = rest[torch.randint(len(rest), (book.codebook_size,))]
            codes = 0.2 * (codes + rest.std(0) * torch.randn_like(codes))  # leaves enough to the levels that follow
            book.embed_sum.copy_(codes * book.cluster_usage[:, None])
            rest = rest - book.decode(book.encode(rest))


@pytest.fixture(scope="module", params=["small", "other", "real"])
def pair(request, tmp_path_factory):
    """(transformers' model, ours, how many codes each level uses at least)."""
    folder = tmp_path_factory.mktemp(request.param)
    settings = {"small": SMALL, "other": OTHER, "real": {}}[request.param]
    with torch.no_grad():
        theirs = peer_model(folder, **settings)
    return theirs, load(folder)


def differences(pair, x: Tensor, n_q: int) -> tuple[int, float]:
    """Codes that differ, and the largest difference of decoded samples; x is whole frames."""
    theirs, ours = pair
    with torch.no_grad():
        known = theirs.encode(x, num_quantizers=n_q).audio_codes
        back = theirs.decode(known).audio_values
    codes = ours.encode(x, n_q)
    assert codes.shape == known.shape
    if codes.shape[-1] > 12:
        assert min(level.unique().numel() for level in codes.transpose(0, 1)) > 1
    return int((codes != known).sum()), float((ours.decode(known) - back).abs().max())


def test_all_codes_and_samples_are_those_of_transformers(pair):
    ours = pair[1]
    frame, real, worst = ours.frame_size, ours.config.latent_dim, 0.0
    for frames in (1, 2, 13) if real == 512 else (1, 2, 3, 7, 40, 131):
        x = speechlike(140, batch=2)[..., : frames * frame]
        wrong, far = differences(pair, x[: 1 if real == 512 else 2], ours.n_q)
        assert wrong == 0
        worst = max(worst, far)
    print(f"{ours.n_q} levels, latent of {real}: all codes equal, largest difference of samples {worst:.1e}")
    assert worst < 1e-4


def test_streams_give_what_streams_of_transformers_give(pair):
    """They take whole frames only; ours any chunks, here of 777 samples."""
    theirs, ours = pair
    frames = 6 if ours.config.latent_dim == 512 else 60
    x = speechlike(61)[..., : frames * ours.frame_size]
    keys = pads = None
    named = inspect.signature(theirs.encode).parameters  # older versions of the package have another name for it
    cache = "encoder_cache" if "encoder_cache" in named else "encoder_past_key_values"
    known = []
    with torch.no_grad():
        for chunk in x.split(ours.frame_size, -1):
            out = theirs.encode(chunk, num_quantizers=ours.n_q, padding_cache=pads, use_streaming=True, **{cache: keys})
            keys, pads = getattr(out, cache), out.padding_cache
            known.append(out.audio_codes)
        back = theirs.decode(torch.cat(known, -1)).audio_values
    stream = ours.streaming(n_q=ours.n_q)
    codes = [stream.encode(chunk) for chunk in x.split(777, -1)] + [stream.flush()]
    assert torch.equal(torch.cat(codes, -1), torch.cat(known, -1))
    far = float((torch.cat([stream.decode(c) for c in codes], -1) - back).abs().max())
    print(f"stream: all codes equal, largest difference of samples {far:.1e}")
    assert far < 1e-4


@pytest.mark.parametrize("samples", [1, 700, 1919, 1921, 5000, 9601])
def test_a_last_frame_that_is_not_whole_ends_in_silence(tmp_path, samples):
    """As in Kyutai's code. transformers pads inside the network instead, so only its last frame may differ."""
    with torch.no_grad():
        pair = peer_model(tmp_path, **SMALL), load(tmp_path)
    x = speechlike(6)[..., :samples]
    assert differences(pair, F.pad(x, (0, -samples % 1920)), 8) == (0, pytest.approx(0, abs=1e-4))
    theirs, ours = pair
    codes = ours.encode(x, 8)
    assert torch.equal(codes, ours.encode(F.pad(x, (0, -samples % 1920)), 8))
    with torch.no_grad():
        known = theirs.encode(x).audio_codes
    assert known.shape == codes.shape
    assert torch.equal(known[..., :-1], codes[..., :-1])


def test_there_and_back_again(pair, tmp_path):
    """transformers -> ours -> ours -> transformers; and Kyutai's layout in between."""
    theirs, ours = pair
    if ours.config.latent_dim == 512:
        written = save_pretrained(ours, tmp_path / "k", "kyutai")
        assert written.name == KYUTAI_FILE
        again = load(written)  # the real sizes need no configuration
        assert again.fingerprint == ours.fingerprint
        x = speechlike(3)
        assert torch.equal(again.encode(x, 32), ours.encode(x, 32))
        return
    own = load(save_pretrained(ours, tmp_path / "own"))
    back = save_pretrained(own, tmp_path / "back", "transformers")
    assert own.fingerprint == load(back).fingerprint == ours.fingerprint
    again = transformers.MimiModel.from_pretrained(back).eval()
    x = speechlike(20)[..., : 19 * ours.frame_size]
    with torch.no_grad():
        assert torch.equal(again.encode(x).audio_codes, theirs.encode(x).audio_codes)
        codes = theirs.encode(x).audio_codes
        assert torch.equal(again.decode(codes).audio_values, theirs.decode(codes).audio_values)
    assert transformers.AutoFeatureExtractor.from_pretrained(back).sampling_rate == 24000


def test_the_real_sizes_are_those_of_the_paper():
    with torch.device("meta"):
        model = Jodio(preset("mimi"))
    assert (model.frame_size, model.frame_rate, model.n_q, model.codebook_size) == (1920, 12.5, 32, 2048)
    assert model.bitrate() == pytest.approx(1100)
    assert read_mimi_config({"model_type": "mimi"}) == preset("mimi")


def test_the_attention_of_kyutais_layout(tmp_path):
    """Their one matrix and neighbouring pairs of channels, computed here step by step, give our attention."""
    from josiecodec.hub.mimi_weights import write_layout
    from josiecodec.hub.tensors import plain_tensors

    model = tiny_model("mimi")
    tensors = write_layout(plain_tensors(model), model.config, "kyutai")
    where = "encoder_transformer.transformer.layers.0.self_attn"
    x = torch.randn(1, 6, 32)
    q, k, v = (x[0] @ tensors[f"{where}.in_proj_weight"].t()).view(6, 3, 2, 16).unbind(1)  # [step, head, channel]
    angles = torch.arange(6.0)[:, None] * 10000 ** (-torch.arange(8) / 8)
    turn = torch.polar(torch.ones_like(angles), angles)[:, None]

    def turned(y):
        return torch.view_as_real(torch.view_as_complex(y.contiguous().view(6, 2, 8, 2)) * turn).flatten(2)

    scores = torch.einsum("qhc,khc->hqk", turned(q), turned(k)) / math.sqrt(16)
    scores = scores.masked_fill(torch.ones(6, 6).triu(1).bool(), -math.inf)
    mixed = torch.einsum("hqk,khc->qhc", scores.softmax(-1), v).flatten(1)
    known = mixed @ tensors[f"{where}.out_proj.weight"].t()
    own = model.encoder.transformer.layers[0].attention(x)
    torch.testing.assert_close(own[0], known, atol=1e-5, rtol=1e-4)


KYUTAI_NAMES = """
encoder.model.0.conv.conv.weight [64, 1, 7]
encoder.model.1.block.1.conv.conv.weight [32, 64, 3]
encoder.model.1.block.3.conv.conv.bias [64]
encoder.model.3.conv.conv.weight [128, 64, 8]
encoder.model.12.conv.conv.weight [1024, 512, 16]
encoder.model.14.conv.conv.weight [512, 1024, 3]
encoder_transformer.transformer.layers.7.self_attn.in_proj_weight [1536, 512]
encoder_transformer.transformer.layers.0.self_attn.out_proj.weight [512, 512]
encoder_transformer.transformer.layers.0.norm1.bias [512]
encoder_transformer.transformer.layers.0.layer_scale_2.scale [512]
encoder_transformer.transformer.layers.0.linear1.weight [2048, 512]
downsample.conv.conv.conv.weight [512, 512, 4]
upsample.convtr.convtr.convtr.weight [512, 1, 4]
decoder.model.0.conv.conv.weight [1024, 512, 7]
decoder.model.2.convtr.convtr.weight [1024, 512, 16]
decoder.model.3.block.1.conv.conv.weight [256, 512, 3]
decoder.model.14.conv.conv.weight [1, 64, 3]
quantizer.rvq_first.input_proj.weight [256, 512, 1]
quantizer.rvq_first.vq.layers.0._codebook.embedding_sum [2048, 256]
quantizer.rvq_rest.vq.layers.30._codebook.cluster_usage [2048]
quantizer.rvq_rest.vq.layers.30._codebook._initialized [1]
quantizer.rvq_rest.output_proj.weight [512, 256, 1]
"""


def test_names_and_shapes_of_kyutais_layout():
    from josiecodec.hub.mimi_weights import write_layout
    from josiecodec.hub.tensors import plain_tensors

    with torch.device("meta"):
        model = Jodio(preset("mimi"))
    tensors = write_layout(plain_tensors(model), model.config, "kyutai")
    for line in KYUTAI_NAMES.split("\n")[1:-1]:
        name, shape = line.split(" ", 1)
        assert list(tensors[name].shape) == json.loads(shape), name
    assert len(tensors) == 2 * 14 * 2 + 2 * 8 * 10 + 2 + 4 + 32 * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("downsample.conv.weight"), r"downsample\.conv\.weight' is missing"),
        (lambda t: t.update(more=torch.zeros(1)), "'more' is not expected"),
        (
            lambda t: t.update({"encoder.layers.0.conv.bias": torch.zeros(3)}),
            r"encoder\.layers\.0\.conv\.bias is \[3\]",
        ),
        (lambda t: t.clear(), "missing .and [0-9]+ more"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path, change, message):
    folder = save_pretrained(tiny_model("mimi"), tmp_path, "transformers")
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    change(tensors)
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ModelError, match=message):
        load(folder)


@pytest.mark.parametrize(
    "values",
    [
        {"use_causal_conv": False}, {"audio_channels": 2}, {"pad_mode": "reflect"}, {"num_key_value_heads": 4},
        {"hidden_size": 64}, {"rope_parameters": {"rope_type": "yarn"}}, {"num_quantizers": 1}, {"head_dim": 7},
        {"upsampling_ratios": [0, 1]}, {"num_filters": "many"}, {"codebook_dim": 512}, {"num_attention_heads": 0},
        {"hidden_size": "512"}, {"rope_parameters": [1]}, {"sliding_window": None}, {"rope_theta": [2]},
        {"num_attention_heads": "8"}, {"upsampling_ratios": 8}, {"num_quantizers": True}, {"norm_eps": "small"},
    ],
)  # fmt: skip
def test_settings_that_are_not_understood_are_refused(values):
    with pytest.raises(ModelError):
        read_mimi_config({"model_type": "mimi"} | values)


def test_what_transformers_cannot_say_is_not_written():
    with pytest.raises(ModelError, match="no Mimi"):
        write_mimi_config(preset("jodio-24k"))


def test_other_files_are_no_mimi(tmp_path):
    safetensors.torch.save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_bytes(b"nothing")
    for name in ("a", "b"):
        with pytest.raises(ModelError):
            load(tmp_path / f"{name}.safetensors")


def test_it_trains():
    model = tiny_model("mimi").train()
    out = model(speechlike(5, batch=2))
    (out.audio.square().mean() + out.vq_loss).backward()
    silent = [n for n, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert silent == []
    model.eval()
    x = speechlike(5, batch=2)
    with torch.no_grad():
        torch.testing.assert_close(model(x).audio, model.decode(model.encode(x)), atol=1e-5, rtol=1e-4)


def test_it_trains_in_bf16():
    model = tiny_model("mimi").train()
    with torch.autocast("cpu", torch.bfloat16):
        out = model(speechlike(5, batch=2))
    (out.audio.float().square().mean() + out.vq_loss).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        model.train()(speechlike(5))
        model.eval()(speechlike(5))


# What every audio codec must do, a Mimi among them.


def test_every_codec_compresses_and_trims(model, tmp_path):
    x = speechlike(9.3)[0]
    data = model.compress(x, 6)
    assert torch.equal(model.decompress(data), model.decode(model.encode(x, 6), x.shape[-1])[0])
    (tmp_path / "a.josie").write_bytes(data)
    trim_file(tmp_path / "a.josie", tmp_path / "b.josie", 2)
    small = model.decompress((tmp_path / "b.josie").read_bytes())
    assert torch.equal(small, model.decode(model.encode(x, 6)[:, :2], x.shape[-1])[0])
    assert TokenFile.read(tmp_path / "b.josie").streams[0].codes.shape[0] == 2


def test_every_codec_takes_whole_files(model, tmp_path):
    import soundfile

    soundfile.write(tmp_path / "a.wav", speechlike(31.7)[0, 0].numpy(), 24000)
    encode_file(model, tmp_path / "a.wav", tmp_path / "a.josie", 3)
    decode_file(model, tmp_path / "a.josie", tmp_path / "b.wav")
    wave, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    codes = torch.from_numpy(TokenFile.read(tmp_path / "a.josie").streams[0].codes.astype("int64"))[None]
    assert torch.equal(codes, model.encode(torch.from_numpy(wave), 3))
    assert soundfile.info(tmp_path / "b.wav").frames == len(wave)


def test_every_codec_is_evaluated(model, tmp_path):
    from josiecodec.evaluation.codecs import build

    folder = save_pretrained(model, tmp_path)
    codec = build(f"{folder}@3", ("audio",))
    x = speechlike(5)[0, 0]
    assert len(codec.decode(codec.encode(x, 24000), 24000)) == len(x)
