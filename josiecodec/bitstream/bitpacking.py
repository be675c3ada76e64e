"""Fixed-length code words: every code takes ceil(log2(codebook_size)) bits, most significant first.

The codes of a frame follow each other, semantic level first, then those of the next frame; zeros fill
the last byte. 1 + 8 levels of 2048 codes are 99 bits a frame.
"""

from __future__ import annotations

import numpy as np

from ..errors import CodesError, FormatError


def code_bits(codebook_size: int) -> int:
    """Bits that one code takes."""
    return max(1, (codebook_size - 1).bit_length())


def packed_size(codes: int, codebook_size: int) -> int:
    """Bytes that a number of codes takes."""
    return -(-codes * code_bits(codebook_size) // 8)


def pack(codes: np.ndarray, codebook_size: int) -> bytes:
    """Codes [frames, levels] -> bytes.

    Raises:
        CodesError: if a code is out of range.
    """
    flat = np.asarray(codes).reshape(-1)
    if flat.size and not 0 <= int(flat.min()) <= int(flat.max()) < codebook_size:
        raise CodesError(f"codes must be in 0..{codebook_size - 1}")
    width = code_bits(codebook_size)
    shifts = np.arange(width - 1, -1, -1, dtype=np.uint32)
    bits = (flat.astype(np.uint32)[:, None] >> shifts) & 1
    return np.packbits(bits.astype(np.uint8).reshape(-1)).tobytes()


def unpack(data: bytes, frames: int, levels: int, codebook_size: int) -> np.ndarray:
    """Bytes -> codes uint16 [frames, levels].

    Raises:
        FormatError: if there are not exactly as many bytes as that takes, a code is out of range, or
            the filling bits are not zero.
    """
    count = frames * levels
    width = code_bits(codebook_size)
    if len(data) != packed_size(count, codebook_size):
        raise FormatError(f"{len(data)} bytes cannot hold {frames} frames of {levels} codes")
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    if bits[count * width :].any():
        raise FormatError("bits after the last code")
    weights = 1 << np.arange(width - 1, -1, -1, dtype=np.uint32)
    codes = bits[: count * width].reshape(count, width) @ weights
    if codes.size and int(codes.max()) >= codebook_size:
        raise FormatError(f"code {int(codes.max())} in a codebook of {codebook_size}")
    return codes.astype(np.uint16).reshape(frames, levels)
