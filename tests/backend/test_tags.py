"""What a person's own data say about whole items: columns, fields and parts of file names, whatever is in them."""

from __future__ import annotations

import datetime
import gzip
import io
import json
import os
import sys
from decimal import Decimal
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from backend.analysis.seeds import HELD_OUT_SEED
from backend.build.precompute import build
from backend.catalog import find, write_spec
from backend.catalog.cards import Card
from backend.data.datasets import open_corpus, open_images, open_text, source_of
from backend.data.tags import LONGEST
from backend.data.texts.bpe import TOKENIZER, train_tokenizer
from backend.errors import BadInput, CatalogError
from backend.explorer import Explorer
from backend.families import open_family
from backend.families.transformer.checkpoint import build_model, save_checkpoint, tokenizer_in
from backend.families.transformer.training.shapes import Shape
from backend.nn.insertion.placement import Placement
from backend.types import ModelSpec

NAMES = r"(?P<year>\d{4})_(?P<author>[^/]+)\.txt"
HOSTILE = ('o\'hara "x"', "<script>alert(1)</script>", "two\nlines", "a&b; DROP TABLE items")


def text_tags(path: Path, **settings: Any) -> dict[str, dict[str, str]]:
    """The tags of every document by its text."""
    corpus = open_corpus({"name": "text", "path": str(path), "split": "files", **settings})
    documents = [corpus.document(i, seed) for seed in (0, HELD_OUT_SEED) for i in range(corpus.count(seed) or 0)]
    return {document.text: dict(document.tags) for document in documents}


def picture(shade: int = 0) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(target, "PNG")
    return target.getvalue()


def image_tags(path: Path, **settings: Any) -> list[dict[str, str]]:
    data = open_images({"name": "folder", "path": str(path), "size": 8, **settings}, Path())
    return [dict(item.tags) for item in data.items(0, data.count(0) or 0, 0, (2, 2))]


# -- columns and fields ----------------------------------------------------------------------------------------------

ROW = {
    "text": "Once.", "year": 1999, "ok": True, "rate": 0.5, "whole": 3.0, "none": None, "blank": " ", "nested": {"a": 1},
    "many": [1], "long": "x" * (LONGEST + 1), "source": "web", "na\u00efve <b>": "caf\u00e9\n", " ": "nameless",
    "half": "\ud83d",
}  # fmt: skip
PLAIN = {
    "source": "a.jsonl:1", "year": "1999", "ok": "true", "rate": "0.5", "whole": "3", "source (yours)": "web",
    "na\u00efve <b>": "caf\u00e9", "half": "?",
}  # fmt: skip


def test_plain_fields_of_a_line_of_json_are_tags_and_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(ROW) + "\n" + '{"text": "Twice.", "year": NaN, "big": 1e400}\n')
    assert text_tags(tmp_path) == {"Once.": PLAIN, "Twice.": {"source": "a.jsonl:2"}}
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as file:
        file.write('{"text": "Packed.", "year": 7}')
    assert text_tags(tmp_path / "b.jsonl.gz")["Packed."] == {"source": "b.jsonl.gz:1", "year": "7"}


def test_tags_chooses_fields_cuts_long_values_and_may_choose_none(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(ROW) + '\n{"text": "Twice."}')
    chosen = text_tags(tmp_path, tags=["long", "year", "none"])
    assert chosen["Once."] == {"source": "a.jsonl:1", "long": "x" * LONGEST, "year": "1999"}
    assert chosen["Twice."] == {"source": "a.jsonl:2"}
    assert text_tags(tmp_path, tags=[])["Once."] == {"source": "a.jsonl:1"}
    with pytest.raises(BadInput, match=r"has 'yaer', which --tags names.*'year', 'ok'"):
        text_tags(tmp_path, tags=["year", "yaer"])
    with pytest.raises(BadInput, match="a.jsonl:1: 'nested' holds a dict, which cannot be a tag"):
        text_tags(tmp_path, tags=["nested"])
    for wrong in ("year", [1], [""], {"year": 1}):
        with pytest.raises(CatalogError, match="list of names"):
            text_tags(tmp_path, tags=wrong)


