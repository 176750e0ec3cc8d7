"""Training really learns, resumes exactly, and what it makes can be measured and steered. One tiny machine throughout."""

import json
import threading

import numpy as np
import pytest
import torch

from backend.catalog import write_spec
from backend.catalog.cards import Card
from backend.data.machines import Machine
from backend.errors import BadInput, CheckpointError, UnknownCode, Unsupported
from backend.families import open_family, open_live
from backend.families.kind import Request
from backend.families.transformer.checkpoint import build_model, load_checkpoint, save_checkpoint
from backend.families.transformer.machines import make_patches, next_state, sample_walks
from backend.families.transformer.training.batches import WalkBatches
from backend.families.transformer.training.codebooks import reset_dead_codes, train
from backend.families.transformer.training.first_codes import initialize
from backend.families.transformer.training.recipe import Recipe
from backend.families.transformer.training.runs import train_base, train_codebooks
from backend.families.transformer.training.shapes import Shape
from backend.jobs.evaluate import evaluate
from backend.nn.insertion.model import CodebookTransformer
from backend.nn.insertion.placement import Placement
from backend.train.runs import Run
from backend.train.states import LOG_LINES, read_log
from backend.types import CodeRef, Edit, ModelSpec, Sampling

MACHINE = Machine(states=6, edges=2, base=3, seed=1, length=17)
SHAPE = Shape(layers=2, dim=32, heads=2, mlp=64)
CONFIG = SHAPE.config(MACHINE.vocabulary, MACHINE.length, MACHINE.bos)
ON_CPU = Run(device="cpu")
BASE = Recipe(steps=500, batch=32, lr=5e-3, save_every=0)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A data directory with a trained base and a model with codebooks."""
    folder = tmp_path_factory.mktemp("trained")
    torch.set_num_threads(1)
    base = train_base(CONFIG, WalkBatches(MACHINE), BASE, ON_CPU)
    save_checkpoint(base, folder / "checkpoints" / "toy-base", Card())
    places = (Placement("attn", codes=24), Placement("mlp", codes=96))
    recipe = Recipe(steps=120, batch=32, lr=5e-4, commitment=0.25, distill=True, save_every=0)
    coded = train_codebooks(folder / "checkpoints" / "toy-base", WalkBatches(MACHINE), places, recipe, "kmeans", ON_CPU)
    save_checkpoint(coded, folder / "checkpoints" / "toy", Card())
    for name, under in (("toy-base", ""), ("toy", "toy-base")):
        write_spec(
            ModelSpec(name, "transformer", "text", name, MACHINE.settings, f"checkpoints/{name}", base=under), folder
        )
    return folder


@pytest.fixture(scope="module")
def spec(data_dir):
    return ModelSpec("toy", "transformer", "text", "toy", MACHINE.settings, "checkpoints/toy", base="toy-base")


@pytest.fixture(scope="module")
def live(data_dir, spec):
    return open_live(spec, data_dir)


def test_batches_made_on_the_device_are_legal_walks():
    tokens = WalkBatches(MACHINE)(50, torch.Generator().manual_seed(0)).numpy()
    assert tokens.shape == (50, 17)
    states = MACHINE.decode(tokens)
    assert MACHINE.valid_transitions(states).all()
    assert len(np.unique(states[:, 0])) == 6


def test_without_the_straight_through_gradient_what_feeds_a_codebook_alone_stands_still(data_dir):
    folder = data_dir / "checkpoints" / "toy-base"
    places = (Placement("mlp", codes=96, k=4, similarity="cosine"),)
    recipe = Recipe(steps=40, batch=32, lr=2e-3, distill=True, save_every=0, autoencoding=0.0, straight_through=False)
    before = load_checkpoint(folder).model.state_dict()
    after = train_codebooks(folder, WalkBatches(MACHINE), places, recipe, "kmeans", ON_CPU).model.state_dict()
    still = {name for name, value in before.items() if torch.equal(value, after[name])}
    assert {name for name in still if ".mlp." in name} == {name for name in before if ".mlp." in name}
    assert not any(".attn.c_proj.weight" in name or "wte" in name for name in still)


def test_evaluate_measures_the_contracts_names_with_controls(data_dir, spec):
    found = evaluate("toy", data_dir, Request(2, 250)).metrics()
    wanted = """lm_loss lm_loss_floor lm_loss_above_base lm_accuracy transition_accuracy first_transition_accuracy
        dead_code_fraction state_code_precision state_code_recall state_code_precision_above_neuron jsd_all_mlp_normalized
        jsd_all_attn_normalized jsd_all_normalized jsd_random_code_normalized jsd_wrong_state_normalized"""
    assert set(wanted.split()) <= found.keys()
    assert all(np.isfinite([m.value, m.low, m.high]).all() and m.low <= m.value <= m.high for m in found.values())
    assert all(m.seeds == 2 and m.n > 0 and m.definition for m in found.values())
    assert found["transition_accuracy"].value > 0.8
    assert 0 <= found["lm_loss"].value - found["lm_loss_floor"].value < 0.2
    assert found["state_code_precision"].value > 0.6 > 2 * found["state_code_precision_random_code"].value
    assert found["state_code_precision_above_neuron"].value > 0
    codes = sum(info.num_codes for info in open_family(spec, data_dir).codebooks())
    dead = found["dead_code_fraction"]
    assert dead.n == 250 * MACHINE.length
    assert f"the {codes:,} codes" in dead.definition and "the n held-out positions" in dead.definition
    assert found["jsd_all_mlp_normalized"].value < 0.5 < found["jsd_wrong_state_normalized"].value
    again = evaluate("toy", data_dir, Request(2, 250)).metrics()
    assert found == again


def test_the_contract_that_every_family_must_meet(data_dir, spec):
    family = open_family(spec, data_dir)
    items = family.items(0, 12, seed=0)
    state = {k: v.clone() for k, v in family.model.state_dict().items()}
    encoded = family.encode(items, logits=True)
    again = family.encode(items, edits=[], logits=True)
    assert np.array_equal(encoded.logits, again.logits)
    for info in family.codebooks():
        grid = encoded.grids[info.site]
        assert grid.codes.shape == (12 * 17, info.slots) and grid.codes.dtype == np.int32
        assert 0 <= grid.codes.min() and grid.codes.max() < info.num_codes
        assert np.array_equal(grid.codes, again.grids[info.site].codes)
        assert (grid.margins >= 0).all()
        layer, group = family.model.where(info.site)
        ids = torch.zeros((layer.config.groups, len(grid.codes), info.slots), dtype=torch.int64)
        ids[group] = torch.from_numpy(grid.codes)
        assert np.allclose(layer.combine(ids)[group].detach().numpy(), family.table(info.site)[grid.codes].mean(1))
        forced = family.encode(items, [Edit(info.site, 5)]).grids[info.site]
        assert (forced.codes == 5).all()
        common = int(np.bincount(grid.codes.ravel()).argmax())
        banned = family.encode(items, [Edit(info.site, common, "ban")]).grids[info.site]
        assert not (banned.codes == common).any()
    assert all(torch.equal(v, family.model.state_dict()[k]) for k, v in state.items())


def test_a_killed_run_resumes_to_exactly_the_same_weights(tmp_path):
    recipe = Recipe(steps=30, batch=8, save_every=10)

    def run(state, resume, stop=None):
        torch.manual_seed(0)
        model = CodebookTransformer(build_model(CONFIG, ()).model, (Placement("mlp", codes=8),))

        def batch(rows, generator, count=[0]):  # noqa: B006 - counts the calls
            count[0] += 1
            if stop is not None and count[0] > stop:
                raise KeyboardInterrupt
            return WalkBatches(MACHINE)(rows, generator)

        train(model, batch, recipe, 0, Run(device="cpu", state=state, resume=resume))
        return model.state_dict()

    whole = run(tmp_path / "a.pt", resume=False)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b.pt", resume=False, stop=17)
    resumed = run(tmp_path / "b.pt", resume=True)
    assert all(torch.equal(whole[k], resumed[k]) for k in whole)
    with pytest.raises(CheckpointError, match="other settings"):
        model = CodebookTransformer(build_model(CONFIG, ()).model, (Placement("mlp", codes=8),))
        train(
            model,
            WalkBatches(MACHINE),
            Recipe(steps=31, batch=8),
            0,
            Run(device="cpu", state=tmp_path / "b.pt", resume=True),
        )
    (tmp_path / "b.pt").write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(CheckpointError, match="Delete it"):
        run(tmp_path / "b.pt", resume=True)


@pytest.mark.parametrize("how", ["data", "kmeans"])
def test_codes_from_data_start_where_activations_are_for_grouped_codebooks_too(how, data_dir):
    base = open_family(ModelSpec("b", "transformer", "text", "b", MACHINE.settings, "checkpoints/toy-base"), data_dir)
    losses = {}
    for start in ("random", how):
        torch.manual_seed(0)
        model = CodebookTransformer(
            base.model.model, (Placement("attn", codes=16), Placement("mlp", groups=4, codes=16))
        )
        initialize(model, WalkBatches(MACHINE), start, rows=2000)
        seen = {}
        for name in model.codebooks:
            with model.collecting(name, lambda rows, name=name, seen=seen: seen.__setitem__(name, rows)):
                model(WalkBatches(MACHINE)(16, torch.Generator().manual_seed(9)))
        layer = model.layer("L0:mlp")
        losses[start] = torch.cdist(seen["L0:mlp"], layer.table).min(-1).values.mean().item()
    assert losses[how] < 0.5 * losses["random"]


def test_resetting_dead_codes_brings_them_into_use(data_dir, spec):
    model = open_family(spec, data_dir).model
    layer = model.layer("L1:mlp")
    layer.table.data[0, 10:] = 1e3  # far from everything
    model.train()
    tokens = WalkBatches(MACHINE)(64, torch.Generator().manual_seed(0))
    model(tokens)
    used = int((layer.usage[0] > 0).sum())
    assert reset_dead_codes(model, tokens, seed=0) >= 86
    model(tokens)
    assert int((layer.usage[0] > 0).sum()) > used


def test_samples_follow_the_machine_and_a_seed_repeats_them(data_dir, spec):
    family = open_family(spec, data_dir)
    first = sample_walks(family, 20, seed=1)
    assert np.array_equal(first, sample_walks(family, 20, seed=1))
    assert MACHINE.valid_transitions(MACHINE.decode(first)).mean() > 0.7


def test_next_state_probabilities_are_those_of_reading_digit_by_digit(data_dir, spec):
    family = open_family(spec, data_dir)
    walk = make_patches(MACHINE, 2, 0).tokens_a
    found = next_state(family, walk)
    assert found.shape == (2, 6) and (found.sum(1) <= 1 + 1e-9).all()
    for state in range(6):
        tokens, product = torch.from_numpy(walk), torch.ones(2, dtype=torch.float64)
        for digit in MACHINE.written[state]:
            product *= family.model(tokens).logits[:, -1].double().softmax(-1)[:, digit]
            tokens = torch.cat((tokens, torch.full((2, 1), int(digit))), dim=1)
        assert np.allclose(found[:, state], product.detach().numpy(), atol=1e-6)


def test_lens_shows_codes_and_what_an_edit_changes(live):
    lens = live.lens("00 01 02", [Edit("L0.mlp", 3, where=(4,))])
    assert lens.text == "<bos> 00 01 02" and [t.text for t in lens.tokens] == ["<bos>", *"000102"]
    assert lens.grids["L0.mlp"].codes[4, 0] == 3
    for site, changed in lens.changed.items():
        pairs = zip(lens.before[site].codes.tolist(), lens.grids[site].codes.tolist(), strict=True)
        assert changed == sum(sorted(before) != sorted(after) for before, after in pairs)
    assert (lens.kl[:4] == 0).all() and lens.kl[4] > 0
    assert lens.next["before"].sum() <= 1 + 1e-6
    plain = live.lens("00 01 02")
    assert not any(plain.changed.values()) and not plain.kl.any()


def test_comparing_counts_successes_in_the_new_text_alone(live):
    found = live.compare("00", [Edit("L1.mlp", 3)], Sampling(30, 6), success="^ ?[0-2]")
    assert found.unsteered.hits == 30 and found.unsteered.low > 0.85
    assert all(len(g.tokens) == g.prompt_length + 6 for g in found.steered.generated)
    assert found.control.edits[0].code != 3 and found.control.edits[0].site == "L1.mlp"
    assert np.isfinite(found.unsteered.perplexity) and found.unsteered.perplexity < found.steered.perplexity
    assert live.compare("00", [], Sampling(3, 4)).steered.hits is None


def test_believing_another_state_moves_the_next_state_and_controls_do_not(live):
    walk = " ".join(MACHINE.name(s) for s in MACHINE.walk(np.random.default_rng(0), 1)[0][:4])
    actual = walk.split()[-1]
    found = [
        live.believe(walk, MACHINE.name(target), places=("mlp", "attn"), samples=5)
        for target in range(6)
        if MACHINE.name(target) != actual
    ]
    assert np.mean([b.token_normalized for b in found]) < 0.4
    assert np.mean([b.controls["normalized"].mean() for b in found]) > 0.7
    assert found[0].actual == actual and found[0].next["before"].sum() == pytest.approx(1, abs=0.1)
    none = live.believe(walk, "00", strength=0.0, samples=2)
    assert none.normalized == pytest.approx(1, abs=1e-6)
    assert np.allclose(none.next["before"], none.next["after"], atol=1e-6)


def test_effect_of_a_code_that_is_always_chosen_is_nothing(live):
    ref = CodeRef("toy", "L0.mlp", 3)
    table = live.effect(ref, contexts=8)
    assert len(table) == MACHINE.vocabulary and (table["contexts"] == 8).all()
    assert np.isfinite(table[["measured", "linear", "low", "high"]].to_numpy()).all()
    assert table["measured"].abs().max() > 0
    with pytest.raises(UnknownCode):
        live.effect(CodeRef("toy", "L0.mlp", 96))


def test_ten_people_at_once_see_only_their_own_edits(live):
    alone = {code: live.generate("00", Sampling(2, 8, seed=code), edits=[Edit("L1.mlp", code)]) for code in range(10)}
    together = {}

    def person(code):
        together[code] = live.generate("00", Sampling(2, 8, seed=code), edits=[Edit("L1.mlp", code)])

    threads = [threading.Thread(target=person, args=(code,)) for code in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone
    assert len({g[0].text for g in alone.values()}) > 1


@pytest.mark.parametrize(
    ("text", "error"), [("", None), ("0" * 30_000, "20,000"), ("9", "not a digit"), ("0" * 100, "too many")]
)
def test_prompts_that_cannot_be_read_say_why(live, text, error):
    if error is None:
        assert len(live.parse(text)) == 1  # BOS alone
        return
    with pytest.raises(BadInput, match=error):
        live.lens(text)


def test_a_model_of_something_else_has_no_states(tmp_path):
    save_checkpoint(build_model(CONFIG, ()), tmp_path / "checkpoints" / "x", Card())
    spec = ModelSpec("x", "transformer", "text", "x", {"name": "tokens", "vocabulary": 4, "length": 9}, "checkpoints/x")
    family = open_family(spec, tmp_path)
    assert "states" not in family.capabilities
    with pytest.raises(Unsupported):
        sample_walks(family, 1, 0)


def test_the_log_of_a_run_is_json_lines(tmp_path):
    model = build_model(CONFIG, ())
    train(model, WalkBatches(MACHINE), Recipe(steps=50, batch=4), 0, Run(device="cpu", log=tmp_path / "log.jsonl"))
    (row,) = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert row["step"] == 50 and row["loss"] > 0


def test_the_log_of_a_killed_run_is_that_of_one_that_was_not(tmp_path):
    whole = [{"step": step, "loss": 1 / step} for step in range(50, 1150, 50)]
    again = [{"step": step, "loss": 9.0} for step in (150, 200)]  # behind the last saved state, then done again
    lines = [json.dumps(entry) for entry in (*whole[:2], *again, *whole[2:])]
    (tmp_path / "log").write_text("\n".join([*lines[:4], '{"step": 250, "lo', *lines[4:], '{"step": 1150, ']))
    assert read_log(tmp_path / "log") == whole
    (tmp_path / "log").write_text("\n".join(json.dumps({"step": step}) for step in range(1, 1001)))
    long = [entry["step"] for entry in read_log(tmp_path / "log")]
    assert len(long) <= LOG_LINES + 1 and long[0] == 1 and long[-1] == 1000 and long == sorted(set(long))
