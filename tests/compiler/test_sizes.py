"""Sizes of the zoo's models: no change of the compiler makes one larger without saying so here."""

from __future__ import annotations

import pytest

import rasplab
from rasplab.compiler.pipeline import compile_program
from rasplab.program.zoo import entries

SIZES: dict[str, tuple[int, int]] = {
    "a_before_b": (1_430, 1_430),
    "above_mean": (101, 149),
    "addition": (40_161, 126_159),
    "after_separator": (622, 645),
    "all_distinct": (342, 628),
    "alternate_sign": (146, 776),
    "argmax": (3_710, 56_692),
    "associative_recall": (7_983, 12_609),
    "balanced": (6_094, 6_094),
    "between_equal": (1_274, 5_070),
    "bigram_ab": (258, 743),
    "bracket_depth": (1_960, 13_897),
    "caesar": (66, 252),
    "contains_ab": (480, 1_312),
    "copy_first": (127, 393),
    "copy_last": (550, 3_240),
    "count_a": (210, 602),
    "count_before": (1_093, 1_828),
    "count_distinct": (1_850, 3_429),
    "count_runs": (669, 2_502),
    "deduplicate": (776, 1_190),
    "detect_abc": (547, 1_661),
    "difference": (244, 1_857),
    "distance_to_end": (170, 1_520),
    "double_hist": (3_329, 8_887),
    "drop_a": (1_690, 2_734),
    "dyck1": (10_888, 21_951),
    "dyck2": (34_332, 223_748),
    "every_second": (112, 403),
    "field_number": (792, 1_206),
    "first_half_reversed": (933, 3_060),
    "first_occurrence": (853, 1_004),
    "first_position_of": (2_988, 127_535),
    "frac_prevs": (1_024, 5_755),
    "hamming_to_reverse": (1_088, 7_968),
    "has_seen": (866, 1_151),
    "hist": (266, 834),
    "hist_so_far": (266, 834),
    "induction": (7_539, 12_762),
    "interleave_halves": (843, 3_037),
    "is_duplicate": (165, 304),
    "is_middle": (245, 413),
    "is_sorted": (472, 1_358),
    "is_unique": (165, 304),
    "keep_a": (50, 50),
    "last_occurrence": (853, 1_004),
    "length": (133, 420),
    "length_parity": (112, 214),
    "majority_a": (194, 194),
    "maximum": (3_921, 54_804),
    "median": (5_076, 8_966),
    "minimum": (3_748, 42_590),
    "mirror": (1_005, 4_074),
    "mirror_match": (558, 4_346),
    "most_freq": (20_882, 42_054),
    "moving_average": (774, 2_496),
    "neighbour_sum": (369, 2_599),
    "next_same": (1_802, 4_449),
    "occurrence_number": (1_038, 1_741),
    "pair_balance": (1_582, 15_774),
    "palindrome": (965, 6_060),
    "parity": (174, 294),
    "peaks": (874, 3_620),
    "place_in_run": (3_549, 6_600),
    "position_parity": (48, 114),
    "position_times_token": (168, 1_364),
    "rank": (496, 850),
    "repeat_each": (214, 730),
    "reverse": (550, 6_018),
    "rises": (487, 1_364),
    "rotate_left": (1_527, 8_457),
    "rotate_right": (1_221, 8_457),
    "run_length": (3_099, 4_602),
    "run_number": (1_836, 2_502),
    "run_start": (257, 915),
    "running_maximum": (4_350, 36_214),
    "running_parity": (851, 1_055),
    "same_as_next": (257, 915),
    "same_as_previous": (257, 915),
    "same_count_ab": (243, 243),
    "second_token": (131, 489),
    "shift_1": (220, 1_090),
    "shift_2": (220, 1_015),
    "shift_left": (220, 1_090),
    "shuffle_dyck2": (8_095, 17_140),
    "sort": (4_214, 7_246),
    "sort_by_freq": (7_542, 14_727),
    "sort_down": (3_858, 7_163),
    "starts_and_ends_alike": (1_000, 4_897),
    "swap_ends": (903, 4_146),
    "swap_pairs": (663, 2_818),
}
"""By program: weights at most, in the compact and in the one-hot basis."""


@pytest.mark.parametrize("name", entries())
def test_models_of_the_zoo_stay_small(name):
    """Each program of the zoo takes at most as many weights as when it was last measured."""
    entry = entries()[name]
    for basis, most in zip(("compact", "one_hot"), SIZES[name], strict=True):
        compiled = compile_program(rasplab.load(entry.path), entry.domain, basis)
        assert compiled.n_params <= most, basis
