#!/usr/bin/env python3
"""Starts the local AWS engine on 127.0.0.1 and prints one JSON line on stdout when it is ready. See README.md."""

import argparse
import json
import math
import os
import sys
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit(f"engine: needs Python 3.11 or later, and {sys.executable} is {sys.version.split()[0]}")

from engine import guardian, server
from engine.settings import Settings
from engine.switches import Values, changed


def main() -> int:
    """Parses the command line and runs the engine under its guardian; returns the exit status."""
    if not sys.platform.startswith("linux"):
        print("engine: tasks are Linux processes; run this on Linux or in a Linux container", file=sys.stderr)
        return 1
    settings = _parse(sys.argv[1:])
    return guardian.guard(lambda: server.run(settings))


def _parse(arguments: list[str]) -> Settings:
    parser = argparse.ArgumentParser(prog="launch.py", description="The local AWS engine.")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1; 0 picks a free one")
    parser.add_argument("--state-dir", type=Path, required=True, help="directory for logs and task homes")
    parser.add_argument("--agent", type=Path, required=True, help="executable that every container runs")
    parser.add_argument("--runner-home", type=Path, help="template of a task's home directory")
    parser.add_argument("--wait-scale", type=float, default=1.0, help="factor on waits and retry delays (default 1)")
    parser.add_argument("--control-port", type=int, help="port of the control endpoint; 0 picks a free one")
    parser.add_argument("--enforce-iam", action="store_true", help="reject calls that a role does not allow")
    parser.add_argument(
        "--switch", action="append", default=[], metavar="NAME=JSON", help="set a switch (README.md)"
    )
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    options = parser.parse_args(arguments)
    agent = options.agent.resolve()
    if not (agent.is_file() and os.access(agent, os.X_OK)):
        parser.error(f"--agent {options.agent} is not an executable file; build the agent first")
    if options.runner_home is not None and not options.runner_home.is_dir():
        parser.error(f"--runner-home {options.runner_home} is not a directory")
    if not (math.isfinite(options.wait_scale) and options.wait_scale >= 0):
        parser.error("--wait-scale must be a number, 0 or more")
    try:
        named = [switch.partition("=") for switch in options.switch]
        switches = changed(Values(), {name: json.loads(value or "true") for name, _, value in named})
    except ValueError as error:
        parser.error(f"--switch: {error}")
    return Settings(
        port=options.port,
        control_port=options.control_port,
        state_dir=options.state_dir.resolve(),
        agent=agent,
        runner_home=options.runner_home.resolve() if options.runner_home else None,
        wait_scale=options.wait_scale,
        enforce_iam=options.enforce_iam,
        log_level=options.log_level,
        switches=switches,
    )


if __name__ == "__main__":
    sys.exit(main())
