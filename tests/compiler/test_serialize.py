"""Compiled models on disk."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.damage import TEXTS, damaged, dumps

import rasplab
from rasplab.base import atomic
from rasplab.base.errors import FileError

TEXT = """flip = select(indices, length - 1 - indices, ==);
reverse = aggregate(flip, tokens, "-");
"""


@pytest.fixture(scope="module")
def compiled():
    """The program above, on abcd up to length 6."""
    return rasplab.compile(rasplab.parse(TEXT), "abcd", 6)


def test_save_and_load(compiled, tmp_path):
    """Equal programs give byte-equal files, and loading gives back an equal model."""
    compiled.save(tmp_path / "a")
    rasplab.compile(rasplab.parse(TEXT), "abcd", 6).save(tmp_path / "b")
    for name in ("weights.safetensors", "compiled.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    loaded = rasplab.load_compiled(tmp_path / "a")
    assert loaded.program.digest == compiled.program.digest
    assert loaded.listing() == compiled.listing()
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
        "compiled.json",
        "weights.safetensors",
    ]


def test_the_safetensors_file_holds_the_weights(compiled, tmp_path):
    """weights.safetensors is readable on its own: every array by its name."""
    from safetensors.numpy import load_file

    compiled.save(tmp_path)
    stored = load_file(tmp_path / "weights.safetensors")
    assert stored.keys() == compiled.weights.arrays().keys()
    assert sum(a.size for a in stored.values()) == compiled.n_params


@pytest.mark.parametrize("damage", ["missing", "cut", "not json", "edited", "other weights"])
def test_damaged_files_are_refused(compiled, tmp_path, damage):
    """A missing, cut or edited file: one FileError with a way out."""
    compiled.save(tmp_path)
    record, weights = tmp_path / "compiled.json", tmp_path / "weights.safetensors"
    match damage:
        case "missing":
            weights.unlink()
        case "cut":
            weights.write_bytes(weights.read_bytes()[:-9])
        case "not json":
            record.write_text("{")
        case "edited":
            record.write_text(record.read_text().replace('"max_len": 6', '"max_len": "x"'))
        case "other weights":
            rasplab.compile(rasplab.parse(TEXT), "abcd", 5).save(tmp_path / "other")
            weights.write_bytes((tmp_path / "other" / weights.name).read_bytes())
    with pytest.raises(FileError) as error:
        rasplab.load_compiled(tmp_path)
    assert error.value.hint


@pytest.mark.parametrize(
    "transform",
    [
        lambda compiled: compiled.rotated(3),
        lambda compiled: compiled.with_noise(1e-3, 1),
        lambda compiled: compiled.with_decoys(1).shuffled_heads(2).rotated(3),
    ],
    ids=["rotated", "noisy", "decoys"],
)
def test_transformed_models_are_saved_and_loaded(compiled, tmp_path, transform):
    """Rotated, noisy and decoy models come back as they were; edited ones do not."""
    model = transform(compiled)
    model.save(tmp_path)
    loaded = rasplab.load_compiled(tmp_path)
    for name, array in model.weights.arrays().items():
        assert (getattr(loaded.weights, name) == array).all(), name
    assert loaded.heads == model.heads and loaded.transforms == model.transforms
    assert loaded.certificate == model.certificate
    record = tmp_path / "compiled.json"
    edited = json.loads(record.read_text())
    edited["transforms"][0][0] = "save"
    record.write_text(json.dumps(edited))
    with pytest.raises(FileError, match="unknown transform 'save'"):
        rasplab.load_compiled(tmp_path)
    edited["transforms"] = edited["transforms"][1:]
    record.write_text(json.dumps(edited))
    with pytest.raises(FileError, match="differs"):
        rasplab.load_compiled(tmp_path)


def test_a_kill_between_the_files_of_a_save_leaves_a_model(compiled, tmp_path, monkeypatch):
    """Stopped before the new files are in their places: the folder loads as the new model."""
    compiled.save(tmp_path)
    longer = rasplab.compile(rasplab.parse(TEXT), "abcd", 7)
    with monkeypatch.context() as patch:
        patch.setattr(atomic, "_finish", lambda folder: None)
        longer.save(tmp_path)
    assert rasplab.load_compiled(tmp_path).domain.max_len == 7
    longer.save(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_of_another_kind_or_program_is_not_overwritten(compiled, tmp_path):
    """A trained model, or a compiled model of another file: refused, unless it is forced."""
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(FileError, match="holds a trained model"):
        compiled.save(tmp_path)
    compiled.save(tmp_path, force=True)
    assert not (tmp_path / "model.json").exists()
    other = rasplab.compile(rasplab.parse("x = indices;", name="other.rasp"), "ab", 2)
    with pytest.raises(FileError, match=r"of <text>, which one of other\.rasp"):
        other.save(tmp_path)
    other.save(tmp_path, force=True)
    assert rasplab.load_compiled(tmp_path).program.digest == other.program.digest


def test_a_program_that_loads_the_same_library_is_another_program(tmp_path):
    """Two texts whose last nodes come from one library; the same text may load it later on."""
    (tmp_path / "lib.rasp").write_text("def thrice(x) { return x * 3; }\n")
    for name, text in (("a", "thrice(indices + 1)"), ("b", "thrice(indices + 2)")):
        (tmp_path / f"{name}.rasp").write_text(f'load "lib";\nr = {text};\n')
    first, other = (
        rasplab.compile(rasplab.load(tmp_path / f"{name}.rasp"), "ab", 2) for name in "ab"
    )
    first.save(tmp_path / "out")
    with pytest.raises(FileError, match=r"of a\.rasp, which one of b\.rasp"):
        other.save(tmp_path / "out")
    (tmp_path / "a.rasp").write_text("r = indices;\n")
    rasplab.compile(rasplab.load(tmp_path / "a.rasp"), "ab", 2).save(tmp_path / "out")
    first.save(tmp_path / "out")


def test_a_damaged_record_is_one_file_error(tmp_path):
    """Every entry of compiled.json replaced by values of other types and sizes, and nonsense texts.

    It loads as the model that the weights are of, or is a FileError of one sentence.
    """
    model = rasplab.compile(rasplab.parse('x = 1 if tokens == "a" else 0.5;'), "ab", 2)
    model.save(tmp_path)
    path = tmp_path / "compiled.json"
    texts = [dumps(d) for _, d in damaged(json.loads(path.read_text()))] + list(TEXTS.values())
    for text in texts:
        path.write_text(text)
        try:
            loaded = rasplab.load_compiled(tmp_path)
        except FileError as error:
            assert str(path.parent) in error.message and "\n" not in error.message, text
            assert error.hint
        else:
            assert np.array_equal(loaded.weights.W_E, model.weights.W_E), text


def test_claims_of_sizes_are_refused_before_they_are_compiled(compiled, tmp_path):
    """max_len of a billion: refused at once, since the weights have other sizes."""
    compiled.save(tmp_path)
    path = tmp_path / "compiled.json"
    path.write_text(path.read_text().replace('"max_len": 6', '"max_len": 1000000000'))
    with pytest.raises(FileError, match="rows"):
        rasplab.load_compiled(tmp_path)
