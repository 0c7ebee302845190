"""Texts of the reports, as Jinja2 templates, and their configuration, as JSON; a user's own go before the library's.

The markers of templates are << value >>, <% statement %> and <# remark #>.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab.files.embedded import folder
from lab.views.record import Missing

LOCAL = Path("reports/templates")
"""A template that lies here, in the folder where the command runs, goes before the library's own of that name."""


def template(name: str, *, filters: Mapping[str, Callable[[Any], str]] | None = None, **values: Any) -> str:
    """Fills a template. A placeholder without a value is an error: nothing is left open by accident.

    What goes into NAME.html is escaped.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([LOCAL, folder("templates")]),
        undefined=StrictUndefined,
        autoescape=name.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    environment.filters.update(filters or {})
    return environment.get_template(name).render(**values)


def path(name: str) -> Path:
    """The file of a template or of what lies beside them: the local one, else the library's."""
    return LOCAL / name if (LOCAL / name).is_file() else folder("templates") / name


def settings(name: str) -> Any:
    """What NAME.json of the templates holds. Raises Missing where that is no JSON."""
    try:
        return json.loads(path(name).read_text(encoding="utf-8"))
    except ValueError as error:
        raise Missing(f"{path(name)} is no JSON: {error}; mend it, or remove it") from None
