"""The atlas: heads whose selector is known, small models of other makes, and bad input."""

import json

import numpy as np
import pytest
import torch

from rasplab.apps.cli.parser import main
from rasplab.apps.show.heads import atlas_page, atlas_svg
from rasplab.base.errors import FileError, RaspError, RaspValueError
from rasplab.lang.loading import load_selectors
from rasplab.model import open_models as anymodel
from rasplab.model.checkpoint import load_model
from rasplab.model.open_models import load_any_model
from rasplab.program import zoo
from rasplab.study.heads.atlas import atlas, random_sequences
from rasplab.study.tasks.tasks import second_rounds, task
from rasplab.study.training.trainer import accuracy_on, loss_on

LIBRARY = zoo.shipped("circuits") / "heads.rasp"


@pytest.fixture(scope="module")
def selectors():
    """The library of selectors."""
    return load_selectors(LIBRARY)


@pytest.fixture(scope="module")
def induction(selectors):
    """The atlas of the shipped induction model."""
    model = load_any_model(str(zoo.shipped("circuits") / "trained" / "induction"), "cpu")
    return atlas(model, selectors)


class Known:
    """A stand-in for a model: every head attends as a given function of the ids says."""

    name, n_ctx, causal, ids, bos = "known", 50, True, range(1, 40), 0

    def __init__(self, *heads):
        self.heads, self.n_layers, self.n_heads = heads, 1, len(heads)

    def encoded(self, text, n_pos):
        """There is no tokenizer."""
        raise NotImplementedError

    def patterns(self, ids):
        """[batch, head, query, key], BOS first."""
        attention = np.zeros((len(ids), len(self.heads), ids.shape[1] + 1, ids.shape[1] + 1))
        attention[:, :, 0, 0] = 1
        for h, head in enumerate(self.heads):
            attention[:, h, 1:] = head(ids)
        return attention


def previous(ids):
    """All attention on the token before; the first token attends to BOS."""
    n = ids.shape[1]
    return np.broadcast_to(np.eye(n, n + 1), (len(ids), n, n + 1))


def repeated(ids):
    """All attention on the token after the last earlier occurrence of this one, else on BOS."""
    attention = np.zeros((*ids.shape, ids.shape[1] + 1))
    for b, row in enumerate(ids):
        for q, token in enumerate(row):
            places = [k + 1 for k in range(q) if row[k] == token and k + 1 < q]
            attention[b, q, 1 + places[-1] if places else 0] = 1
    return attention


def even(ids):
    """Uniform over BOS and all tokens up to here."""
    n = ids.shape[1]
    rows = np.tri(n, n + 1, k=1)
    return np.broadcast_to(rows / rows.sum(-1, keepdims=True), (len(ids), n, n + 1))


def test_known_heads_are_named(selectors):
    """A previous-token head, an induction head and a uniform one; intervals hold the scores."""
    screened = atlas(Known(previous, repeated, even), selectors)
    assert [screened.best(h).selector for h in ("L0H0", "L0H1", "L0H2")] == [
        "previous",
        "induction",
        "up_to_here",
    ]
    assert screened.best("L0H0").score > 0.99
    assert (screened.low <= screened.score + 1e-9).all() and (
        screened.score <= screened.high + 1e-9
    ).all()
    assert [str(h) for h in screened.heads_of("previous")] == ["L0H0"]
    assert not screened.heads_of("first")


def test_equal_seeds_give_equal_atlases(selectors):
    """Another seed draws other sequences."""
    one, two, other = (atlas(Known(repeated), selectors, seed=s).score for s in (1, 1, 2))
    assert (one == two).all() and (one != other).any()


def test_random_sequences_repeat_with_different_periods():
    """Half of them; no fixed distance serves all."""
    rows = random_sequences(range(5, 40), 40, 20, np.random.default_rng(0))
    periods = {next(p for p in range(1, 21) if (r[p:] == r[:-p]).all()) for r in rows[::2]}
    assert len(periods) > 4 and rows.min() >= 5 and rows.max() < 40


def test_the_trained_induction_model_has_both_kinds_of_heads(induction):
    """Previous-token heads in its first layer, induction heads in its second, nowhere else."""
    assert {h.layer for h in induction.heads_of("previous")} == {0}
    assert {h.layer for h in induction.heads_of("induction")} == {1}


def test_the_trained_induction_model_predicts_every_repeat():
    """Held-out sequences of one half twice: the loss of the second half, in nats."""
    model = load_model(zoo.shipped("circuits") / "trained" / "induction", "cpu")
    language_task = task(model.program, model.domain, model.recipe.inputs)
    unseen = second_rounds(language_task, 500)
    with torch.no_grad():
        assert loss_on(model, unseen).item() < 0.001
    assert accuracy_on(model, unseen) > 0.999


def make_gpt2(folder, words=60):
    """A GPT-2 of two layers, untrained, with LayerNorm and GELU."""
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(
        GPT2Config(vocab_size=words, n_positions=32, n_embd=16, n_layer=2, n_head=2)
    ).save_pretrained(folder)


