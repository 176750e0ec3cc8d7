"""The codebook layer against the formulas of the paper, written out one position at a time."""

import pytest
import torch

from backend.nn.insertion.bottleneck import CodebookConfig, CodebookLayer, PlacedEdit
from backend.types import Edit


def layer(**changes):
    torch.manual_seed(0)
    made = CodebookLayer(CodebookConfig(**{"dim": 12, "groups": 3, "codes": 10, "k": 2, **changes})).eval()
    if made.config.layer_norm:
        torch.nn.init.normal_(made.ln_weight)
        torch.nn.init.normal_(made.ln_bias)
    return made


def by_hand(made, x):
    """Output and ids of one vector `[dim]`, group by group."""
    config = made.config
    width = config.dim // config.groups
    out, ids = [], []
    for group in range(config.groups):
        z = x[group * width : (group + 1) * width]
        if config.layer_norm:
            z = (z - z.mean()) / torch.sqrt(z.var(unbiased=False) + 1e-5) * made.ln_weight[group] + made.ln_bias[group]
        table = made.table[group]
        if config.similarity == "euclidean":
            similarity = -(table - z).norm(dim=-1)
        else:
            similarity = table @ z
            if config.similarity == "cosine":
                similarity = similarity / table.norm(dim=-1)
        best = similarity.argsort(descending=True)[: config.k]
        chosen = table[best]
        out.append(chosen.mean(0) if config.combine == "mean" else chosen.sum(0))
        ids.append(best)
    return torch.cat(out), torch.stack(ids)


@pytest.mark.parametrize("similarity", ["cosine", "inner_product", "euclidean"])
@pytest.mark.parametrize("combine", ["mean", "sum"])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_output_is_what_the_definition_says(similarity, combine, layer_norm):
    made = layer(similarity=similarity, combine=combine, layer_norm=layer_norm)
    x = torch.randn(4, 5, 12)
    out = made(x)
    edited, found = made.edited(x)
    assert torch.equal(out, edited)
    for row, vector in enumerate(x.reshape(-1, 12)):
        expected, ids = by_hand(made, vector)
        assert torch.allclose(out.reshape(-1, 12)[row], expected, atol=1e-5)
        assert torch.equal(found.ids[:, row], ids)


def test_gradient_goes_straight_through_to_the_input_and_to_the_chosen_codes_alone():
    made = layer(k=1).train()
    made.autoencoding = 0.0
    x = torch.randn(6, 12, requires_grad=True)
    weight = torch.randn(6, 12)
    (made(x) * weight).sum().backward()
    assert torch.allclose(x.grad, weight)
    _, found = made.edited(x.detach())
    expected = torch.zeros_like(made.table)
    for group in range(3):
        expected[group].index_add_(0, found.ids[group, :, 0], weight[:, group * 4 : group * 4 + 4])
    assert torch.allclose(made.table.grad, expected, atol=1e-6)


def test_without_the_straight_through_gradient_the_input_gets_none_and_the_codes_the_same():
    through, exact = layer(k=2).train(), layer(k=2).train()
    exact.load_state_dict(through.state_dict())
    exact.straight_through = False
    for made in (through, exact):
        made.autoencoding = 0.0
        x = torch.arange(72.0).reshape(6, 12).sin().requires_grad_()
        (made(x) ** 2).sum().backward()
        assert (x.grad is None) == (made is exact)
    assert torch.allclose(through.table.grad, exact.table.grad)


def test_losses_pull_codes_to_activations_and_with_commitment_activations_to_codes():
    made = layer(k=1).train()
    x = torch.randn(6, 12, requires_grad=True)
    made(x)
    rows = made.split(x.detach())
    chosen = torch.stack([made.table[g, ids] for g, ids in enumerate(made.edited(x.detach())[1].ids[..., 0])])
    scale = rows.square().sum(-1).mean(-1)  # [group]
    expected = ((chosen - rows).square().sum(-1).mean(-1) / scale).sum()
    assert torch.allclose(made.loss, expected, atol=1e-5)
    made.loss.backward()
    assert x.grad is None or not x.grad.any()
    made.commitment = 0.25
    made(x)
    made.loss.backward()
    assert torch.allclose(made.loss, 1.25 * expected, atol=1e-5)
    assert torch.allclose(
        x.grad.reshape(6, 3, 4).transpose(0, 1), 0.25 * 2 * (rows - chosen) / 6 / scale[:, None, None], atol=1e-5
    )


def rows_of(count, *hit):
    rows = torch.zeros(count, dtype=torch.bool)
    rows[list(hit)] = True
    return rows


def test_forced_means_forced_and_only_there():
    made = layer()
    x = torch.randn(5, 12)
    out, found = made.edited(x, [PlacedEdit(1, Edit("s", 7), rows_of(5, 2))])
    plain, before = made.edited(x)
    assert found.ids[1, 2].tolist() == [7, 7]
    assert torch.allclose(out[2, 4:8], made.table[1, 7])
    assert torch.equal(out[[0, 1, 3, 4]], plain[[0, 1, 3, 4]]) and torch.equal(out[2, :4], plain[2, :4])
    assert torch.equal(found.ids[0], before.ids[0])


