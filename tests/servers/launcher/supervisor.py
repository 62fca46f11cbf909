"""Runs a set of servers in the foreground and stops all of them, whatever ends the launcher.

Every server gets a session of its own, so a Ctrl-C at the terminal reaches only the launcher, and the kernel kills it
when the launcher dies without a word (parent-death signal). The launcher is single-threaded for that reason: the
signal is tied to the thread that started the server.
"""

import ctypes
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

from . import Failure, kinds, packages

START_SECONDS = 120
STOP_SECONDS = 10
# Below the ports that the kernel hands to outgoing connections, so a stopped server finds its port free again.
PORTS = range(20000, 32000)


class Stopped(Exception):
    """A signal, the end of the standard input or the parent's death asks the launcher to end."""


def die_with_parent():
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Ports:
    """Hands out ports that no other launcher on this machine uses.

    A claim is an abstract Unix socket: taken atomically, given back by the kernel however the process ends.
    """

    def __init__(self):
        self.claims = []
        self.order = list(PORTS)
        random.Random(os.getpid() ^ time.time_ns()).shuffle(self.order)

    def free(self):
        for port in self.order:
            if self.claim(port):
                return port
        raise Failure(f"no free port between {PORTS.start} and {PORTS.stop - 1}")

    def is_free(self, port):
        """Whether nobody listens on the port and no launcher has claimed it."""
        if not self.claim(port):
            return False
        self.claims.pop().close()
        return True

    def claim(self, port):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0afterimage-port-{port}")
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((kinds.HOST, port))
        except OSError:
            claim.close()
            return False
        self.claims.append(claim)
        return True


