"""Replies of subjects, kept on disk by content: what was asked is not asked again. Knows subjects, and no pytest."""
