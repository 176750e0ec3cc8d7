"""A person's own images: whatever is in their files, a picture or a report, never a crash."""

import io
import json
import struct
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from backend.analysis.seeds import HELD_OUT_SEED
from backend.data.datasets import open_images
from backend.data.images import files as picture_files
from backend.data.images.files import fit, read_picture
from backend.data.images.own_images import read_images
from backend.errors import BadInput

RED = (200, 30, 40)


def encoded(image, kind="PNG", **options):
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def halves(mode="RGB", left=RED, right=(0, 0, 255), size=(20, 10)):
    image = Image.new(mode, size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def huge_png(width, height):
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", b"")
    )


def test_plain_pictures_are_read_exactly():
    pixels = read_picture(encoded(halves()))
    assert pixels.shape == (10, 20, 3) and pixels.dtype == np.uint8
    assert tuple(pixels[0, 0]) == RED and tuple(pixels[9, 19]) == (0, 0, 255)


def test_every_mode_becomes_the_colours_that_people_see():
    grey16 = np.array([[0, 32768, 65535]], dtype=np.uint16)
    assert read_picture(encoded(Image.fromarray(grey16)))[0, :, 0].tolist() == [0, 128, 255]
    wide = np.array([[0, 70000, 140000]], dtype=np.int32)
    assert read_picture(encoded(Image.fromarray(wide), "TIFF"))[0, :, 0].tolist() == [0, 128, 255]
    shares = np.array([[0, 0.5, np.nan]], dtype=np.float32)
    assert read_picture(encoded(Image.fromarray(shares), "TIFF"))[0, :, 0].tolist() == [0, 128, 0]
    cmyk = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    assert read_picture(encoded(cmyk, "TIFF"))[0, 0].tolist() == [255, 0, 0]
    assert np.abs(read_picture(encoded(cmyk, "JPEG", quality=95))[0, 0].astype(int) - [255, 0, 0]).max() < 8
    clear = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    clear.putpixel((1, 0), (0, 0, 0, 255))
    assert read_picture(encoded(clear))[0].tolist() == [[255, 255, 255], [0, 0, 0]]
    palette = halves().quantize(4)
    assert read_picture(encoded(palette))[0, 0].tolist() == list(RED)
    transparent = palette.getpixel((0, 0))
    assert read_picture(encoded(palette, transparency=transparent))[0, 0].tolist() == [255, 255, 255]
    assert read_picture(encoded(Image.new("1", (3, 3), 1)))[0, 0].tolist() == [255, 255, 255]
    half = Image.new("LA", (1, 1), (0, 128))
    assert read_picture(encoded(half))[0, 0, 0] in (126, 127, 128)


def test_16_bit_colour_is_read():
    row = b"\x00" + struct.pack(">3H", 65535, 32896, 0)
    head = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    assert read_picture(data)[0, 0].tolist() == [255, 128, 0]