def test_plain_columns_of_a_table_are_tags_classes_by_their_names(tmp_path: Path) -> None:
    columns = {
        "text": ["One.", "Two.", None],
        "label": [1, 0, 0],
        "when": [datetime.date(2020, 1, 2)] * 3,
        "price": [Decimal("1.50"), Decimal("2.00"), None],
        "kind": pa.array(["a", None, "b"]).dictionary_encode(),
        "score": pa.array([1.0, float("nan"), 2.5]),
        "raw": [b"x", b"y", b"z"],
        "deep": [{"a": 1}] * 3,
        "gone": [None] * 3,
    }
    notes = {"huggingface": json.dumps({"info": {"features": {"label": {"names": ["bad", "good"]}}}})}
    pq.write_table(pa.table(columns).replace_schema_metadata(notes), tmp_path / "t.parquet")
    assert text_tags(tmp_path) == {
        "One.": {
            "source": "t.parquet:1", "label": "good", "when": "2020-01-02", "price": "1.50", "kind": "a", "score": "1",
        },
        "Two.": {"source": "t.parquet:2", "label": "bad", "when": "2020-01-02", "price": "2.00"},
    }  # fmt: skip
    assert text_tags(tmp_path, tags=["kind"])["One."] == {"source": "t.parquet:1", "kind": "a"}
    with pytest.raises(BadInput, match=r"t.parquet: its column 'deep' holds struct.*cannot be a tag"):
        text_tags(tmp_path, tags=["deep"])
    with pytest.raises(BadInput, match="'nowhere', which --tags names.*'label'"):
        text_tags(tmp_path, tags=["nowhere"])


def test_columns_of_a_data_set_of_hugging_face_are_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    class Rows(list):  # type: ignore[type-arg]
        features = {
            "text": SimpleNamespace(dtype="string"),
            "label": SimpleNamespace(dtype="int64", names=["neg", "pos"]),
            "stars": SimpleNamespace(dtype="float32"),
            "picture": SimpleNamespace(dtype="dict"),
        }

        def __getitem__(self, at: Any) -> Any:
            found = super().__getitem__(at)
            return {"text": [row["text"] for row in found]} if isinstance(at, slice) else found

    rows = [{"text": f"text {i}", "label": i % 2, "stars": 1.5, "picture": {"bytes": b""}} for i in range(4)]
    module = ModuleType("datasets")
    module.load_dataset = lambda *_, **__: Rows(rows)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)
    path = Path("hf:owner/name")
    found = text_tags(path)
    assert found["text 1"] == {"source": "hf:owner/name:2", "label": "pos", "stars": "1.5"} and len(found) == 4
    assert text_tags(path, tags=["label"])["text 2"] == {"source": "hf:owner/name:3", "label": "neg"}
    for settings, message in (
        ({"tags": ["picture"]}, "'picture' is not plain"),
        ({"tags": ["titel"]}, "'titel', which --tags names"),
        ({"tags_from": NAMES}, "leave --tags-from out"),
    ):
        with pytest.raises(BadInput, match=message):
            text_tags(path, **settings)


# -- parts of file names ---------------------------------------------------------------------------------------------


def write_texts(folder: Path) -> None:
    """Files with hostile names, below one another, and one that has no year."""
    for year, author in zip(range(1900, 2000), HOSTILE, strict=False):
        (folder / author[:1].replace("<", "l")).mkdir(parents=True, exist_ok=True)
        (folder / author[:1].replace("<", "l") / f"{year}_{author.replace('/', '-')}.txt").write_text(f"by {author}")
    (folder / "notes.md").write_text("no year")


