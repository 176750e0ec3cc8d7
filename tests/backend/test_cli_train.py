from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import backend.__main__ as cli
from backend import catalog
from backend.build.lock import training_alone
from backend.catalog.cards import read_card
from backend.cli import Bar
from backend.formats.checkpoints import read_tensors
from tests.backend.commands import SHORT, answer, refused, run


def test_train_writes_checkpoint_catalog_entry_and_measured_card(
    commands_data: Path, tmp_path: Path, capsys: Any
) -> None:
    options = (
        "--from",
        "tiny-base",
        "--places",
        "mlp",
        "--codes",
        "20",
        "--steps",
        "20",
        "--batch",
        "4",
        "--device",
        "cpu",
    )
    for folder in ("catalog", "checkpoints"):
        shutil.copytree(commands_data / folder, tmp_path / folder)
    found = answer(capsys, "train", "tokfsm", *options, "--name", "measured", "--evaluate", "1", data=tmp_path)
    assert set(found) == {"model", "checkpoint", "steps", "seconds", "metrics"} and found["steps"] == 20
    card = read_card(Path(found["checkpoint"]))
    assert card.metrics == found["metrics"]
    assert {"lm_loss", "lm_loss_above_base", "transition_accuracy", "dead_code_fraction"} <= card.metrics.keys()
    assert not (tmp_path / "training" / "measured").exists()
    again = answer(capsys, "evaluate", "measured", "--seeds", "1", "--device", "cpu", data=tmp_path)["metrics"]
    assert again["lm_loss"] == card.metrics["lm_loss"]
    assert set(again["lm_loss"]) == {"value", "low", "high", "n", "seeds", "definition"}


def test_a_run_that_was_stopped_goes_on_and_ends_as_one_that_was_not(
    commands_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("train", "tokfsm", "--places", "attn+mlp", *SHORT, "--name", "tiny")

    def stop(self: Bar, stage: str, done: int, total: int) -> None:
        if stage.startswith("training") and done == 50:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Bar, "__call__", stop)
        assert "Stopped" in refused(capsys, 1, *command, data=tmp_path)
    assert (tmp_path / "training" / "tiny" / "model.state").exists()
    assert "steps was 60, is 61" in refused(capsys, 2, *command, "--resume", "--steps", "61", data=tmp_path)
    assert run(*command, "--resume", data=tmp_path) == 0
    mine, whole = (
        read_tensors(folder / "checkpoints" / "tiny" / "model.safetensors")[0] for folder in (tmp_path, commands_data)
    )
    assert mine.keys() == whole.keys() and all((mine[name] == whole[name]).all() for name in mine)


def test_a_model_is_replaced_only_when_told_to_and_made_names_never_hide_a_shipped_one(
    commands_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "--overwrite" in refused(capsys, 2, "train", "tokfsm", *SHORT, "--name", "tiny", data=commands_data)
    from backend.families.transformer.plan import make_plan

    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (shipped / "tokfsm-attn-mlp-k1.toml").write_text("")
    monkeypatch.setattr(catalog, "SHIPPED", shipped)
    parse = cli.command_parser().parse_args
    names = {}
    for extra in (
        (),
        ("--overwrite",),
        ("--places", "none"),
        ("--states", "25", "--k", "8+1"),
        ("--places", "mlp", "--k", "4"),
    ):
        options = parse(["train", "tokfsm", *extra])
        options.data_dir = tmp_path
        names[extra] = make_plan(options).name
    assert list(names.values()) == [
        "tokfsm-attn-mlp-k1-mine",
        "tokfsm-attn-mlp-k1",
        "tokfsm-base",
        "tokfsm-n25-attn-mlp-k8-1",
        "tokfsm-mlp-k4",
    ]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--places", "attn+nose"), "nose"),
        (("--places", "mlp+mlp"), "twice"),
        (("--k", "40", "--codes", "30"), "--k"),
        (("--k", "1+2+3"), "--k"),
        (("--codes", "many"), "--codes"),
        (("--dim", "30", "--heads", "4"), "heads"),
        (("--states", "4", "--edges", "9"), "edges"),
        (("--length", "2"), "too short"),
        (("--lr", "-1"), "--lr"),
        (("--lr", "nan"), "--lr"),
        (("--name", "../../out"), "cannot name"),
        (("--from", "nobody"), "nobody"),
        (("--from", "tiny-base", "--states", "5"), "states"),
        (("--from", "tiny-base", "--dim", "64"), "--from"),
        (("--from", "tiny-base", "--places", "none"), "--from"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_options_that_cannot_be_are_refused_before_any_work(
    options: Sequence[str], named: str, commands_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert named in refused(capsys, 2, "train", "tokfsm", *options, data=commands_data)
    assert not [path for path in (commands_data / "training").glob("*") if path.suffix != ".lock"]


def test_two_trainings_of_one_name_do_not_run_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with training_alone(tmp_path / "training" / "mine", "mine"):
        for command in (
            ["tokfsm", "--name", "mine", "--places", "none", "--steps", "1"],
            ["scenes", "--name", "mine"],
        ):
            assert cli.main(["train", *command, "--data-dir", str(tmp_path)]) == 1
            assert "Another process trains 'mine'" in capsys.readouterr().err
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("given", ["-0.5", "-1", "nan", "inf"])
def test_a_commitment_below_nothing_is_refused(given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "tokfsm", f"--commitment={given}", "--data-dir", str(tmp_path)]
    assert cli.main(arguments) == 2 and "Give 0 or a positive number" in capsys.readouterr().err
