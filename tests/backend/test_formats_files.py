from __future__ import annotations

import argparse
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from backend.catalog import find
from backend.errors import CheckpointError
from backend.families import open_family
from backend.formats.checkpoints import read_weights
from backend.formats.restricted import Placeholder, read_torch
from backend.jobs.importing import import_checkpoint
from backend.types import Item
from tests.backend.wrapped_models import Reference, config, settings


class Command:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


class Settings:
    """Some class of the program that wrote the file."""

    def __init__(self) -> None:
        self.values = {"lr": 0.1}

    def __reduce__(self) -> tuple[Any, ...]:
        return Settings, (), {"values": self.values}


TENSORS = {
    "a": torch.arange(12.0).reshape(3, 4),
    "view": torch.arange(12.0).reshape(3, 4).T[1:, :2],
    "half": torch.ones(3, dtype=torch.bfloat16),
    "ids": torch.tensor([1, -2]),
    "none": torch.empty(0, 4),
    "learned": torch.nn.Parameter(torch.ones(2)),
}


def test_a_file_of_tensors_is_read_as_torch_reads_it(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "plain.bin")
    torch.save({"state_dict": TENSORS, "args": argparse.Namespace(lr=0.1), "own": [Settings()]}, tmp_path / "more.bin")
    plain, more = read_torch(tmp_path / "plain.bin"), read_torch(tmp_path / "more.bin")
    assert plain.skipped == ()
    assert {name.rsplit(".", 1)[-1] for name in more.skipped} == {"Namespace", "Settings"}
    assert isinstance(more.content["args"], Placeholder) and isinstance(more.content["own"][0], Placeholder)
    for found in (plain.content, more.content["state_dict"]):
        for name, tensor in TENSORS.items():
            assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor.detach()), name


@pytest.mark.parametrize("where", ["entry", "beside", "key"])
@pytest.mark.parametrize("form", ["torch", "legacy", "pickle"])
def test_a_pickle_with_code_in_it_is_refused_and_nothing_runs(where: str, form: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    code = Command(marker)
    content: Any = {"entry": {**TENSORS, "b": code}, "beside": {"state_dict": TENSORS, "x": code}, "key": {code: 1}}[
        where
    ]
    file = tmp_path / "pytorch_model.bin"
    if form == "pickle":
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=form == "torch")
    with pytest.raises(CheckpointError) as caught:
        read_torch(file)
    assert not marker.exists()
    assert form != "torch" or "posix.system" in str(caught.value)


def test_a_codebook_checkpoint_with_code_in_it_adds_no_model(tmp_path: Path) -> None:
    checkpoint, base = Reference(config("gpt2"), settings("mlp")).save(tmp_path, safetensors=False)
    marker = tmp_path / "ran"
    state = torch.load(checkpoint / "pytorch_model.bin")
    torch.save({**state, "model.x": Command(marker)}, checkpoint / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="nothing was run"):
        import_checkpoint("codebook-features", checkpoint, tmp_path / "data", base=base, name="m")
    torch.save({**state, "model.x": Settings()}, checkpoint / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="not a tensor"):
        import_checkpoint("codebook-features", checkpoint, tmp_path / "data", base=base, name="m")
    assert not marker.exists() and not (tmp_path / "data").exists()
    torch.save({"state_dict": state, "args": argparse.Namespace()}, checkpoint / "pytorch_model.bin")
    report = import_checkpoint("codebook-features", checkpoint, tmp_path / "data", base=base, name="m")
    assert "argparse.Namespace" in report.warnings[0]


def test_a_machine_saved_as_objects_is_refused(tmp_path: Path) -> None:
    base = config("gpt_neox", vocab_size=11, rotary_pct=0.25)
    checkpoint, folder = Reference(base, settings("mlp")).save(tmp_path)
    marker = tmp_path / "ran"
    np.save(checkpoint / "fsm.npy", np.array([Command(marker)], dtype=object), allow_pickle=True)
    with pytest.raises(CheckpointError, match="fsm.npy"):
        import_checkpoint("codebook-features", checkpoint, tmp_path / "data", base=folder, name="m")
    assert not marker.exists()


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_refused(kept: float, tmp_path: Path) -> None:
    file = tmp_path / "pytorch_model.bin"
    torch.save(TENSORS, file)
    data = file.read_bytes()
    file.write_bytes(data[: int(kept if kept >= 1 else kept * len(data))])
    with pytest.raises(CheckpointError, match="pytorch_model.bin"):
        read_torch(file)


