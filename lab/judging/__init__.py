"""Rubrics, judges and scorers: texts in, judgements out; a model that judges is handed in, none is loaded here."""
