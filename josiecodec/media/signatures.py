"""First bytes of media files."""

from __future__ import annotations

_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_JXL = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n")
_IMAGE_STARTS = tuple(
    b"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF87a|GIF89a|II*\x00|MM\x00*|II+\x00|MM\x00+|\x00\x00\x00\x0cjP  \r\n\x87\n|"
    b"\xff\x4f\xff\x51|8BPS|qoif|DDS |\x00\x00\x01\x00|P1\n|P2\n|P3\n|P4\n|P5\n|P6\n|Pf\n|P5 |P6 |"
    b"\x76\x2f\x31\x01|#?RADIANCE\n|#?RGBE\n".split(b"|")
)
_SOUND_STARTS = tuple(b"fLaC|FORM|.snd|caff|riff\x2e\x91\xcf\x11|NIST_1A|#!AMR|wvpk|MAC |TTA1|ID3|\x0b\x77".split(b"|"))
_FILM_STARTS = tuple(
    b"OggS|\x1a\x45\xdf\xa3|\x30\x26\xb2\x75\x8e\x66\xcf\x11|FLV\x01|\x00\x00\x01\xba|\x00\x00\x01\xb3|\x06\x0e\x2b\x34|"
    b"YUV4MPEG2|DKIF|.RMF".split(b"|")
)
_RIFF_FILMS, _RIFF_SOUND = (b"AVI ", b"AVIX"), b"WAVE"


def is_heif(head: bytes) -> bool:
    """Whether a file that begins so is HEIF (HEIC, but not AVIF)."""
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS and not is_avif(head)


def is_avif(head: bytes) -> bool:
    """Whether a file that begins so is AVIF."""
    brands = head[8 : int.from_bytes(head[:4], "big")]
    return head[4:8] == b"ftyp" and (b"avif" in brands or b"avis" in brands)


def is_jxl(head: bytes) -> bool:
    """Whether a file that begins so is JPEG XL."""
    return head.startswith(_JXL)


def is_sound_start(head: bytes) -> bool:
    """Whether a file that begins so is WAV or FLAC."""
    return head.startswith(b"fLaC") or (head[:4] in (b"RIFF", b"RF64", b"RIFX") and head[8:12] == _RIFF_SOUND)


def is_media_start(head: bytes) -> bool:
    """Whether a file that begins so is a sound, picture or film, as far as its first bytes show it for certain."""
    if head[:4] in (b"RIFF", b"RF64", b"RIFX") and head[8:12] in (*_RIFF_FILMS, _RIFF_SOUND):
        return True
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide") or head.startswith((*_SOUND_STARTS, *_FILM_STARTS)):
        return True
    for size, first in ((188, 0), (192, 4)):  # packets of an MPEG transport stream
        if len(head) > 4 * size and all(head[first + n * size] == 0x47 for n in range(4)):
            return True
    return is_image_start(head)


def is_raw_mjpeg(suffix: str, head: bytes) -> bool:
    """Whether a file is a row of JPEGs, as cameras in a network write it: only its suffix tells it from one picture."""
    return suffix in (".mjpeg", ".mjpg") and head.startswith(b"\xff\xd8\xff")


def is_image_start(head: bytes) -> bool:
    """Whether a file that begins so is a picture, or an animated one."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return True
    bitmap = head.startswith(b"BM") and head[6:10] == bytes(4)
    return bitmap or head.startswith(_IMAGE_STARTS) or is_heif(head) or is_avif(head) or is_jxl(head)
