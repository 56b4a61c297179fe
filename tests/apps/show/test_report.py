"""The report of the demo."""

import re

import numpy as np
from support.circuits import SORT

from rasplab.apps.show import report
from rasplab.apps.show.side_by_side import Row, SideBySide


def study(name: str) -> report.Study:
    """A made-up study of one trained model on two inputs."""
    captions = (("selector", "what"), ("compiled L0H0 + L0H1", "counts"), ("trained L1H1", "0.87"))
    eye = np.stack([np.eye(2, 3)] * 3)
    row = Row("flip", captions, "implements", "It does.", "its swaps <agree>", (eye, eye))
    beside = SideBySide((("a", "b"), ("b", "<")), (row,))
    learned = report.Learned(
        "reverse, learned",
        "From examples.",
        "Sizes",
        ("flip",),
        (("L1H1", ((0.87, 0.12),)), ("L0H0", ((0.01, 0.1),))),
        beside,
        "<svg></svg>",
        "<svg></svg>",
    )
    return report.Study(
        name,
        "summary <i>",
        "x = tokens; # <b>",
        ("a",),
        ("b",),
        {"layers": "2"},
        "0 mismatches",
        True,
        SORT,
        (learned,),
    )


def test_the_report_needs_no_network_and_no_script():
    """No address to load from; pictures stand before any script; reading notes stand once."""
    page = report.demo_report([study("sort"), study("reverse")])
    assert not re.search(r"(?:src|href)\s*=|@import|url\(", page)
    body = re.sub(r"<script.*?</script>", "", page)
    assert body.count(">trained L1H1<") == 2 and body.count('aria-label="circuit"') == 2
    assert "<small>chance 0.12</small>" in body and body.count("Move the slider") == 1
    assert "its swaps &lt;agree&gt;" in body and "<agree>" not in page
    assert "prefers-color-scheme: dark" in page and "summary <i>" not in page
