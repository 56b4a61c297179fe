"""Attention supervision: heads trained to attend as selectors of the program."""

import numpy as np
import pytest
from support.training import task_of, tiny

from rasplab.base.errors import RaspNameError, RaspValueError
from rasplab.study.training import trainer as training
from rasplab.study.training.supervise import expected_patterns, targets_of
from rasplab.study.training.trainer import fit


def test_supervised_heads_attend_as_the_selector():
    """reverse with its second layer supervised on flip: most attention where flip selects.

    Unsupervised training of as many steps does not give that.
    """
    shared = {
        "max_len": 5,
        "layers": 2,
        "heads": 1,
        "d_model": 32,
        "d_mlp": 32,
        "steps": 120,
        "batch": 64,
        "lr": 5e-3,
    }
    masses = []
    for supervise in ((("L1H0", "flip"),), ()):
        made = tiny("reverse", **(shared | {"supervise": supervise}))
        study_task = task_of(made)
        model = fit(made, study_task, device="cpu")
        patterns = model.patterns_of(np.array([[0, 1, 2, 0, 1]] * 2))[0, 1, 0, 1:, 1:]
        masses.append(float(np.fliplr(patterns).trace() / 5))
    assert masses[0] > 0.7 and masses[0] > masses[1] + 0.1


def test_expected_patterns_end_where_inputs_end():
    """Rows of probabilities at tokens, nothing after the end; a width counts BOS."""
    made = tiny()
    study_task = task_of(made)
    batch = study_task.sample(20, seed=0)
    model = training.blank(made, study_task, "cpu")
    rows = expected_patterns(
        study_task, batch, targets_of(model, study_task.program, (("L0H0", "same"),))
    )[0]
    inside = np.arange(batch.ids.shape[1]) < batch.lengths[:, None]
    np.testing.assert_allclose(rows.sum(-1).numpy(), inside, atol=1e-6)
    first = int(np.flatnonzero(batch.lengths > 1)[0])
    same = (batch.ids[first, : batch.lengths[first]] == batch.ids[first, 0]).sum()
    assert float(rows[first, 0, 0]) == pytest.approx(1 / (1 + same))


def test_supervision_names_heads_and_selectors():
    """Of the model and of the program; both faults with what there is."""
    with pytest.raises(RaspNameError, match="no selector 'sme'") as told:
        fit(tiny(supervise=(("L0H0", "sme"),)), task_of(tiny()), device="cpu")
    assert "same" in told.value.hint
    with pytest.raises(RaspValueError, match="no head 'L3H0'"):
        fit(tiny(supervise=(("L3H0", "same"),)), task_of(tiny()), device="cpu")
