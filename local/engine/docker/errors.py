"""The errors that MiniStack knows from the Docker SDK, by the SDK's names."""


class DockerException(Exception):
    """Anything that went wrong."""


class APIError(DockerException):
    """The request was refused."""


class NotFound(APIError):
    """No such container."""


class ImageNotFound(NotFound):
    """No such image."""
