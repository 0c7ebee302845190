"""What a cell recorded, and where it is kept: notebook, journal, tables. No pytest and no models here."""

from lab.evidence.journal import Journal, read
from lab.evidence.notebook import Cell, Control, Notebook
from lab.evidence.past import Past
from lab.evidence.tables import CellRecord, gather, write_tables

__all__ = ["Cell", "CellRecord", "Control", "Journal", "Notebook", "Past", "gather", "read", "write_tables"]
