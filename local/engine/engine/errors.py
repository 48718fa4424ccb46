"""Reasons not to start, each with the exit status that `launch.py` ends with."""


class StartError(Exception):
    """The engine can't start; the message says what is wrong and what to do about it."""

    status = 1


class PortTaken(StartError):
    """Somebody else listens on the port asked for."""

    status = 3


class Incompatible(StartError):
    """The installed MiniStack is not the one this launcher was written for."""

    status = 4
