"""Patterns of a selector put into heads, and the controls that must not do."""

import numpy as np
from support.compiled import compiled as compiled_zoo

from rasplab.model.interventions import attending
from rasplab.study.heads.verdict import judge


def test_a_control_that_is_the_selector_is_none():
    """shift_1 selects the previous token, which elsewhere is a control."""
    controls = {}
    for name in ("shift_1", "shift_2"):
        compiled = compiled_zoo(name)
        evidence = judge(compiled.to_model("cpu"), compiled.program, pairs=30)
        controls[name] = dict(evidence.findings[0][0].substitution.controls)
        assert evidence.findings[0][0].substitution.margin > 0.3
    assert set(controls["shift_2"]) - set(controls["shift_1"]) == {"previous token"}


def test_a_counting_pattern_by_hand():
    """Two keys and BOS a third each; no key: BOS alone."""
    pattern = attending(np.array([[True, True], [False, False]]), counts=True)
    np.testing.assert_allclose(pattern, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [1, 0, 0]])
