from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from backend.catalog import find
from backend.data.machines import Machine
from backend.errors import BadInput, CheckpointError, UsageError
from backend.families import open_family
from backend.families.transformer.formats.codebook_features import PLACES
from backend.families.transformer.model import TransformerFamily
from backend.jobs.importing import import_checkpoint
from backend.types import Edit, Item
from tests.backend.wrapped_models import Reference, config, settings

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
NAMES = (
    "cb_gpt2",
    "cb_gpt2_misc",
    "cb_gptneo",
    "cb_gptneo_attn_mlp",
    "cb_gptneox",
    "cb_gptneox_tokfsm",
    "cb_gptneox_tokfsm_no_ln",
)
needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"there are no golden checkpoints in {GOLDEN}")
FORMAT = "codebook-features"


def opened(data_dir: Path, name: str) -> TransformerFamily:
    return open_family(find(name, data_dir), data_dir)


def items(ids: np.ndarray) -> list[Item]:
    return [Item(i, (ids.shape[1],), row) for i, row in enumerate(ids)]


def site_of(key: str) -> str:
    """`layer1_attn_preproj_gcb2` -> `L1.attn.h2`."""
    match = re.fullmatch(r"layer(\d+)_(\w+?)(?:_gcb(\d+))?", key)
    assert match is not None
    place = PLACES[match[2]]
    return f"L{match[1]}.{place}" + ("" if match[3] is None else f".{'h' if place == 'attn' else 'g'}{match[3]}")


