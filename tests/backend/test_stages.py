"""The whole of a run is known from its stages: how much is done, how long the rest takes, and that it is shown."""

from __future__ import annotations

import io
import json

import pytest
import torch

from backend.cli import Bar, Lines
from backend.data.machines import Machine
from backend.families.transformer.checkpoint import build_model
from backend.families.transformer.training import first_codes, work
from backend.families.transformer.training.batches import WalkBatches
from backend.families.transformer.training.first_codes import initialize
from backend.families.transformer.training.shapes import Shape
from backend.nn.insertion.model import CodebookTransformer
from backend.nn.insertion.placement import Placement
from backend.nn.kmeans import kmeans_codes
from backend.train.stages import Stages, parts

MACHINE = Machine(states=6, edges=2, base=3, seed=1, length=17)
CONFIG = Shape(layers=2, dim=32, heads=2, mlp=64).config(MACHINE.vocabulary, MACHINE.length, MACHINE.bos)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def stages(work: dict[str, float], progress=None) -> tuple[Stages, Clock]:
    clock = Clock()
    return Stages(progress, work, clock), clock


def test_what_is_left_follows_from_the_stage_s_own_pace_and_from_the_work_of_those_to_come():
    run, clock = stages({"text": 10.0, "training": 30.0, "measuring": 60.0})
    assert run.share == 0 and run.left is None
    run.stage("text")("reading", 0, 4)
    assert run.left is None  # nothing is known of its pace
    clock.now += 20
    run.stage("text")("reading", 1, 4)
    assert run.share == pytest.approx(0.025)
    assert run.left == pytest.approx(60 + 8 * 90)  # a quarter in 20 s; 2.5 of its work in 20 s, 90 to come
    clock.now += 60
    training = run.stage("training")
    training("training", 0, 300)
    assert run.share == pytest.approx(0.1) and run.left == pytest.approx(8 * 90)
    clock.now += 30
    training("training", 100, 300)  # three times as fast as was thought
    assert run.share == pytest.approx(0.2)
    assert run.left == pytest.approx(60 + 60 * (80 + 30) / (10 + 10))
    run.stage("measuring")("seed", 0, 1)
    assert run.share == pytest.approx(0.4)


def test_a_run_that_goes_on_is_not_thought_to_have_done_in_a_moment_what_it_found():
    run, clock = stages({"base": 50.0, "training": 100.0})
    training = run.stage("training")  # the base was there
    training("training", 40, 100)
    assert run.share == pytest.approx((50 + 40) / 150) and run.left is None
    clock.now += 10
    training("training", 50, 100)
    assert run.left == pytest.approx(50)  # a tenth in ten seconds


def test_a_slow_beginning_is_believed_after_some_seconds_and_the_share_never_goes_back():
    run, clock = stages({"text": 1.0, "codes": 100.0})
    run.stage("text")("text", 1, 1)
    clock.now += 1
    codes = run.stage("codes")
    codes("layer 1", 0, 1000)
    clock.now += 6
    codes("layer 1", 3, 1000)
    assert run.left == pytest.approx(6 / 3 * 997)
    before = run.share
    codes("refining", 0, 600)
    run.stage("text")("text, once more", 0, 1)
    assert run.share == before


def test_parts_of_a_run_know_their_own_stages_alone():
    said: list[tuple[str, int, int]] = []
    run, _ = stages(
        parts({"a": {"training": 1.0}, "b": {"codes": 1.0, "training": 2.0}}), lambda *told: said.append(told)
    )
    run.part("b").stage("training")("training, loss 2.0", 1, 2)
    assert said == [("b: training, loss 2.0", 1, 2)] and run.share == pytest.approx(3 / 4)
    with pytest.raises(ValueError):
        run.part("a").stage("codes")


def test_the_bar_shows_the_whole_first_and_the_stage_behind_it(monkeypatch: pytest.MonkeyPatch):
    screen = io.StringIO()
    bar = Bar(True, screen)
    run, clock = stages({"codes": 30.0, "training": 60.0}, bar)
    monkeypatch.setattr("backend.cli.time.monotonic", clock)
    run.stage("codes")("first codes", 0, 1000)
    clock.now += 70
    run.stage("codes")("first codes, L3.mlp (4 of 30): k-means 3/10", 500, 1000)
    clock.now += 70
    run.stage("training")("training, loss 2.0", 0, 400)
    first, second, third = screen.getvalue().splitlines()
    assert first == f"[{'.' * 24}] 0 %  1 of 2: 0/1,000 first codes"
    assert second.endswith(
        "17 %, about 6 min left in all  1 of 2: 500/1,000 first codes, L3.mlp (4 of 30): k-means 3/10"
    )
    assert third == f"[{'#' * 8}{'.' * 16}] 33 %, about 5 min left in all  2 of 2: 0/400 training, loss 2.0"