def make_rotary(folder):
    """A GPT-NeoX of two layers, untrained, with rotary positions."""
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=60,
            max_position_embeddings=32,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
        )
    ).save_pretrained(folder)


@pytest.mark.parametrize("make", [make_gpt2, make_rotary])
def test_hugging_face_folders_are_read(tmp_path, selectors, make):
    """Untrained heads attend almost evenly up to here: that, and nothing else, is found."""
    torch.manual_seed(0)
    make(tmp_path)
    screened = atlas(load_any_model(str(tmp_path), "cpu"), selectors, sequences=16, length=20)
    assert len(screened.heads) == 4
    assert {screened.best(h).selector for h in screened.heads} == {"up_to_here"}
    assert [s for s in screened.selectors if screened.heads_of(s)] == ["up_to_here"]


def test_a_planted_previous_token_head_is_found(tmp_path, selectors):
    """GPT-2's positions and one head's q and k set so that each query scores the key before it."""
    from transformers import GPT2LMHeadModel

    torch.manual_seed(0)
    make_gpt2(tmp_path)
    model = GPT2LMHeadModel.from_pretrained(tmp_path)
    angle = torch.arange(32)[:, None] * 0.7 * torch.tensor([1.0, 0.61, 0.37, 0.23])
    waves = torch.cat([torch.cos(angle), torch.sin(angle)], 1)
    turn = 0.7 * torch.tensor([1.0, 0.61, 0.37, 0.23])
    back = torch.zeros(8, 8)
    for i in range(4):  # the rotation of each wave by one position
        back[i, i] = back[4 + i, 4 + i] = torch.cos(turn[i])
        back[i, 4 + i], back[4 + i, i] = -torch.sin(turn[i]), torch.sin(turn[i])
    with torch.no_grad():
        model.transformer.wte.weight.mul_(0.01)
        model.transformer.wpe.weight.zero_()
        model.transformer.wpe.weight[:, :8] = waves
        joint = model.transformer.h[0].attn.c_attn
        joint.weight[:, :8], joint.weight[:, 16:24] = 0.0, 0.0
        joint.bias.zero_()
        joint.weight[:8, :8] = 8 * back
        joint.weight[:8, 16:24] = torch.eye(8)
    model.save_pretrained(tmp_path)
    screened = atlas(load_any_model(str(tmp_path), "cpu"), selectors, sequences=16, length=20)
    assert screened.best("L0H0").selector == "previous" and screened.best("L0H0").low > 0.5
    assert "previous" not in {screened.best(h).selector for h in ("L0H1", "L1H0", "L1H1")}


WORDS = "the cat sat on the mat and the dog sat on the log so the cat and the dog sat"
"""A text of many repeats, of 20 words."""


