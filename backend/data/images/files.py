"""One picture from a file or from bytes, whatever people have: every mode to 8 bits RGB, upright, within limits.

Only formats that Pillow decodes by itself are opened (EPS, for one, would run another program).
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from backend.errors import BadInput

MAX_PIXELS = 80_000_000  # of one picture; beyond it a small file could fill the memory
MAX_BYTES = 256 * 1024**2  # of one picture's file
FORMATS = ("PNG", "JPEG", "MPO", "GIF", "WEBP", "BMP", "TIFF", "PPM", "TGA", "ICO", "JPEG2000", "AVIF")
ENDINGS = frozenset(
    ".png .jpg .jpeg .jpe .jfif .mpo .gif .webp .bmp .dib .tif .tiff .ppm .pgm .pbm .pnm .tga .ico .jp2 .j2k .avif".split()
)
_WIDE_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")  # more than 8 bits of grey


def read_picture(source: bytes | Path) -> np.ndarray:
    """Read one image as people see it: upright, over white where it is transparent, 8 bits RGB, the first frame.

    Args:
        source: the file or what is in it.

    Returns:
        uint8 `[height, width, 3]`.

    Raises:
        BadInput: it is not an image, is broken, or has more than `MAX_PIXELS` pixels.
    """
    try:
        return decode(source)[0]
    except BadInput as error:
        name = source.name if isinstance(source, Path) else "The picture"
        raise BadInput(f"{name} cannot be used. {error}") from None


def fit(pixels: np.ndarray, size: int, whole: bool = False) -> np.ndarray:
    """Scale a picture to a square.

    Args:
        pixels: uint8 `[height, width, 3]`.
        size: pixels a side.
        whole: show all of it between white borders; else its middle square.

    Returns:
        uint8 `[size, size, 3]`.
    """
    from PIL import Image

    image = Image.fromarray(pixels)
    width, height = image.size
    if not whole:
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return np.asarray(image.resize((size, size), box=(left, top, left + side, top + side), reducing_gap=3.0))
    scale = size / max(width, height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = Image.new("RGB", (size, size), "white")
    canvas.paste(image.resize(inner, reducing_gap=3.0), ((size - inner[0]) // 2, (size - inner[1]) // 2))
    return np.asarray(canvas)


def decode(source: bytes | Path) -> tuple[np.ndarray, str]:
    """Read a picture as `read_picture` does; also return what a person should know about how it was read, or nothing."""
    from PIL import Image, UnidentifiedImageError

    try:
        length = len(source) if isinstance(source, bytes) else source.stat().st_size
    except OSError as error:
        raise BadInput(f"It cannot be opened ({error.strerror or error}).") from None
    if length > MAX_BYTES:
        raise BadInput(f"Its file has {length:,} bytes; up to {MAX_BYTES:,} are read. Save it smaller.")
    Image.init()  # makes all of Pillow's formats known, some of which may be missing from an installation
    formats = [name for name in FORMATS if name in Image.OPEN]
    too_large = f"more than the {MAX_PIXELS:,} pixels that are read. Save it smaller."
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=formats) as image:
            if image.width * image.height > MAX_PIXELS:  # the header says so before anything is decoded
                raise BadInput(f"It has {image.width:,} x {image.height:,} pixels, {too_large}")
            # the other pictures of an MPO file are the same view for another eye or as a preview
            frames = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
            return _upright_rgb(image), f"It has {frames} frames." if frames > 1 else ""
    except BadInput:
        raise
    except Image.DecompressionBombError:
        raise BadInput(f"It has {too_large}") from None
    except UnidentifiedImageError:
        raise BadInput(f"It is not an image of a known format ({', '.join(FORMATS)}).") from None
    except Exception as error:  # decoders raise nearly anything on broken files
        raise BadInput(f"It is broken and cannot be read ({error or type(error).__name__}).") from None


def _upright_rgb(image: Any) -> np.ndarray:
    """Decode an opened Pillow image, uint8 `[height, width, 3]`."""
    from PIL import Image, ImageOps

    image.load()
    try:
        image = ImageOps.exif_transpose(image)
    except Exception:  # a broken note on how the camera was held: show the image as it is stored
        image = image.copy()
    if image.mode in _WIDE_MODES:
        image = Image.fromarray(_eight_bits(np.asarray(image), image.mode))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def _eight_bits(grey: np.ndarray, mode: str) -> np.ndarray:
    """Scale grey of 16 or 32 bits to uint8: 16 bits by their range; else [0, 1], [0, 255], [0, 65535] or what occurs."""
    # infinities become black: they would stretch the range until everything else is one shade
    shades = np.nan_to_num(grey.astype(np.float64), posinf=0, neginf=0)
    low, high = float(shades.min()), float(shades.max())
    if mode.startswith("I;16"):
        low, high = 0, 65535
    elif low >= 0 and high <= 1 and mode == "F":
        low, high = 0, 1
    elif low >= 0 and high <= 255:
        low, high = 0, 255
    elif low >= 0 and high <= 65535:
        low, high = 0, 65535
    return np.rint((shades - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
