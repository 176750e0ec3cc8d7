"""The large search against torch's own outright distances."""

import pytest
import torch

from backend.errors import BadInput
from backend.nn import nearest as module
from backend.nn.nearest import nearest, nearly_nearest, spread_over_equals


def outright(z, table):
    """Squared distances, every one of them: float32 `[row, code]`."""
    return ((z[:, None] - table) ** 2).sum(-1)


@pytest.mark.parametrize("dim", [1, 3, 16, 64])
@pytest.mark.parametrize("codes", [1, 2, 15, 16, 17, 100, 2048, 2049, 5000, 40_001])
def test_ids_are_those_of_the_full_matrix_for_any_size_of_table(codes, dim):
    generator = torch.Generator().manual_seed(codes + dim)
    z, table = torch.randn(70, dim, generator=generator), torch.randn(codes, dim, generator=generator)
    expected = outright(z, table)
    found = nearest(z, table, rows=32)
    assert torch.equal(found.ids[:, 0], expected.argmin(-1))
    assert torch.equal(found.distances[:, 0], expected.amin(-1).sqrt())


@pytest.mark.parametrize("offset", [0.0, 10.0, 1000.0])
def test_codes_far_from_the_origin_whose_differences_the_product_form_loses(offset):
    generator = torch.Generator().manual_seed(1)
    z, table = (torch.randn(n, 16, generator=generator) + offset for n in (200, 3000))
    lossy = (z.square().sum(-1)[:, None] - 2 * z @ table.T + table.square().sum(-1)).argmin(-1)
    expected = outright(z, table).argmin(-1)
    if offset == 1000.0:
        assert (lossy != expected).any()
    assert torch.equal(nearest(z, table).ids[:, 0], expected)


@pytest.mark.parametrize("topk", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("codes", [9, 100, 5000])
def test_equal_distances_are_settled_by_the_lowest_id(codes, topk):
    generator = torch.Generator().manual_seed(codes)
    z = torch.randint(-1, 2, (90, 4), generator=generator).float()
    table = torch.randint(-1, 2, (codes, 4), generator=generator).float()
    expected = outright(z, table).sort(dim=-1, stable=True)
    found = nearest(z, table, topk)
    assert torch.equal(found.ids, expected.indices[:, :topk])
    assert torch.equal(found.distances, expected.values[:, :topk].sqrt())


def test_near_duplicates_of_codes_are_told_apart_to_the_last_bit():
    generator = torch.Generator().manual_seed(2)
    base = torch.randn(500, 32, generator=generator)
    table = torch.cat([base, base * (1 + 2.0**-23), base + 1e-7])[torch.randperm(1500, generator=generator)]
    z = torch.randn(300, 32, generator=generator)
    assert torch.equal(nearest(z, table).ids[:, 0], outright(z, table).argmin(-1))


def test_a_table_of_equal_codes_gives_the_first_everywhere_in_little_memory(monkeypatch):
    monkeypatch.setattr(module, "EXACT_BYTES", 1 << 16)
    found = nearest(torch.randn(40, 8), torch.zeros(5000, 8), 2)
    assert found.ids.tolist() == [[0, 1]] * 40
    assert torch.equal(found.margins, torch.zeros(40))


def test_memory_does_not_grow_with_the_number_of_rows_or_codes(monkeypatch):
    largest = []
    product = torch.addmm

    def watched(*args, out):
        largest.append(out.numel())
        return product(*args, out=out)

    monkeypatch.setattr(torch, "addmm", watched)
    nearest(torch.randn(3000, 4), torch.randn(50_000, 4))
    assert max(largest) <= module.ROWS * module.PANEL


def test_the_fast_search_of_training_finds_codes_as_near():
    generator = torch.Generator().manual_seed(3)
    z, table = torch.randn(1500, 16, generator=generator), torch.randn(4099, 16, generator=generator)
    exact = nearest(z, table)
    fast = nearly_nearest(z, table)
    assert torch.allclose((z - table[fast]).norm(dim=-1), exact.distances[:, 0], atol=1e-5)
    assert (fast == exact.ids[:, 0]).float().mean() > 0.999


def test_no_rows_give_no_ids():
    found = nearest(torch.zeros(0, 4), torch.randn(10, 4), 2)
    assert found.ids.shape == (0, 2)
    assert nearly_nearest(torch.zeros(0, 4), torch.randn(10, 4)).shape == (0,)


@pytest.mark.parametrize(
    ("z", "table", "topk"),
    [((3, 4), (10, 5), 1), ((3, 4), (0, 4), 1), ((3, 4), (10, 4), 11), ((3, 4), (10, 4), 0), ((3,), (10, 4), 1)],
)
def test_what_cannot_be_searched_is_refused(z, table, topk):
    with pytest.raises(BadInput):
        nearest(torch.zeros(z), torch.zeros(table), topk)


def test_rows_of_the_most_chosen_code_are_spread_over_its_equals_and_all_others_stay():
    table = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    ids = torch.tensor([1, 0, 1, 1, 3, 1, 1, 1])
    found = spread_over_equals(ids, table)
    assert found[1] == 0 and found[4] == 3
    assert sorted(found[ids == 1].tolist()) == [1, 1, 2, 2, 4, 4]
    distinct = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(spread_over_equals(ids, distinct), ids)