def test_parts_of_file_names_are_tags_whatever_is_in_them(tmp_path: Path) -> None:
    write_texts(tmp_path)
    found = text_tags(tmp_path, tags_from=NAMES)
    assert len(found) == len(HOSTILE) + 1
    for year, author in enumerate(HOSTILE, 1900):
        tags = found[f"by {author}"]
        assert (tags["year"], tags["author"]) == (str(year), author.replace("/", "-")), author
    assert found["no year"] == {"source": "notes.md:1"}


def test_names_that_are_not_utf_8_can_be_read_matched_and_kept(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path)
    for name, content in ((b"1999_caf\xe9.txt", b"latin"), (b"2001_x.txt", b"plain")):
        Path(os.fsdecode(raw + b"/" + name)).write_bytes(content)
    found = text_tags(tmp_path, tags_from=NAMES)
    assert found["latin"] == {"source": "1999_caf\ufffd.txt:1", "year": "1999", "author": "caf\ufffd"}
    assert json.dumps(found).encode("utf-8") and pa.array([tags["source"] for tags in found.values()])
    folder = Path(os.fsdecode(raw + b"/im\xffages"))
    folder.mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/1_\xfe.png")).write_bytes(picture())
    assert image_tags(tmp_path, tags_from=r"(?P<n>\d)_.*png") == [
        {"file": "im\ufffdages/1_\ufffd.png", "class": "im\ufffdages", "n": "1"}
    ]
    with pytest.raises(BadInput, match="not UTF-8. Rename it"):
        source_of("folder").settings({"path": str(folder)})


