"""`train scenes`, `evaluate` and `encode` of an image tokenizer as a person types them."""

import numpy as np
import pytest

from backend.catalog.cards import read_card
from tests.backend.commands import answer, refused

SHORT = ("--steps", "4", "--batch", "4", "--width", "8", "--pool", "32", "--device", "cpu", "--dim", "6")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data directory of its own."""
    return tmp_path_factory.mktemp("data")


def test_a_tokenizer_is_trained_measured_and_measured_again(data, capsys):
    found = answer(capsys, "train", "scenes", "--method", "fvq", "--codes", "64", *SHORT, data=data)
    assert set(found) == {"model", "checkpoint", "steps", "seconds", "metrics"}
    assert found["model"] == "scenes-fvq-64" and found["steps"] == 4
    card = read_card(data / "checkpoints" / "scenes-fvq-64")
    assert card.metrics == found["metrics"] and card.training["curve"][-1]["step"] == 4
    again = answer(capsys, "evaluate", "scenes-fvq-64", "--seeds", "1", data=data)
    assert again["metrics"] == found["metrics"]
    (row,) = [row for row in answer(capsys, "models", data=data)["models"] if row["model"] == "scenes-fvq-64"]
    assert row["kind"] == "image" and row["checkpoint"]


def test_residual_tables_are_four_where_nothing_is_said(data, capsys):
    options = ("--method", "rvq", "--codes", "16", "--name", "levels", "--evaluate", "0")
    answer(capsys, "train", "scenes", *options, *SHORT, data=data)
    recipe = read_card(data / "checkpoints" / "levels").training["recipe"]
    assert recipe["levels"] == 4 and recipe["features"] == "autoencoder"


def test_a_person_s_own_pictures_are_trained_on(data, tmp_path, capsys):
    from PIL import Image

    draw = np.random.default_rng(0)
    for i in range(12):
        Image.fromarray(draw.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    options = ("--images", str(tmp_path), "--method", "vq", "--codes", "16", "--name", "mine", "--evaluate", "1")
    found = answer(capsys, "train", "folder", *options, *SHORT, data=data)
    assert found["model"] == "mine" and found["metrics"]["psnr"]["value"] > 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--codes", "1000"), "a square"),
        (("--method", "vq", "--no-zero-init"), "--no-zero-init is for --method fvq"),
        (("--method", "vq", "--levels", "2"), "--levels is for --method rvq, not vq"),
        (("--method", "fvq", "--features", "random"), "--features is for --method lc"),
        (("--method", "fsq", "--codes", "7"), "FSQ has a table of"),
        (("--size", "30"), "cannot be cut into cells"),
        (("--width", "9"), "multiple of 8"),
        (("--data-set", "photos", "--images", "."), "different pictures"),
        (("--method", "lc", "--features", "nowhere.npy"), "nowhere.npy"),
    ],
)
def test_what_makes_no_tokenizer_is_refused_before_anything_is_drawn(data, capsys, options, told):
    before = sorted(data.rglob("*.npy"))
    assert told in refused(capsys, 2, "train", "scenes", "--name", "never", *options, data=data)
    assert sorted(data.rglob("*.npy")) == before


def test_a_model_of_that_name_is_not_replaced_by_chance(data, capsys):
    told = refused(capsys, 2, "train", "scenes", "--name", "tokfsm-base", *SHORT, data=data)
    assert "There is a model 'tokfsm-base' already" in told


def test_a_run_stopped_while_it_was_measured_is_measured_with_resume_and_not_trained_again(data, capsys, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    run = ("train", "scenes", "--method", "vq", "--codes", "16", "--name", "killed", *SHORT)
    whole = answer(capsys, *run, "--name", "whole", data=data)
    with monkeypatch.context() as patch:
        patch.setattr("backend.jobs.evaluate.evaluate", stopped)
        assert "--resume" in refused(capsys, 1, *run, data=data)
    before = (data / "checkpoints" / "killed" / "model.safetensors").stat().st_mtime_ns
    assert read_card(data / "checkpoints" / "killed").metrics == {}
    refused(capsys, 2, *run, data=data)
    refused(capsys, 2, *run, "--resume", "--lr", "0.5", data=data)  # another run's settings
    found = answer(capsys, *run, "--resume", data=data)
    assert found["metrics"] == whole["metrics"] == read_card(data / "checkpoints" / "killed").metrics
    assert (data / "checkpoints" / "killed" / "model.safetensors").stat().st_mtime_ns == before
