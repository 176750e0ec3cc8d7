from __future__ import annotations

import errno
import io
import json
import math
import os
import pickle
import re
import shlex
import shutil
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
from backend import cli as command
from backend.build.lock import WAITING, locked
from backend.catalog import ROOT
from backend.cli import Answer, Bar, plain
from backend.explorer import Explorer
from backend.families.image_tokenizer.formats.adding import READERS
from backend.jobs.importing import formats
from tests.backend.commands import SHORT, answer, process, refused, run
from tests.backend.test_formats_codebook_features import GOLDEN
from tests.backend.toy_family import prepare
from tests.backend.wrapped_models import Reference, config, settings


def test_build_says_whose_end_it_waits_for_even_where_progress_is_not_shown(tmp_path: Path) -> None:
    prepare(tmp_path)  # a family that commands do not know: it fails, but only after it has waited
    command = [sys.executable, "-m", "backend", "build", "toy", "--data-dir", str(tmp_path)]
    with locked(tmp_path / "builds", "novel", 0, lambda stage, done, total: None):
        waiting = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        assert waiting.stderr is not None
        assert waiting.stderr.readline().startswith(f"{WAITING}: process {os.getpid()} builds 'novel' since 20")
        assert waiting.poll() is None
    rest = waiting.communicate(timeout=60)[1]
    assert waiting.returncode == 1 and "toy" in rest and WAITING not in rest


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


def test_a_damaged_card_is_found_before_anything_is_done_and_is_made_again(
    commands_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = shutil.copytree(commands_data, tmp_path / "data")
    card = data / "checkpoints" / "tiny" / "card.json"
    for damaged in (
        "{",
        "[]",
        "[" * 100_000,
        '{"edits": {"topic=sea": "L0.mlp:1"}}',
        '{"edits": {"topic=sea": ["#"]}}',
    ):
        card.write_text(damaged)
        assert run("doctor", "--json", data=data) == 1
        found = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
        assert "card.json" in found["checkpoint tiny"]["detail"]
        said = refused(capsys, 1, "build", "tiny", "--items", "60", "--projection", "pca", "--seed", "1", data=data)
        assert "--write-card" in said
    measured = answer(capsys, "evaluate", "tiny", "--seeds", "1", "--items", "4", "--write-card", data=data)
    assert json.loads(card.read_text())["metrics"] == measured["metrics"]
    assert run("doctor", data=data) == 0


def test_doctor_names_damaged_records_and_the_pages_pass_over_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    shutil.copytree(catalog.DEFAULT_DATA_DIR / "results", results)
    assert answer(capsys, "doctor", data=tmp_path)
    whole = json.loads((results / "tokfsm-small.json").read_text())
    damaged = {
        "cut": "{",
        "list": "[]",
        "bare": json.dumps(whole | {"table": "bare", "rows": [{"model": "m"}]}),
        "renamed": json.dumps(whole),
        "benchmarks": json.dumps({"benchmarks": [{"ratio": 1}]}),
    }
    for name, text in damaged.items():
        (results / f"{name}.json").write_text(text)
    assert run("doctor", "--json", data=tmp_path) == 1
    found = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    for name in damaged:
        assert not found[f"record {name}"]["ok"] and f"{name}.json" in found[f"record {name}"]["detail"]
    assert found["record tokfsm"]["ok"]
    assert Explorer(tmp_path).comparisons().keys() >= {"tokfsm"}
    assert not Explorer(tmp_path).comparisons().keys() & damaged.keys()


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
    assert set(formats()) == {"codebook-features", "huggingface", *READERS}
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

    monkeypatch.setattr("backend.families.transformer.checkpoint.save_file", full)
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
    from backend.jobs.reproduce import tables
    from backend.nn.insertion.placement import PLACES

    assert run("train", "tokfsm", "--help", data=tmp_path) == 0
    said = capsys.readouterr().out
    assert all(re.search(rf"\b{place}\b", said) for place in PLACES) and "--base B" in said
    assert run("reproduce", "--help", data=tmp_path) == 0
    said = capsys.readouterr().out
    assert all(table in said for table in (*tables(), "utilization"))
    parser = cli.command_parser()
    for known in COMMANDS:
        for example in known.examples:
            assert parser.parse_args(shlex.split(example)).command is known


def test_an_unexpected_error_is_one_paragraph_and_a_traceback_only_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import backend.jobs.doctor

    def fail(*_: Any) -> None:
        raise ZeroDivisionError("one\ntwo \x1b[2J")

    monkeypatch.setattr(backend.jobs.doctor, "examine", fail)
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
