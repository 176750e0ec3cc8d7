"""A person's own text in the forms that people have."""

from __future__ import annotations

import gzip
import json
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backend.analysis.seeds import HELD_OUT_SEED
from backend.data.datasets import open_corpus
from backend.data.texts.bpe import TextTokenizer, train_tokenizer
from backend.data.texts.corpus import TextItems
from backend.data.texts.own_text import OwnText
from backend.errors import BadInput

WORDS = "The river was wide and the boat was small.".split()


def documents(path: Path | str, split: Any = "paragraphs") -> dict[str, str]:
    """Every document by its source, of both parts."""
    corpus = OwnText(str(path), split)
    found = [corpus.document(i, seed) for seed in (0, HELD_OUT_SEED) for i in range(corpus.count(seed))]
    texts = {document.tags["source"]: document.text for document in found}
    assert len(texts) == len(found)
    return texts


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# -- text ------------------------------------------------------------------------------------------------------------


def test_paragraphs_are_gathered_to_some_2000_bytes_and_nothing_is_lost(tmp_path: Path):
    paragraphs = [f"{i} " + " ".join(WORDS * (i % 7 + 1)) for i in range(200)]
    found = documents(write(tmp_path / "book.txt", "\n\n".join(paragraphs)))
    ordered = [text for _, text in sorted(found.items(), key=lambda one: int(one[0].split(":")[1]))]
    assert "\n\n".join(ordered) == "\n\n".join(paragraphs)
    assert all(2_000 <= len(text) <= 2_400 for text in ordered[:-1])
    lines = (tmp_path / "book.txt").read_text().split("\n")
    for source, text in found.items():
        assert lines[int(source.removeprefix("book.txt:")) - 1 :][0] in ("", text.split("\n")[0])


def test_text_without_blank_lines_is_cut_at_line_ends_and_a_line_without_end_at_spaces(tmp_path: Path):
    lines = [f"{i} " + " ".join(WORDS) for i in range(1000)]
    found = documents(write(tmp_path / "lines.txt", "\n".join(lines)))
    assert all(4_000 <= len(t) <= 4_100 for s, t in found.items() if not t.endswith(lines[-1]))
    assert "\n".join(t for _, t in sorted(found.items(), key=lambda o: int(o[0].split(":")[1]))).split("\n") == lines
    corpus = OwnText(str(write(tmp_path / "one.txt", " ".join(["naïve北🙂" * 3] * 3000))))
    texts = [corpus.document(i, s).text for s in (0, HELD_OUT_SEED) for i in range(corpus.count(s))]
    assert sum(text.count("naïve北🙂") for text in texts) == 9000 and max(len(text.encode()) for text in texts) <= 8_000
    corpus = OwnText(str(write(tmp_path / "solid.txt", "北" * 10_000)))
    texts = [corpus.document(i, s).text for s in (0, HELD_OUT_SEED) for i in range(corpus.count(s))]
    assert len(texts) > 1 and "".join(texts) == "北" * 10_000


def test_lines_and_files_are_the_other_splits(tmp_path: Path):
    file = write(tmp_path / "a.txt", "one\n\n  two  \r\nthree")
    assert documents(file, "lines") == {"a.txt:1": "one", "a.txt:3": "  two  ", "a.txt:4": "three"}
    assert documents(file, "files") == {"a.txt:1": "one\n\n  two  \nthree"}
    assert documents(file) == {"a.txt:1": "one\n\n  two  \nthree"}


def test_an_end_of_text_line_ends_a_document_in_every_split(tmp_path: Path):
    file = write(tmp_path / "stories.txt", "\ufeffOne.\nMore.\n<|endoftext|>\nTwo.\n\n<|endoftext|>\n<|endoftext|>\n")
    assert documents(file) == {"stories.txt:1": "One.\nMore.", "stories.txt:4": "Two."}
    assert documents(file, "files") == documents(file)
    assert documents(file, "lines") == {"stories.txt:1": "One.", "stories.txt:2": "More.", "stories.txt:4": "Two."}