class Golden:
    """One golden checkpoint, imported."""

    def __init__(self, name: str, folder: str, data_dir: Path) -> None:
        where = GOLDEN / name
        self.arrays = {k: v for file in ("input.npz", "output.npz") for k, v in np.load(where / file).items()}
        base = where / "base_config"
        base = base if base.exists() else GOLDEN / "cb_gptneox_tokfsm" / "base_config"
        self.report = import_checkpoint(FORMAT, where / folder, data_dir, base=base, name=name)
        self.family = opened(data_dir, name)
        self.ids = self.arrays["input_ids"]

    def run(self, *edits: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        found = self.family.encode(items(self.ids), [Edit.parse(edit) for edit in edits], logits=True)
        assert found.logits is not None
        logits = found.logits.reshape(*self.ids.shape, -1)
        return logits, {site: grid.codes.reshape(*self.ids.shape, -1) for site, grid in found.grids.items()}

    def codes(self, prefix: str = "codes/") -> dict[str, np.ndarray]:
        return {site_of(k.removeprefix(prefix)): v for k, v in self.arrays.items() if k.startswith(prefix)}


@pytest.fixture(
    scope="module", params=[(n, f) for n in NAMES for f in ("checkpoint", "checkpoint_safetensors")], ids="-".join
)
def golden(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Golden:
    if not GOLDEN.is_dir():
        pytest.skip(f"there are no golden checkpoints in {GOLDEN}")
    name, folder = request.param
    if not (GOLDEN / name / folder).is_dir():
        pytest.skip(f"{name} was saved in one form only")
    return Golden(name, folder, tmp_path_factory.mktemp("data"))


def test_golden_codes_are_identical_at_every_position_and_logits_within_1e_4(golden: Golden) -> None:
    logits, codes = golden.run()
    expected = golden.codes()
    assert set(codes) == set(expected) == set(golden.report.codebooks)
    for site, ids in expected.items():
        np.testing.assert_array_equal(codes[site], ids, err_msg=site)
    np.testing.assert_allclose(logits, golden.arrays["logits"], atol=1e-4, rtol=0)


def test_golden_interventions_are_reproduced_by_edits(golden: Golden) -> None:
    arrays = golden.arrays
    if "patched_code" not in arrays:
        assert golden.report.model == "cb_gptneox_tokfsm_no_ln"
        assert any("no 'ln'" in warning for warning in golden.report.warnings)
        return
    code, pos = int(arrays["patched_code"]), int(arrays["patched_pos"])
    readme = (GOLDEN / golden.report.model / "README.md").read_text(encoding="utf-8")
    match = re.search(r"all at codebook `(\w+)`", readme)
    assert match is not None
    site = site_of(match[1])
    last = golden.family.model.where(site)[0].config.k - 1
    disabled = [int(c) for c in arrays["disabled_codes"]]
    cases = {
        "patch_pos_all_slots": [f"{site}:{code}@{pos}"],
        "patch_allpos_last_slot": [f"{site}:{code}#{last}"],
        "ablate_slot0": [f"{site}:-1#0"],
        "disable_keepk": [f"{site}:{c}:ban" for c in disabled],
        "disable_zero": [f"{site}:{c}:zero" for c in disabled],
    }
    plain, _ = golden.run()
    for name, edits in cases.items():
        logits, codes = golden.run(*edits)
        np.testing.assert_allclose(logits, arrays[f"logits_{name}"], atol=1e-4, rtol=0, err_msg=name)
        np.testing.assert_array_equal(codes[site], arrays[f"codes_{name}"], err_msg=name)
        assert np.abs(logits - plain).max() > 1e-3, f"{name} changed nothing"
    after = golden.codes("codes_after_patch_pos/")
    _, codes = golden.run(*cases["patch_pos_all_slots"])
    for key, ids in after.items():
        np.testing.assert_array_equal(codes[key], ids, err_msg=key)


@torch.no_grad()
def test_golden_without_codebooks_and_with_padding_on_the_right(golden: Golden) -> None:
    arrays, model = golden.arrays, golden.family.model
    if "logits_codebooks_off" not in arrays:
        assert golden.report.model == "cb_gptneox_tokfsm_no_ln"
        return
    ids = torch.from_numpy(golden.ids)
    with model.disabled():
        off = model(ids, use_cache=False).logits.numpy()
    np.testing.assert_allclose(off, arrays["logits_codebooks_off"], atol=1e-4, rtol=0)
    mask = arrays["attention_mask_right_padded"]
    padded = model(ids, attention_mask=torch.from_numpy(mask), use_cache=False).logits.numpy()
    real = mask.astype(bool)
    np.testing.assert_allclose(padded[real], arrays["logits_right_padded"][real], atol=1e-4, rtol=0)


# -- any places and sizes, against an independent model with wrapped modules ----------------------------------------

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "every place that gpt2 nests": (
        "gpt2",
        settings("attn_preproj", "mlp_mid", "mlp", "attn", "transformer_block", layers=(0, 2)),
    ),
    "qkv in thirds and grouped": (
        "gpt2",
        settings("qkv", "mlp", codebook_type=["vanilla", "group"], num_codebooks=[1, 4]),
    ),
    "grouped qkv of gpt_neox": (
        "gpt_neox",
        settings("qkv", "mlp_mid", codebook_type=["group", "group"], num_codebooks=[3, 5], metric="euclidean"),
    ),
    "attn_plus_mlp with codebooks inside and around": (
        "gpt2",
        settings("attn_plus_mlp", "mlp", "transformer_block", layers=(1,), metric="euclidean"),
    ),
    "attn_plus_mlp of gpt_neox": (
        "gpt_neox",
        settings("attn_plus_mlp", "attn_preproj", codebook_type=["vanilla", "group"], num_codebooks=[1, 3]),
    ),
    "gpt_neo attention wrapped": ("gpt_neo", settings("attn", "mlp", "transformer_block")),
    "one vanilla codebook over all heads": ("gpt_neo", settings("attn_preproj", "mlp_mid", layers=(1,))),
}


@pytest.mark.parametrize("safetensors", [True, False], ids=["safetensors", "bin"])
@pytest.mark.parametrize("case", CASES)
def test_every_place_agrees_with_a_model_whose_modules_are_wrapped(
    case: str, safetensors: bool, tmp_path: Path
) -> None:
    kind, chosen = CASES[case]
    reference = Reference(config(kind), chosen, seed=3)
    ids = np.random.default_rng(5).integers(37, size=(2, 17))
    logits, codes = reference.run(torch.from_numpy(ids))
    checkpoint, base = reference.save(tmp_path, safetensors=safetensors)
    report = import_checkpoint(FORMAT, checkpoint, tmp_path / "data", base=base, name="m")
    found = opened(tmp_path / "data", "m").encode(items(ids), logits=True)
    assert len(report.codebooks) == len(codes) and not report.warnings
    for (layer, at, group), expected in codes.items():
        sites = [s for s in report.codebooks if s.split(".")[:2] == [f"L{layer}", PLACES[at]]]
        np.testing.assert_array_equal(
            found.grids[sites[group]].codes.reshape(expected.shape), expected.numpy(), err_msg=sites[group]
        )
    assert found.logits is not None
    np.testing.assert_allclose(found.logits.reshape(logits.shape), logits.numpy(), atol=1e-4, rtol=0)


def test_scalars_all_layers_and_negative_layers_mean_the_same(tmp_path: Path) -> None:
    reference = Reference(
        config("gpt2"), settings("attn_preproj", layers=(0, 1, 2), codebook_type=["group"], num_codebooks=[3])
    )
    forms: list[dict[str, Any]] = [
        {"layers_to_snap": "all"},
        {"layers_to_snap": [-1, -3, 1]},
        {
            "codebook_at": "attn_preproj",
            "codebook_type": "group",
            "num_codebooks": -1,
            "num_codes": 19,
            "k_codebook": 1,
        },
        {"codebook_kwargs": None, "num_codebooks": [-1]},
    ]
    tables = []
    for i, form in enumerate(forms):
        checkpoint, base = reference.save(tmp_path / str(i), **form)
        report = import_checkpoint(FORMAT, checkpoint, tmp_path / "data", base=base / "config.json", name=f"m{i}")
        assert report.codebooks == tuple(f"L{layer}.attn.h{head}" for layer in range(3) for head in range(3))
        tables.append(opened(tmp_path / "data", f"m{i}").table("L2.attn.h1"))
    assert all(np.array_equal(table, tables[0]) for table in tables)


def test_codebooks_that_the_public_code_never_runs_are_left_out_with_a_warning(tmp_path: Path) -> None:
    chosen = settings("mlp_mid", layers=(0,))
    reference = Reference(config("gpt2"), chosen)
    reference.settings = settings(
        "mlp", "mlp_mid", layers=(0,)
    )  # in this order the second hangs beside the wrapped module
    state, outer = {}, "model.transformer.h.0.mlp."
    for name, tensor in Reference(config("gpt2"), settings("mlp", layers=(0,))).state().items():
        state[name] = tensor
    for name, tensor in reference.state().items():
        if ".act.codebook_layer." in name:
            state[name] = tensor
    assert f"{outer}module_layer.c_fc.weight" in state and f"{outer}act.codebook_layer.codebook.weight" in state
    checkpoint, base = reference.save(tmp_path)
    state.pop("model.lm_head.weight")
    save_file(state, checkpoint / "model.safetensors")
    report = import_checkpoint(FORMAT, checkpoint, tmp_path / "data", base=base, name="m")
    assert report.codebooks == ("L0.mlp",)
    assert any("transformer.h.0.mlp.act" in warning for warning in report.warnings)


def test_a_codebook_beside_a_wrapper_is_idle_though_safetensors_leave_out_what_it_wraps(tmp_path: Path) -> None:
    both = {"codebook_type": ["vanilla", "group"], "num_codebooks": [1, 2]}
    reference = Reference(config("gpt2"), settings("attn", layers=(0,)))
    reference.settings = settings("attn", "qkv", layers=(0,), **both)  # `qkv` is put on the wrapper that `attn` made
    checkpoint, base = reference.save(tmp_path)
    state = load_file(checkpoint / "model.safetensors")
    beside = "model.transformer.h.0.attn.c_attn.codebook_layer"
    assert f"{beside.removesuffix('.c_attn.codebook_layer')}.module_layer.c_attn.weight" in state
    for group in range(6):
        state[f"{beside}.codebook.{group}.codebook.weight"] = torch.randn(23, 12)
    save_file(state, checkpoint / "model.safetensors")
    report = import_checkpoint(FORMAT, checkpoint, tmp_path / "data", base=base, name="m")
    assert report.codebooks == ("L0.attn_out",)
    assert any("transformer.h.0.attn.c_attn hangs beside" in warning for warning in report.warnings)
    ids = np.random.default_rng(5).integers(37, size=(2, 17))
    logits, _ = reference.run(torch.from_numpy(ids))
    found = opened(tmp_path / "data", "m").encode(items(ids), logits=True).logits
    assert found is not None
    np.testing.assert_allclose(found.reshape(logits.shape), logits.numpy(), atol=1e-4, rtol=0)


def test_compiled_and_parallel_prefixes_and_a_missing_layer_norm_are_understood(tmp_path: Path) -> None:
    reference = Reference(config("gpt_neox"), settings("mlp"))
    checkpoint, base = reference.save(tmp_path)
    state = {f"_orig_mod.module.{name}": t for name, t in reference.state().items() if ".ln." not in name}
    save_file(state, checkpoint / "model.safetensors")
    report = import_checkpoint(FORMAT, checkpoint, tmp_path / "data", base=base)
    assert report.model.endswith("-checkpoint")
    assert len(report.warnings) == 1 and "'ln'" in report.warnings[0]
    layer, _ = opened(tmp_path / "data", report.model).model.where("L1.mlp")
    assert torch.equal(layer.ln_weight, torch.ones(1, 24)) and torch.equal(layer.ln_bias, torch.zeros(1, 24))


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"codebook_at": None}, "codebook_at"),
        ({"codebook_at": ["mpl"]}, "codebook_at"),
        ({"codebook_at": ["mlp", "mlp"]}, "codebook_at"),
        ({"codebook_at": ["attn"]}, "codebook_at"),
        ({"codebook_type": ["tree"]}, "codebook_type"),
        ({"codebook_type": ["group"]}, "codebook_type"),
        ({"num_codebooks": [2]}, "num_codebooks"),
        ({"num_codes": [19, 20]}, "num_codes"),
        ({"num_codes": 25}, "num_codes"),
        ({"k_codebook": "many"}, "k_codebook"),
        ({"k_codebook": 20}, "k_codebook"),
        ({"layers_to_snap": [0, 7]}, "layers_to_snap"),
        ({"layers_to_snap": [0]}, "layers_to_snap"),
        ({"similarity_metric": "manhattan"}, "similarity_metric"),
        ({"codebook_kwargs": {"soft_snap": True}}, "codebook_kwargs"),
    ],
    ids=lambda value: str(value),
)
def test_a_configuration_that_contradicts_itself_or_the_weights_is_named(
    changes: dict[str, Any], named: str, tmp_path: Path
) -> None:
    checkpoint, base = Reference(config("gpt2"), settings("mlp")).save(tmp_path, **changes)
    with pytest.raises(CheckpointError, match=named):
        import_checkpoint(FORMAT, checkpoint, tmp_path / "data", base=base, name="m")
    assert not (tmp_path / "data" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("break_", "named"),
    [
        (lambda s: s.pop("model.transformer.h.1.mlp.codebook_layer.codebook.weight"), "h.1.mlp.codebook_layer"),
        (lambda s: s.pop("model.transformer.h.1.ln_1.weight"), "h.1.ln_1.weight"),
        (lambda s: s.update({"model.transformer.h.9.ln_1.weight": torch.ones(24)}), "h.9.ln_1.weight"),
        (lambda s: s.update({"model.transformer.surprise": torch.ones(2)}), "transformer.surprise"),
        (lambda s: s.update({"model.transformer.wte.weight": torch.ones(38, 24)}), "wte.weight"),
        (lambda s: s.update({"model.lm_head.weight": torch.ones(37, 24)}), "tie_word_embeddings"),
        (lambda s: s.update({"model.transformer.h.0.mlp.codebook_layer.ln.weight": torch.ones(5)}), "ln.weight"),
        (
            lambda s: s.update({"model.transformer.h.0.ln_2.codebook_layer.codebook.weight": torch.ones(5, 24)}),
            "h.0.ln_2",
        ),
        (lambda s: s.update({"model.blocks.0.attn.W_Q": torch.ones(3)}), "TransformerLens"),
    ],
    ids=range(9),
)
def test_weights_that_are_missing_unknown_or_of_another_shape_are_named(
    break_: Any, named: str, tmp_path: Path
) -> None:
    checkpoint, base = Reference(config("gpt2"), settings("mlp")).save(tmp_path)
    state = load_file(checkpoint / "model.safetensors")
    break_(state)
    save_file(state, checkpoint / "model.safetensors")
    with pytest.raises(CheckpointError, match=re.escape(named)):
        import_checkpoint(FORMAT, checkpoint, tmp_path / "data", base=base, name="m")


