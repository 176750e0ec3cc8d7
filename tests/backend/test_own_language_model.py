"""A person's own text and language model, made with other programs: import, train codebooks, build, measure, all by command."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, GPTNeoXConfig, LlamaConfig

from backend import catalog
from backend.__main__ import main
from backend.analysis.seeds import HELD_OUT_SEED
from backend.data.texts.bpe import TextTokenizer, train_tokenizer
from backend.data.texts.corpus import TextItems
from backend.data.texts.own_text import OwnText
from backend.errors import BadInput
from backend.explorer import Explorer
from backend.families import open_family
from backend.families.kind import Request
from backend.jobs.evaluate import evaluate

TEXT = "\n\n".join(
    f"The {animal} number {i} sat in the {place}. “Ça va?” asked the {animal}, and café was all it said 🙂."
    for i in range(120)
    for animal, place in (("fox", "garden"), ("owl", "tower"), ("otter", "river"))
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text file and a model directory as the libraries themselves write them."""
    where = tmp_path_factory.mktemp("own")
    (where / "novel.txt").write_text(TEXT, encoding="utf-8")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(
        LlamaConfig(
            vocab_size=400,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=96,
        )
    )
    model.save_pretrained(where / "model")
    tokenizer.save(str(where / "model" / "tokenizer.json"))
    return where


def run(capsys: pytest.CaptureFixture[str], data: Path, *arguments: object) -> dict:
    assert main([*map(str, arguments), "--data-dir", str(data), "--json"]) == 0, capsys.readouterr().err
    answer: dict = json.loads(capsys.readouterr().out)
    return answer


def test_own_text_and_model_are_imported_trained_built_and_searched(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    brought = run(
        capsys, tmp_path, "import", "huggingface", folder / "model", "--name", "own", "--text", folder / "novel.txt"
    )
    assert brought["codebooks"] == [] and brought["warnings"] == []
    trained = run(
        capsys, tmp_path, "train", "text", "--text", folder / "novel.txt", "--from", "own", "--places", "attn+mlp",
        "--k", "2+4", "--codes", "16+64", "--steps", "30", "--batch", "4", "--name", "own-codes", "--evaluate", "0",
    )  # fmt: skip
    assert trained["model"] == "own-codes" and trained["steps"] == 30
    built = run(capsys, tmp_path, "build", "own-codes", "--items", "40", "--projection", "pca")
    family = open_family(catalog.find("own-codes", tmp_path), tmp_path)
    items = family.items(0, built["items"], 0)
    assert built["positions"] == sum(item.positions for item in items)
    explorer = Explorer(tmp_path)
    expected = sum(item.text.count("café") for item in items)
    assert explorer.search("own-codes", "(café)", min_support=1).matches == expected > 0
    for item in items:  # spans are exact for any Unicode
        assert item.spans is not None
        assert "".join(item.text[start:stop] for start, stop in item.spans) == item.text
    metrics = evaluate("own-codes", tmp_path, Request(1, 12)).metrics()
    assert {"lm_loss", "lm_loss_above_base", "dead_code_fraction", "concept_precision"} <= metrics.keys()
    assert metrics["lm_loss"].value == pytest.approx(_reference_loss(tmp_path, family), abs=1e-4)


def _reference_loss(data: Path, family) -> float:
    """The loss by the library's own `labels`, item by item."""
    losses, counts = [], []
    for item in family.items(0, 12, 900_000):
        ids = torch.from_numpy(item.payload)[None]
        with torch.no_grad():
            losses.append(float(family.model(input_ids=ids, labels=ids).loss))
        counts.append(len(item.payload) - 1)
    return float(np.average(losses, weights=counts))


def test_items_of_different_lengths_in_one_batch_have_the_codes_they_have_alone(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, tmp_path, "import", "huggingface", folder / "model", "--name", "own", "--text", folder / "novel.txt")
    run(
        capsys, tmp_path, "train", "text", "--text", folder / "novel.txt", "--from", "own", "--places", "mlp",
        "--codes", "32", "--steps", "2", "--batch", "2", "--name", "codes", "--evaluate", "0",
    )  # fmt: skip
    family = open_family(catalog.find("codes", tmp_path), tmp_path)
    whole = family.items(0, 3, 0)
    lengths = (5, 40, 17)
    cut = [type(i)(i.index, (n,), i.payload[:n]) for i, n in zip(whole, lengths, strict=True)]
    together = family.encode(cut, logits=True, neurons=True)
    start = 0
    for item, length in zip(cut, lengths, strict=True):
        alone = family.encode([item], logits=True, neurons=True)
        rows = slice(start, start + length)
        for site, grid in alone.grids.items():
            assert np.array_equal(together.grids[site].codes[rows], grid.codes)
        assert np.allclose(together.logits[rows], alone.logits, atol=1e-5)
        for name, values in alone.neurons.items():
            assert np.allclose(together.neurons[name][rows], values, atol=1e-5)
        start += length


def test_a_plain_model_is_not_built_and_the_way_to_codebooks_is_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, text = ["--data-dir", str(tmp_path)], str(folder / "novel.txt")
    assert main(["import", "huggingface", str(folder / "model"), "--name", "own", "--text", text, *data]) == 0
    following = capsys.readouterr().out.splitlines()[-1].removeprefix("Next: python -m backend ")
    assert following.startswith(f"train text --from own --text {text} ")
    assert main(["build", "own", *data]) != 0
    said = capsys.readouterr().err
    assert "'own' has no codebooks" in said and "train text --from own" in said
    assert not list((tmp_path / "builds").glob("own*"))
    command = [*shlex.split(following), "--steps", "1", "--batch", "2", "--codes", "16", "--evaluate", "0", *data]
    assert main(command) == 0
    assert len(open_family(catalog.find("own-codes", tmp_path), tmp_path).codebooks()) > 0


def test_weights_that_are_no_numbers_are_refused_at_import(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = shutil.copytree(folder / "model", tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    name = sorted(weights)[0]
    weights[name].view(-1)[3] = float("nan")
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    assert main(["import", "huggingface", str(broken), "--name", "own", "--data-dir", str(tmp_path / "data")]) == 1
    assert "not finite" in capsys.readouterr().err and not (tmp_path / "data" / "catalog").exists()


def test_a_model_without_a_tokenizer_and_a_text_that_is_not_there_are_refused_with_a_way_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in (folder / "model").iterdir():
        if file.name != "tokenizer.json":
            (bare / file.name).write_bytes(file.read_bytes())
    data = ["--data-dir", str(tmp_path / "data")]
    assert main(["import", "huggingface", str(bare), "--text", str(folder / "novel.txt"), *data]) == 2
    assert "tokenizer.json" in capsys.readouterr().err
    assert main(["import", "huggingface", str(folder / "model"), "--text", str(folder / "nothing.txt"), *data]) == 2
    assert "nothing.txt" in capsys.readouterr().err
    assert main(["train", "text", "--text", str(folder / "nothing.txt"), *data]) == 2
    assert "nothing.txt" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value"),
    [("head_dim", -2), ("num_key_value_heads", 0), ("hidden_act", "none"), ("num_hidden_layers", 0)],
)
def test_an_impossible_value_in_a_configuration_is_refused_in_one_paragraph(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, value: object
) -> None:
    broken = shutil.copytree(folder / "model", tmp_path / "broken")
    (broken / "config.json").write_text(json.dumps(json.loads((broken / "config.json").read_text()) | {key: value}))
    assert main(["import", "huggingface", str(broken), "--data-dir", str(tmp_path / "data")]) == 1
    said = capsys.readouterr().err
    assert f"{broken / 'config.json'} (model_type 'llama') holds a value" in said and "unexpectedly" not in said
    assert (f"{key} = {value}" in said) == (key == "head_dim") and not (tmp_path / "data" / "catalog").exists()


@pytest.mark.parametrize("share", [-3, 50])
def test_a_rotary_share_that_cannot_be_is_refused_before_the_model_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], share: float
) -> None:
    config = GPTNeoXConfig(vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, rotary_pct=0.5)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "model")
    written = json.loads((tmp_path / "model" / "config.json").read_text())
    written.pop("rope_parameters", None)
    (tmp_path / "model" / "config.json").write_text(json.dumps(written | {"rotary_pct": share}))
    assert main(["import", "huggingface", str(tmp_path / "model"), "--data-dir", str(tmp_path / "data")]) == 1
    said = capsys.readouterr().err
    assert "holds a value with which there is no such model" in said and ("rotary_pct = -3" in said) == (share < 0)


