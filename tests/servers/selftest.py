"""Tests of the launcher: what the other tests rely on. Run by `make test`."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

LAUNCHER = str(pathlib.Path(__file__).resolve().parent / "servers")


class Launched:
    """A running `servers run` and the description that it printed."""

    def __init__(self, folder, *arguments):
        command = [sys.executable, "-B", LAUNCHER, "run", "--dir", folder, *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        line = self.process.stdout.readline()
        self.servers = json.loads(line) if line else None

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def finish(self):
        """Ends the launcher by the end of its input; returns its exit code and what it said."""
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def ends(pid, seconds=20):
    """Waits for the end of a process that may stay a zombie where nobody reaps it."""
    for _ in range(seconds * 20):
        try:
            state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def sql(server, statement):
    command = ["mariadb", "-ucdc", "-pcdc", "-h127.0.0.1", f"-P{server['port']}", "-N", "-e", statement]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


class LauncherTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = scratch.name

    def launch(self, *arguments, sub="a"):
        launched = Launched(os.path.join(self.folder, sub), *arguments)
        self.addCleanup(launched.process.stderr.close)
        self.addCleanup(lambda: launched.process.poll() is None and (launched.process.terminate(), launched.finish()))
        return launched

    def test_every_kind_starts_and_stops_at_the_end_of_input(self):
        launched = self.launch("mysql8", "mysql57", "mariadb", "pg18", "redis", "kafka")
        self.assertIsNotNone(launched.servers)
        for name in ("mysql8", "mysql57", "mariadb"):
            self.assertEqual(sql(launched.servers[name], "SELECT @@log_bin, @@binlog_format"), "1\tROW")
        self.assertEqual(sql(launched.servers["mysql8"], "SELECT @@gtid_mode, @@binlog_row_metadata"), "ON\tFULL")
        code, _ = launched.finish()
        self.assertEqual(code, 0)
        for server in launched.servers.values():
            self.assertTrue(ends(server["pid"]))
            self.assertFalse(listens(server["port"]))

    def test_two_copies_and_aliases_run_side_by_side(self):
        first = self.launch("src=mysql8", "dst=mysql8", sub="first")
        second = self.launch("src=mysql8", sub="second")
        servers = [first.servers["src"], first.servers["dst"], second.servers["src"]]
        self.assertEqual(len({server["port"] for server in servers}), 3)
        self.assertEqual(len({sql(server, "SELECT @@server_uuid") for server in servers}), 3)

    def test_a_server_can_be_killed_and_started_on_its_port(self):
        launched = self.launch("mysql8")
        sql(launched.servers["mysql8"], "CREATE DATABASE kept")
        killed = launched.tell("kill mysql8")
        self.assertIsNone(killed["mysql8"]["pid"])
        self.assertFalse(listens(killed["mysql8"]["port"]))
        started = launched.tell("start mysql8")
        self.assertEqual(started["mysql8"]["port"], killed["mysql8"]["port"])
        self.assertEqual(sql(started["mysql8"], "SHOW DATABASES LIKE 'kept'"), "kept")
        self.assertIn("is running", launched.tell("start mysql8")["error"])
        self.assertIn("not understood", launched.tell("dance mysql8")["error"])

    def test_no_server_outlives_a_killed_launcher(self):
        launched = self.launch("mysql8", "redis", "pg18", "kafka")
        launched.process.kill()
        launched.finish()
        for server in launched.servers.values():
            self.assertTrue(ends(server["pid"]), server)

    def test_sigterm_stops_the_servers(self):
        launched = self.launch("redis")
        launched.process.send_signal(signal.SIGTERM)
        code, _ = launched.finish()
        self.assertEqual(code, 0)
        self.assertTrue(ends(launched.servers["redis"]["pid"]))

    def test_a_server_that_does_not_start_is_told_with_its_log(self):
        launched = self.launch("redis", "mysql8", "--opt", "mysql8.no-such-variable=1")
        self.assertIsNone(launched.servers)
        code, err = launched.finish()
        self.assertEqual(code, 1)
        self.assertIn("unknown variable 'no-such-variable=1'", err)

    def test_a_port_in_use_is_named(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            launched = self.launch("redis", "--port", f"redis={port}")
            code, err = launched.finish()
        self.assertEqual(code, 1)
        self.assertIn(f"port {port}", err)


if __name__ == "__main__":
    unittest.main()
