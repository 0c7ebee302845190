"""Texts of the reports, as Jinja2 templates; their markers are << value >>, <% statement %> and <# remark #>."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab.files.embedded import folder

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