def test_one_slot_can_be_forced_emptied_or_zeroed_and_still_counts_in_the_mean():
    made = layer()
    x = torch.randn(1, 12)
    plain, before = made.edited(x)
    first, second = before.ids[0, 0].tolist()
    everywhere = rows_of(1, 0)
    out, found = made.edited(x, [PlacedEdit(0, Edit("s", 9, slot=1), everywhere)])
    assert found.ids[0, 0].tolist() == [first, 9]
    assert torch.allclose(out[0, :4], (made.table[0, first] + made.table[0, 9]) / 2)
    out, found = made.edited(x, [PlacedEdit(0, Edit("s", -1, slot=0), everywhere)])
    assert found.ids[0, 0].tolist() == [-1, second]
    assert torch.allclose(out[0, :4], made.table[0, second] / 2)
    out, found = made.edited(x, [PlacedEdit(0, Edit("s", second, "zero"), everywhere)])
    assert found.ids[0, 0].tolist() == [first, -1]
    assert torch.allclose(out[0, :4], made.table[0, first] / 2)


def test_banned_means_gone_and_the_next_best_fills_in():
    made = layer()
    x = torch.randn(3, 12)
    _, before = made.edited(x)
    code = int(before.ids[2, 0, 0])
    _, found = made.edited(x, [PlacedEdit(2, Edit("s", code, "ban"), rows_of(3, 0, 1, 2))])
    assert not (found.ids[2] == code).any()
    assert found.ids[2, 0].tolist() == [int(before.ids[2, 0, 1]), int(before.runner_up[2, 0])]


def test_banning_every_code_leaves_empty_slots_and_a_zero_output():
    made = layer(codes=2, k=1)
    edits = [PlacedEdit(0, Edit("s", code, "ban"), rows_of(2, 0)) for code in (0, 1)]
    out, found = made.edited(torch.randn(2, 12), edits)
    assert found.ids[0, 0].tolist() == [-1]
    assert not out[0, :4].any()


def test_slots_that_bans_leave_empty_stay_so_where_something_is_added():
    made = layer(codes=2, k=1)
    bans = [PlacedEdit(0, Edit("s", code, "ban"), rows_of(2, 0)) for code in (0, 1)]
    add = PlacedEdit(0, Edit("s", 1, "add", 0.5), rows_of(2, 0), added=0.5 * made.table[0, 1])
    out, found = made.edited(torch.randn(2, 12), [*bans, add])
    assert found.ids[0, 0].tolist() == [-1]
    assert torch.allclose(out[0, :4], 0.5 * made.table[0, 1])


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 1.5])
def test_blend_moves_the_output_from_what_was_chosen_towards_the_code(strength):
    made = layer()
    x = torch.randn(4, 12)
    plain, before = made.edited(x)
    out, found = made.edited(x, [PlacedEdit(1, Edit("s", 3, "blend", strength), rows_of(4, 1, 2))])
    expected = (1 - strength) * plain[1:3, 4:8] + strength * made.table[1, 3]
    assert torch.allclose(out[1:3, 4:8], expected, atol=1e-6)
    assert torch.equal(out[0], plain[0])
    assert torch.equal(found.ids, before.ids)


def test_what_is_added_leaves_the_choice_and_what_a_blend_starts_from():
    made = layer()
    x = torch.randn(4, 12)
    plain, before = made.edited(x)
    add = PlacedEdit(1, Edit("s", 3, "add", 0.3), rows_of(4, 1, 2), added=0.3 * made.table[1, 3])
    blend = PlacedEdit(1, Edit("s", 5, "blend", 0.5), rows_of(4, 2))
    out, found = made.edited(x, [add, blend])
    assert torch.allclose(out[1, 4:8], plain[1, 4:8] + 0.3 * made.table[1, 3], atol=1e-6)
    both = 0.5 * plain[2, 4:8] + 0.5 * made.table[1, 5] + 0.3 * made.table[1, 3]
    assert torch.allclose(out[2, 4:8], both, atol=1e-6)
    assert torch.equal(out[[0, 3]], plain[[0, 3]]) and torch.equal(out[:, :4], plain[:, :4])
    assert torch.equal(found.ids, before.ids)


def test_dead_codes_restart_at_given_rows_and_used_ones_stay():
    made = layer(k=1).train()
    x = torch.randn(3, 12)
    made(x)
    used = made.usage.clone() > 0
    table = made.table.detach().clone()
    rows = made.split(x)
    count = made.reset_dead_rows(rows, noise=0.0, generator=torch.Generator().manual_seed(0))
    assert count == int((~used).sum()) > 0
    assert torch.equal(made.table[used], table[used])
    for group in range(3):
        distance = torch.cdist(made.table[group][~used[group]], rows[group]).min(-1).values
        assert distance.max() < 1e-5
    assert not made.usage.any()


def test_impossible_shapes_are_refused():
    for wrong in ({"groups": 5}, {"k": 11}, {"similarity": "manhattan"}, {"combine": "max"}):
        with pytest.raises(ValueError):
            CodebookConfig(**{"dim": 12, "groups": 3, "codes": 10, "k": 2, **wrong})
