"""Data sets by name or by file, as rows with a revision; knows formats and where files lie, and no model.

load("STUDY/hellaswag")         # comes with the study of that name
load("hellaswag")               # the real one, from the Hugging Face hub, at a pinned revision
load("hellaswag@mine.jsonl")    # a file of one's own in the same schema
load("mmlu:anatomy")            # a part of it
load("alpaca+math")             # one pool of the tasks of both
"""

from lab.data.errors import DataError
from lab.data.rows import PromptPairs, Questions, Reports, Rows, Tasks, Texts, sample_indices
from lab.data.sources import fingerprint, load, names, pool

__all__ = [
    "DataError",
    "PromptPairs",
    "Questions",
    "Reports",
    "Rows",
    "Tasks",
    "Texts",
    "fingerprint",
    "load",
    "names",
    "pool",
    "sample_indices",
]
