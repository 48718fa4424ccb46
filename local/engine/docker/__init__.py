"""Stand-in for the Docker SDK: a container is a local process that runs the agent.

MiniStack uses containers only through `import docker`, and polls each one many times a second. In its own process
that costs almost nothing; a server behind DOCKER_HOST would use most of a core. Implements only the calls that
MiniStack's ECS makes, and runs only ECS tasks: a local database is not the agent.
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
    """The configured client; never uses a Docker daemon of this machine.

    Raises `errors.DockerException` before `configure`.
    """
    if _client is None:
        raise errors.DockerException("the Docker stand-in is not configured; call configure() first")
    return _client
