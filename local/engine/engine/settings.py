"""What the launcher was asked for."""

from dataclasses import dataclass, field
from pathlib import Path

from engine.switches import Values

REGION = "us-east-1"
ACCOUNT = "000000000000"


@dataclass(frozen=True)
class Settings:
    """The command line, checked."""

    port: int
    """Port of the AWS endpoint on 127.0.0.1; 0 takes a free one."""
    control_port: int | None
    """Port of the control endpoint on 127.0.0.1; 0 takes a free one, None leaves it off."""
    state_dir: Path
    """Logs, the homes of tasks and everything else the engine writes."""
    agent: Path
    """Executable that runs in place of every container's entrypoint."""
    runner_home: Path | None
    """Template of a task's home directory; None starts tasks in an empty one."""
    wait_scale: float
    """Factor on Wait states and retry delays. Timeouts are never scaled."""
    enforce_iam: bool
    """Whether what a role doesn't allow is refused, instead of only being written to the call log."""
    log_level: str
    """Level of `engine.log`, as `logging` names it."""
    switches: Values = field(default_factory=Values)
    """How unproven behaviours are turned at the start."""

    @property
    def log_file(self) -> Path:
        """The engine's own log."""
        return self.state_dir / "engine.log"

    @property
    def grants_file(self) -> Path:
        """What roles are granted, and what of it was needed."""
        return self.state_dir / "grants.json"

    @property
    def task_logs(self) -> Path:
        """Directory of the tasks' output: `<task id>.log`."""
        return self.state_dir / "logs"

    @property
    def task_homes(self) -> Path:
        """Directory of the tasks' working directories: `<task id>/`, gone when the task is."""
        return self.state_dir / "tasks"

    @property
    def scratch(self) -> Path:
        """TMPDIR of the engine and its functions."""
        return self.state_dir / "tmp"