def test_programs_are_told_the_whole_in_lines_of_json():
    stream = io.StringIO()
    lines = Lines(stream)
    run, clock = stages({"codes": 30.0, "training": 60.0}, lines)
    run.stage("codes")("looking", 0, 0)
    run.stage("codes")("first codes", 1000, 1000)
    clock.now += 30
    run.stage("training")("training, loss 2.0", 400, 400)
    message, codes, training = map(json.loads, stream.getvalue().splitlines())
    assert message == {"stage": "looking", "done": 0, "total": 0, "left": None}
    assert codes == {"stage": "first codes, 1,000 of 1,000", "done": 333, "total": 1000, "left": None}
    assert training["done"] == training["total"] == 1000 and training["stage"] == "training, loss 2.0, 400 of 400"


def test_on_a_terminal_the_line_ends_where_the_terminal_does(monkeypatch: pytest.MonkeyPatch):
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Screen()
    Bar(True, screen)("first codes, [bold]not markup[/bold] and much else that is of interest", 1, 4)
    line = screen.getvalue().rsplit("\x1b[K", 1)[-1]
    assert len(line) == 59 and line.endswith("…") and "1/4  first codes, [bold]not" in line


# -- first codes -------------------------------------------------------------------------------------------------------


def model() -> CodebookTransformer:
    torch.manual_seed(0)
    places = (Placement("attn", codes=8), Placement("mlp", codes=20, k=2, similarity="cosine"))
    return CodebookTransformer(build_model(CONFIG, ()).model, places).eval()


def test_first_codes_tell_every_batch_round_and_step_and_never_go_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(work, "REFINING", 20)
    told: list[tuple[str, int, int]] = []
    initialize(model(), WalkBatches(MACHINE), "kmeans", rows=3000, progress=lambda *line: told.append(line))
    done = [line[1] for line in told]
    assert done == sorted(done) and done[0] == 0 and done[-1] == first_codes.SHARES == told[-1][2]
    assert max(after - before for before, after in zip(done, done[1:], strict=False)) < 0.2 * first_codes.SHARES
    said = [line[0] for line in told]
    assert {text.split(",")[0] for text in said} == {"first codes"}  # one bar
    for site, number in (("L0.attn", 1), ("L0.mlp", 2), ("L1.attn", 3), ("L1.mlp", 4)):
        own = [text for text in said if f"{site} ({number} of 4)" in text]
        assert sum("k-means" in text for text in own) == work.ROUNDS
        assert sum("activations" in text for text in own) == 3  # of 64 walks of 17 tokens
        assert sum("refining" in text for text in own) == (20 if site.endswith("mlp") else 0)


def test_passes_that_end_at_their_layer_and_are_cut_in_parts_give_the_codes_of_whole_ones(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(work, "REFINING", 20)
    ended, whole = model(), model()
    draws = torch.Generator().manual_seed(0)
    for name in whole.codebooks:
        parts: list[torch.Tensor] = []
        layer, generator = whole.layer(name), torch.Generator().manual_seed(1)
        with whole.collecting(name, parts.append), torch.no_grad():
            while sum(part.shape[1] for part in parts) < 3000:
                whole(input_ids=WalkBatches(MACHINE)(64, generator), use_cache=False)
        rows = torch.cat(parts, dim=1)[:, :3000]
        table = kmeans_codes(rows, layer.config.codes, draws)
        if layer.config.k > 1:
            table = first_codes.refine(rows, table, 2, "cosine", "mean", draws, steps=20)
        layer.table.data.copy_(table)
    initialize(ended, WalkBatches(MACHINE), "kmeans", rows=3000)
    assert all(torch.equal(ended.layer(name).table, whole.layer(name).table) for name in whole.codebooks)
    monkeypatch.setattr(first_codes, "PASS", 1e-6)  # a walk at a time
    parted = model()
    initialize(parted, WalkBatches(MACHINE), "data", rows=3000)
    whole = model()
    monkeypatch.setattr(first_codes, "PASS", 5.0)
    initialize(whole, WalkBatches(MACHINE), "data", rows=3000)
    for name in whole.codebooks:
        torch.testing.assert_close(parted.layer(name).table, whole.layer(name).table)


def test_first_codes_are_a_stage_of_their_own_that_outlasts_the_training_where_many_stand_together():
    books = work.codebooks_of(
        (Placement("mlp", codes=2048, k=64, similarity="cosine"),), Shape(layers=3, dim=192, heads=6)
    )
    assert len(books) == 3 and all(book.refined and book.width == 192 for book in books)
    single = work.codebooks_of((Placement("attn", codes=512),), Shape(layers=3, dim=192, heads=6))
    assert [book.groups for book in single] == [6] * 3 and not single[0].refined
    assert work.first_codes(books, work.Size(10**6, 3)) > 300 > work.first_codes(single, work.Size(10**6, 3))
    assert work.first_codes(books, work.Size(10**6, 3), "random") == 0
