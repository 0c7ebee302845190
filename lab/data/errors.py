"""The error raised for bad data. Its text is one line: which file and line, what was found, what to do."""


class DataError(ValueError):
    """A name that nobody knows, a file that is missing, a row that does not fit its schema, or no network."""
