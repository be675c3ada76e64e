"""From images and videos to shards of vision tokens."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from kit.tokenize_child import contents_of
from kit.video import write_video
from kit.vision import CONV, model, scene

from josiecodec.datasets.dataset import TokenDataset
from josiecodec.datasets.verify import problems
from josiecodec.errors import CodecError
from josiecodec.media.images import load_image, save_image
from josiecodec.tokenization.compare import compare
from josiecodec.tokenization.plan import Settings, make_plan
from josiecodec.tokenization.tokenize import tokenize


@pytest.mark.parametrize("adaptive", [False, True])
def test_images_and_videos(tmp_path, adaptive):
    vision = model(CONV)
    media = tmp_path / "media"
    media.mkdir()
    save_image(scene(50, 70)[0, :, 0], media / "a.png")
    write_video(media / "b.mkv", pictures=20, rate=Fraction(10))
    (media / "c.png").write_bytes(b"no picture")
    (media / "d.mp4").write_bytes(b"no video")
    manifest = media / "m.jsonl"
    manifest.write_text('{"path": "b.mkv", "start": 0.5, "duration": 0.7}\n{"path": "a.png"}')
    tokenize(vision, make_plan(media, "vision"), tmp_path / "d", Settings(4, adaptive))
    tokenize(vision, make_plan(manifest), tmp_path / "part", Settings(4, adaptive))
    dataset, part = TokenDataset(tmp_path / "d"), TokenDataset(tmp_path / "part")
    assert not list(problems(tmp_path / "d", 1))
    assert [dataset.meta(i)["grid"] for i in range(2)] == [[1, 4, 5], [11, 3, 4]]
    assert dataset.meta(1)["pictures"] == 20
    assert part.meta(1)["pictures"] == 7
    assert len((tmp_path / "d" / "errors.jsonl").read_text().splitlines()) == 2
    assert [c.equal for c in compare(vision, part, media, 9)] == [1.0, 1.0]
    if adaptive:
        counts = np.concatenate([dataset[i].levels for i in range(2)])
        assert len(set(counts.tolist())) > 1
    else:
        codes = vision.encode(load_image(media / "a.png")[None], 4)[0]
        assert np.array_equal(dataset[0].signed, codes.flatten(1).T.numpy())
        assert (dataset[1].levels == 4).all()


def test_a_vision_dataset_of_an_earlier_version_is_resumed(tmp_path):
    """One whose dataset.json and plan.json say "visual"."""
    codec, media, out = model(CONV), tmp_path / "media", tmp_path / "d"
    media.mkdir()
    for n in range(3):
        save_image(scene(20, 20 + n)[0, :, 0], media / f"{n}.png")
    plan, settings = make_plan(media, shard_clips=1), Settings(4, adaptive=True)
    tokenize(codec, plan, out, settings)
    for name in ("dataset.json", "plan.json"):
        text = (out / name).read_text()
        assert '"vision"' in text
        (out / name).write_text(text.replace('"vision"', '"visual"'))
    before = contents_of(out)
    (out / "00001.jsonl").unlink()
    assert [r.shard for r in tokenize(codec, plan, out, settings)] == [1]
    assert contents_of(out) == before
    assert [c.equal for c in compare(codec, TokenDataset(out), media, 9)] == [1.0] * 3
    with pytest.raises(CodecError, match="adaptive True then, False now"):
        tokenize(codec, plan, out, Settings(4))


def test_pictures_that_no_file_can_hold_are_listed(tmp_path):
    vision = model(CONV)
    save_image(torch.zeros(3, 1, 8193 * vision.patch), tmp_path / "wide.png")
    save_image(scene(20, 20)[0, :, 0], tmp_path / "x.png")
    for adaptive in (False, True):
        tokenize(vision, make_plan(tmp_path), tmp_path / f"d{adaptive}", Settings(4, adaptive))
        dataset = TokenDataset(tmp_path / f"d{adaptive}")
        assert [dataset.meta(i)["id"] for i in range(len(dataset))] == ["x.png"]
        assert "patches in a row 8193" in (tmp_path / f"d{adaptive}" / "errors.jsonl").read_text()
