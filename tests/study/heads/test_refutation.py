"""What `refuted` needs beside swaps that fail: other effects, or a head that is not needed."""

import pytest

from rasplab.study.heads.estimates import NO_ESTIMATE, Estimate
from rasplab.study.heads.knock_out import Necessity
from rasplab.study.heads.verdict import Effect, confirmed
from rasplab.transformer.sites import Site

HEAD, OTHER = Site("head", 1, 0), Site("head", 1, 2)
NEEDED = Necessity(HEAD, 1.0, 0.4, needed=True)
NEEDED_BESIDE = Necessity(HEAD, 1.0, 1.0, (OTHER,), 0.9, 0.3, needed=True)


@pytest.mark.parametrize(
    ("effect", "necessity", "verdict", "text"),
    [
        # it changes answers, in other ways
        (Effect(0.2, Estimate(0.1, 0.05, 0.2, 50)), None, "refuted", "that they change, 0.10 do"),
        # it changes few, but these as predicted: a head for a rare token
        (Effect(0.01, Estimate(1.0, 0.6, 1.0, 6)), None, "undecided", "but of the answers that"),
        (Effect(0.05, Estimate(0.54, 0.2, 0.8, 9)), None, "undecided", "but of the answers that"),
        (Effect(0.4, Estimate(0.9, 0.8, 1.0, 60)), None, "undecided", "but of the answers that"),
        # it changes none, and is needed: alone, or beside others
        (Effect(0.0, NO_ESTIMATE), NEEDED, "undecided", "L1H0 0.40"),
        (Effect(0.0, NO_ESTIMATE), NEEDED_BESIDE, "undecided", "L1H2 0.90, without L1H0 too 0.30"),
        # it changes none, and is not needed
        (Effect(0.0, NO_ESTIMATE), Necessity(HEAD, 1.0, 1.0), "refuted", "no answers break"),
        # two answers of many: not enough to say anything
        (Effect(0.01, Estimate(1.0, 0.3, 1.0, 2)), NEEDED, "undecided", "but answers break"),
    ],
)
def test_refuted_needs_evidence_that_the_head_does_not_do_the_work(
    effect, necessity, verdict, text
):
    """The reason says which evidence there is."""
    result, reason = confirmed("its swaps fail", effect, necessity)
    assert result == verdict and reason.startswith("its swaps fail; ") and text in reason
