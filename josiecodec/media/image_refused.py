"""Pictures that nothing here decodes, by their first bytes, so that the error can say what they are."""

from __future__ import annotations

import re

from .signatures import is_jxl

_RAW = "a raw file of a camera; develop it first, to a TIFF or JPEG"
_AS_PNG = "save it as PNG or TIFF"
_STARTS = {
    b"FUJIFILMCCD-RAW": _RAW,
    b"IIU\0": _RAW,  # of Panasonic
    b"IIRO": _RAW,  # of Olympus
    b"IIRS": _RAW,
    b"FOVb": _RAW,  # of Sigma
    b"II\x1a\0\0\0HEAPCCDR": _RAW,  # CRW of Canon
    b"II\xbc": f"JPEG XR; {_AS_PNG}",
    b"BPG\xfb": f"BPG; {_AS_PNG}",
    b"SIMPLE  =": "FITS; save the values as a TIFF or PNG of 16 bits",
    b"gimp xcf": f"a file of GIMP; {_AS_PNG}",
    b"%PDF": f"PDF; {_AS_PNG}",
    b"%!PS": f"PostScript; {_AS_PNG}",
    b"AT&TFORM": f"DjVu; {_AS_PNG}",
    b"FLIF": f"FLIF; {_AS_PNG}",
    b"\xab\x4b\x54\x58": f"a texture of KTX; {_AS_PNG}",
}
_JPEG, _JPEG_LS, _LOSSLESS = b"\xff\xd8\xff", 0xF7, (0xC3, 0xC7, 0xCB, 0xCF)
_FRAMES = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), _JPEG_LS)
_SVG = re.compile(rb"^\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!DOCTYPE\s+svg[^>]*>\s*)?<svg[\s>]", re.S)
_DICOM_AT = 128
_MAX_SEGMENTS = 1000


def refused_kind(head: bytes) -> str | None:
    """What a picture that cannot be decoded is, and what to do; None if its first bytes do not say."""
    for start, text in _STARTS.items():
        if head.startswith(start):
            return text
    if head[4:12] == b"ftypcrx ":
        return _RAW
    if head[_DICOM_AT : _DICOM_AT + 4] == b"DICM":
        return "DICOM; save the picture in it as PNG or TIFF"
    if _SVG.match(head):
        return f"SVG, a drawing without pixels; {_AS_PNG}"
    if head.startswith(_JPEG) and not is_jxl(head):
        return _jpeg(head)
    return None


def _jpeg(head: bytes) -> str | None:
    at = 2
    for _ in range(_MAX_SEGMENTS):
        if at + 5 > len(head) or head[at] != 0xFF:
            return None
        kind, size = head[at + 1], int.from_bytes(head[at + 2 : at + 4], "big")
        if kind in _FRAMES:
            if kind == _JPEG_LS:
                return f"JPEG-LS; {_AS_PNG}"
            bits = head[at + 4]
            how = "lossless " if kind in _LOSSLESS else ""
            return f"a {how}JPEG of {bits} bits; {_AS_PNG}" if how or bits != 8 else None
        at += 2 + size
    return None
