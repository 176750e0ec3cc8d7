"""Nearest codes against torch's own full matrix."""

import pytest
import torch

from backend.nn import quantize
from backend.nn.kmeans import data_codes, kmeans_codes
from backend.nn.quantize import Ban, nearest


def reference(x, table, similarity):
    """All similarities `[group, row, code]`, float64."""
    x, table = x.double(), table.double()
    if similarity == "euclidean":
        return -torch.cdist(x, table)
    product = x @ table.transpose(1, 2)
    if similarity == "inner_product":
        return product
    return product / (x.norm(dim=-1)[..., None] * table.norm(dim=-1)[:, None])


@pytest.mark.parametrize("similarity", quantize.SIMILARITIES)
@pytest.mark.parametrize("k", [1, 3, 7])
def test_nearest_agrees_with_the_full_matrix_whatever_the_chunks(monkeypatch, similarity, k):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2, 57, 8, generator=generator)
    table = torch.randn(2, 40, 8, generator=generator)
    wanted = reference(x, table, similarity).topk(k + 1, dim=-1)
    for elements in (1, 500, 1 << 20):
        monkeypatch.setattr(quantize, "CPU_CHUNK", elements)
        found = nearest(x, table, k, similarity, full=True)
        assert torch.equal(found.ids, wanted.indices[..., :k])
        assert torch.equal(found.runner_up, wanted.indices[..., k])
        assert torch.allclose(found.scores.double(), wanted.values[..., :k], atol=1e-5)
        assert torch.allclose(found.runner_up_score.double(), wanted.values[..., k], atol=1e-5)
        assert torch.equal(nearest(x, table, k, similarity).ids, found.ids)


def test_equal_codes_are_settled_by_the_lowest_id():
    table = torch.ones(1, 6, 4)
    found = nearest(torch.ones(1, 5, 4), table, 3, "euclidean")
    assert found.ids.tolist() == [[[0, 1, 2]] * 5]


@pytest.mark.parametrize("codes", [500, 512, 1009])
@pytest.mark.parametrize("k", [1, 2, 4])
def test_many_codes_searched_in_blocks_are_the_same_ones_with_the_same_ties(codes, k):
    """Few different values, so that nearly every maximum is shared; a stable sort settles that by the lowest id."""
    generator = torch.Generator().manual_seed(codes)
    x = torch.randint(-1, 2, (2, 300, 3), generator=generator).float()
    table = torch.randint(-1, 2, (2, codes, 3), generator=generator).float()
    expected = (x @ table.transpose(1, 2)).sort(dim=-1, descending=True, stable=True).indices
    found = nearest(x, table, k, "inner_product", full=True)
    assert torch.equal(found.ids, expected[..., :k])
    assert torch.equal(found.runner_up, expected[..., k])


def test_a_banned_code_is_neither_chosen_nor_runner_up_and_only_where_it_is_banned():
    x = torch.randn(1, 20, 4, generator=torch.Generator().manual_seed(0))
    table = torch.randn(1, 9, 4, generator=torch.Generator().manual_seed(1))
    plain = nearest(x, table, 1, "cosine", full=True)
    code = int(plain.ids[0, 0, 0])
    rows = torch.arange(20) < 10
    found = nearest(x, table, 1, "cosine", full=True, bans=[Ban(0, code, rows)])
    assert not (found.ids[0, :10] == code).any() and not (found.runner_up[0, :10] == code).any()
    assert torch.equal(found.ids[0, 10:], plain.ids[0, 10:])
    changed = plain.ids[0, :10, 0] == code
    assert torch.equal(found.ids[0, :10, 0][changed], plain.runner_up[0, :10][changed])


def test_where_all_codes_are_chosen_there_is_no_runner_up():
    found = nearest(torch.randn(1, 4, 3), torch.randn(1, 2, 3), 2, "euclidean", full=True)
    assert (found.runner_up == -1).all() and torch.isneginf(found.runner_up_score).all()


def test_kmeans_finds_the_clusters_and_leaves_no_code_without_rows():
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(2, 10, 6, generator=generator) * 10
    rows = centres[:, torch.arange(500) % 10] + 0.1 * torch.randn(2, 500, 6, generator=generator)
    table = kmeans_codes(rows, 10, torch.Generator().manual_seed(1))
    found = nearest(rows, table, 1, "euclidean", full=True)
    start = nearest(rows, data_codes(rows, 10, torch.Generator().manual_seed(1)), 1, "euclidean", full=True)
    assert found.scores.square().mean() < 0.5 * start.scores.square().mean()
    assert all(len(ids.unique()) == 10 for ids in found.ids)
    assert torch.equal(table, kmeans_codes(rows, 10, torch.Generator().manual_seed(1)))


def test_codes_from_few_rows_are_all_different():
    rows = torch.randn(1, 5, 3, generator=torch.Generator().manual_seed(0))
    table = data_codes(rows, 20, torch.Generator().manual_seed(0))
    assert len(table[0].unique(dim=0)) == 20