def test_names_win_over_columns_and_what_the_data_set_says_itself_is_kept(tmp_path: Path) -> None:
    (tmp_path / "1999_x.jsonl").write_text('{"text": "a", "year": 3, "other": "o"}\n{"text": "b"}')
    found = text_tags(tmp_path, tags_from=r"(?P<year>\d+)_(?P<source>\w)")
    assert found["a"] == {"source": "1999_x.jsonl:1", "year": "1999", "source (yours)": "x", "other": "o"}
    assert found["b"] == {"source": "1999_x.jsonl:2", "year": "1999", "source (yours)": "x"}
    file = tmp_path / "1999_x.jsonl"
    assert text_tags(file, tags_from=r"^(?P<year>\d+)_", tags=[])["b"]["year"] == "1999"


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"(?P<year>\d{4}", r"--tags-from.*cannot be used.*missing \)"),
        (r"(\d{4})_x", "no named group.*Name the parts"),
        (r"(?P<year>\d*)", "--tags-from.*empty string"),
        (r"(?P<year>x)(?=y)", "--tags-from.*cannot be used"),
        ("(?P<a>" + "x" * 400 + ")", "limit is 300"),
        (r"(?P<year>\d{9})", r"None of the 5 files matches.*'\(\?P<year>.*the first is '2"),
    ],
)
def test_a_pattern_that_cannot_be_used_or_finds_nothing_is_refused(pattern: str, message: str, tmp_path: Path) -> None:
    for name in ("2001_a.txt", "2002_b.txt", "2003_c.txt", "2004_d.txt", "x/2005_e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"text {name}")
    with pytest.raises(BadInput, match=message):
        text_tags(tmp_path, tags_from=pattern)
    source = source_of("text")
    with pytest.raises(BadInput, match=message):
        assert source.notes is not None
        source.notes(source.settings({"path": str(tmp_path), "tags_from": pattern}))
    with pytest.raises(CatalogError, match="must be a pattern"):
        text_tags(tmp_path, tags_from=3)


def test_files_that_do_not_match_are_counted_in_the_report(tmp_path: Path) -> None:
    write_texts(tmp_path)
    (tmp_path / "more.txt").write_text("none either")
    settings = {"name": "text", "path": str(tmp_path), "tags_from": NAMES}
    corpus = open_corpus(settings)
    line = "more.txt and 1 more: 2 of 6 files do not match --tags-from. Read without year and author."
    assert [str(report) for report in corpus.reports] == [line]  # type: ignore[attr-defined]
    for source, own in ((source_of("text"), settings), (source_of("folder"), {"path": str(tmp_path / "im")})):
        (tmp_path / "im").mkdir(exist_ok=True)
        assert source.notes is not None
        assert [str(report) for report in source.notes(own)] == ([line] if source.name == "text" else [])
    assert open_corpus({"name": "text", "path": str(tmp_path)}).reports == []  # type: ignore[attr-defined]


# -- pictures --------------------------------------------------------------------------------------------------------


def test_pictures_have_tags_of_their_names_their_subfolder_as_class_and_those_that_do_not_match_are_counted(
    tmp_path: Path,
) -> None:
    for shade, name in enumerate(("cats/1999_tom.png", "cats/x.png", "2001_<b>.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(picture(shade))
    (tmp_path / "1234_notes.txt").write_text("not a picture")
    pattern = r"(?P<year>\d{4})_(?P<who>.+)\.png"
    assert image_tags(tmp_path, tags_from=pattern) == [
        {"file": "2001_<b>.png", "year": "2001", "who": "<b>"},
        {"file": "cats/1999_tom.png", "class": "cats", "year": "1999", "who": "tom"},
        {"file": "cats/x.png", "class": "cats"},
    ]
    settings = {"name": "folder", "path": str(tmp_path), "size": 8, "tags_from": pattern}
    reports = [str(report) for report in open_images(settings, Path()).reports]  # type: ignore[attr-defined]
    line = "cats/x.png: 1 of 3 files do not match --tags-from. Read without year and who."
    assert reports == [line, "1234_notes.txt: It is not an image. Skipped."]
    source = source_of("folder")
    assert source.notes is not None and [str(report) for report in source.notes(settings)] == [line]
    named = image_tags(tmp_path, tags_from=r"_(?P<class>\w+)\.png|(?P<file>x)\.")
    assert [tags.get("class") for tags in named] == [None, "tom", "cats"] and named[2]["file (yours)"] == "x"
    with pytest.raises(BadInput, match="None of the 3 files matches"):
        image_tags(tmp_path, tags_from=r"(?P<year>\d{9})")


def test_columns_of_a_table_of_pictures_are_tags(tmp_path: Path) -> None:
    table = {
        "image": [picture(1), picture(2), None],
        "label": ["cat", None, "dog"],
        "class": ["c", "d", "e"],
        "year": [1999, 2000, 2001],
        "caption": ["<b>", "x" * (LONGEST + 1), "z"],
        "raw": [b"", b"", b""],
    }
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    assert image_tags(tmp_path / "t.parquet") == [
        {"file": "t.parquet row 0", "class": "cat", "year": "1999", "caption": "<b>"},
        {"file": "t.parquet row 1", "class": "d", "year": "2000"},
    ]
    assert image_tags(tmp_path, tags=["year"], tags_from="(?P<kind>t)[.]") == [
        {"file": "t.parquet row 0", "class": "cat", "year": "1999", "kind": "t"},
        {"file": "t.parquet row 1", "year": "2000", "kind": "t"},
    ]
    with pytest.raises(BadInput, match="Its column 'raw' holds binary, which cannot be a tag"):
        image_tags(tmp_path, tags=["raw"])
    with pytest.raises(BadInput, match="'yaer', which --tags names.*'class', 'year'"):
        image_tags(tmp_path, tags=["yaer"])


# -- in a build ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with random weights on texts of two years and hostile authors, built."""
    folder = tmp_path_factory.mktemp("tags")
    texts = folder / "texts"
    texts.mkdir()
    for number in range(48):
        author = HOSTILE[number % len(HOSTILE)].replace("/", "-")
        word = "river" if number % 2 else "mountain"
        (texts / f"{1900 + number % 2}_{author}.{number}.txt").write_text(f"The {word} number {number} was wide. " * 3)
    (texts / "plain.txt").write_text("Nobody knows when this was written. " * 3)
    pattern = r"(?P<year>\d{4})_(?P<author>.+?|two\nlines)\.\d+\.txt"
    settings = source_of("text").settings({"path": str(texts), "split": "files", "length": 32, "tags_from": pattern})
    checkpoint = folder / "checkpoints" / "mine"
    checkpoint.mkdir(parents=True)
    train_tokenizer([path.read_text() for path in texts.iterdir()], 300).save(str(checkpoint / TOKENIZER))
    tokenizer = tokenizer_in(checkpoint)
    data = open_text(settings, checkpoint)
    torch.manual_seed(0)
    config = Shape("gpt_neox", 1, 16, 2, 32).config(data.vocabulary, 32, data.bos)
    save_checkpoint(build_model(config, (Placement("mlp", codes=24),)), checkpoint, Card(), tokenizer)
    write_spec(ModelSpec("mine", "transformer", "text", "Mine", settings, "checkpoints/mine"), folder)
    build("mine", folder, items=40, projection="pca")
    return folder


def test_the_settings_come_back_from_the_catalog_so_that_a_build_makes_the_same_tags(built: Path) -> None:
    spec = find("mine", built)
    assert spec.dataset["tags_from"].endswith(r"\.\d+\.txt") and "tags" not in spec.dataset
    again = open_family(spec, built).items(0, 40, 0)
    fields = Explorer(built).tag_fields("mine")
    for field in ("year", "author"):
        counts: dict[str, int] = {}
        for item in again:
            if field in item.tags:
                counts[item.tags[field]] = counts.get(item.tags[field], 0) + 1
        shown = fields[fields["field"] == field]
        assert dict(zip(shown["value"], shown["items"], strict=True)) == counts and len(counts) > 1
    assert set(fields[fields["field"] == "author"]["value"]) <= {*(author.replace("/", "-") for author in HOSTILE)}


def test_search_and_concepts_offer_the_tags_of_items(built: Path) -> None:
    explorer = Explorer(built)
    items = open_family(find("mine", built), built).items(0, 40, 0)
    assert {"item:year", "item:author"} <= set(explorer.all_labels("mine")["field"])
    for year in ("1900", "1901"):
        expected = sum(item.positions for item in items if item.tags.get("year") == year)
        assert explorer.search("mine", "", field="item:year", value=year, min_support=1).matches == expected > 0
    author = HOSTILE[0]
    expected = sum(item.positions for item in items if item.tags.get("author") == author)
    assert explorer.search("mine", "", field="item:author", value=author, min_support=1).matches == expected > 0
    found = explorer.concepts("mine", "item:year", min_support=5)
    assert set(found["value"]) == {"1900", "1901"} and set(found["field"]) == {"item:year"}
    for row in found.itertuples():
        here = explorer.search("mine", "", field="item:year", value=row.value, min_support=1, held_out=True)
        best = here.codes.set_index("ref").loc[row.ref]
        assert (row.hits, row.count) == (best["hits"], best["count"]) and row.recall == pytest.approx(best["recall"])
    every = explorer.concepts("mine", min_support=5)
    assert {"item:year", "item:author"} <= set(every["field"])  # there are no labels
    with pytest.raises(BadInput, match="No item has a tag 'colour'"):
        explorer.concepts("mine", "item:colour")


def test_passages_can_be_asked_for_after_tags_were(built: Path) -> None:
    explorer = Explorer(built)
    assert len(explorer.tag_fields("mine")) and len(explorer.passage_codes("mine", 0))
    explorer = Explorer(built)
    assert len(explorer.passage_codes("mine", 0)) and len(explorer.tag_fields("mine"))
    assert np.isfinite(explorer.concepts("mine", min_support=5)["recall"]).all()