def test_a_base_with_another_rotary_part_is_refused_where_the_file_shows_it(tmp_path: Path) -> None:
    reference = Reference(config("gpt_neox"), settings("mlp"))
    checkpoint, base = reference.save(tmp_path)
    state = reference.state()
    state["model.gpt_neox.layers.0.attention.rotary_emb.inv_freq"] = 300.0 ** -(torch.arange(0, 4, 2) / 4)
    save_file(state, checkpoint / "model.safetensors")
    import_checkpoint(FORMAT, checkpoint, tmp_path / "data", base=base, name="m")
    for changes in ({"rotary_pct": 0.25, "rotary_emb_base": 300}, {"rotary_pct": 0.5, "rotary_emb_base": 10000}):
        told = {k: v for k, v in json.loads((base / "config.json").read_text()).items() if not k.startswith("rope")}
        (tmp_path / "other.json").write_text(json.dumps({**told, **changes}))
        with pytest.raises(CheckpointError, match="rotary_pct"):
            import_checkpoint(FORMAT, checkpoint, tmp_path / "data", base=tmp_path / "other.json", name="n")


def test_names_paths_and_bases_that_cannot_be_are_refused(tmp_path: Path) -> None:
    checkpoint, base = Reference(config("gpt2"), settings("mlp")).save(tmp_path)
    data = tmp_path / "data"
    import_checkpoint(FORMAT, checkpoint, data, base=base, name="m")
    with pytest.raises(BadInput, match="--overwrite"):
        import_checkpoint(FORMAT, checkpoint, data, base=base, name="m")
    import_checkpoint(FORMAT, checkpoint, data, base=base, name="m", overwrite=True)
    with pytest.raises(CheckpointError, match="--base"):
        import_checkpoint(FORMAT, checkpoint, data, name="n")
    with pytest.raises(CheckpointError, match="codebooks"):
        import_checkpoint(FORMAT, checkpoint, data, base=checkpoint, name="n")
    with pytest.raises(BadInput, match="nowhere"):
        import_checkpoint(FORMAT, tmp_path / "nowhere", data, base=base, name="n")
    with pytest.raises(UsageError, match="pytorch"):
        import_checkpoint("pytorch", checkpoint, data, base=base, name="n")
    with pytest.raises(CheckpointError, match="safetensors"):
        (checkpoint / "model.safetensors").write_bytes((checkpoint / "model.safetensors").read_bytes()[:-100])
        import_checkpoint(FORMAT, checkpoint, data, base=base, name="n")


