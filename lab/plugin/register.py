"""The entry point (pytest11): options, and what the plugin is made of. Imports neither torch nor numpy."""

from __future__ import annotations

import pytest

from lab.plugin import judges, knobs, models, notebook, options, scorers
from lab.plugin.lifecycle import Lifecycle, register_studies
from lab.study import INI, BrokenStudy, register_named

FIXTURES = {
    "lab-knobs": knobs,
    "lab-models": models,
    "lab-scorers": scorers,
    "lab-judges": judges,
    "lab-notebook": notebook,
}


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add(parser)
    parser.addini(INI, "studies of this project that no installed package names, as module:STUDY", type="linelist")


@pytest.hookimpl(tryfirst=True)  # before xdist and Allure look at their options, which --lab-plan takes back
def pytest_configure(config: pytest.Config) -> None:
    config.stash[options.SETTINGS] = settings = options.read(config)
    if settings.plan:
        vars(config.option).update(dist="no", allure_report_dir=None)  # workers are for work, Allure is for results
    try:
        register_named(config.getini(INI), config.rootpath)
    except (BrokenStudy, ValueError) as error:
        raise pytest.UsageError(f"{INI}: {error}") from None
    for name, module in FIXTURES.items():
        config.pluginmanager.register(module, name)
    config.pluginmanager.register(Lifecycle(config), "lab-lifecycle")
    register_studies(config)  # after the lifecycle: at the end of a run they find its cells gathered