class Supervisor:
    """The set of servers of one `run`."""

    def __init__(self, folder, names, options, ports):
        self.servers = {}
        self.processes = {}
        self.reported = set()
        claims = Ports()
        self.claims = claims
        os.makedirs(folder, exist_ok=True)
        for alias, kind in names:
            home = os.path.join(os.path.abspath(folder), alias)
            server = kinds.KINDS[kind](alias, home, options.pop(alias, {}))
            for purpose in server.purposes:
                wanted = ports.pop(alias, None) if purpose == "port" else None
                if wanted is not None and not claims.claim(wanted):
                    raise Failure(f"port {wanted}, wanted for {alias}, is in use")
                server.ports[purpose] = claims.free() if wanted is None else wanted
            self.servers[alias] = server
        for left in [*options, *ports]:
            raise Failure(f"an option or port names {left}, which is not among the servers to run")

    def by_kind(self):
        return {server.kind: server for server in reversed(self.servers.values())}

    def start_all(self):
        """Starts everything side by side; a Connect worker waits for the brokers."""
        for server in self.servers.values():
            os.makedirs(server.home, exist_ok=True)
            server.prepare(self.by_kind())
        first = [server for server in self.servers.values() if server.kind != "connect"]
        then = [server for server in self.servers.values() if server.kind == "connect"]
        for group in (first, then):
            for server in group:
                self.spawn(server)
            for server in group:
                self.wait_ready(server)

    def spawn(self, server):
        command = server.command()
        executable = None
        if isinstance(command[0], tuple):
            name, executable = command[0]
            command = [name, *command[1:]]
        server.log_start = server.log.stat().st_size if server.log.exists() else 0
        with open(server.log, "ab") as log:
            self.processes[server.name] = subprocess.Popen(
                command, executable=executable, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=server.home,
                start_new_session=True, preexec_fn=die_with_parent)
        self.reported.discard(server.name)

    def wait_ready(self, server):
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                if server.ready():
                    return
            except OSError:
                pass
            code = self.processes[server.name].poll()
            if code is not None:
                raise Failure(f"{server.name} ended with code {code} while starting; the end of {server.log}:\n"
                              f"{kinds.tail(server.log)}")
            if time.monotonic() > deadline:
                raise Failure(f"{server.name} was not ready after {START_SECONDS} s; the end of {server.log}:\n"
                              f"{kinds.tail(server.log)}")
            time.sleep(0.05)

    def info(self, server):
        process = self.processes.get(server.name)
        return {"kind": server.kind, **server.info(), "pid": process.pid if process else None}

    def all_info(self):
        return {name: self.info(server) for name, server in self.servers.items()}

    def stop(self, names, seconds=STOP_SECONDS, force=False):
        """Stops the named servers side by side, at once with `force`, else with a kill when the time is over."""
        waiting = {}
        for name in names:
            process = self.processes.pop(name, None)
            if process is None:
                continue
            waiting[name] = process
            wanted = "KILL" if force else self.servers[name].stop_signal
            self.signal(process, wanted)
            self.signal(process, "CONT")
        deadline = time.monotonic() + seconds
        for process in waiting.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                pass
            self.signal(process, "KILL", group=True)
            process.wait()

    @staticmethod
    def signal(process, name, group=False):
        number = getattr(signal, f"SIG{name}")
        try:
            if group:
                os.killpg(process.pid, number)
            elif process.returncode is None:
                process.send_signal(number)
        except (ProcessLookupError, PermissionError):
            pass

    def stop_all(self):
        self.stop([name for name in self.processes if self.servers[name].kind == "connect"])
        self.stop(list(self.processes))
        for server in self.servers.values():
            if hasattr(server, "socket_folder"):
                shutil.rmtree(server.socket_folder, ignore_errors=True)

    def obey(self, line):
        """Carries out one line of the standard input: stop, kill, start, restart, pause, resume or info, and a name."""
        words = line.split()
        name = words[1] if len(words) == 2 else ""
        server = self.servers.get(name)
        if len(words) != 2 or server is None or words[0] not in ACTIONS:
            return {"error": f"not understood: {line.strip()!r}; use one of {', '.join(ACTIONS)} and one of "
                             f"{', '.join(self.servers)}"}
        try:
            ACTIONS[words[0]](self, server)
        except Failure as failure:
            return {"error": str(failure)}
        return {name: self.info(server)}

    def start(self, server):
        process = self.processes.get(server.name)
        if process is not None and process.poll() is None:
            raise Failure(f"{server.name} is running")
        self.spawn(server)
        self.wait_ready(server)

    def running(self, server):
        process = self.processes.get(server.name)
        if process is None or process.poll() is not None:
            raise Failure(f"{server.name} is not running")
        return process

    def serve(self, listen):
        """Answers commands until the input ends (`listen`), the parent dies or a signal comes."""
        parent, pending = os.getppid(), b""
        while True:
            ready, _, _ = select.select([0] if listen else [], [], [], 1.0)
            if ready:
                got = os.read(0, 65536)
                if not got:
                    raise Stopped("the standard input ended")
                *lines, pending = (pending + got).split(b"\n")
                for line in filter(None, (line.decode(errors="replace").strip() for line in lines)):
                    print(json.dumps(self.obey(line)), flush=True)
            if listen and os.getppid() != parent:
                raise Stopped("the parent process ended")
            for name, process in self.processes.items():
                if process.poll() is not None and name not in self.reported:
                    self.reported.add(name)
                    packages.say(f"{name} ended with code {process.returncode}; log {self.servers[name].log}")


ACTIONS = {
    "stop": lambda self, server: self.stop([server.name]),
    "kill": lambda self, server: self.stop([server.name], force=True),
    "start": lambda self, server: self.start(server),
    "restart": lambda self, server: (self.stop([server.name]), self.start(server)),
    "pause": lambda self, server: os.killpg(self.running(server).pid, signal.SIGSTOP),
    "resume": lambda self, server: os.killpg(self.running(server).pid, signal.SIGCONT),
    "info": lambda self, server: None,
}


def run(folder, names, options, ports, listen=True, out=sys.stdout):
    """Starts the servers, prints their description as one line of JSON and serves until told to end."""

    def on_signal(number, _frame):
        raise Stopped(f"signal {number}")

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    supervisor = Supervisor(folder, names, options, ports)
    try:
        supervisor.start_all()
        print(json.dumps(supervisor.all_info()), file=out, flush=True)
        supervisor.serve(listen)
    except Stopped:
        pass
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        supervisor.stop_all()
