"""Errors of the start, each with the exit status of `launch.py`."""


class StartError(Exception):
    """The engine cannot start; the message says what is wrong and what to do."""

    status = 1


class PortTaken(StartError):
    """The requested port is in use."""

    status = 3


class Incompatible(StartError):
    """The installed MiniStack is not the supported version."""

    status = 4
