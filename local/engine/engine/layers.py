"""Layers of functions with a program of their own.

Lambda unpacks them below `/opt`. Here a function is a process of this machine, so each has a directory of its own, and
variables that name a file below `/opt` name it there.
"""

from pathlib import Path

from ministack.services import lambda_svc

from engine.hooks import Hooks

_OPT = "/opt/"


def install(hooks: Hooks) -> None:
    """Declares the hook on the environment of functions."""
    hooks.require(lambda_svc, "_resolve_layer_zip", "_docker_extracted_dir")

    @hooks.around(lambda_svc, "_provided_worker_env")
    def provided_worker_env(original, config, code_dir, port):
        environment = original(config, code_dir, port)
        zips = [lambda_svc._resolve_layer_zip(layer) for layer in config.get("Layers") or []]
        directories = [Path(lambda_svc._docker_extracted_dir(content, "layer")) for content in zips if content]
        return {name: _found(value, directories) for name, value in environment.items()}


def _found(value: str, directories: list[Path]) -> str:
    """The file below `/opt` that a variable names; a later layer hides an earlier one's."""
    if value.startswith(_OPT):
        for directory in reversed(directories):
            file = directory / value.removeprefix(_OPT)
            if file.is_file():
                return str(file)
    return value
