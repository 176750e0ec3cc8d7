from __future__ import annotations

import errno
import io
import json
import math
import pickle
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import backend.__main__ as cli
from backend import catalog
from backend.catalog import ROOT
from backend.commands import command, importing
from backend.commands.command import Answer, Bar, plain
from backend.importing import FORMATS as known_formats
from tests.backend.commands import SHORT, answer, process, refused, run
from tests.backend.test_formats_codebook_features import GOLDEN
from tests.backend.wrapped_models import Reference, config, settings

# -- looking -----------------------------------------------------------------------------------------------------------


def test_models_lists_what_was_trained_and_built(commands_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = {m["model"]: m for m in answer(capsys, "models", data=commands_data)["models"]}
    keys = {"model", "family", "kind", "capabilities", "dataset", "checkpoint", "built"}
    assert keys <= models["tiny"].keys()
    assert models["tiny"]["built"] and not models["tiny-base"]["built"]
    assert models["tiny"]["dataset"] == "tokfsm" and models["tiny"]["checkpoint"] is True
    assert {"encode", "steer", "states"} <= set(models["tiny"]["capabilities"])
    assert run("models", data=commands_data) == 0
    assert "tiny-base" in capsys.readouterr().out


def test_doctor_finds_a_cut_off_checkpoint_a_bad_catalog_entry_and_a_broken_store(
    commands_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "SHIPPED", tmp_path / "nothing")
    checks = answer(capsys, "doctor", data=commands_data)["checks"]
    assert all(check["ok"] for check in checks) and {"name", "ok", "detail"} == set(checks[0])
    names = {check["name"] for check in checks}
    assert {"python", "package torch", "data directory", "checkpoint tiny", "store tiny"} <= names
    for name in ("catalog", "checkpoints/tiny", "builds"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "catalog" / "tiny.toml").write_text((commands_data / "catalog" / "tiny.toml").read_text())
    (tmp_path / "catalog" / "odd.toml").write_text("name = 3")
    for file in (commands_data / "checkpoints" / "tiny").iterdir():
        (tmp_path / "checkpoints" / "tiny" / file.name).write_bytes(file.read_bytes()[:2000])
    (tmp_path / "builds" / "tiny.20250101T000000-0123abcd.duckdb").write_bytes(b"nonsense")
    assert run("doctor", "--json", data=tmp_path) == 1
    found = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    for name in ("catalog odd", "checkpoint tiny", "base of tiny", "store tiny"):
        assert not found[name]["ok"] and len(found[name]["detail"]) > 20, name


def test_doctor_finds_every_shipped_model_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checks = {check["name"]: check for check in answer(capsys, "doctor", data=tmp_path)["checks"]}
    shipped = {f"checkpoint {file.stem}" for file in catalog.SHIPPED.glob("*.toml")}
    assert len(shipped) > 8 and all(checks[name]["ok"] for name in shipped)
    broken = tmp_path / "checkpoints" / "scenes-vq-1024"
    broken.mkdir(parents=True)
    (broken / "config.json").write_text("{}")
    assert run("doctor", "--json", data=tmp_path) == 1
    found = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert "no model.safetensors" in found["checkpoint scenes-vq-1024"]["detail"]


# -- asking ------------------------------------------------------------------------------------------------------------


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


# -- importing ---------------------------------------------------------------------------------------------------------


def test_import_reports_codebooks_and_warnings_and_the_model_can_be_encoded(tmp_path: Path, capsys: Any) -> None:
    checkpoint, base = Reference(config("gpt2"), settings("mlp", layers=(1,))).save(tmp_path)
    arguments = ("import", "codebook-features", str(checkpoint), "--base", str(base), "--name", "mine")
    found = answer(capsys, *arguments, data=tmp_path / "data")
    assert found == {"model": "mine", "codebooks": ["L1.mlp"], "warnings": []}
    assert "--overwrite" in refused(capsys, 2, *arguments, data=tmp_path / "data")
    np.save(tmp_path / "ids.npy", np.zeros((1, 4), int))
    encode = ("encode", "mine", "--tokens", str(tmp_path / "ids.npy"), "--out", str(tmp_path / "o.npz"))
    assert answer(capsys, *encode, data=tmp_path / "data")["positions"] == 4
    assert set(importing.FORMATS) == set(known_formats)
    assert "invalid choice" in refused(capsys, 2, "import", "exe", str(checkpoint), data=tmp_path / "data")


# -- the frame ---------------------------------------------------------------------------------------------------------


def test_every_command_explains_itself_with_an_example(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run("--help", data=tmp_path) == 0
    overview = capsys.readouterr().out
    for known in cli.COMMANDS:
        assert f"  {known.name} " in overview.replace("\n", " \n")
        assert run(known.name, "--help", data=tmp_path) == 0
        said = capsys.readouterr().out
        assert "--data-dir" in said and "--json" in said and f"python -m backend {known.examples[0]}" in said
        for example in known.examples:
            assert example.startswith(known.name)


@pytest.mark.parametrize(
    "arguments", [(), ("nonsense",), ("build",), ("build", "m", "--items", "-3"), ("models", "--what")]
)
def test_wrong_usage_exits_with_2_and_says_why(arguments: Sequence[str], tmp_path: Path, capsys: Any) -> None:
    assert "usage:" in refused(capsys, 2, *arguments, data=tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "text", "--text", ""),
        ("train", "folder", "--images", " "),
        ("import", "huggingface", ""),
        ("import", "llamagen", "a.pt", "--base", ""),
        ("encode", "m", "--images", "", "--out", "o.npz"),
        ("compare", "m", "--images", "a.png", ""),
    ],
)
def test_an_empty_path_is_not_the_working_directory(arguments: Sequence[str], tmp_path: Path, capsys: Any) -> None:
    assert "it is empty" in refused(capsys, 2, *arguments, data=tmp_path)


