"""Opening picture files with Pillow: which formats, which plugins, and what is said where one is missing."""

from __future__ import annotations

import contextlib
import importlib
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..errors import MediaError
from .image_color import NARROW, NUMBERS, nclx_numbers
from .image_fallback import deep_picture
from .image_jxl import mend
from .image_light import light_picture
from .image_numbers import numbers_of, png_numbers, scale_hidden
from .image_photoshop import photoshop
from .image_profile import hdr_numbers
from .image_refused import refused_kind
from .image_tiff import check_tiff, full_pages
from .signatures import is_heif, is_jxl

if TYPE_CHECKING:
    from PIL import Image

_SUFFIXES = """png apng jpg jpeg jpe jfif mpo webp avif avifs heic heif hif jxl bmp dib tif tiff gif ppm pgm pbm pnm pfm
jp2 j2k jpx jpc jpf j2c tga qoi psd psb exr hdr ico pcx dds sgi"""
IMAGE_SUFFIXES = frozenset(f".{name}" for name in _SUFFIXES.split())
ANIMATED_FORMATS = frozenset(["GIF", "PNG", "WEBP", "AVIF"])
MAX_PIXELS = 1 << 28
HEAD = 4096  # bytes that say what a file is
_FRONT = 1 << 18  # bytes that say what a file is that cannot be read
_PAGES = "josiecodec_pages"  # where in `info` the number of pages of a TIFF is kept
_TGA_SUFFIXES = (".tga", ".icb", ".vda", ".vst")
# no pixels in them, or another program would be run, or (FITS) no number is black or white
_NEVER = ("EPS", "MPEG", "WMF", "HDF5", "BUFR", "GRIB", "FITS")
# plugin of Pillow: what it reads, its package
_PLUGINS = {"pillow_heif": ("HEIF and HEIC", "pillow-heif"), "pillow_jxl": ("JPEG XL", "pillow-jxl-plugin")}


@contextlib.contextmanager
def opened(source: str | Path | IO[bytes]) -> Iterator[Image.Image]:
    """An image file, open; what goes wrong while it is used is a MediaError too.

    Raises:
        MediaError: if it cannot be read, has more than 2^28 pixels, or needs a plugin that is not installed.
    """
    from PIL import Image, UnidentifiedImageError

    name = name_of(source)
    with contextlib.ExitStack() as stack:
        try:
            file: IO[bytes] = source if hasattr(source, "read") else stack.enter_context(open(source, "rb"))  # type: ignore
            head = file.read(HEAD)
            file.seek(0)
            _use_plugins(head, name)
            file, pages = full_pages(file, head)
            image = _open(file, Path(name).suffix.lower(), head, name)
            if image.width * image.height > MAX_PIXELS:
                raise MediaError(f"{name}: {image.width} x {image.height} pixels are too many")
            numbers = nclx_numbers(head) if image.format in ("AVIF", "HEIF") else None
            if image.format == "TIFF" and hasattr(image, "tag_v2"):
                check_tiff(image, head, name)
                image.info[_PAGES] = pages
            if image.format == "JXL":
                image = mend(image, file, name)
            if image.format == "PNG":
                scale_hidden(image, head)
                told = png_numbers(file)
                numbers, image.info[NARROW] = (None, False) if told is None else (told[:2], told[2])
            said = numbers if image.format == "PNG" else hdr_numbers(image.info.get("icc_profile"))
            if said is not None:
                numbers = said
                image.info.pop("icc_profile", None)  # it is less exact, for programs that do not know HDR
            if numbers is not None and "nclx_profile" not in image.info:
                image.info["nclx_profile"] = dict(zip(("color_primaries", "transfer_characteristics"), numbers))
            image.info[NUMBERS] = numbers_of(image)
            yield image
        except FileNotFoundError:
            raise MediaError(f"{name}: no such file") from None
        except MediaError:
            raise
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError) as error:
            raise MediaError(f"{name}: not an image that can be read ({_reason(error, name)})") from None
        except (
            RuntimeError,
            KeyError,
            AttributeError,
            ArithmeticError,
            MemoryError,
            struct.error,
            Image.DecompressionBombError,
        ) as e:
            raise MediaError(f"{name}: not an image that can be read ({_reason(e, name)})") from None


def _open(file: IO[bytes], suffix: str, head: bytes, name: str) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    for reader in (photoshop, light_picture):
        found = reader(file, head, name, MAX_PIXELS)
        if found is not None:
            return found
    file.seek(0)
    Image.init()
    formats = [f for f in Image.ID if f not in _NEVER and (f != "TGA" or suffix in _TGA_SUFFIXES)]
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # large images are judged by the caller
            return Image.open(file, formats=formats)
    except UnidentifiedImageError:
        found = deep_picture(file, head, name)
        if found is None:
            file.seek(0)
            kind = refused_kind(file.read(_FRONT))
            if kind is None:
                raise
            raise MediaError(f"{name}: not an image that can be read ({kind})") from None
        return found
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _use_plugins(head: bytes, name: str) -> None:
    for module, needed in (("pillow_heif", is_heif(head)), ("pillow_jxl", is_jxl(head))):
        if not needed:
            continue
        kind, package = _PLUGINS[module]
        try:
            plugin: Any = importlib.import_module(module)
        except ImportError:
            raise MediaError(f"{name}: {kind} pictures need a plugin: pip install {package}") from None
        if module == "pillow_heif":
            plugin.register_heif_opener()


def name_of(source: str | Path | IO[bytes]) -> str:
    """What to call a file or stream in messages."""
    return str(source) if isinstance(source, (str, Path)) else str(getattr(source, "name", "image"))


def frame_count(image: Image.Image) -> int:
    """How many pictures are in a file, pages and frames of an animation alike."""
    if _PAGES in image.info:
        return int(image.info[_PAGES])
    return int(getattr(image, "n_frames", 1))


def is_animation(image: Image.Image) -> bool:
    """Whether a file holds pictures that are shown one after the other."""
    return image.format in ANIMATED_FORMATS and frame_count(image) > 1


def _reason(error: BaseException, name: str) -> str:
    if type(error).__name__ == "UnidentifiedImageError":
        return "its format is not known, or it is damaged"
    text = str(error).replace(name, "it").splitlines()
    return text[0] if text and text[0] else type(error).__name__