# -- the finite-state machine ------------------------------------------------------------------------------------------


def test_the_paper_s_machine_is_recognised_and_its_base_may_be_left_out(tmp_path: Path) -> None:
    base = config("gpt_neox", vocab_size=11, max_position_embeddings=128, rotary_pct=0.25, rotary_emb_base=10000)
    chosen = settings("attn_preproj", "mlp", codebook_type=["group", "vanilla"], num_codebooks=[3, 1])
    checkpoint, folder = Reference(base, chosen).save(tmp_path)
    np.save(checkpoint / "fsm.npy", Machine().transitions / 10)
    import_checkpoint(FORMAT, checkpoint, tmp_path / "data", base=folder, name="given")
    report = import_checkpoint(FORMAT, checkpoint, tmp_path / "data", name="inferred")
    assert find("inferred", tmp_path / "data").dataset == Machine().settings and not report.warnings
    families = [opened(tmp_path / "data", name) for name in ("given", "inferred")]
    walk = families[0].items(0, 2, 0)
    given, inferred = (family.encode(walk, logits=True).logits for family in families)
    assert given is not None and inferred is not None
    np.testing.assert_array_equal(given, inferred)
    np.save(checkpoint / "fsm.npy", np.roll(Machine().transitions, 1))
    report = import_checkpoint(FORMAT, checkpoint, tmp_path / "data", base=folder, name="other")
    assert find("other", tmp_path / "data").dataset["name"] == "tokens" and "seed 42" in report.warnings[0]
