from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backend.commands import answer, refused, run


def test_encode_writes_codes_scores_and_logits_of_tokens(commands_data: Path, tmp_path: Path, capsys: Any) -> None:
    ids = np.random.default_rng(0).integers(11, size=(3, 7))
    np.save(tmp_path / "ids.npy", ids)
    arguments = ("encode", "tiny", "--tokens", str(tmp_path / "ids.npy"), "--out", str(tmp_path / "o.npz"))
    found = answer(capsys, *arguments, data=commands_data)
    assert found["items"] == 3 and found["positions"] == 21
    plain_run = dict(np.load(tmp_path / "o.npz"))
    assert plain_run["codes/L1.mlp"].shape == (3, 7, 1) and plain_run["logits"].shape == (3, 7, 11)
    assert plain_run["scores/L0.attn.h1"].dtype == np.float32
    answer(capsys, *arguments, "--edit", "L1.mlp:7@2", "--edit", "L0.mlp:-1#0", data=commands_data)
    edited = dict(np.load(tmp_path / "o.npz"))
    assert (edited["codes/L1.mlp"][:, 2] == 7).all() and (edited["codes/L0.mlp"] == -1).all()
    assert np.abs(edited["logits"] - plain_run["logits"]).max() > 1e-4


def test_encode_reads_one_item_a_line_and_fills_short_ones_up(commands_data: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "walks.txt").write_text("1 2 3\n45\n")
    answer(
        capsys,
        "encode",
        "tiny",
        "--text",
        str(tmp_path / "walks.txt"),
        "--out",
        str(tmp_path / "o.npz"),
        data=commands_data,
    )
    arrays = dict(np.load(tmp_path / "o.npz"))
    assert arrays["lengths"].tolist() == [4, 3] and arrays["codes/L0.mlp"].shape == (2, 4, 1)
    assert arrays["codes/L0.mlp"][1, 3] == -1 and np.isnan(arrays["logits"][1, 3]).all()
    assert np.isfinite(arrays["logits"][0]).all()


@pytest.mark.parametrize("where", ["generated", "generated:40"])
def test_encode_refuses_edits_of_new_tokens(commands_data: Path, tmp_path: Path, capsys: Any, where: str) -> None:
    (tmp_path / "walks.txt").write_text("17 42")
    given = ("--text", str(tmp_path / "walks.txt"), "--out", str(tmp_path / "o.npz"), "--edit", f"L1.mlp:3@{where}")
    assert "none are written here" in refused(capsys, 2, "encode", "tiny", *given, data=commands_data)
    assert not (tmp_path / "o.npz").exists()


@pytest.mark.parametrize("where", ["4", "-5", "1..40"])
def test_encode_refuses_an_edit_past_the_end_of_every_text(
    commands_data: Path, tmp_path: Path, capsys: Any, where: str
) -> None:
    (tmp_path / "walks.txt").write_text("1 2 3\n4\n")  # 4 and 2 tokens
    given = ("--text", str(tmp_path / "walks.txt"), "--out", str(tmp_path / "o.npz"))
    said = refused(capsys, 2, "encode", "tiny", *given, "--edit", f"L1.mlp:3@{where}", data=commands_data)
    assert "at most 4 tokens in a text" in said and "0 to 3" in said
    assert not (tmp_path / "o.npz").exists()
    answer(capsys, "encode", "tiny", *given, "--edit", "L1.mlp:3@3", "--edit", "L1.mlp:3@-4", data=commands_data)


def test_encode_says_how_large_the_logits_are_before_it_starts(
    commands_data: Path, tmp_path: Path, capsys: Any
) -> None:
    np.save(tmp_path / "ids.npy", np.zeros((500, 20), int))
    given = ("--tokens", str(tmp_path / "ids.npy"), "--out", str(tmp_path / "o.npz"))
    assert run("encode", "tiny", *given, "--progress", data=commands_data) == 0
    first = capsys.readouterr().err.splitlines()[0]
    assert first == "the logits of 500 items take 0.4 MB, and are written too"
    assert round(np.load(tmp_path / "o.npz")["logits"].nbytes / 1e6, 1) == 0.4


