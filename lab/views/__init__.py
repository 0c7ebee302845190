"""Reads the journal and renders it. Nothing here loads a model; every output can be made again from the journal."""
