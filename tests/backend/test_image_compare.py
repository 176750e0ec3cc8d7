"""Live tokenizers, comparing them, and the commands `compare` and `encode --images`."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from PIL import Image

from backend.analysis.measures import Measures
from backend.analysis.token_colours import code_colours, turned_towards
from backend.analysis.usage import token_use
from backend.answers.live import TokenMap
from backend.catalog.cards import Card
from backend.errors import BadInput, Unsupported
from backend.explorer import Explorer
from backend.families.image_tokenizer.measure import measure_images
from backend.families.image_tokenizer.model import save_tokenizer
from backend.jobs import timing
from backend.jobs.compare import common_size, compare, image_tokenizer, picture_table, usage
from backend.jobs.timing import FEWEST, PASSES, Spread, Timing, time_passes
from tests.backend.commands import answer, refused
from tests.backend.tiny_tokenizer import tiny_tokenizer

NAMES = ("one", "two")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two tokenizers, the second with two levels; nothing is built."""
    folder = tmp_path_factory.mktemp("tokenizers")
    (folder / "catalog").mkdir()
    for name, codes in zip(NAMES, ((50,), (20, 30)), strict=True):
        save_tokenizer(tiny_tokenizer(codes), folder / "checkpoints" / name, Card())
        (folder / "catalog" / f"{name}.toml").write_text(
            f'name = "{name}"\nfamily = "image_tokenizer"\nkind = "image"\ntitle = "Tiny"\n'
            f'checkpoint = "checkpoints/{name}"\n\n[published]\nPSNR = 20.5\n\n[dataset]\nname = "scenes"\nsize = 32\n'
        )
    return folder


@pytest.fixture(scope="module")
def lives(data):
    explorer = Explorer(data)
    return [image_tokenizer(explorer, name) for name in NAMES]


def held_out(live, n):
    return np.stack([item.payload for item in live.held_out(0, n)])


def test_tokens_and_pixels_are_those_of_the_family(lives):
    for live in lives:
        pixels = held_out(live, 3)
        found = live.encode(pixels)
        encoded = live.family.encode_pixels(list(pixels)).grids
        assert all(np.array_equal(found[s].codes.reshape(-1), encoded[s].codes[:, 0]) for s in encoded)
        assert all(np.allclose(found[s].margins.reshape(-1), encoded[s].margins[:, 0]) for s in encoded)
        tokens = {site: one.codes for site, one in found.items()}
        decoded = live.decode(tokens)
        assert decoded.shape == pixels.shape and np.abs(decoded).max() <= 1
        assert np.allclose(decoded[1], live.decode({s: c[1:2] for s, c in tokens.items()})[0], atol=1e-5)


def test_people_who_ask_at_once_get_what_they_asked_for(lives):
    pixels = held_out(lives[0], 4)
    alone = [lives[0].encode(one[None])["vq"].codes for one in pixels]
    found = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: lives[0].encode(pixels[i][None])["vq"].codes}))
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert all(np.array_equal(found[i], alone[i]) for i in range(4))


def test_a_persons_picture_is_fitted_to_whole_cells(lives):
    pixels = lives[0].fit(np.zeros((50, 90, 3), np.uint8), 35)
    assert pixels.shape == (3, 32, 32) and np.all(pixels == -1)
    with pytest.raises(BadInput):
        lives[0].fit(np.zeros((50, 90, 3), np.uint8), 4096)
    assert common_size(lives, 0) == 32 and common_size(lives, 70) == 68
    with pytest.raises(BadInput):
        common_size(lives, 2)


def test_usage_and_bits_are_counted_over_the_given_tokens():
    tokens = {"a": np.array([[[0, 0], [1, 1]]]), "b": np.array([[[3, 3], [3, 3]]])}
    found = usage(tokens, {"a": 4, "b": 8}, pixels=16)
    assert found["tokens_counted"] == 4 and found["used"] == 3 and found["codes"] == 12
    assert found["utilization"] == pytest.approx((2 / 4 + 1 / 8) / 2)
    assert found["ceiling"] == pytest.approx((2 - math.exp(-1) - math.exp(-0.5)) / 2)
    assert found["perplexity"] == pytest.approx((2 + 1) / 2)
    assert found["bits_per_pixel"] == pytest.approx(4 * (2 + 3) / 16)
    assert found["bits_per_pixel_effective"] == pytest.approx(4 * 1 / 16)


