"""Pictures as PNG: every value of eight bits comes back as it was.

Small pictures are written by the thousand, so the writer is as plain as the format allows: no palette, each row as the
differences to the pixel on its left (PNG's filter 1), deflated at its fastest.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np

from backend.errors import BadInput

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPE = {3: 2, 4: 6}  # channels -> PNG's number: RGB, RGB with alpha
_LEFT = 1  # the filter


def encode_png(pixels: np.ndarray) -> bytes:
    """Write uint8 `[height, width, 3]`, or 4 with alpha, as a PNG file.

    Raises:
        BadInput: another shape or type.
    """
    if pixels.ndim != 3 or pixels.shape[2] not in _COLOUR_TYPE or pixels.dtype != np.uint8 or not pixels.size:
        raise BadInput(f"A picture must be uint8 [height, width, 3 or 4], not {pixels.dtype} {pixels.shape}.")
    height, width, channels = pixels.shape
    rows = np.empty((height, 1 + width * channels), np.uint8)
    rows[:, 0] = _LEFT
    rows[:, 1 : 1 + channels] = pixels[:, 0]
    rows[:, 1 + channels :] = (pixels[:, 1:] - pixels[:, :-1]).reshape(height, -1)  # modulo 256, as the format has it
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPE[channels], 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))


def decode_png(data: bytes) -> np.ndarray:
    """Read a PNG file as uint8 `[height, width, 3]`."""
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
        return np.asarray(picture.convert("RGB"))