@pytest.mark.parametrize("number", ["-1", "nan", "inf", "hot"])
def test_a_temperature_that_is_none_is_wrong_usage(number: str, tmp_path: Path, capsys: Any) -> None:
    for asked in (("find-topic-codes", "m", "topic", "sea"), ("steer", "m", "--prompt", "a", "--edit", "L0.mlp:1")):
        assert "temperature" in refused(capsys, 2, *asked, "--temperature", number, data=tmp_path)


def test_too_little_memory_is_said(tmp_path: Path, capsys: Any) -> None:
    arguments = ("train", "scenes", "--method", "vq", "--codes", str(10**12), "--steps", "1", "--batch", "1")
    assert "not enough memory" in refused(capsys, 1, *arguments, "--pool", "1", data=tmp_path)


def test_an_endless_learning_rate_is_wrong_usage(tmp_path: Path, capsys: Any) -> None:
    assert "learning rate" in refused(capsys, 2, "train", "scenes", "--lr", "inf", data=tmp_path)


def test_the_data_directory_may_stand_before_or_behind_the_command(
    commands_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["--data-dir", str(commands_data), "--json", "models"]) == 0
    before = capsys.readouterr().out
    assert cli.main(["models", "--json", "--data-dir", str(commands_data)]) == 0
    assert before == capsys.readouterr().out and "tiny" in before


