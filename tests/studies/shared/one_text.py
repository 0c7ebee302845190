"""The readings of one text alone, of which tests are made; the library reads many at once."""

from lab.studies.shared.parsing import all_chosen_by_doing, parse_all, parse_choices


def parse(raw, template, *, judge=None):
    return parse_all([raw], template, judge=judge)[0]


def parse_choice(raw, *, judge=None):
    return parse_choices([raw], judge=judge)[0]


def chosen_by_doing(raw, first, second, *, judge=None):
    return all_chosen_by_doing([raw], [(first, second)], judge=judge)[0]
