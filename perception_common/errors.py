"""The one error that a user can cause."""


class InputError(ValueError):
    """Bad input from outside: a file, a message, a parameter.

    Its text is one line that names the thing at fault and says what to do. Nodes log it and skip the frame or
    refuse the transition; commands print it and exit with status 1.
    """
