"""What is found leads to a page that shows it."""

from __future__ import annotations

import duckdb

from app.shell.landing import landing
from backend.explorer import Explorer
from backend.types import CodeRef
from tests.backend import tiny_store
from tests.pages.conftest import MODEL, open_page  # noqa: F401  (a fixture)


def test_everything_that_is_found_leads_to_a_page_that_shows_it(open_page, data_dir):  # noqa: F811
    (path,) = (data_dir / "builds").glob("*.duckdb")
    with duckdb.connect(str(path)) as db:
        db.execute("""UPDATE items SET tags = '{"mood": "der sad"}' WHERE item < 9""")
    explorer = Explorer(data_dir)
    explorer.people.add_label(CodeRef(MODEL, "L1.mlp", 2), "says der", "Ada")
    found = [*explorer.find("der").to_dict("records"), *explorer.find("toy").to_dict("records")]
    found += explorer.find("L0.mlp:11").to_dict("records")
    kinds = {}
    for row in found:
        if row["kind"] in kinds:
            continue
        page, parameters = landing(row)
        shown = open_page(page, **parameters)
        assert "cannot be shown" not in shown.html and "should not have" not in shown.html
        kinds[row["kind"]] = (page, parameters)
    assert kinds["concept"] == ("search", {"model": MODEL, "field": "word", "value": "der"})
    assert kinds["tag"] == ("search", {"model": MODEL, "field": "item:mood", "value": "der sad"})
    assert kinds["label"] == ("code", {"model": MODEL, "site": "L1.mlp", "code": 2})
    assert kinds["code"] == ("code", {"model": MODEL, "site": "L0.mlp", "code": 11})
    assert kinds["model"] == ("codebooks", {"model": MODEL})
    assert kinds["pattern"] == ("search", {"model": MODEL, "pattern": "der"})
    assert tiny_store.MODEL == MODEL
