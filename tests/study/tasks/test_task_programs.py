"""Each program of circuits/tasks, against a plain Python function and compiled."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

import pytest

import rasplab
from rasplab.compiler.pipeline import compile_program
from rasplab.program.interpret.exact import evaluate
from rasplab.program.zoo import entries

TASKS = list(entries("tasks"))


def get(x: list, i: int, default):
    """x[i], or the default outside."""
    return x[i] if 0 <= i < len(x) else default


def everywhere(f: Callable) -> Callable:
    """One value for the whole input, at every position."""
    return lambda x: [f(x)] * len(x)


def each(f: Callable) -> Callable:
    """f(x, i) at every position."""
    return lambda x: [f(x, i) for i in range(len(x))]


def runs(x: list) -> list[tuple[int, int, int]]:
    """(run number from 1, place in it, its length) at every position."""
    lengths = [len(list(run)) for _, run in groupby(x)]
    return [(r + 1, k, n) for r, n in enumerate(lengths) for k in range(n)]


def half_reversed(x: list) -> list:
    """The first half back to front."""
    return x[: len(x) // 2][::-1] + x[len(x) // 2 :]


def dealt(x: list) -> list:
    """The halves in turn."""
    h = len(x) // 2
    return [v for pair in zip(x[:h], x[h : 2 * h], strict=True) for v in pair] + x[2 * h :]


def swapped(x: list) -> list:
    """Neighbours exchanged."""
    return [v for k in range(0, len(x), 2) for v in x[k : k + 2][::-1]]


def depths(x: list) -> list[int]:
    """Open brackets after each token."""
    return [x[: i + 1].count("(") - x[: i + 1].count(")") for i in range(len(x))]


def recalled(x: list, i: int):
    """What followed the last earlier occurrence of x[i] as a key."""
    return next((x[j] for j in range(i, 0, -1) if x[j - 1] == x[i]), "-")


MEANING: dict[str, Callable[[list], list]] = {
    "keep_a": each(lambda x, i: x[i] if x[i] == "a" else "-"),
    "drop_a": lambda x: ([t for t in x if t != "a"] + ["-"] * len(x))[: len(x)],
    "swap_pairs": swapped,
    "swap_ends": lambda x: [x[-1], *x[1:-1], x[0]] if len(x) > 1 else x,
    "shift_left": lambda x: [*x[1:], "-"],
    "rotate_left": lambda x: [*x[1:], x[0]],
    "rotate_right": lambda x: [x[-1], *x[:-1]],
    "first_half_reversed": half_reversed,
    "interleave_halves": dealt,
    "mirror": each(lambda x, i: x[min(i, len(x) - 1 - i)]),
    "every_second": each(lambda x, i: "-" if i % 2 else x[i]),
    "repeat_each": each(lambda x, i: x[i // 2]),
    "copy_last": everywhere(lambda x: x[-1]),
    "second_token": everywhere(lambda x: get(x, 1, "-")),
    "same_as_previous": each(lambda x, i: i > 0 and x[i] == x[i - 1]),
    "same_as_next": each(lambda x, i: x[i] == get(x, i + 1, "")),
    "rises": each(lambda x, i: i > 0 and x[i] > x[i - 1]),
    "peaks": each(lambda x, i: x[i] > get(x, i - 1, -1) and x[i] > get(x, i + 1, -1)),
    "difference": each(lambda x, i: x[i] - get(x, i - 1, 0)),
    "neighbour_sum": each(lambda x, i: get(x, i - 1, 0) + x[i] + get(x, i + 1, 0)),
    "moving_average": each(lambda x, i: sum(x[max(0, i - 2) : i + 1]) / min(3, i + 1)),
    "bigram_ab": each(lambda x, i: x[max(0, i - 1) : i + 1] == ["a", "b"]),
    "between_equal": each(lambda x, i: 0 < i < len(x) - 1 and x[i - 1] == x[i + 1]),
    "first_occurrence": each(lambda x, i: x[i] not in x[:i]),
    "last_occurrence": each(lambda x, i: x[i] not in x[i + 1 :]),
    "occurrence_number": each(lambda x, i: x[: i + 1].count(x[i])),
    "is_unique": each(lambda x, i: x.count(x[i]) == 1),
    "is_duplicate": each(lambda x, i: x.count(x[i]) > 1),
    "count_distinct": everywhere(lambda x: len(set(x))),
    "all_distinct": everywhere(lambda x: len(set(x)) == len(x)),
    "deduplicate": each(lambda x, i: "-" if x[i] in x[:i] else x[i]),
    "next_same": each(lambda x, i: x[i + 1 :].index(x[i]) + 1 if x[i] in x[i + 1 :] else 0),
    "first_position_of": each(lambda x, i: x.index(x[i])),
    "count_before": each(lambda x, i: x[:i].count(x[i])),
    "run_start": each(lambda x, i: i == 0 or x[i] != x[i - 1]),
    "count_runs": everywhere(lambda x: len(list(groupby(x)))),
    "run_number": lambda x: [r for r, _, _ in runs(x)],
    "run_length": lambda x: [n for _, _, n in runs(x)],
    "place_in_run": lambda x: [k for _, k, _ in runs(x)],
    "position_parity": each(lambda x, i: i % 2 == 1),
    "parity": everywhere(lambda x: x.count("a") % 2 == 1),
    "running_parity": each(lambda x, i: x[: i + 1].count("a") % 2 == 1),
    "caesar": each(lambda x, i: (x[i] + 3) % 7),
    "alternate_sign": each(lambda x, i: -x[i] if i % 2 else x[i]),
    "position_times_token": each(lambda x, i: x[i] * i),
    "is_middle": each(lambda x, i: i in {(len(x) - 1) // 2, len(x) // 2}),
    "distance_to_end": each(lambda x, i: len(x) - 1 - i),
    "length_parity": everywhere(lambda x: len(x) % 2 == 1),
    "argmax": everywhere(lambda x: x.index(max(x))),
    "maximum": everywhere(max),
    "minimum": everywhere(min),
    "rank": each(lambda x, i: sum(v < x[i] for v in x)),
    "sort_down": lambda x: sorted(x, reverse=True),
    "is_sorted": everywhere(lambda x: sorted(x) == x),
    "above_mean": each(lambda x, i: x[i] > sum(x) / len(x)),
    "running_maximum": each(lambda x, i: max(x[: i + 1])),
    "median": everywhere(lambda x: sorted(x)[(len(x) - 1) // 2]),
    "palindrome": everywhere(lambda x: x == x[::-1]),
    "mirror_match": each(lambda x, i: x[i] == x[-1 - i]),
    "bracket_depth": depths,
    "balanced": everywhere(lambda x: min(depths(x)) >= 0 and depths(x)[-1] == 0),
    "starts_and_ends_alike": everywhere(lambda x: x[0] == x[-1]),
    "contains_ab": everywhere(lambda x: "ab" in "".join(x)),
    "a_before_b": everywhere(lambda x: "b" not in x or "a" in x[: x.index("b")]),
    "majority_a": everywhere(lambda x: 2 * x.count("a") > len(x)),
    "same_count_ab": everywhere(lambda x: x.count("a") == x.count("b")),
    "after_separator": each(lambda x, i: "|" in x[:i]),
    "field_number": each(lambda x, i: x[:i].count("|")),
    "hamming_to_reverse": everywhere(
        lambda x: sum(a != b for a, b in zip(x, x[::-1], strict=True))
    ),
    "associative_recall": each(recalled),
}
"""What each task means, said without RASP."""


def test_every_task_has_a_meaning_of_its_own():
    """60 tasks or more, none without a Python function to hold it against."""
    assert list(MEANING) == TASKS and len(TASKS) >= 60


@pytest.mark.parametrize("name", TASKS)
def test_program_means_what_it_says(name):
    """The interpreter agrees with the Python function on 150 inputs; the sample is right."""
    row = entries()[name]
    program = rasplab.load(row.path)
    inputs = [[row.domain.vocab[k] for k in ids] for ids in row.domain.sample(150, seed=0)]
    for tokens in [list(row.sample), *inputs]:
        got = evaluate(program, tokens, causal=row.domain.causal).output
        assert got == pytest.approx(MEANING[name](tokens)), tokens
    assert list(row.output) == pytest.approx(MEANING[name](list(row.sample)))


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
@pytest.mark.parametrize("name", TASKS)
def test_compiled_task_is_exact(name, basis):
    """0 mismatches between model and interpreter on 400 inputs (all, where there are fewer)."""
    row = entries()[name]
    model = compile_program(rasplab.load(row.path), row.domain, basis).to_model(device="cpu")
    report = rasplab.verify(model, max_inputs=400)
    assert (report.mismatches, report.checked) == (0, min(400, row.domain.size))