@pytest.mark.parametrize("number", [0, 1])
def test_compare_and_evaluate_say_the_same_of_the_use_of_codes_on_the_same_pictures(lives, number):
    live, into = lives[number], Measures()
    codes = [info.num_codes for info in live.codebooks()]
    measure_images(live.family, into, 0, 25, tokens_a_code=32)  # 64 tokens a picture: 25 pictures for 50 codes
    measured = {name: metric.value for name, metric in into.metrics().items()}
    pixels = held_out(live, 25)
    row = compare([live], pixels, timed=False)[0].row()
    names = (
        "utilization utilization_of_ceiling perplexity tokens_counted bits_per_pixel bits_per_pixel_effective psnr ssim"
    )
    for name in names.split():
        assert measured[name] == pytest.approx(row[name], rel=1e-6), name
    assert measured["utilization_ceiling"] == pytest.approx(row["ceiling"])
    assert row["reachable"] == pytest.approx(sum(k * (1 - math.exp(-1600 / k)) for k in codes))
    tokens = live.encode(pixels)
    shares = [np.unique(tokens[info.site].codes, return_counts=True)[1] / 1600 for info in live.codebooks()]
    assert measured["perplexity"] == pytest.approx(np.mean([np.exp(-(p * np.log(p)).sum()) for p in shares]))


def test_codes_that_nobody_asked_for_have_no_use_and_no_entropy():
    use = token_use([np.zeros(8, int)], 0)
    assert use.used == 0 and use.ceiling == 0 and math.isnan(use.of_ceiling) and use.perplexity == 1


class Clocked:
    """A tokenizer whose passes take as long as they are told to, on a clock of its own."""

    def __init__(self, name, encode, decode, clock):
        self.spec, self.encodes, self.decodes, self.clock = type("Spec", (), {"name": name}), encode, decode, clock
        self.asked = []

    def encode(self, pixels):
        self.asked.append("encode")
        self.clock[0] += self.encodes[min(self.asked.count("encode"), len(self.encodes)) - 1]
        return {"vq": TokenMap(np.zeros((len(pixels), 2, 2), int), np.zeros(0), np.zeros(0))}

    def decode(self, tokens):
        self.asked.append("decode")
        self.clock[0] += self.decodes[min(self.asked.count("decode"), len(self.decodes)) - 1]


