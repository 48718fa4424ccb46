"""Stand-in for the Docker SDK: a container is a local process running our agent.

MiniStack reaches containers through `import docker` alone, and polls each one many times a second, so answering
in its own process costs next to nothing where a server behind DOCKER_HOST costs most of a core. Only the calls that
MiniStack's ECS makes are here, and only ECS tasks may be run: a local database is not our agent.
"""

from docker import errors
from docker.client import DockerClient

__all__ = ["DockerClient", "configure", "errors", "from_env"]

_client: DockerClient | None = None


def configure(client: DockerClient) -> None:
    """Sets the client that `from_env` returns; the launcher calls it before MiniStack starts."""
    global _client
    _client = client


def from_env(**_options) -> DockerClient:
    """The configured client; a Docker daemon on this machine is never asked.

    Raises `errors.DockerException` before `configure`.
    """
    if _client is None:
        raise errors.DockerException("the stand-in for Docker is not configured")
    return _client
