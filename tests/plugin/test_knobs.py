"""What is behind a name counts only where a knob of the cell names it."""

from hashlib import sha256

import pytest

from lab.plugin.knobs import file_fingerprints, require_named


def test_a_name_that_no_knob_has_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"^'my\.yaml' stands in no knob of this experiment, so its results .* give"):
        require_named("my.yaml", frozenset({"other.yaml"}))
    with pytest.raises(LookupError, match="^the judge 'x' stands in no knob of this experiment as a folder, so its"):
        require_named("x", frozenset(), "the judge", "as a folder", error=LookupError)


def test_a_name_that_a_knob_has_and_any_name_outside_of_a_cell_may_be_used():
    require_named("my.yaml", frozenset({"my.yaml"}))
    require_named("my.yaml", None)


def test_files_count_by_what_they_hold_and_missing_ones_do_not(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("one")
    expected = {str(file): sha256(b"one").hexdigest()}
    assert file_fingerprints([file, str(file), tmp_path / "missing.yaml", tmp_path]) == expected