def test_a_file_with_a_changed_byte_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.full((1000,), 7.5)}, file)
    data = bytearray(file.read_bytes())
    data[data.index(torch.full((1000,), 7.5).numpy().tobytes()) + 402] ^= 0x40
    file.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged: the checksum of"):
        read_torch(file)


# -- any causal language model -----------------------------------------------------------------------------------------


def llama() -> Any:
    torch.manual_seed(1)
    sizes = {"vocab_size": 41, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 32}
    return AutoModelForCausalLM.from_config(LlamaConfig(**sizes, **heads)).eval()


@torch.no_grad()
@pytest.mark.parametrize("form", ["safetensors", "bin", "parts"])
def test_any_causal_language_model_is_imported_with_the_same_logits(form: str, tmp_path: Path) -> None:
    model, folder = llama(), tmp_path / "my llama"
    model.save_pretrained(folder, max_shard_size="5KB" if form == "parts" else "1GB")
    if form == "bin":
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "tokenizer.json").write_text("{}")
    report = import_checkpoint("huggingface", folder, tmp_path / "data")
    assert report.model == "my-llama" and report.codebooks == ()
    assert (
        len(report.warnings) == 1 and "tokenizer.json" in report.warnings[0]
    )  # it is kept, but nothing can be read by it
    spec = find("my-llama", tmp_path / "data")
    assert spec.dataset == {"name": "tokens", "vocabulary": 41, "length": 32}
    assert (tmp_path / "data" / spec.checkpoint / "tokenizer.json").exists()
    ids = np.random.default_rng(0).integers(41, size=(2, 9))
    found = open_family(spec, tmp_path / "data").encode([Item(i, (9,), row) for i, row in enumerate(ids)], logits=True)
    assert found.logits is not None
    np.testing.assert_allclose(found.logits.reshape(2, 9, 41), model(torch.from_numpy(ids)).logits.numpy(), atol=1e-5)


def test_a_language_model_with_missing_weights_or_another_s_configuration_is_refused(tmp_path: Path) -> None:
    model = llama()
    model.save_pretrained(tmp_path / "a")
    state = model.state_dict()
    for name, change in {"missing": {}, "shape": {"model.norm.weight": torch.ones(5)}}.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text((tmp_path / "a" / "config.json").read_text())
        kept = {k: v for k, v in state.items() if k != "model.norm.weight"} | change
        torch.save(kept, folder / "pytorch_model.bin")
        with pytest.raises(CheckpointError, match="model.norm.weight"):
            import_checkpoint("huggingface", folder, tmp_path / "data")
    (tmp_path / "a" / "config.json").write_text('{"model_type": "no-such-model"}')
    with pytest.raises(CheckpointError, match="no-such-model"):
        import_checkpoint("huggingface", tmp_path / "a", tmp_path / "data")
    (tmp_path / "a" / "config.json").write_text('{"model_type": "gpt2", "n_embd": "x"}')
    with pytest.raises(CheckpointError, match="n_embd"):
        import_checkpoint("huggingface", tmp_path / "a", tmp_path / "data")
    (tmp_path / "a" / "config.json").unlink()
    with pytest.raises(CheckpointError, match="config.json"):
        import_checkpoint("huggingface", tmp_path / "a", tmp_path / "data")


@pytest.mark.parametrize("parts", [None, [], {}, "model.safetensors", {"a": 3}])
def test_an_index_without_a_table_of_files_is_refused(tmp_path: Path, parts: object) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    with pytest.raises(CheckpointError, match="weight_map"):
        read_weights(tmp_path)
