"""The codec: lengths, streaming, batches, levels, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from kit.audio import speechlike, tiny_config, tiny_model

from josiecodec.audio import network as jodio_module
from josiecodec.coding.jodio import Jodio
from josiecodec.errors import CodecError, CodesError
from josiecodec.quantization.config import SplitQuantizerConfig

AWKWARD = (0, 1, 7, 1919, 1920, 1921, 5000, 9600)


@pytest.mark.parametrize("samples", AWKWARD)
def test_length_law(model, samples):
    x = speechlike(6)[..., :samples]
    codes = model.encode(x)
    assert codes.shape == (1, 4, -(-samples // 1920))
    assert codes.dtype == torch.int64
    assert model.decode(codes, samples).shape == (1, 1, samples)
    assert model.decode(codes).shape == (1, 1, codes.shape[-1] * 1920)


def chunks(x, seed, max_chunk):
    random = torch.Generator().manual_seed(seed)
    position = 0
    while position < x.shape[-1]:
        size = int(torch.randint(0, max_chunk, (1,), generator=random))
        yield x[..., position : position + size]
        position += size


@pytest.mark.parametrize(("seed", "max_chunk"), [(0, 5000), (1, 700), (2, 40000)])
def test_a_stream_gives_exactly_the_offline_codes_and_samples(model, seed, max_chunk):
    x = speechlike(9.4, batch=2, seed=seed)
    codes = model.encode(x, n_q=6)
    audio = model.decode(codes, x.shape[-1])
    stream = model.streaming(batch_size=2, n_q=6)
    found, sound = [], []
    for chunk in chunks(x, seed, max_chunk):
        found.append(stream.encode(chunk))
        sound.append(stream.decode(found[-1]))
    found.append(stream.flush())
    sound.append(stream.decode(found[-1]))
    assert torch.equal(torch.cat(found, -1), codes)
    streamed = torch.cat(sound, -1)[..., : x.shape[-1]]
    if model.config.name == "tiny-spectral":  # exact to the last bit
        assert torch.equal(streamed, audio)
    else:  # general convolution kernels round differently for different lengths
        torch.testing.assert_close(streamed, audio, atol=1e-5, rtol=1e-4)


def test_a_stream_takes_single_samples(spectral):
    x = speechlike(1.02)
    stream = spectral.streaming()
    codes = [stream.encode(x[..., i : i + 1]) for i in range(x.shape[-1])]
    assert sum(c.shape[-1] for c in codes) == 1
    assert torch.equal(torch.cat([*codes, stream.flush()], -1), spectral.encode(x))
    assert stream.flush().shape == (1, 4, 0)


def test_two_streams_share_a_model_and_reset_forgets(spectral):
    a, b = speechlike(4, seed=1), speechlike(4, seed=2)
    one, two = spectral.streaming(), spectral.streaming()
    found = [(one.encode(x), two.encode(y)) for x, y in zip(a.split(1920, -1), b.split(1920, -1))]
    assert torch.equal(torch.cat([f[0] for f in found], -1), spectral.encode(a))
    assert torch.equal(torch.cat([f[1] for f in found], -1), spectral.encode(b))
    one.reset()
    assert torch.equal(one.encode(b), spectral.encode(b))


def test_a_padded_batch_gives_what_each_item_gives_alone(model):
    lengths = torch.tensor([9600, 0, 1, 1920, 4444])
    batch = speechlike(5, batch=5)  # what lies beyond an item's length is sound, too
    codes = model.encode(batch, lengths=lengths)
    for row, n in enumerate(lengths.tolist()):
        alone = model.encode(batch[row : row + 1, :, :n])
        assert torch.equal(codes[row : row + 1, :, : alone.shape[-1]], alone)
        assert not codes[row, :, alone.shape[-1] :].any()


def test_decoding_a_batch_is_decoding_each(spectral):
    codes = spectral.encode(speechlike(5, batch=3))
    together = spectral.decode(codes)
    for row in range(3):
        assert torch.equal(spectral.decode(codes[row : row + 1]), together[row : row + 1])


@pytest.mark.parametrize("threads", [1, 2])
def test_blocks_of_a_long_recording_leave_no_trace(spectral, monkeypatch, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        x = speechlike(31.3)
        codes = spectral.encode(x, 6)
        audio = spectral.decode(codes)
        monkeypatch.setattr(jodio_module, "CHUNK_FRAMES", 7)
        assert torch.equal(spectral.encode(x, 6), codes)
        assert torch.equal(spectral.decode(codes), audio)
    finally:
        torch.set_num_threads(before)


def test_levels_are_prefixes_and_streams_have_names(model):
    x = speechlike(4)
    full = model.encode(x, model.n_q)
    assert full.shape[1] == 6
    for n_q in (1, 3):  # a search of several sums ends otherwise if it ends sooner, but the semantic level stands apart
        same = n_q if model.settings.beams == 1 else 1
        assert torch.equal(model.encode(x, n_q)[:, :same], full[:, :same])
        assert model.decode(full[:, :n_q]).shape == x.shape
    semantic, acoustic = (full[:, model.streams[name]] for name in ("semantic", "acoustic"))
    assert (semantic.shape[1], acoustic.shape[1]) == (1, 5)
    assert not torch.equal(model.decode(full[:, :1]), model.decode(full))


def test_shapes_that_are_understood(spectral):
    x = speechlike(2)
    codes = spectral.encode(x)
    assert torch.equal(spectral.encode(x[0]), codes)
    assert torch.equal(spectral.encode(x[0, 0]), codes)
    assert torch.equal(spectral.decode(codes[0]), spectral.decode(codes))
    assert torch.equal(spectral.decode(codes.to(torch.int16)), spectral.decode(codes))


def test_bitrates():
    config = tiny_config(quantizer=SplitQuantizerConfig(acoustic_levels=8, codebook_size=2048, dim=16))
    model = Jodio(config)
    assert model.frame_rate == 12.5
    assert model.bitrate(9) == pytest.approx(1237.5)
    assert model.n_q_for(1237.5) == 9
    assert model.n_q_for(1237) == 8
    assert model.n_q_for(1e6) == 9
    with pytest.raises(CodecError, match=r"137\.5"):
        model.n_q_for(100)


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.encode(torch.zeros(1, 2, 100)),
        lambda m: m.encode(torch.zeros(1, 1, 100, dtype=torch.int16)),
        lambda m: m.encode(torch.zeros(1, 1, 100), n_q=0),
        lambda m: m.encode(torch.zeros(1, 1, 100), n_q=7),
        lambda m: m.encode(torch.zeros(1, 1, 100), n_q=True),
        lambda m: m.encode(torch.zeros(1, 1, 100), lengths=torch.tensor([101])),
        lambda m: m.encode(torch.zeros(1, 1, 100), lengths=torch.tensor([1, 2])),
        lambda m: m.decode(torch.zeros(1, 4, 2)),
        lambda m: m.decode(torch.full((1, 4, 2), 64)),
        lambda m: m.decode(torch.full((1, 4, 2), -1)),
        lambda m: m.decode(torch.zeros(1, 7, 2, dtype=torch.long)),
        lambda m: m.decode(torch.zeros(1, 0, 2, dtype=torch.long)),
        lambda m: m.decode(torch.zeros(1, 4, 2, dtype=torch.long), length=3841),
        lambda m: m.decode(torch.zeros(1, 4, 2, dtype=torch.long), length=-1),
        lambda m: m.streaming(n_q=99),
        lambda m: m.streaming(batch_size=2).encode(torch.zeros(1, 1, 10)),
        lambda m: m.streaming(batch_size=2).decode(torch.zeros(1, 4, 2, dtype=torch.long)),
    ],
)
def test_what_makes_no_sense_is_refused(spectral, call):
    with pytest.raises(CodesError):
        call(spectral)


def test_odd_samples_do_no_harm(spectral):
    for x in (torch.zeros(1, 1, 4000), torch.full((1, 1, 4000), 40.0), torch.randn(1, 1, 4000) * 1e-6):
        assert spectral.decode(spectral.encode(x)).isfinite().all()


def test_training_pass_agrees_with_use():
    model = tiny_model("seanet")
    x = speechlike(6, batch=2)
    out = model(x, torch.tensor([4, 4]))
    assert torch.equal(out.codes, model.encode(x))
    torch.testing.assert_close(out.audio, model.decode(out.codes), atol=1e-5, rtol=1e-4)
    out.audio.square().mean().backward()
    assert model.encoder.final_conv.bias.grad.abs().sum() > 0


def test_quantization_can_be_skipped_item_by_item():
    model = tiny_model()
    x = speechlike(3, batch=2)
    mixed = model(x, quantize=torch.tensor([True, False]))
    plain = model(x, quantize=torch.tensor([False, False]))
    full = model(x)
    torch.testing.assert_close(mixed.audio[0], full.audio[0])
    torch.testing.assert_close(mixed.audio[1], plain.audio[1])
    assert plain.codes.shape[1] == 0


@pytest.mark.parametrize("mode", ["split", "residual"])
@pytest.mark.parametrize("update", ["ema", "gradient"])
def test_every_kind_of_quantizer_round_trips(mode, update):
    quantizer = SplitQuantizerConfig(
        mode=mode, acoustic_levels=3, codebook_size=32, dim=0 if mode == "residual" else 16, update=update,
        code_dim=8 if update == "gradient" else 0, normalize=update == "gradient",
    )  # fmt: skip
    model = tiny_model(quantizer=quantizer)
    x = speechlike(5)
    codes = model.encode(x)
    assert codes.unique().numel() > 4
    assert model.decode(codes).isfinite().all()


def test_any_floating_waveform_is_taken_and_else_refused(spectral):
    x = speechlike(3)
    assert torch.equal(spectral.encode(x.double()), spectral.encode(x))
    for bad in (x[:0], x.tolist(), x.long()):
        with pytest.raises(CodesError):
            spectral.encode(bad)
