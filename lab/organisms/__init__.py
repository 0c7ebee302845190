"""Small models whose truth is known because it was planted: their world, recipe, and where their weights are."""

from lab.subjects.names import controls, folder, home
from lab.subjects.names import organisms as names

__all__ = ["controls", "folder", "home", "names"]
