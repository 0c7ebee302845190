"""Faults that gave other systems false results, and the test in which each was built as it was and is caught."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    id: str
    what: str
    test: str


_STATS, _ACTIVATIONS = "tests/stats/test_", "tests/studies/activations/test_"
FAULTS = (
    Fault(
        "D2", "a patching score that is 1 where the patch does nothing",
        f"{_ACTIVATIONS}patching.py::test_the_score_of_the_original_is_upside_down",
    ),
    Fault(
        "D6", "accuracy above 0.55 on a base rate of 25 %, which noise has",
        f"{_ACTIVATIONS}probing.py::test_noise_features_never_pass",
    ),
    Fault(
        "D7", "a patch that zeroes the prompt counts as an effect",
        f"{_ACTIVATIONS}patching.py::test_the_identity_control_catches_a_patch_that_zeroes_the_prompt",
    ),
    Fault(
        "D8", "one shared number, as a text's length, makes two models alike",
        f"{_ACTIVATIONS}similarity.py::test_the_null_does_not_see_a_shared_length_and_covariates_do",
    ),
    Fault(
        "D9", "an 850 that was read as a rating makes the divergence exceed ln K",
        f"{_STATS}reliability.py::test_a_stray_850_enters_the_observed_range_but_never_the_declared_one",
    ),
    Fault(
        "D10", "later runs overwrite earlier ones where they are pooled",
        f"{_STATS}consistency.py::test_pooling_overwrites_nothing",
    ),
    Fault(
        "D14", "CCS normalised by test statistics, with the better of two signs",
        f"{_ACTIVATIONS}unsupervised.py::test_test_statistics_and_the_better_sign_flatter_noise",
    ),
    Fault(
        "D16", "biased CKA of unrelated activations is .81",
        f"{_ACTIVATIONS}similarity_measures.py::test_biased_cka_of_unrelated_activations_is_high_and_does_not_pass",
    ),
    Fault(
        "D16", "the best of many pairs of layers is high by chance",
        f"{_ACTIVATIONS}layers.py::test_the_best_of_144_unrelated_pairs_is_high_and_does_not_pass",
    ),
    Fault(
        "unit", "a claim about models in general, tested over items",
        "tests/studies/ratings/test_self_rating.py::test_a_claim_about_models_in_general_needs_models_as_its_units",
    ),
    Fault(
        "collider", "a correlation over tasks that were dropped by both seeds",
        f"{_STATS}reliability.py::test_independent_seeds_seem_to_disagree_where_tasks_are_dropped_by_both",
    ),
    Fault(
        "KL", "divergence of few answers from uniform, uncorrected",
        f"{_STATS}reliability.py::test_uniform_answers_are_not_found_to_discriminate",
    ),
    Fault(
        "ECE", "a perfectly calibrated model shows an error of 0.118 at n = 100",
        f"{_STATS}calibration_error.py::test_a_calibrated_model_at_n_100_is_within_its_null_though_the_bare_error_fails_it",
    ),
    Fault(
        "AUROC 1", "an interval without width at perfect separation",
        f"{_STATS}auroc.py::test_perfect_separation_is_not_certainty",
    ),
    Fault(
        "near 1", "the plain interval of a high AUROC lies too high",
        f"{_STATS}auroc.py::test_the_logit_scale_keeps_its_level_near_one_and_the_plain_one_does_not",
    ),
    Fault(
        "peeking", "an ordinary interval that is looked at again and again",
        f"{_STATS}sequential.py::test_peeking_fools_an_ordinary_interval_and_not_a_sequence",
    ),
    Fault(
        "NaN", "one missing member makes a family's p-values vanish, or reject",
        f"{_STATS}families.py::test_an_untested_member_stays_untested_and_counts",
    ),
    Fault(
        "massive", "one massive dimension drives CKA of unrelated activations to 1",
        f"{_ACTIVATIONS}similarity_measures.py::test_one_massive_dimension_is_found_and_named",
    ),
    Fault(
        "graph", "comparisons of items that never meet are put on one scale",
        "tests/studies/preferences/test_position_bias.py::test_items_that_never_meet_decide_nothing",
    ),
    Fault(
        "ties", "the order in which tied confidences are stored moves the curve",
        f"{_ACTIVATIONS}abstention.py::test_the_order_in_which_ties_are_stored_does_not_matter",
    ),
    Fault(
        "fit", "a fit that did not converge",
        f"{_ACTIVATIONS}probing.py::test_a_fit_that_does_not_converge_decides_nothing",
    ),
    Fault(
        "threads", "a probe takes a hundred times as long beside another process",
        f"{_ACTIVATIONS}probing.py::test_blas_has_one_thread_during_a_fit",
    ),
    Fault(
        "names", "pingouin renamed its rows, and results became NaN in silence",
        f"{_STATS}second_opinion.py::test_pingouins_names_are_still_those_that_are_looked_up",
    ),
)  # fmt: skip
