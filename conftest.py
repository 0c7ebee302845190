"""Brings the data sets of fixtures/ to the hypotheses. The plugin itself comes by its entry point."""

pytest_plugins = ["fixtures.datasets", "fixtures.manners", "fixtures.variants"]
