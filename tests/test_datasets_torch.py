"""Datasets of tokens as PyTorch knows them: a Dataset, batches, and the layout of the codecs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from kit.audio import RATE, speechlike
from kit.vision import CONV, scene
from kit.vision import model as vision_model
from torch.utils.data import DataLoader

import josiecodec
from josiecodec.datasets.clips import collate
from josiecodec.datasets.dataset import Crop, DatasetInfo, ShardWriter, TokenDataset
from josiecodec.datasets.sampler import TokenSampler
from josiecodec.errors import CodesError, FormatError

INFO = DatasetInfo("tiny", "ab" * 32, "audio", 4, 64, RATE, (25, 2), 1)


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    clips = [(random.integers(0, 64, (n, 4)), {"id": str(n)}) for n in (5, 9, 2)]
    ShardWriter(tmp_path / "tokens", INFO).write(0, clips)
    return tmp_path / "tokens"


def test_a_dataset_is_one_of_pytorch(folder):
    data = josiecodec.TokenDataset(folder)
    assert isinstance(data, TokenDataset)
    assert repr(data) == "TokenDataset(3 clips, 16 frames (0.000356 h), 4 levels of tiny)"
    assert repr(data[1]) == "Clip('9', 9 frames x 4 levels)"


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_of_whole_clips(folder, workers):
    data = TokenDataset(folder)
    (batch,) = DataLoader(data, batch_size=3, collate_fn=data.collate, num_workers=workers)
    assert batch.codes.shape == (3, 4, 9)
    assert batch.codes.dtype == torch.int64
    assert batch.lengths.tolist() == [5, 9, 2]
    assert [m["id"] for m in batch.meta] == ["5", "9", "2"]
    assert batch.mask.sum(1).tolist() == [5, 9, 2]
    for n, clip in enumerate(data):
        assert np.array_equal(batch.codes[n, :, : batch.lengths[n]].numpy(), clip.levels_first[0])
    assert (batch.codes[2, :, 2:] == -1).all()


def test_batches_of_crops(folder):
    data = TokenDataset(folder, n_q=2)
    sampler = TokenSampler(data, frames=4, drop_short=True)
    for batch in DataLoader(data, batch_size=2, sampler=sampler, collate_fn=data.collate, drop_last=True):
        assert batch.codes.shape == (2, 2, 4)
        assert (batch.codes >= 0).all()
        assert batch.meta == [{}, {}]
    with pytest.raises(CodesError, match="one number of levels"):
        collate([data[Crop(0, 0, 2)], TokenDataset(folder)[Crop(0, 0, 2)]])
    with pytest.raises(CodesError):
        collate([])


def test_clips_go_to_the_decoder_as_they_are(tmp_path, spectral):
    x = speechlike(6)
    codes = spectral.encode(x, 4)
    info = DatasetInfo("tiny-spectral", spectral.fingerprint, "audio", 4, 64, RATE, (25, 2), 1)
    ShardWriter(tmp_path, info).write(0, [(codes[0].t().numpy(), {"id": "a"})])
    clip = TokenDataset(tmp_path)[0]
    assert torch.equal(torch.from_numpy(clip.levels_first), codes)
    assert torch.equal(spectral.decode(clip.levels_first), spectral.decode(codes))
    with pytest.raises(CodesError, match="levels_first"):
        spectral.decode(TokenDataset(tmp_path)[0].codes.repeat(4, 0))


def test_pictures_go_to_the_decoder_as_they_are(tmp_path):
    codec = vision_model(CONV)
    info = DatasetInfo("small", "cd" * 32, "vision", 8, 64, None, (0, 1), 0)
    still, video = codec.encode(scene(32, 48)[:, :, 0], bpp=0.5), codec.encode(scene(32, 48, 5), 8)
    clips = [
        (still[0].flatten(1).t().numpy(), {"id": "a", "grid": [1, 2, 3], "rate": [0, 1]}),
        (video[0].flatten(1).t().numpy(), {"id": "b", "grid": [3, 2, 3], "rate": [10, 1]}),
        (video[0].flatten(1).t().numpy(), {"id": "c"}),
    ]
    clips[0] = (np.pad(clips[0][0], ((0, 0), (0, 8 - still.shape[1])), constant_values=-1), clips[0][1])
    ShardWriter(tmp_path, info).write(0, clips)
    data = TokenDataset(tmp_path)
    assert torch.equal(codec.decode(data[0].levels_first), codec.decode(still))
    assert torch.equal(codec.decode(data[1].levels_first, pictures=5), codec.decode(video, pictures=5))
    assert (data.collate([data[0]]).codes[0] == torch.from_numpy(data[0].signed).t()).all()
    with pytest.raises(FormatError, match="grid"):
        data[2].levels_first  # noqa: B018
