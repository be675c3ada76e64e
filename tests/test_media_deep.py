"""Pictures of more than eight bits a value, of the kinds that Pillow or FFmpeg alone reads wrong."""

import warnings

import numpy as np
import pytest
from kit.films import chart, patch_means
from kit.pictures import profile
from kit.tiffs import GREY, write_tiff
from PIL import Image

from josiecodec.errors import MediaError
from josiecodec.media import image_numbers
from josiecodec.media.images import load_image

DEEP = chart().astype(np.uint16) * 257
GREEN = chart()[..., 1]


def error_of(path, right, limit=0.5):
    """Checks the mean error of the patches, in levels."""
    found = load_image(path).permute(1, 2, 0).numpy() * 255
    assert np.abs(patch_means(found) - patch_means(np.broadcast_to(right, found.shape))).mean() < limit


def test_tiles_of_sixteen_bits(tmp_path):
    """FFmpeg gives a black picture."""
    error_of(write_tiff(tmp_path / "a.tif", DEEP, tile=32), chart())


def test_floating_point_colors(tmp_path):
    """Pillow does not open them."""
    error_of(write_tiff(tmp_path / "a.tif", (chart() / 255).astype(np.float32)), chart())
    with pytest.warns(UserWarning, match="255 is taken for white"):
        error_of(write_tiff(tmp_path / "b.tif", chart().astype(np.float32)), chart())
    turned = write_tiff(tmp_path / "c.tif", (chart()[::-1, ::-1] / 255).astype(np.float32), more=[(274, 3)])
    error_of(turned, chart())


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.uint32])
def test_numbers_that_cannot_be_read_are_named(tmp_path, kind):
    path = write_tiff(tmp_path / "a.tif", chart().astype(kind))
    with pytest.raises(MediaError, match="in a form that is not known; save it"):
        load_image(path)


def test_premultiplied_transparency_of_sixteen_bits(tmp_path):
    half = np.full((*DEEP.shape[:2], 1), 32768, np.uint16)
    path = write_tiff(tmp_path / "a.tif", np.concatenate([DEEP // 2, half], 2), more=[(338, 1)])
    with pytest.warns(UserWarning, match="put on white"):
        error_of(path, chart() / 2 + 127.5)


def test_a_fine_grey_that_is_transparent(tmp_path):
    values = GREEN.astype(np.uint16) * 257
    Image.fromarray(values).save(tmp_path / "a.png", transparency=int(values[0, 0]))
    with pytest.warns(UserWarning, match="put on white"):
        error_of(tmp_path / "a.png", np.where(GREEN[0, 0] == GREEN, 255, GREEN)[..., None])


def test_fine_greys_by_their_gamma_and_by_their_profile(tmp_path):
    from PIL import PngImagePlugin

    light = GREEN / 255.0
    light = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4)
    info = PngImagePlugin.PngInfo()
    info.add(b"gAMA", (100000).to_bytes(4, "big"))
    Image.fromarray(np.rint(light * 65535).astype(np.uint16)).save(tmp_path / "a.png", pnginfo=info)
    error_of(tmp_path / "a.png", GREEN[..., None])
    linear = bytearray(profile(1))  # the curve of each channel made a straight line
    for at in (linear.find(name, 128, 400) for name in (b"rTRC", b"gTRC", b"bTRC")):
        place = int.from_bytes(linear[at + 4 : at + 8], "big")
        linear[place : place + 16] = b"curv" + bytes(4) + bytes(4) + bytes(4)
    Image.fromarray(np.rint(light * 65535).astype(np.uint16)).save(tmp_path / "b.png", icc_profile=bytes(linear))
    error_of(tmp_path / "b.png", GREEN[..., None], 1.0)
    grey = write_tiff(tmp_path / "c.tif", DEEP[..., 1:2], photometric=GREY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        error_of(grey, GREEN[..., None])


def test_exif_without_the_part_that_marks_adobe_rgb(tmp_path, monkeypatch):
    """Pillow 11 raises KeyError for a part that is not there."""

    class Exif(dict):
        def get_ifd(self, tag):
            raise KeyError(tag)

    image = Image.fromarray(chart())
    image.format = "JPEG"
    monkeypatch.setattr(image, "getexif", lambda: Exif({274: 1}))
    assert image_numbers.numbers_of(image) == (image_numbers.UNSPECIFIED, image_numbers.UNSPECIFIED)
