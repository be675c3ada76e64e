"""Other people's codecs, small and with random weights, saved as their packages save them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch

_DAC = {"encoder_hidden_size": 4, "decoder_hidden_size": 64, "hidden_size": 16}
_STRIDES = {"downsampling_ratios": [8, 5, 4, 2], "upsampling_ratios": [8, 5, 4, 2]}
_HUBERT = {"model_type": "hubert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
_HUBERT |= {"intermediate_size": 32, "conv_dim": [8] * 7, "num_conv_pos_embeddings": 8}
_HUBERT |= {"num_conv_pos_embedding_groups": 2}
_W2V = {"model_type": "wav2vec2-bert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
_W2V |= {"intermediate_size": 32, "feature_projection_input_dim": 160}
_LLAMA = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
_LLAMA |= {"num_key_value_heads": 2, "head_dim": 16, "encoder_hidden_size": 2, "quantization_dim": 48}
_POCKET = {"hidden_size": 16, "num_filters": 2, "upsample_groups": 16, "num_hidden_layers": 1, "latent_dim": 8}
_POCKET |= {"intermediate_size": 32, "num_attention_heads": 2, "num_key_value_heads": 2}
_MIMI = {"num_filters": 4, "hidden_size": 32, "codebook_dim": 16, "vector_quantization_hidden_dimension": 16}
_MIMI |= {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
_MIMI |= {"intermediate_size": 32, "num_quantizers": 8, "codebook_size": 64, "upsample_groups": 32}
_WAV = {"num_filters": 2, "hidden_size": 16, "codebook_dim": 16, "codebook_size": 64, "decoder_hidden_size": 32}
_WAV |= {"decoder_intermediate_size": 32, "decoder_num_layers": 1, "decoder_attention_num_groups": 4}

# Configuration and model of each kind, the settings of the first, and the setting of the codec.
OF_TRANSFORMERS: dict[str, tuple[str, dict, str]] = {
    "encodec": ("Encodec", {"num_filters": 4, "hidden_size": 16, "codebook_dim": 16, "codebook_size": 64}, "1.5"),
    "dac": ("Dac", {**_DAC, "codebook_size": 64}, "3"),
    "mimi": ("Mimi", _MIMI, "4"),
    "xcodec": (
        "Xcodec",
        {
            "acoustic_model_config": {"model_type": "dac", **_DAC, **_STRIDES},
            "semantic_model_config": _HUBERT,
            "codebook_size": 64,
        },
        "2",
    ),
    "higgs_audio_v2_tokenizer": (
        "HiggsAudioV2Tokenizer",
        {
            "acoustic_model_config": {
                "model_type": "dac",
                **_DAC,
                **{key: [*value, 3] for key, value in _STRIDES.items()},
            },
            "semantic_model_config": _HUBERT,
            "codebook_size": 64,
        },
        "2",
    ),
    "xcodec2": ("Xcodec2", {**_LLAMA, "semantic_model_config": _W2V}, ""),
    "neucodec": ("NeuCodec", {**_LLAMA, "semantic_model_config": _W2V}, ""),
    "wavtokenizer": ("WavTokenizer", _WAV, ""),
    "vibevoice_acoustic_tokenizer": (
        "VibeVoiceAcousticTokenizer",
        {"hidden_size": 8, "num_filters": 2, "depths": [1] * 7},
        "",
    ),
    "pocket_tts_audio_tokenizer": ("PocketTTSAudioTokenizer", _POCKET, ""),
}


def of_transformers(kind: str, folder: Path) -> str:
    """Make a codec of transformers; returns its name."""
    import transformers

    torch.manual_seed(0)
    name, settings, setting = OF_TRANSFORMERS[kind]
    config = getattr(transformers, f"{name}Config")(**json.loads(json.dumps(settings)))
    getattr(transformers, f"{name}Model")(config).save_pretrained(folder)
    return f"transformers:{folder}@{setting}" if setting else f"transformers:{folder}"


def a_snac(folder: Path) -> str:
    """A SNAC with local attention."""
    import snac

    torch.manual_seed(0)
    settings = {"sampling_rate": 24000, "encoder_dim": 4, "encoder_rates": [2, 4, 5, 6], "decoder_dim": 64}
    settings |= {"decoder_rates": [6, 5, 4, 2], "attn_window_size": 8, "codebook_size": 64, "vq_strides": [4, 2, 1]}
    (folder / "config.json").write_text(json.dumps(settings))
    torch.save(snac.SNAC(**settings).state_dict(), folder / "pytorch_model.bin")
    return f"snac:{folder}"


def a_dac(folder: Path) -> str:
    """A DAC as its package saves it."""
    import dac

    torch.manual_seed(0)
    settings = {"encoder_dim": 4, "decoder_dim": 32, "n_codebooks": 4, "codebook_size": 64, "sample_rate": 24000}
    stored = {"state_dict": dac.DAC(**settings).state_dict(), "metadata": {"kwargs": settings}}
    torch.save(stored, folder / "weights.pth")
    return f"dac:{folder / 'weights.pth'}@3"


def an_encodec(folder: Path, name: str = "encodec_24khz.th", setting: str = "1.5") -> str:
    """An EnCodec of the sizes of its package."""
    import encodec

    torch.manual_seed(0)
    make = encodec.EncodecModel.encodec_model_48khz if "48khz" in name else encodec.EncodecModel.encodec_model_24khz
    torch.save(make(pretrained=False).state_dict(), folder / name)
    return f"encodec:{folder / name}@{setting}"


PACKAGED: dict[str, Callable[[Path], str]] = {
    "snac": a_snac,
    "dac": a_dac,
    "encodec": an_encodec,
    "encodec-48khz": lambda folder: an_encodec(folder, "encodec_48khz.th", "3"),
}
