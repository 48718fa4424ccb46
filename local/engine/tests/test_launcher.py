"""Starting and ending the engine."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from support import HERE, LAUNCHER, PATIENCE, Engine, until


def descendants(pid: int) -> list[int]:
    """Every process below `pid`."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found, level = [], [pid]
    while level:
        level = [child for child, parent in parents.items() if parent in level]
        found += level
    return found


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class LauncherTest(unittest.TestCase):
    def launch(self, *options: str, path: str | None = None) -> subprocess.CompletedProcess:
        """A start that is expected to fail."""
        with tempfile.TemporaryDirectory() as directory:
            command = [sys.executable, str(LAUNCHER), "--port", "0", "--state-dir", directory]
            command += ["--agent", str(HERE / "agent.sh"), *options]
            environment = {**os.environ, **({"PYTHONPATH": path} if path else {})}
            return subprocess.run(
                command, capture_output=True, text=True, timeout=PATIENCE, env=environment, check=False
            )

    def busy_engine(self, **options) -> tuple[Engine, list[int]]:
        """An engine with a task whose child has left its session, and all its processes."""
        engine = Engine(**options)
        self.addCleanup(engine.stop)
        ecs = engine.client("ecs")
        ecs.create_cluster(clusterName="c", capacityProviders=["FARGATE"])
        ecs.register_task_definition(
            family="busy",
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            containerDefinitions=[{"name": "runner", "image": "i"}],
        )
        script = "setsid sleep 1000 & trap '' TERM; echo up; while :; do sleep 0.1; done"
        environment = [{"name": "SCRIPT", "value": script}]
        arn = ecs.run_task(
            cluster="c",
            taskDefinition="busy",
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": ["s"]}},
            overrides={"containerOverrides": [{"name": "runner", "environment": environment}]},
        )["tasks"][0]["taskArn"]
        log = engine.state_dir / "state" / "logs" / f"{arn.rsplit('/', 1)[-1]}.log"
        until("the task", lambda: log.exists() and "up" in log.read_text())
        processes = descendants(engine.process.pid)
        self.assertGreaterEqual(len(processes), 3)
        return engine, processes

    def assert_gone(self, processes: list[int]) -> None:
        until("the end of every process", lambda: not any(alive(pid) for pid in processes))

    def test_the_ready_line_names_the_port_and_the_process_and_is_all_there_is(self):
        engine = Engine()
        self.addCleanup(engine.stop)
        self.assertEqual(engine.ready["pid"], engine.process.pid)
        self.assertEqual(engine.ready["endpoint"], f"http://127.0.0.1:{engine.ready['port']}")
        engine.client("sqs").list_queues()
        engine.process.send_signal(signal.SIGTERM)
        self.assertEqual(engine.process.wait(PATIENCE), 0)
        self.assertEqual(engine.process.stdout.read() + engine.process.stderr.read(), "")

    def test_only_this_machine_is_listened_to(self):
        engine = Engine()
        self.addCleanup(engine.stop)
        ports = {f"{engine.ready[name]:04X}" for name in ("port", "controlPort")}
        listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        addresses = [row[1] for row in listening if row[3] == "0A" and row[1].partition(":")[2] in ports]
        self.assertEqual({address.partition(":")[0] for address in addresses}, {"0100007F"})

    def test_everything_ends_with_the_engine(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            engine, processes = self.busy_engine()
            engine.process.send_signal(number)
            self.assertEqual(engine.process.wait(PATIENCE), 0)
            self.assert_gone(processes)

    def test_everything_ends_when_the_engine_itself_is_killed(self):
        engine, processes = self.busy_engine()
        inner = min(descendants(engine.process.pid))
        os.kill(inner, signal.SIGKILL)
        self.assertNotEqual(engine.process.wait(PATIENCE), 0)
        self.assert_gone(processes)

    def test_the_engine_ends_when_its_parent_does(self):
        with tempfile.TemporaryDirectory() as directory:
            command = [sys.executable, str(LAUNCHER), "--port", "0", "--state-dir", directory]
            command += ["--agent", str(HERE / "agent.sh")]
            code = f"import subprocess, time; subprocess.Popen({command!r}); time.sleep(1000)"
            parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
            self.addCleanup(parent.stdout.close)
            self.addCleanup(parent.kill)
            parent.stdout.readline()
            processes = descendants(parent.pid)
            self.assertGreaterEqual(len(processes), 2)
            parent.kill()
            parent.wait(PATIENCE)
            self.assert_gone(processes)

    def test_a_port_that_is_taken_is_named_with_what_to_do(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for option in ("--port", "--control-port"):
                failed = self.launch(option, str(port))
                self.assertEqual(failed.returncode, 3)
                self.assertIn(str(port), failed.stderr)
                self.assertIn(option, failed.stderr)
                self.assertEqual(len(failed.stderr.splitlines()), 1)

    def test_another_ministack_is_refused(self):
        with tempfile.TemporaryDirectory() as directory:
            metadata = Path(directory) / "ministack-9.9.9.dist-info"
            metadata.mkdir()
            (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: ministack\nVersion: 9.9.9\n")
            failed = self.launch(path=directory)
        self.assertEqual(failed.returncode, 4)
        self.assertIn("ministack 9.9.9", failed.stderr)
        self.assertIn("1.5.33", failed.stderr)

    def test_a_missing_function_is_named(self):
        with tempfile.TemporaryDirectory() as directory:
            # Loaded by Python itself at start: takes two of the hooked functions away.
            (Path(directory) / "sitecustomize.py").write_text(
                "import importlib.abc, importlib.machinery, sys\n"
                "class Finder(importlib.abc.MetaPathFinder):\n"
                "    def find_spec(self, name, path, target=None):\n"
                "        if name != 'ministack.services.ecs': return None\n"
                "        spec = importlib.machinery.PathFinder.find_spec(name, path)\n"
                "        run = spec.loader.exec_module\n"
                "        def exec_module(module):\n"
                "            run(module)\n"
                "            del module._mark_task_running, module._iso\n"
                "        spec.loader.exec_module = exec_module\n"
                "        return spec\n"
                "sys.meta_path.insert(0, Finder())\n"
            )
            failed = self.launch(path=directory)
        self.assertEqual(failed.returncode, 4, failed.stderr)
        self.assertIn("ministack.services.ecs._iso, ministack.services.ecs._mark_task_running", failed.stderr)

    def test_a_state_directory_belongs_to_one_engine(self):
        engine = Engine()
        self.addCleanup(engine.stop)
        failed = self.launch("--state-dir", str(engine.state_dir / "state"))
        self.assertEqual(failed.returncode, 1)
        self.assertIn("--state-dir", failed.stderr)

    def test_an_agent_that_is_none_is_refused(self):
        failed = self.launch("--agent", str(HERE / "support.py"))
        self.assertEqual(failed.returncode, 2)
        self.assertIn("--agent", failed.stderr)