def test_time_is_the_median_of_warm_passes_with_the_range_and_the_state_of_the_machine(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(timing, "time", type("Clock", (), {"perf_counter": lambda: clock[0]}))
    monkeypatch.setattr(timing.os, "getloadavg", lambda: (1.8, 0.0, 0.0))
    monkeypatch.setattr(timing.os, "cpu_count", lambda: 2)
    slow_at_first = Clocked("a", [9.0, 0.10, 0.30, 0.20], [5.0, 0.01], clock)
    other = Clocked("b", [1.0], [1.0], clock)
    found = time_passes([slow_at_first, other], np.zeros((10, 3, 8, 8), np.float32))
    assert found[0].encode == Spread(pytest.approx(20.0), pytest.approx(10.0), pytest.approx(30.0))
    assert found[0].decode.high == pytest.approx(1.0)  # the first pass, of five seconds, does not count
    assert found[1].encode.median == pytest.approx(100.0)
    assert found[0].passes == found[1].passes and FEWEST <= found[0].passes < PASSES  # patience ended it
    assert found[0].load == 1.8 and found[0].busy and not Timing(*[found[0].encode] * 2, 3, 0.2, 2).busy
    assert found[0].row()["encode_ms_high"] == pytest.approx(30.0)
    assert found[0].state() == {"passes": found[0].passes, "load": 1.8, "processors": 2, "busy": True}


def test_time_is_left_out_where_it_was_not_asked_for(lives):
    pixels = held_out(lives[0], 2)
    quick = compare(lives, pixels, timed=False)[0]
    assert quick.timing is None and "encode_ms" not in quick.row()
    timed = compare(lives, pixels)[0]
    low, median, high = (timed.row()[f"encode_ms{end}"] for end in ("_low", "", "_high"))
    assert 0 < low <= median <= high and timed.timing.passes >= FEWEST


def test_scores_are_those_of_the_decoded_pictures(lives):
    pixels = held_out(lives[0], 5)
    found = compare(lives, pixels)
    error = np.rint((found[0].decoded + 1) * 127.5) - np.rint((pixels + 1) * 127.5)
    expected = 20 * np.log10(255 / np.sqrt((error**2).mean((1, 2, 3))))
    assert np.allclose(found[0].scores["psnr"], expected)
    row = found[0].row()
    assert (
        row["pictures"] == 5
        and row["psnr"] == pytest.approx(expected.mean())
        and row["psnr_low"] == pytest.approx(expected.min())
    )
    assert row["encode_ms"] > 0 and row["decode_ms"] > 0
    table = picture_table(found, list("abcde"))
    both = table.pivot(index="picture", columns="model", values="psnr")
    assert np.allclose(table.groupby("picture")["disagreement"].first(), (both["one"] - both["two"]).abs())


def test_token_maps_of_the_same_codes_get_the_same_colours_whatever_their_table_is_turned_to():
    rng = np.random.default_rng(0)
    table, tokens = rng.normal(size=(40, 3)), rng.integers(0, 40, (6, 8, 8))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    first = code_colours(tokens, table)
    other = turned_towards(code_colours(tokens, table @ turn), first)
    assert np.abs(other - first).mean() < 0.05
    assert turned_towards(first[:, ::2, ::2], first).shape == (6, 4, 4, 3)


def test_a_text_model_is_no_tokenizer(data):
    (data / "catalog" / "words.toml").write_text(
        'name = "words"\nfamily = "transformer"\nkind = "text"\ntitle = "Text"\ncheckpoint = "x"\n\n[dataset]\nname = "tokens"\n'
    )
    with pytest.raises(Unsupported):
        image_tokenizer(Explorer(data), "words")


def test_compare_reads_a_folder_and_says_what_it_skipped(data, tmp_path, capsys):
    for i in range(3):
        noise = np.random.default_rng(i).integers(0, 255, (40 + i, 60, 3)).astype(np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{i}.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG no")
    found = answer(capsys, "compare", *NAMES, "--images", str(tmp_path), data=data)
    assert [row["model"] for row in found["models"]] == list(NAMES)
    wanted = "psnr ssim feature_distance utilization ceiling perplexity bits_per_pixel encode_ms decode_ms".split()
    assert all(isinstance(row[name], float) for row in found["models"] for name in wanted)
    assert found["models"][0]["published"] == {"PSNR": 20.5} and found["size"] == [32, 32]
    assert found["timing"]["passes"] >= FEWEST and found["timing"]["processors"] >= 1
    assert all(row["encode_ms_low"] <= row["encode_ms"] <= row["encode_ms_high"] for row in found["models"])
    assert len(found["pictures"]) == 6 and any("broken.png" in text for text in found["warnings"])
    refused(capsys, 2, "compare", "one", "--images", str(tmp_path / "nothing"), data=data)
    refused(capsys, 2, "compare", "words", "--held-out", "2", data=data)
    assert "--size" in refused(capsys, 2, "compare", "one", "--held-out", "2", "--size", "64", data=data)


def test_encode_writes_tokens_and_what_is_decoded_from_them(data, lives, tmp_path, capsys):
    pixels = held_out(lives[1], 3)
    np.save(tmp_path / "pictures.npy", pixels)
    out = tmp_path / "out.npz"
    said = answer(capsys, "encode", "two", "--images", str(tmp_path / "pictures.npy"), "--out", str(out), data=data)
    assert said["items"] == 3 and said["positions"] == 3 * 64
    with np.load(out) as arrays:
        assert arrays["codes/rvq.1"].shape == (3, 8, 8, 1) and arrays["scores/rvq.0"].shape == (3, 8, 8, 1)
        tokens = {site: found.codes for site, found in lives[1].encode(pixels).items()}
        assert all(np.array_equal(arrays[f"codes/{site}"][..., 0], ids) for site, ids in tokens.items())
        assert np.allclose(arrays["reconstruction"], lives[1].decode(tokens), atol=1e-5)
    answer(
        capsys,
        "encode",
        "one",
        "--images",
        str(tmp_path / "pictures.npy"),
        "--edit",
        "vq:7@0..3",
        "--out",
        str(out),
        data=data,
    )
    with np.load(out) as arrays:
        assert (arrays["codes/vq"][:, 0, :4] == 7).all()
    past = ("--images", str(tmp_path / "pictures.npy"), "--edit", "vq:7@64", "--out", str(out))
    assert "at most 64 cells in a picture" in refused(capsys, 2, "encode", "one", *past, data=data)
    np.save(tmp_path / "flat.npy", pixels[:, :, :0])
    refused(capsys, 2, "encode", "one", "--images", str(tmp_path / "flat.npy"), "--out", str(out), data=data)
    np.save(tmp_path / "wrong.npy", pixels[:, :1])
    refused(capsys, 2, "encode", "one", "--images", str(tmp_path / "wrong.npy"), "--out", str(out), data=data)
    refused(capsys, 2, "encode", "one", "--text", str(tmp_path / "wrong.npy"), "--out", str(out), data=data)
