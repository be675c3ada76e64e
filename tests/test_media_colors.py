"""Video: colours by their tags, range, depth, transparency; geometry; and what is written."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from kit.colors import hlg, in_primaries, pq
from kit.films import chart, film, patch_means

from josiecodec.media.video_color import SCALER, Colors, to_rgb
from josiecodec.media.video_reader import VideoReader, load_video
from josiecodec.media.video_writer import VideoWriter

STILL = {"sound": None, "seconds": 0.3, "flashes": (), "rate": Fraction(10), "options": {"crf": "1"}}
DEEP = STILL | {"codec": "ffv1", "options": {}, "form": "yuv444p10le"}
EXACT = (0.2126, 0.0722, True)
EXACT_2020 = (0.2627, 0.0593, True)


def first(path) -> np.ndarray:
    """The first picture of a video, uint8 [H, W, 3]."""
    with VideoReader(path) as reader:
        return next(reader.bytes())


def difference(path, size=(64, 96)) -> np.ndarray:
    return patch_means(first(path)) - patch_means(chart(*size))


@pytest.mark.parametrize(
    ("name", "limit", "changes"),
    [
        ("sd.mp4", 0.4, {"convert": "out_color_matrix=bt601:out_range=limited"}),
        ("hd.mp4", 0.4, {"convert": "out_color_matrix=bt709:out_range=limited", "size": (720, 1280)}),
        ("tagged.mp4", 0.4, {"convert": "out_color_matrix=bt709:out_range=limited", "tags": (1, 1, 1, 1)}),
        ("full.mp4", 0.4, {"form": "yuv444p", "exact": (*EXACT[:2], False), "tags": (1, 2, 1, 1)}),
        ("ten.mkv", 0.1, DEEP | {"exact": EXACT, "tags": (1, 1, 1, 1)}),
        ("pq.mkv", 0.6, DEEP | {"exact": EXACT_2020, "tags": (9, 1, 16, 9), "prepare": pq}),
        ("hlg.mkv", 0.4, DEEP | {"exact": EXACT_2020, "tags": (9, 1, 18, 9), "prepare": hlg}),
        ("pq_by_transfer.mkv", 0.6, DEEP | {"exact": EXACT_2020, "tags": (2, 1, 16, 2), "prepare": pq}),
        ("p3.mkv", 0.4, DEEP | {"exact": EXACT, "tags": (1, 1, 13, 12), "prepare": lambda p: in_primaries(p, 12)}),
        (
            "wide.mkv",
            0.4,
            DEEP | {"exact": EXACT_2020, "tags": (9, 1, 14, 9), "prepare": lambda p: in_primaries(p, 9, 2.4)},
        ),
        ("rgb.mkv", 0.0, {"codec": "ffv1", "form": "bgr0", "options": {}}),
    ],
)
def test_colors_by_their_tags(tmp_path, name, limit, changes):
    film(tmp_path / name, **STILL | changes)
    found = difference(tmp_path / name, changes.get("size", (64, 96)))
    assert np.abs(found).mean() <= limit
    assert abs(found.mean()) < 0.3


@pytest.mark.parametrize("form", ["yuv420p", "yuvj422p", "nv12", "yuv444p10le", "yuva420p"])
def test_the_fast_way_to_rgb_gives_the_values_of_the_slow_one(form):
    noise = np.random.default_rng(1).integers(0, 256, (50, 71, 3), dtype=np.uint8)
    frame = av.VideoFrame.from_ndarray(noise, format="rgb24").reformat(format=form)
    for matrix, limited, size in ((1, True, (50, 71)), (6, False, (25, 90))):
        found, _ = to_rgb(frame, size, Colors(matrix, 1, 1, limited))
        limits = {} if "j" in form else {"src_color_range": 1 if limited else 2, "dst_color_range": 2}
        wanted = frame.reformat(
            size[1], size[0], "rgb24", src_colorspace={1: 1, 6: 5}[matrix], interpolation=SCALER, **limits
        )
        assert np.array_equal(found, wanted.to_ndarray())


def test_highlights_of_hdr_are_compressed_without_a_change_of_hue(tmp_path):
    def bright(picture):
        return pq(np.full_like(picture, 1) * np.array([200, 100, 100], np.uint8), gain=5)

    film(tmp_path / "x.mkv", **DEEP | {"exact": EXACT_2020, "tags": (9, 1, 16, 9), "prepare": bright})
    red, green, blue = first(tmp_path / "x.mkv")[30, 40].astype(int)
    assert 245 < red < 256
    assert abs(green - blue) <= 2
    assert green == pytest.approx(red * 0.5, abs=8)  # as 100 to 200


def test_white_and_black_are_white_and_black(tmp_path):
    for number, level in enumerate((0, 255)):
        even = lambda p, level=level: np.full_like(p, level)  # noqa: E731
        film(tmp_path / f"{number}.mkv", **DEEP | {"exact": EXACT, "tags": (1, 1, 1, 1), "prepare": even})
        picture = first(tmp_path / f"{number}.mkv")
        assert picture.min() == picture.max() == level


@pytest.mark.parametrize(("form", "step"), [("gray", 1), ("gray10le", 4)])
@pytest.mark.parametrize(("color_range", "black", "white"), [(1, 16, 235), (2, 0, 255)])
def test_grey_of_both_ranges(tmp_path, form, step, color_range, black, white):
    white = white * step + (step - 1 if color_range == 2 else 0)
    kind = np.uint8 if step == 1 else np.uint16
    values = np.full((32, 32), black * step, kind)
    values[16:] = white
    with av.open(str(tmp_path / "x.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = form
        stream.codec_context.color_range = color_range
        frame = av.VideoFrame.from_ndarray(values, format=form)
        frame.pts, frame.time_base = 0, Fraction(1, 10)
        container.mux([*stream.encode(frame), *stream.encode(None)])
    picture = first(tmp_path / "x.mkv")
    assert (picture[:16].max(), picture[16:].min()) == (0, 255)


def test_chroma_is_where_the_film_says(tmp_path):
    """What is written and read again is better than with chroma half a pixel off."""
    across = torch.arange(96) / 3
    x = torch.stack([0.5 + 0.4 * torch.sin(across + shift).expand(64, 96) for shift in (0.0, 2.0, 4.0)])
    with VideoWriter(tmp_path / "x.mp4", (64, 96), Fraction(10)) as writer:
        for _ in range(2):
            writer.write(x)
    back, _ = load_video(tmp_path / "x.mp4")
    assert -10 * torch.log10((back[:, 0] - x).square().mean()) > 34
    assert abs((back[:, 0] - x).mean()) < 0.3 / 255


@pytest.mark.parametrize(("suffix", "tags"), [("mp4", (1, 1, 1, 1)), ("mkv", (0, 2, 13, 1))])
def test_written_files_are_tagged(tmp_path, suffix, tags):
    with VideoWriter(tmp_path / f"x.{suffix}", (64, 96), Fraction(10)) as writer:
        writer.write(torch.from_numpy(chart() / 255).permute(2, 0, 1).float())
    with av.open(str(tmp_path / f"x.{suffix}")) as container:
        frame = next(container.decode(video=0))
        assert tuple(map(int, (frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries))) == tags
        assert container.streams.video[0].sample_aspect_ratio in (None, 1)
    assert np.abs(difference(tmp_path / f"x.{suffix}")).mean() < 0.6


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("x.mov", {"codec": "qtrle", "form": "argb", "options": {}}),
        ("x.webm", {"codec": "libvpx-vp9", "form": "yuva420p", "options": {"lossless": "1"}}),
    ],
)
def test_transparency_is_put_on_white_with_one_warning(tmp_path, name, changes):
    clear = lambda p: np.dstack([p * 0, np.full(p.shape[:2], 128, np.uint8)])  # noqa: E731
    film(tmp_path / name, **STILL | changes | {"prepare": clear})
    with pytest.warns(UserWarning, match="transparency") as caught, VideoReader(tmp_path / name) as reader:
        pictures = list(reader.bytes())
    assert len(caught) == 1
    assert abs(int(pictures[0].mean()) - 127) < 3


@pytest.mark.parametrize(
    ("turn", "right"),
    [
        ((0, False, False), lambda p: p),
        ((0, True, False), lambda p: p[:, ::-1]),
        ((0, False, True), lambda p: p[::-1]),
        ((90, False, False), lambda p: np.rot90(p)),
        ((180, False, False), lambda p: np.rot90(p, 2)),
        ((270, False, False), lambda p: np.rot90(p, 3)),
        ((90, True, False), lambda p: np.rot90(p)[:, ::-1]),
        ((270, True, False), lambda p: np.rot90(p, 3)[:, ::-1]),
    ],
)
def test_turned_and_mirrored_films(tmp_path, turn, right):
    film(tmp_path / "x.mp4", **STILL | {"turn": turn, "form": "yuv444p"})
    found = first(tmp_path / "x.mp4")
    expected = right(chart())
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 2


@pytest.mark.parametrize(("aspect", "width"), [(Fraction(4, 3), 128), (Fraction(8, 9), 85)])
def test_pixels_become_square(tmp_path, aspect, width):
    film(tmp_path / "x.mp4", **STILL | {"aspect": aspect})
    with VideoReader(tmp_path / "x.mp4") as reader:
        assert reader.size == (64, width)
        assert all(p.shape == (64, width, 3) for p in reader.bytes())


def test_turned_films_with_oblong_pixels(tmp_path):
    film(tmp_path / "x.mp4", **STILL | {"aspect": Fraction(4, 3), "turn": (90, False, False)})
    assert first(tmp_path / "x.mp4").shape == (128, 64, 3)


def test_interlaced_films_are_deinterlaced(tmp_path):
    """A bar that moves from one field to the next has no teeth."""
    kind = {"codec": "mpeg2video", "options": {"b": "8000000", "flags": "+ildct+ilme"}, "container": "mpeg"}
    with av.open(str(tmp_path / "x.mpg"), "w", format="mpeg") as container:
        stream = container.add_stream("mpeg2video", rate=25, options=kind["options"])
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=96, height=64, format=av.VideoFormat("yuv420p", 96, 64), time_base=Fraction(1, 25)
        )
        field, sink = graph.add("setfield", "tff"), graph.add("buffersink")
        source.link_to(field)
        field.link_to(sink)
        graph.configure()
        for number in range(8):
            planes = np.full((96, 96), 128, np.uint8)
            planes[:64] = 30
            for row in range(64):
                left = 8 * number + 4 * (row % 2)
                planes[row, left : left + 24] = 200
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            graph.push(frame)
            container.mux(stream.encode(graph.pull()))
        container.mux(stream.encode(None))
    with VideoReader(tmp_path / "x.mpg") as reader:
        pictures = list(reader.bytes())
        assert reader.source.interlaced
    assert len(pictures) == 8
    teeth = np.abs(np.diff(pictures[4][..., 1].astype(int), axis=0))[8:-8].mean()
    assert teeth < 4  # about 14 as it is stored


def test_pictures_that_change_their_size(tmp_path):
    parts = [
        film(tmp_path / f"{h}.ts", size=(h, w), seconds=0.4, sound=None).read_bytes() for h, w in ((64, 96), (96, 144))
    ]
    (tmp_path / "x.ts").write_bytes(b"".join(parts))
    with pytest.warns(UserWarning, match="change their size"), VideoReader(tmp_path / "x.ts") as reader:
        pictures = list(reader.bytes())
    assert len(pictures) == 20
    assert {p.shape for p in pictures} == {(64, 96, 3)}
    assert np.abs(patch_means(pictures[-1]) - patch_means(pictures[0])).mean() < 3