def test_training_on_text_says_what_it_does_from_the_first_second(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = "--places none --vocabulary 300 --length 16 --layers 1 --dim 16 --heads 1 --batch 2 --steps 2 --evaluate 0"
    text = ["--text", str(folder / "novel.txt"), "--data-dir", str(tmp_path), "--progress", "--device", "cpu"]
    assert main(["train", "text", *text, *sizes.split()]) == 0
    said = capsys.readouterr().err
    stages = ("looking for documents", "reading text for the tokenizer", "choosing 300 tokens", "reading the corpus")
    places = [said.index(stage) for stage in (*stages, "training", "training, loss")]
    assert places == sorted(places)


def test_a_single_document_is_refused_before_anything_is_trained_if_it_is_to_be_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.txt").write_text("a single line")
    data = ["--data-dir", str(tmp_path / "data"), "--name", "one", "--steps", "1", "--base-steps", "1"]
    assert main(["train", "text", "--text", str(tmp_path / "one.txt"), *data]) == 2
    assert "single document" in capsys.readouterr().err and not list((tmp_path / "data").rglob("*.safetensors"))


def test_copies_of_one_document_are_called_that_where_nothing_can_be_held_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "same.txt").write_text("the same line\n" * 7)
    data = ["--data-dir", str(tmp_path / "data"), "--name", "same", "--steps", "1", "--base-steps", "1"]
    assert main(["train", "text", "--text", str(tmp_path / "same.txt"), "--split", "lines", *data]) == 2
    said = capsys.readouterr().err
    assert "7 copies of the same document" in said and "single document" not in said
    items = TextItems(
        OwnText(str(tmp_path / "same.txt"), "lines"), TextTokenizer(train_tokenizer(["the same line"], 300))
    )
    with pytest.raises(BadInput, match="two documents that differ"):
        items.items(0, 1, HELD_OUT_SEED)