def test_bytes_that_are_no_utf8_are_reported_with_file_and_line(tmp_path: Path):
    file = write(tmp_path / "old.txt", b"fine\nalso fine\ncaf\xe9 au lait\n")
    with pytest.raises(BadInput, match=r"old\.txt, line 3: byte 0xe9 .*iconv"):
        documents(file)
    with pytest.raises(BadInput, match="line 1: .*UTF-16.*iconv -f UTF-16 "):
        documents(write(tmp_path / "wide.txt", "hello".encode("utf-16")))
    with pytest.raises(BadInput, match=r"half\.txt, line 2"):
        documents(write(tmp_path / "half.txt", b"a\n\xe5\x8c"))


# -- JSON and Parquet ------------------------------------------------------------------------------------------------


def test_json_lines_give_their_text_or_their_only_string(tmp_path: Path):
    rows = [{"text": "one\n北 🙂", "title": "x"}, {"story": "two", "n": 3}, {"text": "  "}]
    content = "\n\n".join(json.dumps(row) for row in rows)
    assert documents(write(tmp_path / "a.jsonl", "\ufeff" + content)) == {"a.jsonl:1": "one\n北 🙂", "a.jsonl:3": "two"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "cut', "not JSON"),
        ('{"a": "x", "b": "y"}', "2 other strings"),
        ('{"text": 3}', "0 other strings"),
        ("[1]", "0 other strings"),
        ('{"text": "\\ud83d"}', "surrogate"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_wrong_line_of_json_is_reported_with_file_and_line(line: str, message: str, tmp_path: Path):
    with pytest.raises(BadInput, match=rf"a\.jsonl, line 2: .*{message}"):
        documents(write(tmp_path / "a.jsonl", f'{{"text": "fine"}}\n{line}\n'))


def test_parquet_gives_its_column_of_text(tmp_path: Path):
    texts = [None if i % 10 == 3 else f"row {i} 北" for i in range(3000)]
    pq.write_table(pa.table({"text": texts, "other": ["x"] * 3000}), tmp_path / "a.parquet", row_group_size=700)
    found = documents(tmp_path / "a.parquet")
    assert found == {f"a.parquet:{i + 1}": text for i, text in enumerate(texts) if text}
    pq.write_table(pa.table({"body": pa.array(["one"], pa.large_string()), "n": [1]}), tmp_path / "b.parquet")
    assert documents(tmp_path / "b.parquet") == {"b.parquet:1": "one"}


def test_parquet_that_has_no_text_or_is_broken_is_refused(tmp_path: Path):
    pq.write_table(pa.table({"a": ["x"], "b": ["y"]}), tmp_path / "two.parquet")
    with pytest.raises(BadInput, match=r"no column 'text'; .*\['a', 'b'\]"):
        documents(tmp_path / "two.parquet")
    with pytest.raises(BadInput, match="broken.parquet cannot be read as Parquet"):
        documents(write(tmp_path / "broken.parquet", b"PAR1 and no more"))


def test_packed_files_are_unpacked_and_broken_ones_refused(tmp_path: Path):
    packed = gzip.compress(b'{"text": "one"}\n{"text": "two"}\n')
    assert documents(write(tmp_path / "a.jsonl.gz", packed)) == {"a.jsonl.gz:1": "one", "a.jsonl.gz:2": "two"}
    assert documents(write(tmp_path / "b.txt.gz", gzip.compress(b"one\ntwo")), "lines").keys() == {
        "b.txt.gz:1",
        "b.txt.gz:2",
    }
    with pytest.raises(BadInput, match="cannot be unpacked"):
        documents(write(tmp_path / "cut.txt.gz", packed[:-9]))
    with pytest.raises(BadInput, match="cannot be unpacked"):
        documents(write(tmp_path / "not.txt.gz", b"plain"))


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("backend.data.texts.own_files.MAX_UNPACKED", 1 << 20)
    with pytest.raises(BadInput, match="Unpack it and give a part"):
        documents(write(tmp_path / "bomb.txt.gz", gzip.compress(b"a" * (3 << 20))))


# -- folders ---------------------------------------------------------------------------------------------------------


def test_a_folder_gives_all_text_below_it_but_links_hidden_and_other_files(tmp_path: Path):
    outside = write(tmp_path / "outside" / "secret.txt", "secret")
    folder = tmp_path / "mine"
    write(folder / "a.txt", "one")
    write(folder / "deep" / "er" / "b.jsonl", '{"text": "two"}')
    write(folder / "empty.txt", "\n \n")
    write(folder / ".hidden.txt", "hidden")
    write(folder / ".git" / "x.txt", "hidden")
    write(folder / "picture.png", b"\x89PNG\xff")
    (folder / "link.txt").symlink_to(outside)
    (folder / "linked").symlink_to(outside.parent)
    os.mkfifo(folder / "pipe.txt")
    assert documents(folder) == {"a.txt:1": "one", "deep/er/b.jsonl:1": "two"}
    assert documents(folder / "link.txt") == {"link.txt:1": "secret"}


def test_nothing_at_all_is_said_so(tmp_path: Path):
    with pytest.raises(BadInput, match="There is no text"):
        documents(tmp_path)
    with pytest.raises(BadInput, match="There is no text"):
        documents(write(tmp_path / "empty.txt", ""))
    with pytest.raises(BadInput, match="neither a file nor a folder"):
        documents(tmp_path / "gone.txt")
    with pytest.raises(BadInput, match="neither a file nor a folder"):
        documents("/dev/zero")


def test_the_same_text_is_never_in_both_parts(tmp_path: Path):
    corpus = OwnText(str(write(tmp_path / "a.txt", "\n".join(f"line {i % 100}" for i in range(1000)))), "lines")
    parts = [{corpus.document(i, s).text for i in range(corpus.count(s))} for s in (0, HELD_OUT_SEED)]
    assert (
        not parts[0] & parts[1]
        and len(parts[0] | parts[1]) == 100
        and corpus.count(0) + corpus.count(HELD_OUT_SEED) == 1000
    )


# -- Hugging Face ----------------------------------------------------------------------------------------------------


class Rows(list):
    """As much of a data set of `datasets` as is used."""

    features = {"title": SimpleNamespace(dtype="string"), "text": SimpleNamespace(dtype="string")}

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return {"text": found} if isinstance(at, slice) else {"text": found}


def hub(monkeypatch: pytest.MonkeyPatch, load: Any) -> None:
    module = ModuleType("datasets")
    module.load_dataset = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("hf:owner/tiny", ("owner/tiny", None, "train")),
        ("hf:owner/tiny:raw", ("owner/tiny", "raw", "train")),
        ("hf:owner/tiny:raw:test", ("owner/tiny", "raw", "test")),
        ("hf:tiny::test", ("tiny", None, "test")),
    ],
)
def test_a_data_set_by_name_gives_its_rows(name: str, asked: tuple, monkeypatch: pytest.MonkeyPatch):
    calls = []

    def load(path: str, config: str | None, split: str) -> Rows:
        calls.append((path, config, split))
        return Rows(["one", "", "two", " "])

    hub(monkeypatch, load)
    assert documents(name) == {f"{name}:1": "one", f"{name}:3": "two"}
    assert calls == [asked]