def test_a_full_disk_is_said_whichever_library_met_it(
    commands_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import safetensors.torch

    folder = GOLDEN / "cb_gpt2"
    if not folder.is_dir():
        pytest.skip(f"there are no golden checkpoints in {GOLDEN}")

    def full(*_: Any, **__: Any) -> None:  # what the library says of a full disk; it has no error number
        raise safetensors.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("backend.families.checkpoint.save_file", full)
    arguments = ("import", "codebook-features", str(folder / "checkpoint"), "--base", str(folder / "base_config"))
    said = refused(capsys, 1, *arguments, "--name", "m", data=tmp_path)
    assert "no room left on the disk" in said and not list((tmp_path / "checkpoints").iterdir())

    def cut(_: object, file: Any) -> None:  # as torch.save: its own error hides that of the operating system
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        finally:
            raise RuntimeError("unexpected pos 64 vs 0")

    monkeypatch.setattr("torch.save", cut)
    said = refused(capsys, 1, "train", "tokfsm", *SHORT, "--name", "m", data=tmp_path)
    assert "no room left on the disk" in said and "--resume" in said


@pytest.mark.parametrize("command", [("steer", "--prompt", "x", "--edit", "vq:1"), ("find-topic-codes", "a", "b")])
def test_a_model_that_writes_no_text_is_refused_by_what_steers_text(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *rest = command
    assert "writes no text" in refused(capsys, 2, name, "scenes-vq-1024", *rest, data=tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("command", [("evaluate", "tokfsm-small"), ("train", "tokfsm"), ("train", "scenes")])
def test_a_gpu_that_is_not_there_is_said(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no GPU" in refused(capsys, 2, *command, "--device", "cuda", data=tmp_path)


def test_help_names_every_place_and_table_and_shows_examples_that_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from backend.commands import COMMANDS
    from backend.nn.placement import PLACES
    from backend.reproduce import TABLES

    assert run("train", "tokfsm", "--help", data=tmp_path) == 0
    said = capsys.readouterr().out
    assert all(re.search(rf"\b{place}\b", said) for place in PLACES) and "--base B" in said
    assert run("reproduce", "--help", data=tmp_path) == 0
    said = capsys.readouterr().out
    assert all(table in said for table in (*TABLES, "utilization"))
    parser = cli._parser()
    for known in COMMANDS:
        for example in known.examples:
            assert parser.parse_args(shlex.split(example)).command is known


def test_an_unexpected_error_is_one_paragraph_and_a_traceback_only_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import backend.doctor

    def fail(*_: Any) -> None:
        raise ZeroDivisionError("one\ntwo \x1b[2J")

    monkeypatch.setattr(backend.doctor, "examine", fail)
    said = refused(capsys, 1, "doctor", data=tmp_path)
    assert said.count("\n") == 1 and "ZeroDivisionError: one" in said and "\x1b" not in said
    assert cli.DEBUG_VARIABLE in said
    monkeypatch.setenv(cli.DEBUG_VARIABLE, "1")
    assert run("doctor", data=tmp_path) == 1
    assert "Traceback" in capsys.readouterr().err


def test_models_doctor_help_and_search_start_without_torch(commands_data: Path) -> None:
    script = (
        "import sys, backend.__main__ as m\n"
        "for a in (['models'], ['search', 'tiny', '7'], ['doctor'], ['train', 'tokfsm', '--help']):\n"
        "    try:\n"
        "        assert m.main([*a, '--data-dir', sys.argv[1]]) in (0, 1)\n"
        "    except SystemExit as stop:\n"
        "        assert stop.code == 0\n"
        "    found = {'torch', 'transformers', 'umap', 'streamlit'} & set(sys.modules)\n"
        "    assert not found, (a, found)\n"
    )
    done = process("-c", script, str(commands_data))
    assert done.returncode == 0, done.stderr


def test_warnings_of_libraries_are_not_said_to_who_runs_a_command(tmp_path: Path) -> None:
    folder = GOLDEN / "cb_gpt2"
    if not folder.is_dir():
        pytest.skip(f"there are no golden checkpoints in {GOLDEN}")
    (tmp_path / "config.json").write_bytes((folder / "checkpoint" / "config.json").read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({"model.a": 1}, protocol=4))  # torch warns of protocol 4
    asked = ("import", "codebook-features", str(tmp_path), "--base", str(folder / "base_config"), "--name", "m")
    done = process("-m", "backend", *asked, "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "pytorch_model.bin" in done.stderr


def test_progress_is_silent_where_nobody_watches_and_answers_survive_a_closed_pipe(commands_data: Path) -> None:
    done = process("-m", "backend", "doctor", "--data-dir", str(commands_data))
    assert done.stderr == "" and "check" in done.stdout
    shown = process("-m", "backend", "doctor", "--progress", "--data-dir", str(commands_data))
    assert "examining" in shown.stderr and shown.stdout == done.stdout
    piped_command = f"{sys.executable} -m backend models --json --data-dir {commands_data} | true"
    piped = subprocess.run(["bash", "-c", piped_command], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert piped.stderr == ""


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_is_one_line_with_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 40.0, 70.0, 100.0, 130.0])
    monkeypatch.setattr(command.time, "monotonic", lambda: next(clock))
    screen, silent = Screen(), Screen()
    bar = Bar(True, screen)
    for done in range(5):
        bar("training, loss 2.0", done, 4)
        if done == 1:
            assert "1/4, 1 min 30 s left" in screen.getvalue().rsplit("\r", 1)[-1]
    assert screen.getvalue().count("\n") == 1 and screen.getvalue().endswith("4/4  training, loss 2.0\n")
    Bar(False, silent)("training", 1, 2)  # asks for no time
    assert silent.getvalue() == ""


def test_json_never_holds_numbers_that_are_none() -> None:
    value = plain(
        {"a": [math.nan, np.float32("inf"), np.int64(3)], "b": np.array([1.5, np.nan]), "c": Path("x"), "d": True}
    )
    assert value == {"a": [None, None, 3], "b": [1.5, None], "c": "x", "d": True}
    assert json.dumps(value, allow_nan=False)
    assert Answer({}, "").status == 0