def test_encode_refuses_what_it_cannot_read(
    commands_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def tried(kind: str, file: Path, *more: str) -> str:
        return refused(
            capsys, 2, "encode", "tiny", kind, str(file), "--out", str(tmp_path / "o.npz"), *more, data=commands_data
        )

    bad = {
        "float": np.zeros((2, 2)),
        "flat": np.zeros(3, int),
        "big": np.full((1, 2), 11),
        "long": np.zeros((1, 99), int),
    }
    for name, array in bad.items():
        np.save(tmp_path / f"{name}.npy", array)
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "claims.npy", np.zeros((1, 99), int))
    small = (tmp_path / "claims.npy").read_bytes()
    (tmp_path / "claims.npy").write_bytes(small.replace(b"(1, 99), }          ", b"(1, 999999999999), }"))
    assert "whole numbers" in tried("--tokens", tmp_path / "float.npy")
    assert "[item, position]" in tried("--tokens", tmp_path / "flat.npy")
    assert "0 to 10" in tried("--tokens", tmp_path / "big.npy")
    assert "too many" in tried("--tokens", tmp_path / "long.npy")
    assert "plain numbers" in tried("--tokens", tmp_path / "objects.npy")
    assert "plain numbers" in tried("--tokens", tmp_path / "claims.npy")
    assert "no file" in tried("--tokens", tmp_path / "missing.npy")
    (tmp_path / "walk.txt").write_text("1 2\n3 \x1b[31mx\n")
    said = tried("--text", tmp_path / "walk.txt")
    assert "line 2" in said and "\x1b" not in said
    (tmp_path / "walk.txt").write_text("1 2\n")
    assert "not an edit" in tried("--text", tmp_path / "walk.txt", "--edit", "L1.mlp")
    (tmp_path / "o.npz").mkdir()
    assert "is a folder" in tried("--text", tmp_path / "walk.txt")
    (tmp_path / "o.npz").rmdir()
    assert "codes 0 to 29" in tried("--text", tmp_path / "walk.txt", "--edit", "L1.mlp:30")
    assert not (tmp_path / "o.npz").exists()


