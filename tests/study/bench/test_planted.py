"""Planted models: no false `implements`, no false `refuted`; rows on file, and some made again."""

import json

import numpy as np
import pytest

from rasplab.model.verify import verify
from rasplab.program import zoo
from rasplab.study.bench.planted import PLANTS, compared, planted_markdown
from rasplab.study.heads.verdict import judge

PARTIAL = (
    "right at lengths 3, 5, 6, 8",
    "wrong at the longest",
    "a rare token",
    "wrong at a position",
)
"""The plants that do not compute the program on the whole domain."""


@pytest.fixture(scope="module")
def rows():
    """By plant, as `make calibrate` has written them."""
    return json.loads((zoo.shipped("circuits") / "planted.json").read_text(encoding="utf-8"))


def test_no_verdict_on_file_is_false(rows):
    """Every plant; those whose heads do the whole work, however it is divided, are found."""
    assert list(rows) == list(PLANTS) and len(rows) >= 12
    assert not any(row["false_implements"] or row["false_refuted"] for row in rows.values())
    assert all((row["accuracy"] == 1.0) == (name not in PARTIAL) for name, row in rows.items())
    unsettled = (*PARTIAL, "read at BOS", "a head for a rare token")
    assert all(bool(row["implements"]) == (name not in unsettled) for name, row in rows.items())
    text = (zoo.shipped("circuits") / "planted.md").read_text(encoding="utf-8")
    assert text == planted_markdown(rows)


@pytest.mark.parametrize("name", [name for name in PLANTS if name not in PARTIAL])
def test_plants_compute_their_program(name):
    """Only the partial ones have wrong answers."""
    plant = PLANTS[name]()
    assert verify(plant.model, max_inputs=300, program=plant.program).ok


@pytest.mark.usefixtures("unchecked_annotations")
@pytest.mark.parametrize("name", ["three voters", "read at BOS", "a head for a rare token"])
def test_a_plant_is_judged_without_a_false_verdict(name):
    """The rows again, with fewer pairs."""
    plant = PLANTS[name]()
    row = compared(judge(plant.model, plant.program, pairs=60), plant)
    assert not row["false_implements"] and not row["false_refuted"]


def test_a_verdict_names_its_lengths_and_the_accuracy_is_of_all():
    """Reverse at lengths 3, 5, 6, 8 alone: no `implements`; each length has its own share right."""
    plant = PLANTS["right at lengths 3, 5, 6, 8"]()
    evidence = judge(plant.model, plant.program, pairs=100)
    (head,) = plant.carrying
    finding = evidence.of(head, plant.selector)
    assert finding.verdict == "consistent"
    assert set(finding.strata.holding) >= {3, 5, 6, 8} and 7 in finding.strata.failing
    assert f"not at {finding.strata.failing[0]}" in finding.reason
    by_length = {n: estimate.value for n, estimate in evidence.domain.lengths}
    assert list(by_length) == list(range(1, 9))
    # length 1 is its own reverse
    assert all((share == 1.0) == (n in (1, 3, 5, 6, 8)) for n, share in by_length.items())
    # the distribution of Domain.sample: a quarter has the full length, the rest any length
    weights = np.full(8, 0.75 / 8) + 0.25 * (np.arange(8) == 7)
    assert evidence.accuracy.value == pytest.approx(weights @ list(by_length.values()))
    assert evidence.to_json()["accuracy_by_length"]["7"] == by_length[7] < 1
    assert "of every length" in str(evidence) and "1, 3, 5, 6, 8: 1.00" in str(evidence)


def test_a_token_with_which_swaps_fail_is_named():
    """The rare letter is in the verdict's reason, and among the tokens the model is wrong with."""
    plant = PLANTS["a rare token"]()
    evidence = judge(plant.model, plant.program, pairs=60)
    (head,) = plant.carrying
    assert evidence.domain.tokens == ("l",)
    assert evidence.of(head, plant.selector).reason.endswith("not with 'l'")
    assert "mostly wrong with 'l'" in str(evidence)


def test_a_position_whose_rows_fail_is_named():
    """Position 5 has its own token: the head implements the selector nowhere else wrongly."""
    plant = PLANTS["wrong at a position"]()
    evidence = judge(plant.model, plant.program, pairs=60)
    (head,) = plant.carrying
    finding = evidence.of(head, plant.selector)
    assert finding.verdict == "consistent" and finding.strata.positions == (5,)
    assert finding.reason.endswith("not at position 5")


def test_a_backup_is_found_whatever_it_attends_to():
    """No swap and no single knock-out shows it: only the loss of both heads does."""
    plant = PLANTS["a blurred backup"]()
    evidence = judge(plant.model, plant.program, pairs=60)
    first, backup = sorted(plant.carrying)
    finding = evidence.of(backup, plant.selector)
    assert finding.verdict == "undecided" and finding.accuracy.worst.value == 0
    needed = finding.necessity
    assert needed.intact == needed.without == 1 and needed.others == (first,)
    assert needed.without_all < 0.5 < needed.without_others
    assert f"without {first} " in finding.reason and f"without {backup} too 0." in finding.reason
    # and the layer below, whose further heads do nothing, is refuted for that reason
    idle = evidence.of("L1H1", plant.selector)
    assert idle.verdict == "refuted" and "no answers break without it" in idle.reason
    assert not idle.necessity.needed and not idle.necessity.others
