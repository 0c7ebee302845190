"""How numbers and tables are written in Markdown and in plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def p_value(p: float | None) -> str:
    """A p-value in three digits; "" for None.

    >>> p_value(0.0412), p_value(0.0001), p_value(None)
    ('0.041', '< 0.001', '')
    """
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table.

    >>> markdown_table(["a", "b"], [["1", "2"]])
    ['| a | b |', '| --- | --- |', '| 1 | 2 |']
    """
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
