#!/usr/bin/env python3
"""Runs one private database server on loopback for a test: `serve.py mariadb|mongod|mongod-auth`.

Prints one JSON line {"port": N, "pid": N} once the server answers. Then it takes commands on stdin, one a line, and
answers each with such a line: `kill` (SIGKILL), `start` (again, same port, same data). When stdin ends, however the test
ended, the server is killed and its directory removed. Exit status 3 means that the server is not installed.

mongod is a replica set `rs0` (the test initiates it); mongod-auth stands alone and asks for users.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MONGOD = ROOT / "target" / "servers" / "mongod"
START_SECONDS_MAX = 60
# Memory, where there is some to spare: the servers sync their logs at every commit.
SCRATCH = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program(kind: str) -> str | None:
    """The server's program, where it is installed."""
    if kind != "mariadb":
        return str(MONGOD) if os.access(MONGOD, os.X_OK) else None
    return shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Server:
    """One server and its directory."""

    def __init__(self, kind: str, executable: str) -> None:
        self.kind = kind
        self.executable = executable
        self.directory = Path(tempfile.mkdtemp(prefix=f"mdhub-{kind}-", dir=SCRATCH))
        self.data = self.directory / "data"
        self.port = free_port()
        self.child: subprocess.Popen[bytes] | None = None
        if kind == "mariadb":
            install = ["mariadb-install-db", "--no-defaults", *self.user(), f"--datadir={self.data}",
                       "--auth-root-authentication-method=normal", "--skip-test-db"]
            subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
        else:
            self.data.mkdir()

    @staticmethod
    def user() -> list[str]:
        """MariaDB does not run as root unless it is told to."""
        return ["--user=root"] if os.geteuid() == 0 else []

    def command(self) -> list[str]:
        """How the server is started."""
        if self.kind == "mariadb":
            return [self.executable, "--no-defaults", *self.user(), f"--datadir={self.data}",
                    f"--socket={self.directory / 'socket'}", f"--port={self.port}", "--bind-address=127.0.0.1",
                    f"--pid-file={self.directory / 'pid'}", "--skip-name-resolve", "--innodb-buffer-pool-size=32M",
                    "--max-connections=500"]
        mode = ["--auth"] if self.kind == "mongod-auth" else ["--replSet", "rs0", "--oplogSize", "16"]
        return [self.executable, "--dbpath", str(self.data), "--port", str(self.port), "--bind_ip", "127.0.0.1",
                "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket", *mode]

    def start(self) -> None:
        """Starts it and waits until it takes connections."""
        with (self.directory / "log").open("ab") as log:
            self.child = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            if self.child.poll() is not None or time.monotonic() > deadline:
                tail = (self.directory / "log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.kind} does not start: {tail}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)

    def kill(self) -> None:
        """Ends it at once, as a crash does."""
        if self.child is not None:
            self.child.kill()
            self.child.wait()

    def tell(self) -> None:
        """Says where it is."""
        print(json.dumps({"port": self.port, "pid": self.child.pid}), flush=True)


def main() -> int:
    """Serves until stdin ends."""
    kind = sys.argv[1]
    executable = program(kind)
    if executable is None:
        print(f"{kind} is not installed", file=sys.stderr)
        return 3
    # A terminal's Ctrl-C reaches the test, too; what counts is that stdin ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = Server(kind, executable)
    try:
        server.start()
        server.tell()
        for line in sys.stdin:
            {"kill": server.kill, "start": server.start}[line.strip()]()
            server.tell()
    finally:
        server.kill()
        shutil.rmtree(server.directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
