"""The errors of the Docker SDK that MiniStack handles, with the SDK's names."""


class DockerException(Exception):
    """Base of all errors."""


class APIError(DockerException):
    """The request was rejected."""


class NotFound(APIError):
    """No such container."""


class ImageNotFound(NotFound):
    """No such image."""
