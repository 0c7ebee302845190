"""Errors of a subject or of what it is asked; each is one line that says what to do."""


class SubjectError(ValueError):
    """Anything a user can mend. Its text is one line: what was wrong, what was found, what to do."""


class LoadError(SubjectError):
    """The model cannot be loaded: unknown name, folder without weights, no network."""


class MissingPackage(LoadError):
    """An optional package is not installed, so this subject cannot be loaded; others can."""


class StructureError(SubjectError):
    """The model's modules are not laid out as a decoder with a list of blocks."""


class PromptError(SubjectError):
    """The prompts cannot be given to this model: none at all, an empty one, or one beyond the context."""


class RequestError(SubjectError):
    """A server refused one request, or what it answered cannot be read; it may well answer others."""


class NoAnswer(RequestError):
    """A server did not answer a request, however often it was asked."""


class NoActivationsError(SubjectError, AttributeError):
    """The subject is behind an API, or was loaded without hooks, and what was asked for needs them. `hasattr` sees an
    AttributeError."""


class OutOfMemory(SubjectError):
    """Not even one prompt fits into the memory."""


class Stop(Exception):
    """Raised by a hook when everything that anybody asked for has been computed; it never reaches a user."""


def is_out_of_memory(error: BaseException) -> bool:
    """CUDA's own errors, Python's, or what torch's CPU allocator says."""
    if type(error).__name__ in ("OutOfMemoryError", "MemoryError"):
        return True
    said = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(text in str(error) for text in said)
