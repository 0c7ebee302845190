"""How often were subjects asked in a cell? Those of one experiment ask equally often, so the count says when to end."""

from __future__ import annotations

from dataclasses import dataclass


class Enough(BaseException):
    """Ends a test function of which all that counts is known. No `except Exception` of a test's own stops it."""


@dataclass
class Calls:
    """The calls that a cell `made`. With the `last` of them, where that is known, it has told all it can."""

    made: int = 0
    last: int | None = None

    def count(self) -> None:
        """Counts one more call. Raises Enough for the last one."""
        self.made += 1
        if self.made == self.last:
            raise Enough
