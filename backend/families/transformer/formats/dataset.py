"""What an imported language model is shown: a person's text, the machine it was trained on, our stories, or random tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PretrainedConfig

from backend.data.datasets import open_corpus
from backend.data.machines import DIGITS, Machine
from backend.data.stories import source as stories
from backend.data.texts import own_text
from backend.data.texts.bpe import TOKENIZER, TextTokenizer, load_tokenizer
from backend.data.texts.settings import LENGTH
from backend.data.texts.tokens import RandomTokens
from backend.errors import BadInput, CatalogError, CheckpointError

MACHINE_SEED = 42  # of the machine of codebook-features
_LONGEST_ITEM = 128  # tokens of an item that is not text
Shown = tuple[Mapping[str, Any], list[str]]  # the `[dataset]` of a catalog entry, and warnings


def dataset_of(config: PretrainedConfig, folders: Sequence[Path], text: str | None, tags: Mapping[str, Any]) -> Shown:
    """Find what an imported model is shown.

    Args:
        config: the model's.
        folders: where its tokenizer, or its machine, may be.
        text: file, folder or `hf:` name of a person's text.
        tags: settings that make tags of its columns and file names.

    Raises:
        CheckpointError: the model has no room for two tokens, or its tokenizer or machine cannot be read.
        BadInput: the text cannot be read, or there is no tokenizer to read it with.
    """
    longest = int(getattr(config, "max_position_embeddings", _LONGEST_ITEM))
    if longest < 2:
        raise CheckpointError("The model's configuration has room for fewer than two tokens. Check its config.json.")
    tokenizer = _first(folders, TOKENIZER)
    if text is not None and tokenizer is not None:
        return _text(config, tokenizer, text, tags)
    if text is not None:
        raise BadInput(
            f"There is no {TOKENIZER} beside the model, so it cannot read a text. Save its fast tokenizer into the folder "
            "(tokenizer.save_pretrained of transformers), or leave --text out to see it on random tokens."
        )
    vocabulary = int(config.get_text_config().vocab_size)
    tokens = RandomTokens(vocabulary, min(longest, _LONGEST_ITEM)).settings
    transitions, words = _first(folders, "fsm.npy"), _first(folders, "vocab.json")
    base = vocabulary - 1  # of a machine: its digits, and the token in front
    if 2 <= base <= len(DIGITS) and (transitions is not None or (words is not None and _only_digits(words, base))):
        return _machine(base, transitions, tokens)
    if tokenizer is None:
        return tokens, []
    try:
        return _text(config, tokenizer, None, {})
    except CheckpointError as error:  # the model itself can be seen all the same
        return tokens, [f"{error} Until then items are random token ids."]


def _first(folders: Sequence[Path], name: str) -> Path | None:
    return next((file for folder in folders if (file := folder / name).is_file()), None)


def _machine(base: int, file: Path | None, tokens: Mapping[str, Any]) -> Shown:
    """Return the machine whose transitions a file holds; `tokens` where that is not a machine that we can make."""
    length = tokens["length"]
    try:
        if file is None:
            return Machine(base=base, seed=MACHINE_SEED, length=length).settings, [
                "The vocabulary is that of a finite-state machine and there is no fsm.npy: the paper's machine is "
                f"assumed (100 states, 10 edges, seed {MACHINE_SEED})."
            ]
        transitions = _transitions(file)
        machine = Machine(len(transitions), int(transitions[0].sum()), base, MACHINE_SEED, length)
    except CatalogError as error:
        return tokens, [
            f"The finite-state machine of this checkpoint cannot be made ({error}); items are random token ids."
        ]
    if np.array_equal(machine.transitions, transitions):
        return machine.settings, []
    return tokens, [
        f"{file.name} is not the machine of {machine.states} states, {machine.edges} edges and seed {MACHINE_SEED}; "
        "items are random token ids and states are not known."
    ]


def _text(config: PretrainedConfig, tokenizer: Path, text: str | None, tags: Mapping[str, Any]) -> Shown:
    """Return what a model with a tokenizer is shown: the person's own text, else our stories."""
    tokens, vocabulary = TextTokenizer(load_tokenizer(tokenizer)).vocabulary, int(config.get_text_config().vocab_size)
    if not tokens:
        raise CheckpointError(f"{tokenizer} has no tokens. Give the folder that holds the model's own.")
    if tokens > vocabulary:
        raise CheckpointError(
            f"{tokenizer} has {tokens} tokens and the model knows {vocabulary}: they do not belong together. "
            "Give the folder that holds both."
        )
    length = min(int(getattr(config, "max_position_embeddings", LENGTH)), LENGTH)
    if text is None:
        return stories.SOURCE.settings({"length": length}), [
            "It will be shown our own stories, not what it was trained on. Give your text with --text."
        ]
    settings = own_text.SOURCE.settings({"path": text, "length": length, **tags})
    open_corpus(settings).count(0)  # refuses what cannot be read
    return settings, [*map(str, own_text.SOURCE.notes(settings) if own_text.SOURCE.notes else ())]


def _transitions(file: Path) -> np.ndarray:
    """Return bool `[N, N]` from a file of transition probabilities; objects in it are refused, not run."""
    try:
        table = np.load(file, mmap_mode="r", allow_pickle=False)  # mapped: what claims more than it holds is refused
    except (OSError, ValueError, EOFError) as error:
        raise CheckpointError(f"{file} is not a plain numpy array ({error}). Delete it or get it again.") from error
    if (
        not isinstance(table, np.ndarray)
        or table.ndim != 2
        or table.shape[0] != table.shape[1]
        or not 2 <= len(table) <= 10_000
    ):
        raise CheckpointError(
            f"{file} holds {getattr(table, 'shape', 'something else')}, not a square table of transitions."
        )
    return table > 0


def _only_digits(file: Path, base: int) -> bool:
    try:
        words = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(words, dict) and all(words.get(digit) == i for i, digit in enumerate(DIGITS[:base]))
