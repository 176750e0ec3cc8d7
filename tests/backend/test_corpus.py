"""Documents become items: labels, held-out parts, blocks to train on, and the data sets of the catalog."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from backend.analysis.seeds import HELD_OUT_SEED
from backend.data.datasets import open_corpus, open_dataset, sources
from backend.data.texts.bpe import TextTokenizer, train_tokenizer
from backend.data.texts.corpus import (
    TRAINING_SEED,
    Document,
    EndlessCorpus,
    FiniteCorpus,
    Mark,
    TextItems,
    token_labels,
)
from backend.errors import BadInput, CatalogError, CheckpointError

WORDS = "the dragon and a princess saw seven small boats on blue water".split()


def counted(index: int, seed: int) -> Document:
    """A document that names itself, then words drawn for it; the number of its words differs."""
    rng = np.random.default_rng((seed, index))
    text = f"story {index} of {seed}: " + " ".join(rng.choice(WORDS, int(rng.integers(3, 60))))
    return Document(text, [Mark(0, 5, "kind", "head")], {"index": str(index)})


def tokenizer() -> TextTokenizer:
    return TextTokenizer(train_tokenizer((counted(i, 0).text for i in range(50)), 350))


TOKENIZER = tokenizer()


def finite(count: int) -> FiniteCorpus:
    names = [f"file {i}" for i in range(count)]
    return FiniteCorpus(lambda: names, lambda i: Document(f"I am {names[i]}."), "nothing here")


# -- labels ----------------------------------------------------------------------------------------------------------


def labels_by_hand(document: Document, spans: np.ndarray, field: str) -> list[str]:
    """The rule, read literally and slowly."""
    found, character = [], -1
    for start, stop in spans.tolist():
        if start < stop:
            shown = [c for c in range(start, stop) if not document.text[c].isspace()]
            character = shown[0] if shown else start
        elif character >= 0:
            character = start - 1
        marks = [m for m in document.marks if m.field == field and m.start <= character < m.stop]
        found.append(min(marks, key=lambda m: m.stop - m.start).value if marks else "")
    return found


def test_labels_follow_the_rule_on_random_marks_in_text_of_many_alphabets():
    rng = np.random.default_rng(1)
    alphabet = [*"abc  \n", "é", "北", "🙂", "\u0301", "\u3000"]
    for _ in range(60):
        text = "".join(rng.choice(alphabet, 40))
        marks, lengths = [], set()
        for start, stop in np.sort(rng.integers(0, 41, (12, 2)), axis=1).tolist():
            field = rng.choice(["one", "two"])
            if stop > start and (field, stop - start) not in lengths:  # of equal length either may win
                lengths.add((field, stop - start))
                marks.append(Mark(start, stop, str(field), f"{start}-{stop}"))
        document = Document(text, marks)
        [(_, spans)] = TOKENIZER.encode([text])
        labels = token_labels(document, spans)
        assert labels == {m.field: labels_by_hand(document, spans, m.field) for m in marks}


def test_the_innermost_mark_wins_and_white_space_goes_by_its_first_character():
    text = "  so it was\n\n"
    marks = [
        Mark(0, 13, "part", "all"),
        Mark(2, 7, "part", "so it"),
        Mark(2, 4, "part", "so"),
        Mark(11, 13, "gap", "end"),
    ]
    spans = np.array([[0, 0], [0, 1], [1, 4], [4, 7], [7, 11], [11, 13]])
    labels = token_labels(Document(text, marks), spans)
    assert labels["part"] == ["", "all", "so", "so it", "all", "all"]
    assert labels["gap"] == ["", "", "", "", "", "end"]


def test_a_token_that_continues_a_character_has_its_label():
    [(ids, spans)] = TOKENIZER.encode(["🙂!"])
    assert len(ids) == 6
    labels = token_labels(Document("🙂!", [Mark(0, 1, "kind", "face"), Mark(1, 2, "kind", "mark")]), spans)
    assert labels == {"kind": ["", "face", "face", "face", "face", "mark"]}


# -- items -----------------------------------------------------------------------------------------------------------


def test_items_are_documents_with_a_token_in_front_cut_at_the_length():
    data = TextItems(EndlessCorpus(counted), TOKENIZER, length=40)
    items = data.items(0, 30, seed=3)
    whole = [TOKENIZER.encode([counted(i, 3).text])[0][0] for i in range(30)]
    assert {len(ids) > 40 for ids in whole} == {True, False}
    for item, ids in zip(items, whole, strict=True):
        assert item.payload.tolist() == ids[:40].tolist() and item.payload[0] == data.bos == 0
        assert item.payload.dtype == np.int64 and item.shape == (len(item.payload),)
        assert counted(item.index, 3).text.startswith(item.text) and item.spans[-1, 1] == len(item.text)
        assert data.render(item.payload)[0] == item.text
        assert np.array_equal(data.render(item.payload)[1], item.spans)
        assert len(item.labels["kind"]) == len(item.payload) and item.tags == {"index": str(item.index)}
    short = next(item for item in items if len(item.payload) < 40)
    assert np.array_equal(data.parse(short.text), short.payload)


def test_an_item_is_the_same_whatever_range_it_is_asked_in_and_differs_by_seed():
    data = TextItems(EndlessCorpus(counted), TOKENIZER)
    assert data.items(7, 8, seed=0)[0].text == data.items(0, 9, seed=0)[7].text
    assert data.items(7, 8, seed=1)[0].text != data.items(7, 8, seed=0)[0].text


# -- the two parts ---------------------------------------------------------------------------------------------------


def test_a_finite_corpus_has_every_document_in_one_part_whatever_the_seed():
    corpus = finite(1000)
    train, held = (
        {corpus.document(i, seed).text for i in range(corpus.count(seed))} for seed in (5, HELD_OUT_SEED + 5)
    )
    assert not train & held and len(train | held) == 1000
    assert 70 <= len(held) <= 130
    again = {corpus.document(i, HELD_OUT_SEED).text for i in range(corpus.count(HELD_OUT_SEED))}
    assert again == held
    orders = [[corpus.document(i, seed).text for i in range(20)] for seed in (0, 1, 0)]
    assert orders[0] == orders[2] != orders[1]


def test_a_document_keeps_its_part_when_others_come_or_go_and_names_stay_together():
    more = finite(1300)
    held = {more.document(i, HELD_OUT_SEED).text for i in range(more.count(HELD_OUT_SEED))}
    fewer = finite(1000)
    for index in range(fewer.count(HELD_OUT_SEED)):
        assert fewer.document(index, HELD_OUT_SEED).text in held
    twins = FiniteCorpus(lambda: [f"file {i // 5}" for i in range(1000)], lambda i: Document(str(i // 5)), "")
    parts = [{twins.document(i, s).text for i in range(twins.count(s))} for s in (0, HELD_OUT_SEED)]
    assert not parts[0] & parts[1] and parts[1]


@pytest.mark.parametrize("count", [2, 3, 7])
def test_few_documents_still_have_two_parts(count: int):
    corpus = finite(count)
    assert corpus.count(0) >= 1 and corpus.count(HELD_OUT_SEED) >= 1
    assert corpus.count(0) + corpus.count(HELD_OUT_SEED) == count


def test_a_corpus_ends_and_says_so():
    corpus = finite(40)
    data = TextItems(corpus, TOKENIZER)
    there = corpus.count(0)
    assert len(data.items(0, 1000, seed=0)) == there and data.items(there, there + 5, seed=0) == []
    assert [item.index for item in data.items(there - 2, there + 2, seed=0)] == [there - 2, there - 1]
    with pytest.raises(BadInput, match=f"seed 0 has {there}"):
        corpus.document(there, 0)
    with pytest.raises(BadInput, match="held out"):
        TextItems(finite(1), TOKENIZER).items(0, 1, HELD_OUT_SEED)
    with pytest.raises(BadInput, match="nothing here"):
        finite(0).count(0)


# -- training --------------------------------------------------------------------------------------------------------


def test_blocks_are_training_documents_in_a_row_each_with_the_token_in_front():
    data = TextItems(EndlessCorpus(counted), TOKENIZER)
    stream = data.prepare(tokens=3000)
    assert stream.ids.dtype == np.uint16 and len(stream.ids) >= 3000
    expected = np.concatenate([data.parse(counted(i, TRAINING_SEED).text) for i in range(len(stream.starts))])
    assert np.array_equal(stream.ids, expected)
    rows = data.blocks(50, 64, np.random.default_rng(0))
    assert rows.shape == (50, 64) and rows.dtype == np.int64
    for row in rows:
        parts = np.split(row, np.flatnonzero(row == 0))
        assert len(parts[0]) == 0, "a row begins with a document"
        number = int(data.render(parts[1][:8])[0].split()[1].rstrip(":"))
        shown = data.render(row)[0]
        following = "".join(counted(number + i, TRAINING_SEED).text for i in range(40))
        assert following.startswith(shown) or number > len(stream.starts) - 40
    assert np.array_equal(data.blocks(50, 64, np.random.default_rng(0)), rows)


def test_a_row_longer_than_the_corpus_goes_round_and_nothing_held_out_is_in_it():
    corpus = finite(30)
    data = TextItems(corpus, TOKENIZER)
    row = data.blocks(1, 2000, np.random.default_rng(0))[0]
    shown = data.render(row)[0]
    names = [corpus.document(i, HELD_OUT_SEED).text for i in range(corpus.count(HELD_OUT_SEED))]
    assert shown.count("I am file") > 60 and not any(name in shown for name in names)


def test_a_training_step_waits_two_milliseconds_at_most_for_its_tokens():
    data = TextItems(EndlessCorpus(counted), TOKENIZER)
    data.prepare(tokens=50_000)
    rng = np.random.default_rng(0)
    seconds = []
    for _ in range(20):
        began = time.perf_counter()
        data.blocks(64, 256, rng)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.002


# -- the catalog's data sets -----------------------------------------------------------------------------------------


def write_tokenizer(folder: Path) -> Path:
    (folder / "tokenizer.json").write_text(train_tokenizer([counted(i, 0).text for i in range(9)], 300).to_str())
    return folder


def test_every_corpus_is_a_data_set_with_the_tokenizer_of_the_folder(tmp_path: Path):
    folder = write_tokenizer(tmp_path)
    (tmp_path / "mine.txt").write_text("One day.\n\n" * 900)
    own = {"stories": {}, "python-source": {}, "text": {"path": str(tmp_path / "mine.txt"), "split": "paragraphs"}}
    assert own.keys() == {source.name for source in sources("text") if source.corpus}
    for name, settings in own.items():
        data = open_dataset({"name": name, "length": 32, **settings}, folder)
        items = data.items(0, 2, seed=0)
        assert data.vocabulary == 300 and [len(item.payload) for item in items] == [32, 32]
        assert open_corpus({"name": name, **settings}).document(0, 0).text.startswith(items[0].text)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "nowhere"}, "no data set 'nowhere'"),
        ({}, "no data set ''"),
        ({"name": "stories", "lenght": 3}, "lenght"),
        ({"name": "stories", "length": "long"}, "whole number"),
        ({"name": "python-source", "path": "x"}, "path"),
        ({"name": "text"}, "needs a path"),
        ({"name": "text", "path": "x", "split": "words"}, "words"),
    ],
)
def test_wrong_settings_are_refused(settings: dict, message: str, tmp_path: Path):
    with pytest.raises(CatalogError, match=message):
        open_dataset(settings, write_tokenizer(tmp_path))


def test_a_checkpoint_without_tokenizer_is_refused_and_machines_need_none(tmp_path: Path):
    with pytest.raises(CheckpointError, match="tokenizer"):
        open_dataset({"name": "stories"}, tmp_path)
    assert open_dataset({"name": "tokfsm"}, tmp_path).vocabulary == 11
    assert open_dataset({"name": "tokens", "vocabulary": 7}, tmp_path).bos == 0
    with pytest.raises(CatalogError, match="tokfsm"):
        open_corpus({"name": "tokfsm"})


def test_a_model_of_a_lost_text_still_opens_and_reads_other_text(tmp_path: Path):
    data = open_dataset({"name": "text", "path": str(tmp_path / "gone.txt")}, write_tokenizer(tmp_path))
    assert data.render(data.parse("still here"))[0] == "still here"
    with pytest.raises(BadInput, match="gone.txt is neither"):
        data.items(0, 1, seed=0)


def test_importing_the_data_sets_imports_no_library_for_them():
    modules = "print([m for m in ('tokenizers', 'pyarrow', 'torch') if m in sys.modules])"
    code = f"import sys; from backend.data.datasets import sources; sources(); {modules}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
