"""What can go wrong through a user's input, as opposed to a bug."""


class InputError(ValueError):
    """A wrong configuration, file, argument or machine: the message is for the user.

    The message names the key, file or value, what was expected and what to do.
    Scripts print it alone, without a traceback, and exit with status 1.
    """