def test_search_counts_agree_with_the_items_themselves(commands_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from backend.explorer import Explorer

    found = answer(capsys, "search", "tiny", "(7)", "--min-support", "1", "--limit", "500", data=commands_data)
    explorer = Explorer(commands_data)
    texts = [explorer.item("tiny", i) for i in range(60)]
    assert found["matches"] == sum(token.text == "7" for item in texts for token in item.tokens)
    best = found["codes"][0]
    keys = {"ref", "precision", "recall", "f1", "hits", "count", "precision_low", "precision_high"}
    assert keys <= best.keys() and best["ref"].startswith("tiny/")
    for row in found["codes"]:
        assert row["precision"] == pytest.approx(row["hits"] / row["count"])
        assert row["recall"] == pytest.approx(row["hits"] / found["matches"])
        assert row["precision_low"] <= row["precision"] <= row["precision_high"] + 1e-9
    fewer = answer(capsys, "search", "tiny", "(7)", "--min-support", "20", "--site", "L0.mlp", data=commands_data)[
        "codes"
    ]
    assert all(row["hits"] >= 20 and "/L0.mlp/" in row["ref"] for row in fewer)


def test_held_out_search_measures_on_the_other_half(commands_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from backend.explorer import Explorer

    found = answer(capsys, "search", "tiny", "(7)", "--min-support", "1", "--held-out", data=commands_data)
    explorer = Explorer(commands_data)
    halves = [explorer.item("tiny", i) for i in range(60)]
    assert found["matches"] == sum(token.text == "7" for item in halves if item.half == 1 for token in item.tokens)
    everything = answer(capsys, "search", "tiny", "(7)", "--min-support", "1", "--limit", "500", data=commands_data)[
        "codes"
    ]
    whole = {row["ref"]: row for row in everything}
    assert found["codes"]
    for row in found["codes"]:
        assert row["hits"] <= whole[row["ref"]]["hits"] and row["count"] <= whole[row["ref"]]["count"]
    first = [(whole[r["ref"]]["hits"] - r["hits"], whole[r["ref"]]["count"] - r["count"]) for r in found["codes"]]
    matches = sum(token.text == "7" for item in halves if item.half == 0 for token in item.tokens)
    order = [2 * hits / (count + matches) for hits, count in first]
    assert order == sorted(order, reverse=True)


def test_search_by_label_and_bad_patterns(commands_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "search", "tiny", "", "--label", "state=7", "--min-support", "1", data=commands_data)
    assert found["matches"] > 0
    assert "character" in refused(capsys, 2, "search", "tiny", "(", data=commands_data)
    assert "FIELD=VALUE" in refused(capsys, 2, "search", "tiny", "7", "--label", "state", data=commands_data)
    assert "nobody" in refused(capsys, 2, "search", "nobody", "7", data=commands_data)
    assert "build tiny-base" in refused(capsys, 1, "search", "tiny-base", "7", data=commands_data)


def test_steer_compares_unsteered_steered_and_a_random_code(
    commands_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("steer", "tiny", "--prompt", "1 2", "--edit", "L1.mlp:4", "--samples", "8", "--max-new-tokens", "4")
    found = answer(capsys, *arguments, "--success", "7|3", data=commands_data)
    for name in ("unsteered", "steered", "control"):
        arm = found[name]
        assert len(arm["texts"]) == 8 and all(text.startswith("<bos> 1 2") for text in arm["texts"])
        assert arm["success"]["n"] == 8 and arm["success"]["low"] <= arm["success"]["rate"] <= arm["success"]["high"]
        new = [text.removeprefix("<bos> 1 2") for text in arm["texts"]]
        assert arm["success"]["rate"] == sum("7" in text or "3" in text for text in new) / 8
        assert arm["perplexity"] > 1
    assert found["control"]["edits"] != found["steered"]["edits"] == ["L1.mlp:4"]
    assert answer(capsys, *arguments, data=commands_data)["steered"]["success"] is None
    again = answer(capsys, *arguments, "--success", "7|3", data=commands_data)
    assert [again[n]["texts"] for n in ("unsteered", "steered")] == [
        found[n]["texts"] for n in ("unsteered", "steered")
    ]


def test_steer_says_where_the_context_ends_before_the_new_tokens_asked_for(commands_data: Path, capsys: Any) -> None:
    arguments = ("steer", "tiny", "--prompt", "1 2", "--edit", "L1.mlp:4", "--samples", "2")
    assert answer(capsys, *arguments, "--max-new-tokens", "4", data=commands_data)["warnings"] == []
    found = answer(capsys, *arguments, "--max-new-tokens", "900", data=commands_data)
    (warning,) = found["warnings"]
    assert "Only 21 of 900" in warning and "24 tokens" in warning
    assert run(*arguments, "--max-new-tokens", "900", data=commands_data) == 0
    assert f"Warning: {warning}" in capsys.readouterr().out


@pytest.mark.parametrize("seed", [str(2**63), "9" * 5000, "-1", "x"])
def test_a_seed_that_nothing_can_hold_is_wrong_usage(seed: str, tmp_path: Path, capsys: Any) -> None:
    said = refused(capsys, 2, "steer", "tiny", "--prompt", "1", "--edit", "L1.mlp:4", f"--seed={seed}", data=tmp_path)
    assert "whole number" in said or f"from 0 to {2**63 - 1}" in said
