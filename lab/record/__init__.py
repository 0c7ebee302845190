"""What a cell recorded and where it is kept: events, the one fold over them, notebook, store, resume, lock, registry.

What is only rendered from the record is in `lab.views`; no pytest and no models here.
"""

from lab.record.events import Control
from lab.record.fold import CellRecord, Fold, gather
from lab.record.journal import Journal, read
from lab.record.notebook import Cell, Notebook

__all__ = ["Cell", "CellRecord", "Control", "Fold", "Journal", "Notebook", "gather", "read"]
