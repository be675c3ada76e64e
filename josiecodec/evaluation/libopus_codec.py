"""Opus by a libopus of one's own (1.5 or later), whose decoder enhances speech if it was built with its networks.

FFmpeg's decoder of Opus knows nothing of that. libopus 1.5 does it in `opus_decode` from a decoder complexity of 6
(LACE) and 7 (NoLACE) on (Büthe et al. 2023, 2024).
"""

from __future__ import annotations

import ctypes
import ctypes.util
import re
import struct
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import CodecError
from ..media.audio_reader import resample

PREFIX = "libopus"
RATE, FRAME, MOST = 48000, 960, 4000  # samples per second and packet, bytes of a packet
FIRST = (1, 5)  # version with enhancement
AUDIO, BITRATE, COMPLEXITY, LOOKAHEAD = 2049, 4002, 4010, 4027  # numbers of opus_defines.h


class LibOpus:
    """Opus, one channel, packets of 20 ms behind their lengths, and the number of samples before them.

    `libopus@6+12` takes the library of the system, `libopus:PATH@6+12` that file. The setting is a bitrate in kbit/s.
    """

    kinds = ("audio",)

    def __init__(self, name: str, setting: str, device: str):
        path = name.partition(":")[2] or ctypes.util.find_library("opus")
        try:
            self.library: Any = ctypes.CDLL(path or "libopus.so")
            self.library.opus_get_version_string.restype = ctypes.c_char_p
            self.version = self.library.opus_get_version_string().decode()
        except (OSError, AttributeError) as error:
            raise CodecError(f"{name}: no libopus here ({error})") from None
        found = re.search(r"(\d+)\.(\d+)", self.version)
        if found is None or (int(found[1]), int(found[2])) < FIRST:
            raise CodecError(f"{name}: {self.version} is older than 1.5, as `opus` has it, too")
        for make in (self.library.opus_encoder_create, self.library.opus_decoder_create):
            make.restype = ctypes.c_void_p
        self.bits = round(1000 * float(setting or 12))

    def _made(self, kind: str, *arguments: int) -> ctypes.c_void_p:
        status = ctypes.c_int()
        state = getattr(self.library, f"opus_{kind}_create")(RATE, 1, *arguments, ctypes.byref(status))
        if status.value or not state:
            raise CodecError(f"{self.version}: no {kind} ({status.value})")
        return ctypes.c_void_p(state)

    def encode(self, wave: Tensor, sample_rate: int) -> bytes:
        x = np.asarray(resample(wave[None], sample_rate, RATE)[0].clamp(-1, 1).numpy(), np.float32)
        state, delay, packet = self._made("encoder", AUDIO), ctypes.c_int(), ctypes.create_string_buffer(MOST)
        control = self.library.opus_encoder_ctl
        control(state, BITRATE, ctypes.c_int(self.bits))
        control(state, COMPLEXITY, ctypes.c_int(10))
        control(state, LOOKAHEAD, ctypes.byref(delay))
        padded = np.pad(x, (0, -(len(x) + delay.value) % FRAME + delay.value))
        out = [struct.pack("<IH", len(x), delay.value)]
        for frame in padded.reshape(-1, FRAME):
            data = np.ascontiguousarray(frame).ctypes.data_as(ctypes.c_void_p)
            size = self.library.opus_encode_float(state, data, FRAME, packet, MOST)
            if size < 0:
                raise CodecError(f"{self.version}: cannot encode ({size})")
            out.append(struct.pack("<H", size) + packet.raw[:size])
        self.library.opus_encoder_destroy(state)
        return b"".join(out)

    def decode(self, data: bytes, sample_rate: int) -> Tensor:
        length, delay = struct.unpack_from("<IH", data)
        state = self._made("decoder")
        self.library.opus_decoder_ctl(state, COMPLEXITY, ctypes.c_int(10))
        frame, parts = np.zeros(FRAME, np.float32), []
        for packet in _packets(data):
            place = frame.ctypes.data_as(ctypes.c_void_p)
            if self.library.opus_decode_float(state, packet, len(packet), place, FRAME, 0) != FRAME:
                raise CodecError(f"{self.version}: cannot decode a packet")
            parts.append(frame.copy())
        self.library.opus_decoder_destroy(state)
        decoded = torch.from_numpy(np.concatenate([np.zeros(0, np.float32), *parts])[delay : delay + length])
        return resample(decoded[None], RATE, sample_rate)[0]

    def payload_bytes(self, data: bytes) -> int:
        return sum(map(len, _packets(data)))


def _packets(data: bytes) -> list[bytes]:
    packets, at = [], 6
    while at < len(data):
        size = struct.unpack_from("<H", data, at)[0]
        packets.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return packets
