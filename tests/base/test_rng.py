"""Named random streams: all different, equal for equal seeds."""

from __future__ import annotations

import numpy as np
import pytest

from rasplab.base.rng import STREAMS, stream


def test_no_two_streams_share_a_salt():
    assert len(set(STREAMS.values())) == len(STREAMS)


@pytest.mark.parametrize("name", STREAMS)
def test_streams_are_reproducible_and_apart(name):
    draws = stream(3, name).random(8)
    assert (stream(3, name).random(8) == draws).all()
    assert not (stream(4, name).random(8) == draws).any()
    plain = np.random.default_rng(3).random(8)
    assert (plain == draws).all() == (STREAMS[name] == 0), "salt 0 is the seed without a salt"


def test_a_stream_is_its_salt_beside_the_seed():
    """What is stored was drawn so."""
    assert stream(5, "rotation").random() == np.random.default_rng((5, 11)).random()


def test_unknown_stream():
    with pytest.raises(KeyError):
        stream(0, "dice")
