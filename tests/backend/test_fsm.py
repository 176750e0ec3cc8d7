"""The machine's facts, from its definition."""

import numpy as np
import pytest

from backend.data.machines import Machine
from backend.errors import BadInput, CatalogError


def test_the_papers_machine_has_its_686_state_plus_digit_trigrams():
    machine = Machine()
    assert machine.transitions.shape == (100, 100)
    assert (machine.transitions.sum(1) == 10).all()
    trigrams = {(s, machine.written[t, 0]) for s in range(100) for t in machine.successors[s]}
    assert len(trigrams) == 686


def test_items_are_legal_walks_labelled_with_their_states():
    machine = Machine(states=30, edges=3, base=5, seed=7, length=41)
    assert machine.digits == 3
    for item in machine.items(0, 20, seed=3):
        assert item.payload.shape == (41,) and item.payload[0] == machine.bos
        states = machine.decode(item.payload[None])
        assert (states >= 0).all() and machine.valid_transitions(states).all()
        for position in range(1, 41):
            state = int(item.labels["state"][position], 5)
            digit = int(item.labels["digit"][position])
            assert item.payload[position] == machine.written[state, digit - 1]
            read = item.labels["state read"][position]
            assert read == (item.labels["state"][position] if digit == 3 else "")
            if read and position + 1 < 41:
                assert item.labels["next state"][position] == item.labels["state"][position + 1]
        for (start, end), token in zip(item.spans, item.payload, strict=True):
            assert item.text[start:end] == ("<bos>" if token == machine.bos else "01234"[token])
        assert np.array_equal(machine.parse(item.text), item.payload)


def test_an_item_is_the_same_whatever_range_it_is_asked_in_and_differs_by_seed():
    machine = Machine(states=10, edges=3)
    alone = machine.items(5, 6, seed=1)[0]
    among = machine.items(0, 9, seed=1)[5]
    assert alone.text == among.text and alone.labels == among.labels
    assert machine.items(5, 6, seed=2)[0].text != alone.text


def test_the_loss_floor_is_the_entropy_of_the_process():
    machine = Machine(states=12, edges=3, base=4, seed=1, length=20)
    rng = np.random.default_rng(0)
    walks = machine.walk(rng, 20_000)
    tokens = machine.tokens(walks)
    total = 0.0
    for position in range(1, 20):  # exact conditional probability of each digit, by counting the states that fit
        state, digit = divmod(position - 1, machine.digits)
        options = np.ones((len(walks), 12)) if state == 0 else machine.transitions[walks[:, state - 1]].astype(float)
        for earlier in range(digit):
            options *= machine.written[None, :, earlier] == tokens[:, position - digit + earlier, None]
        fits = machine.written[None, :, digit] == tokens[:, position, None]
        total -= np.log((options * fits).sum(1) / options.sum(1)).mean()
    assert abs(total / 19 - machine.loss_floor) < 0.01
    assert Machine().loss_floor == pytest.approx(1.1702, abs=0.02)  # about what the paper's base model reaches: 1.179


def test_decoding_marks_digits_that_form_no_state():
    machine = Machine(states=25, edges=4)
    assert machine.decode(np.array([[10, 2, 4, 2, 5, 10, 1, 0, 3]])).tolist() == [[24, -1, -1, 3]]
    assert machine.valid_transitions(np.array([[-1, 3, -1]])).tolist() == [[False, False]]


def test_a_walk_to_a_state_ends_there_and_is_legal():
    machine = Machine(states=25, edges=4)
    walk = machine.walk_to(7, 12, np.random.default_rng(0))
    assert walk[-1] == 7 and machine.transitions[walk[:-1], walk[1:]].mean() > 0.8


def test_text_that_is_no_walk_says_where():
    with pytest.raises(BadInput, match="character 4"):
        Machine().parse("17 x2")


@pytest.mark.parametrize(
    "wrong", [{"states": 1}, {"edges": 200}, {"base": 37}, {"length": 3}, {"nonsense": 1}, {"states": "many"}]
)
def test_impossible_machines_are_refused(wrong):
    with pytest.raises(CatalogError):
        Machine.from_settings({"name": "tokfsm", **wrong})