def test_a_photo_taken_sideways_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = read_picture(encoded(halves(), exif=exif))
    assert pixels.shape == (20, 10, 3)
    assert tuple(pixels[0, 5]) == RED and tuple(pixels[19, 5]) == (0, 0, 255)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_a_truncated_or_flipped_file_is_bad_input_or_a_picture_and_nothing_else(kind):
    data = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)), kind)
    for length in (0, 1, 7, 30, len(data) // 2, len(data) - 40):
        with pytest.raises(BadInput, match="cannot be used"):
            read_picture(data[:length])
    rng = np.random.default_rng(1)
    for _ in range(60):
        broken = bytearray(data)
        for place in rng.integers(0, min(len(data), 400), 4):
            broken[place] = rng.integers(256)
        try:
            assert read_picture(bytes(broken)).shape[2] == 3
        except BadInput:
            pass


def test_a_picture_that_would_fill_the_memory_is_refused_before_it_is_decoded(monkeypatch, tmp_path):
    for width, height in ((50_000, 50_000), (9_000, 9_000)):
        with pytest.raises(BadInput, match="more than the 80,000,000 pixels that are read"):
            read_picture(huge_png(width, height))
    monkeypatch.setattr(picture_files, "MAX_BYTES", 10)
    with pytest.raises(BadInput, match="bytes"):
        read_picture(encoded(halves()))
    with pytest.raises(BadInput, match="missing.png cannot be used. It cannot be opened"):
        read_picture(tmp_path / "missing.png")


def test_formats_that_run_other_programs_are_not_opened():
    with pytest.raises(BadInput, match="not an image of a known format"):
        read_picture(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")


def test_a_folder_is_read_with_all_below_it_and_every_file_that_is_not_is_reported(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(encoded(halves()))
    folder = tmp_path / "mine"
    (folder / "cats" / "black").mkdir(parents=True)
    (folder / "a.png").write_bytes(encoded(halves()))
    (folder / "cats" / "b.jpg").write_bytes(encoded(halves(), "JPEG"))
    (folder / "cats" / "black" / "c").write_bytes(encoded(halves(), "BMP"))
    (folder / "notes.txt").write_text("hello")
    (folder / "broken.jpg").write_bytes(encoded(halves(), "JPEG")[:200])
    (folder / "empty.png").write_bytes(b"")
    (folder / ".hidden.png").write_bytes(encoded(halves()))
    (folder / "link.png").symlink_to(outside / "secret.png")
    (folder / "away").symlink_to(outside)
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "round.png").symlink_to(folder / "round.png")
    frames = [halves(), halves(left=(0, 255, 0))]
    (folder / "moving.gif").write_bytes(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    (folder / "table.parquet").write_bytes(b"PAR1 no table")
    pictures, reports = read_images([folder, tmp_path / "nothing"])
    assert [(one.path, one.label) for one in pictures] == [
        ("a.png", ""),
        ("moving.gif", ""),
        ("cats/b.jpg", "cats"),
        ("cats/black/c", "cats"),
    ]
    said = {report.path: (report.what, report.done) for report in reports}
    assert set(said) == {
        *("notes.txt", "broken.jpg", "empty.png", "link.png", "away", "gone.png", "round.png"),
        *("moving.gif", "table.parquet"),
        str(tmp_path / "nothing"),
    }
    assert said["moving.gif"] == ("It has 2 frames.", "read the first one")
    assert all(done == "skipped" for path, (_, done) in said.items() if path != "moving.gif")
    assert (
        "not an image" in said["notes.txt"][0]
        and "link" in said["link.png"][0]
        and "Parquet" in said["table.parquet"][0]
    )


def test_reading_stops_at_its_limit_and_says_so(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(encoded(halves()))
    pictures, reports = read_images([tmp_path], limit=2)
    assert len(pictures) == 2 and reports[0].path == "c.png" and "first 2" in reports[0].what


@pytest.mark.parametrize("packed", [True, False])
def test_parquet_tables_are_read_with_their_classes(tmp_path, packed):
    pictures = [encoded(halves()), None, b"no picture", encoded(halves(left=(1, 2, 3)))]
    column = [{"bytes": one, "path": "/etc/passwd"} for one in pictures] if packed else pictures
    notes = {"huggingface": json.dumps({"info": {"features": {"label": {"names": ["cat", "dog"]}}}})}
    table = pa.table({"image": column, "label": [0, 1, 1, 7]}).replace_schema_metadata(notes)
    pq.write_table(table, tmp_path / "t.parquet")
    read, reports = read_images([tmp_path / "t.parquet"])
    assert [(one.path, one.label) for one in read] == [("t.parquet row 0", "cat"), ("t.parquet row 3", "7")]
    assert tuple(read[1].pixels[0, 0]) == (1, 2, 3)
    assert [report.path for report in reports] == ["t.parquet row 1", "t.parquet row 2"]


def test_a_table_without_pictures_says_what_it_has(tmp_path):
    pq.write_table(pa.table({"photo": [b"x"], "image": ["text"]}), tmp_path / "t.parquet")
    assert "holds string" in read_images([tmp_path / "t.parquet"])[1][0].what
    with pytest.raises(BadInput, match="no column 'img', but 'photo', 'image'"):
        open_images({"name": "folder", "path": "t.parquet", "image_column": "img"}, tmp_path).count(0)


def test_pictures_are_fitted_by_their_middle_or_whole_whatever_their_shape():
    picture = np.asarray(halves(size=(40, 10)))
    middle, whole = fit(picture, 8), fit(picture, 8, whole=True)
    assert middle.shape == whole.shape == (8, 8, 3)
    assert tuple(middle[4, 0]) == RED and tuple(middle[4, 7]) == (0, 0, 255)
    assert (whole[:3] == 255).all() and (whole[5:] == 255).all() and tuple(whole[3, 0]) == RED
    for shape in ((1, 1, 3), (1, 60_000, 3), (60_000, 1, 3)):
        assert fit(np.zeros(shape, np.uint8), 16).shape == fit(np.zeros(shape, np.uint8), 16, True).shape == (16, 16, 3)


def test_a_folder_is_a_data_set_with_files_and_classes(tmp_path):
    for place in range(10):
        kind = tmp_path / "own" / ("cats" if place % 2 else "dogs")
        kind.mkdir(parents=True, exist_ok=True)
        (kind / f"{place}.png").write_bytes(encoded(Image.new("RGB", (30, 20), (place * 20, 0, 0))))
    data = open_images({"name": "folder", "path": "own", "size": 16}, tmp_path)
    assert data.classes == ("cats", "dogs") and data.count(0) == data.count(HELD_OUT_SEED) == 10 and data.reports == []
    items = data.items(0, 12, 0, (2, 2))
    assert [item.tags["class"] for item in items[:10]] == ["cats"] * 5 + ["dogs"] * 5
    assert items[0].tags["file"] == "cats/1.png" and items[0].labels["brightness"] == ["dark"] * 4
    assert np.array_equal(items[10].payload, items[0].payload)
    assert np.array_equal(data.pixels(0, 12, 0), np.stack([item.payload for item in items]))
    split = open_images({"name": "folder", "path": "own", "size": 16, "held_out": 0.3}, tmp_path)
    shown = [
        {item.tags["file"] for item in split.items(0, split.count(seed), seed, (1, 1))} for seed in (0, HELD_OUT_SEED)
    ]
    assert len(shown[0]) == 7 and len(shown[1]) == 3 and not shown[0] & shown[1]


def test_a_folder_without_images_says_what_it_found(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(BadInput, match=r"No image could be read from .*notes.txt: It is not an image"):
        open_images({"name": "folder", "path": "."}, tmp_path).pixels(0, 1, 0)
    with pytest.raises(BadInput, match="It is not a file or folder"):
        open_images({"name": "folder", "path": "nowhere"}, tmp_path).count(0)
