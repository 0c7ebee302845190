"""Brings the data sets of fixtures/ to the hypotheses. The plugin itself comes by its entry point."""

pytest_plugins = [  # each before those that import it: pytest rewrites the assertions of what it imports first
    "fixtures.datasets",
    "fixtures.templates",
    "fixtures.ratings",
    "fixtures.preferences",
    "fixtures.systems",
    "fixtures.concepts",
    "fixtures.oracle",
    "fixtures.manners",
    "fixtures.variants",
]
