"""The entry point (pytest11): brings the parts of the plugin together. Imports neither torch nor numpy."""

from __future__ import annotations

from importlib import import_module

import pytest

from lab.plugin import (
    allure,
    cards,
    cells,
    devices,
    folder,
    gates,
    judges,
    models,
    notebook,
    options,
    plan,
    progress,
    registration,
    resume,
    scorers,
    sharding,
    summary,
    verdicts,
    workers,
)
from lab.study import studies

PARTS = {
    "lab-cells": cells,
    "lab-folder": folder,
    "lab-models": models,
    "lab-scorers": scorers,
    "lab-judges": judges,
    "lab-gates": gates,
    "lab-cards": cards,
    "lab-notebook": notebook,
    "lab-resume": resume,
    "lab-verdicts": verdicts,
    "lab-registration": registration,
    "lab-summary": summary,
    "lab-devices": devices,
    "lab-workers": workers,
    "lab-sharding": sharding,
    "lab-progress": progress,
    "lab-plan": plan,
}


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.stash[options.SETTINGS] = options.read(config)
    for name, part in PARTS.items():
        config.pluginmanager.register(part, name)
    for study in studies():
        for module in study.plugins:
            if not config.pluginmanager.hasplugin(module):  # a conftest may name it, too
                config.pluginmanager.register(import_module(module), module)
    if config.pluginmanager.hasplugin("allure_listener") or getattr(config.option, "allure_report_dir", None):
        config.pluginmanager.register(allure, "lab-allure")
