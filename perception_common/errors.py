"""The error of everything that a user can correct."""


class InputError(ValueError):
    """Bad input from outside: a file, a message, a parameter.

    Its text is one line that names the cause and what to do. Nodes log it and skip the frame or refuse the
    transition; commands print it and exit with status 1.
    """

    def __str__(self) -> str:
        """Return the text; what cannot be printed, as a half of a surrogate pair from JSON, is escaped."""
        return super().__str__().encode("utf-8", "backslashreplace").decode("utf-8")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or the name of its type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
