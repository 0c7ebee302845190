"""What a cell recorded, and where it is kept: notebook, journal, tables. No pytest and no models here."""

from lab.record.journal import Journal, read
from lab.record.notebook import Cell, Control, Notebook
from lab.record.past import Past
from lab.record.tables import CellRecord, gather, write_tables

__all__ = ["Cell", "CellRecord", "Control", "Journal", "Notebook", "Past", "gather", "read", "write_tables"]
