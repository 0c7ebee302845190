"""Texts of the reports, as Jinja2 templates; their markers are << value >>, <% statement %> and <# remark #>."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parent


def template(name: str, *, filters: Mapping[str, Callable[[Any], str]] | None = None, **values: Any) -> str:
    """Fills a template. A placeholder without a value is an error: nothing is left open by accident.

    What goes into NAME.html is escaped.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
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
