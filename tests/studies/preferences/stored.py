"""Comparisons from rows as they are stored."""

from lab.studies.preferences.comparisons import answers_of, of_answers


def of_rows(rows, ids=None):
    """Ids, comparisons, and how many answers chose neither."""
    return of_answers((answer for row in rows for answer in answers_of(row)), ids)
