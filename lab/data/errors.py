"""What can be wrong with data? One line: which file and line, what was found, what to do."""


class DataError(ValueError):
    """A name that nobody knows, a file that is missing, a row that does not fit its schema, or no network."""
