"""Options of the launcher."""

from dataclasses import dataclass, field
from pathlib import Path

from engine.switches import Values

REGION = "us-east-1"
ACCOUNT = "000000000000"


@dataclass(frozen=True)
class Settings:
    """The validated options."""

    port: int
    """Port of the AWS endpoint on 127.0.0.1; 0 picks a free one."""
    control_port: int | None
    """Port of the control endpoint on 127.0.0.1; 0 picks a free one, None disables it."""
    state_dir: Path
    """Directory of logs, task homes and everything else that the engine writes."""
    agent: Path
    """Executable that runs in place of every container's entrypoint."""
    runner_home: Path | None
    """Template of a task's home directory; None starts tasks in an empty one."""
    wait_scale: float
    """Factor on Wait states and retry delays. Timeouts are never scaled."""
    enforce_iam: bool
    """Whether to reject calls that a role does not allow, instead of only logging them."""
    log_level: str
    """Level of `engine.log`, as `logging` names it."""
    switches: Values = field(default_factory=Values)
    """Initial values of the switches."""

    @property
    def log_file(self) -> Path:
        """The engine's own log."""
        return self.state_dir / "engine.log"

    @property
    def grants_file(self) -> Path:
        """File with each role's grants and used permissions."""
        return self.state_dir / "grants.json"

    @property
    def task_logs(self) -> Path:
        """Directory of the tasks' output: `<task id>.log`."""
        return self.state_dir / "logs"

    @property
    def task_homes(self) -> Path:
        """Directory of the running tasks' working directories: `<task id>/`."""
        return self.state_dir / "tasks"

    @property
    def scratch(self) -> Path:
        """TMPDIR of the engine and its functions."""
        return self.state_dir / "tmp"