def test_a_data_set_that_cannot_be_had_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(BadInput, match="pip install datasets"):
        documents("hf:owner/tiny")

    def load(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route")

    hub(monkeypatch, load)
    with pytest.raises(BadInput, match="no route.*network"):
        documents("hf:owner/tiny")
    with pytest.raises(BadInput, match="is not the name of a data set"):
        documents("hf:../../etc")


def test_all_of_a_long_document_is_trained_on(tmp_path: Path) -> None:
    words = [f"word{i}" for i in range(900)]
    (tmp_path / "one.txt").write_text(" ".join(words[:450]) + "\n\n" + " ".join(words[450:]))
    corpus = OwnText(str(tmp_path / "one.txt"), "files")
    tokenizer = TextTokenizer(train_tokenizer([" ".join(words)], 400))
    items = TextItems(corpus, tokenizer, 32)
    stream = items.prepare()
    rows = items.blocks(3 * len(stream.starts), 32, np.random.default_rng(0))
    assert len(stream.starts) == -(-len(stream.ids) // 32) > 10 and {*rows.flatten().tolist()} == {*stream.ids.tolist()}


def test_paragraphs_are_put_together_to_about_the_length_of_an_item(tmp_path: Path) -> None:
    (tmp_path / "many.txt").write_text("\n\n".join(f"Paragraph {i} is a short one." for i in range(300)))
    sizes = {}
    for length in (64, 256):
        corpus = open_corpus({"name": "text", "path": str(tmp_path / "many.txt"), "length": length})
        sizes[length] = max(len(corpus.document(i, 0).text.encode()) for i in range(corpus.count(0) or 0))
    assert 3 * 64 <= sizes[64] < 3 * 64 + 40 and 3 * 256 <= sizes[256] < 3 * 256 + 40
