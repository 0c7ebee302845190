"""Tests mirror lab/. Their names are claims; each can fail."""
