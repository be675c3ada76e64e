"""Codecs of the package transformers, with random weights: what comes back is what the package itself gives."""

from __future__ import annotations

import pytest
import torch
from kit.audio import RATE, speechlike

from josiecodec.evaluation.codecs import AUDIO, build

LENGTHS = (16100, 24000, 4801)  # whole frames or not


@pytest.mark.parametrize("kind", ["encodec", "mimi", "dac"])
def test_codecs_of_transformers(kind, tmp_path):
    import transformers

    torch.manual_seed(0)
    if kind == "encodec":
        settings = transformers.EncodecConfig(num_filters=4, hidden_size=16, codebook_dim=16, codebook_size=64)
        network, setting, levels = transformers.EncodecModel(settings), "1.5", 3
    elif kind == "mimi":
        sizes = {"num_filters": 4, "hidden_size": 32, "codebook_dim": 16, "vector_quantization_hidden_dimension": 16}
        heads = {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
        settings = transformers.MimiConfig(
            **sizes, **heads, intermediate_size=32, num_quantizers=8, codebook_size=64, upsample_groups=32
        )
        network, setting, levels = transformers.MimiModel(settings), "4", 4
    else:
        settings = transformers.DacConfig(
            encoder_hidden_size=8, decoder_hidden_size=64, hidden_size=64, codebook_size=64
        )
        network, setting, levels = transformers.DacModel(settings), "3", 3
    network.save_pretrained(tmp_path / kind)
    codec = build(f"transformers:{tmp_path / kind}@{setting}", AUDIO)
    x = speechlike(13)[0, 0]
    data = codec.encode(x, RATE)
    assert codec.levels == levels
    decoded = codec.decode(data, RATE)
    assert decoded.isfinite().all()
    with torch.no_grad():
        known = codec.model(torch.nn.functional.pad(x, (0, 0))[None, None], **codec.arguments).audio_values
    if kind != "dac":
        assert torch.allclose(decoded[: known.shape[-1]], known.flatten()[: len(decoded)], atol=1e-4)


@pytest.mark.parametrize("settings", [{}, {"chunk_length_s": 0.2, "overlap": 0.01, "audio_channels": 2}])
@pytest.mark.parametrize("normalize", [False, True])
def test_encodec_in_chunks_and_stereo(settings, normalize, tmp_path):
    import transformers

    torch.manual_seed(0)
    sizes = {"num_filters": 4, "hidden_size": 16, "codebook_dim": 16, "codebook_size": 64}
    config = transformers.EncodecConfig(**sizes, **settings, normalize=normalize)
    transformers.EncodecModel(config).save_pretrained(tmp_path)
    codec = build(f"transformers:{tmp_path}@1.5", AUDIO)
    for length in LENGTHS:
        x = speechlike(13)[0, 0, :length]
        decoded = codec.decode(codec.encode(x, RATE), RATE)
        with torch.no_grad():
            stereo = x.expand(1, codec.channels, -1)
            known = codec.model(stereo, bandwidth=1.5).audio_values.reshape(codec.channels, -1).mean(0)
        assert len(x) <= len(decoded) < len(x) + 0.1 * RATE
        assert torch.allclose(decoded[: len(known)], known[: len(decoded)], atol=1e-5)


def test_dac_loses_no_end(tmp_path):
    import transformers

    torch.manual_seed(0)
    sizes = {"encoder_hidden_size": 8, "decoder_hidden_size": 64, "hidden_size": 64, "codebook_size": 64}
    transformers.DacModel(transformers.DacConfig(**sizes)).save_pretrained(tmp_path)
    codec = build(f"transformers:{tmp_path}@3", AUDIO)
    for length in LENGTHS:
        x = torch.zeros(length)
        assert length <= len(codec.decode(codec.encode(x, codec.rate), codec.rate)) < length + 512
