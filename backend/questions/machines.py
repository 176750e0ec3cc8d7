"""State assignments of a finite-state machine's codes, from the store alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from backend.analysis.states import purity, state_codes
from backend.answers.meaning import StateView
from backend.calls import count_rows
from backend.data.machines import Machine
from backend.errors import Unsupported
from backend.store.reader import Reader
from backend.types import CodeRef

FIELD = "state read"


def machine(reader: Reader) -> Machine:
    """Return the machine of a build.

    Raises:
        Unsupported: the build is not of a finite-state machine.
    """
    if "states" not in reader.facts["capabilities"]:
        raise Unsupported(f"{reader.model} is not a model of a finite-state machine: it has no states to show.")
    return Machine.from_settings(reader.facts["spec"]["dataset"])


def states(reader: Reader, site: str) -> StateView:
    """Say how the codes of one codebook stand for the states of the model's machine.

    Raises:
        Unsupported: the model is not one of a finite-state machine.
    """
    walks = machine(reader)
    codebook = reader.site(site)
    slots, num_codes = codebook.info.slots, codebook.info.num_codes
    names = [walks.name(state) for state in range(walks.states)]
    grid = reader.arrays("SELECT pos, slot, code FROM grid WHERE site_id = ?", [codebook.site_id])
    codes = np.full((reader.positions, slots), -1, dtype=np.int64)
    codes[grid["pos"], grid["slot"]] = grid["code"]
    labels = reader.table("SELECT pos, value FROM labels WHERE field_id = ? ORDER BY pos", [reader.field(FIELD)])
    truth = np.full(reader.positions, -1, dtype=np.int64)
    number = {name: state for state, name in enumerate(names)}
    truth[labels["pos"].to_numpy()] = labels["value"].map(number).to_numpy()
    items = reader.arrays("SELECT positions, half FROM items ORDER BY item")
    half = np.repeat(items["half"], items["positions"])
    item = np.repeat(np.arange(len(items["half"])), items["positions"])
    count_rows(len(grid["pos"]) + len(labels))

    assigned = state_codes(codes, truth, half, num_codes, walks.states)
    pure, counted = purity(codes, truth, num_codes)
    matrix = _matrix(codes, truth, names)
    table = _codes(reader.model, site, codes, truth, half, assigned.owner, matrix, names)
    owners = np.where(codes >= 0, assigned.owner[codes], -1)[:, 0]
    single = [table.loc[(table["owner"] == name), "ref"].head(1).tolist() for name in names]
    by_state = pd.DataFrame(
        {
            "state": names,
            "readings": assigned.count,
            "codes": np.bincount(assigned.owner[assigned.owner >= 0], minlength=walks.states),
            "precision": assigned.precision,
            "recall": assigned.recall,
            "single_precision": assigned.single_precision,
            "single_recall": assigned.single_recall,
            "main": [ref[0] if ref else "" for ref in single],
        }
    )
    readings = np.flatnonzero((truth >= 0) & (half == 1))
    return StateView(
        names,
        matrix,
        table,
        by_state,
        _transitions(walks, owners[readings], item[readings], names),
        int((half == 1).sum()),
        int((owners[readings] < 0).sum()),
        pure,
        counted,
    )


def _matrix(codes: np.ndarray, truth: np.ndarray, names: list[str]) -> pd.DataFrame:
    rows = truth >= 0
    flat = codes[rows]
    state = np.broadcast_to(truth[rows][:, None], flat.shape)
    keep = flat >= 0
    pairs, counts = np.unique(np.stack((state[keep], flat[keep])), axis=1, return_counts=True)
    readings = np.bincount(truth[rows], minlength=len(names))
    return pd.DataFrame(
        {
            "state": np.asarray(names)[pairs[0]],
            "code": pairs[1],
            "count": counts,
            "share": counts / np.maximum(readings[pairs[0]], 1),
        }
    )


def _codes(
    model: str,
    site: str,
    codes: np.ndarray,
    truth: np.ndarray,
    half: np.ndarray,
    owner: np.ndarray,
    matrix: pd.DataFrame,
    names: list[str],
) -> pd.DataFrame:
    at_states = matrix.groupby("code")["count"].agg(["sum", "max"])
    total = np.bincount(codes[codes >= 0], minlength=len(owner))
    tested = codes[half == 1]
    fires = np.bincount(tested[tested >= 0], minlength=len(owner))
    claims = np.where(tested >= 0, owner[tested], -2)  # the state that each code stands for; -2 equals none
    right = np.bincount(tested[claims == truth[half == 1][:, None]], minlength=len(owner))
    shown = np.union1d(at_states.index.to_numpy(), np.flatnonzero(owner >= 0)).astype(np.int64)
    counts = at_states.reindex(shown).fillna(0)
    table = pd.DataFrame(
        {
            "ref": [str(CodeRef(model, site, int(code))) for code in shown],
            "code": shown,
            "owner": [names[owner[code]] if owner[code] >= 0 else "" for code in shown],
            "count": total[shown],
            "at_states": counts["sum"].to_numpy().astype(np.int64),
            "purity": (counts["max"] / counts["sum"].clip(lower=1)).to_numpy(),
            "precision": np.where(fires[shown] > 0, right[shown] / np.maximum(fires[shown], 1), np.nan),
        }
    )
    table["_unowned"] = table["owner"] == ""
    table = table.sort_values(["_unowned", "owner", "count"], ascending=[True, True, False], kind="stable")
    return table.drop(columns="_unowned").reset_index(drop=True)


def _transitions(machine: Machine, owners: np.ndarray, item: np.ndarray, names: list[str]) -> pd.DataFrame:
    pair = (item[1:] == item[:-1]) & (owners[1:] >= 0) & (owners[:-1] >= 0)
    seen = np.zeros((machine.states, machine.states), dtype=np.int64)
    np.add.at(seen, (owners[:-1][pair], owners[1:][pair]), 1)
    source, target = np.nonzero((seen > 0) | machine.transitions)
    has = machine.transitions[source, target]
    count = seen[source, target]
    return pd.DataFrame(
        {
            "source": np.asarray(names)[source],
            "target": np.asarray(names)[target],
            "count": count,
            "machine": has,
            "verdict": np.where(~has, "mistake", np.where(count > 0, "right", "missed")),
        }
    )
