"""A model that Tracr compiled, read through TransformerLens' utility and held against its program.

tests/data/tracr_reverse.npz holds what Tracr's last commit gives for its library's `make_reverse`
at the vocabulary a, b, c and length 5, with its default settings.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import rasplab
from rasplab.model.tracr import from_tracr
from rasplab.program.zoo import entries

STORED = Path(__file__).parents[1] / "data" / "tracr_reverse.npz"


@pytest.fixture
def assembled() -> SimpleNamespace:
    """What Tracr's compiler returns, as far as reading its weights needs it."""
    stored = np.load(STORED)
    meta = json.loads(str(stored["meta"]))
    params: dict[str, dict[str, np.ndarray]] = {}
    for name in stored.files:
        if "|" in name:
            module, part = name.split("|")
            params.setdefault(module, {})[part] = stored[name]
    encoder = SimpleNamespace(encoding_map=meta["input_map"], bos_token="BOS", pad_token="PAD")
    return SimpleNamespace(
        params=params,
        residual_labels=meta["residual_labels"],
        model_config=SimpleNamespace(**meta["config"]),
        input_encoder=encoder,
        output_encoder=SimpleNamespace(encoding_map=dict(meta["output_map"])),
    )


def test_a_tracr_model_is_checked_against_its_program(assembled):
    """reverse at length 5: right on all 363 inputs."""
    model = from_tracr(assembled, device="cpu")
    assert model.run("abc") == ["c", "b", "a"]
    program = rasplab.load(entries()["reverse"].path)
    report = rasplab.verify(model, program=program)
    assert (report.checked, report.exhaustive, report.mismatches) == (363, True, 0)


def test_a_broken_tracr_model_is_found_out(assembled):
    """With its position embedding damaged it is wrong, and a shortest input shows it."""
    assembled.params["pos_embed"]["embeddings"] = np.zeros((6, 41))
    model = from_tracr(assembled, device="cpu")
    report = rasplab.verify(model, program=rasplab.load(entries()["reverse"].path))
    assert report.mismatches > 300 and len(report.counterexample.input) <= 2


def test_what_cannot_be_read_is_refused(assembled):
    """A numerical output, and an output label that is not there."""
    with pytest.raises(ValueError, match="basis label"):
        from_tracr(assembled, output_label="nothing", device="cpu")
    assembled.output_encoder = SimpleNamespace()
    with pytest.raises(NotImplementedError, match="categorical"):
        from_tracr(assembled, device="cpu")