def make_reader(folder, kind):
    """A tiny GPT-2 with a tokenizer of the `kind`, trained on WORDS; the special token is last."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    if kind == "words":
        made = Tokenizer(models.WordLevel(unk_token="<end>"))
        made.pre_tokenizer = pre_tokenizers.Whitespace()
        made.train_from_iterator([WORDS], trainers.WordLevelTrainer(special_tokens=["<end>"]))
    else:
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        known = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=290, initial_alphabet=known, show_progress=False)
        made.train_from_iterator([WORDS], trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<end>", eos_token="<end>", unk_token="<end>"
    )
    make_gpt2(folder, len(wrapped))
    wrapped.save_pretrained(folder)
    return wrapped


@pytest.mark.parametrize("kind", ["words", "bytes"])
def test_a_text_is_read_with_the_models_tokenizer(tmp_path, selectors, kind):
    """Pieces of equal length; the rest is dropped; the special token stands before each piece."""
    torch.manual_seed(0)
    tokenizer = make_reader(tmp_path, kind)
    model = load_any_model(str(tmp_path), "cpu")
    assert model.bos == tokenizer.bos_token_id
    text = f"{WORDS} {WORDS}\n"
    ids = model.encoded(text, 6)
    plain = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert ids.shape == (len(plain) // 6, 6) and ids.ravel().tolist() == plain[: ids.size]
    assert tokenizer.decode(plain).split() == text.split()
    screened = atlas(model, selectors, length=6, text=text)
    assert (screened.sequences, screened.length, screened.source) == (len(ids), 6, "text")
    assert {screened.best(h).selector for h in screened.heads} == {"up_to_here"}


def test_a_text_on_the_command_line(tmp_path, capsys):
    """A file is read; one that is too short, or not there, is one message."""
    make_reader(tmp_path / "model", "words")
    (tmp_path / "text").write_text(f"{WORDS}\n{WORDS}\n")
    (tmp_path / "short").write_text("the cat")
    asked = ["atlas", str(tmp_path / "model"), "--length", "10", "--device", "cpu", "--text"]
    assert main([*asked, str(tmp_path / "text")]) == 0
    assert "4 sequences of 10 text" in capsys.readouterr().out
    assert main([*asked, str(tmp_path / "short")]) == 1
    assert "the text has 2 tokens; 10 are needed" in capsys.readouterr().err
    assert main([*asked, str(tmp_path / "nosuch")]) == 1
    assert "cannot read" in capsys.readouterr().err


def test_nothing_to_load_is_one_clear_error(tmp_path, monkeypatch):
    """An empty folder, a file, no folder; a name that cannot be fetched, for any reason."""
    (tmp_path / "file").write_text("")
    for name, reason in (("", "holds no model"), ("file", "is a file"), ("no", "is no folder")):
        with pytest.raises(FileError, match=reason) as raised:
            load_any_model(str(tmp_path / name), "cpu")
        assert "config.json" in raised.value.hint or "a Hugging Face folder" in raised.value.hint

    def offline(*_):
        raise OSError("no answer\nsecond line")

    monkeypatch.setattr(anymodel, "_booted", offline)
    monkeypatch.setattr(anymodel, "_online", lambda: True)
    with pytest.raises(FileError, match=r"cannot load the model gpt2: no answer\n") as raised:
        load_any_model("gpt2", "cpu")
    assert "network" in raised.value.hint


def test_without_a_network_the_error_comes_at_once(monkeypatch):
    """One question whether anybody answers; no file is tried again and again."""
    from huggingface_hub import constants

    asked, before = [], constants.HF_HUB_OFFLINE
    monkeypatch.setattr(anymodel, "_online", lambda: bool(asked.append(1)))
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: pytest.fail("waits"))
    with pytest.raises(FileError, match="out/nosuch: no such folder, and .* cannot be reached"):
        load_any_model("out/nosuch", "cpu")
    assert asked == [1] and before == constants.HF_HUB_OFFLINE


def test_what_an_atlas_cannot_do_is_told(tmp_path, selectors):
    """A text without a tokenizer; a library without a selector; a model of three tokens."""
    model = load_any_model(str(zoo.shipped("circuits") / "trained" / "induction"), "cpu")
    with pytest.raises(RaspValueError, match="no tokenizer"):
        atlas(model, selectors, text="to be or not to be")
    (tmp_path / "none.rasp").write_text("a = indices + 1;")
    with pytest.raises(RaspValueError, match="names no selector"):
        load_selectors(tmp_path / "none.rasp")
    assert random_sequences(range(2), 8, 3, np.random.default_rng(0)).shape == (8, 3)
    assert not random_sequences(range(1), 8, 5, np.random.default_rng(0)).any()
    short = Known(previous)
    short.n_ctx = 3
    with pytest.raises(RaspValueError, match="takes 3 tokens"):
        atlas(short, selectors)


def test_an_atlas_prints_serialises_and_is_drawn(induction):
    """A map of layers and heads; JSON by the same names; a hover text for every head."""
    assert "L1  induction" in str(induction)
    row = json.loads(json.dumps(induction.to_json(), allow_nan=False))
    assert row["best"]["L1H0"] == "induction" and np.shape(row["score"]) == induction.score.shape
    picture = atlas_svg(induction)
    assert picture.count("<title>") == len(induction.heads) and "L1H0 as induction" in picture


def test_the_page_has_the_map_and_every_score(induction):
    """Offline, for light and dark; each cell's hover text has all of its numbers."""
    page = atlas_page(induction)
    assert page.startswith("<!doctype html>") and "prefers-color-scheme" in page
    assert "<script" not in page and "src=" not in page and "@import" not in page
    for i, head in enumerate(induction.heads):
        for j, name in enumerate(induction.selectors):
            e = induction.entry(i, j)
            assert (
                f'title="{head} as {name}: score {e.score:.2f} [{e.low:.2f}, {e.high:.2f}], '
                f'similarity {e.similarity:.2f}, chance {e.chance:.2f}"'
            ) in page
    assert page.count(">yes<") == sum(len(induction.heads_of(s)) for s in induction.selectors)


def test_the_command(tmp_path, capsys):
    """Text, JSON, a picture and a page; a fault is one message and exit code 1."""
    folder = str(zoo.shipped("circuits") / "trained" / "induction")
    svg, page = tmp_path / "a.svg", tmp_path / "a.html"
    files = ["--svg", str(svg), "--html", str(page)]
    assert main(["atlas", folder, "--sequences", "16", *files, "--device", "cpu"]) == 0
    printed = capsys.readouterr()
    assert "induction" in printed.out and svg.read_text().startswith("<svg")
    assert page.read_text().startswith("<!doctype") and f"written to {page}" in printed.err
    assert main(["atlas", folder, "--json", "--sequences", "16"]) == 0
    assert json.loads(capsys.readouterr().out)["sequences"] == 16
    assert main(["atlas", folder, "--programs", str(tmp_path / "no.rasp")]) == 1
    assert "no.rasp" in capsys.readouterr().err
    with pytest.raises(RaspError):
        load_selectors(tmp_path / "no.rasp")
