"""The one exception that is meant for the person at the keyboard."""


class UserError(Exception):
    """A mistake the user can mend: one clear sentence saying what, where and how to mend it.

    The command line prints it without a traceback and exits with status 2; any other exception is a fault of ours.
    """
