"""Judges the image from outside, run by compose.yaml as it is: by a client on the host, `docker`, and the kernel.

Each check is a row of the table that it ends with. The markets are simulated; everything else is what an operator runs.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgpack  # type: ignore[import-untyped]
import zmq

T = TypeVar("T")

ACCOUNTS = 10
KILLS = 100
SYMBOL = "rb2701.SHFE"
HTTP = "http://127.0.0.1:8080"
TICKS = "tcp://127.0.0.1:5555"
DATA = "/var/lib/mdhub"
# A Tuesday, ten o'clock in Beijing: the calendar wants the hub up, whenever this runs.
A_SECTION_S = 1_795_485_600
# That of compose.yaml.
GRACE_S = 30.0
DATA_LIBRARIES = "/usr/local/lib/mdhub"
FLAG_SNAPSHOT = 1

SETTINGS = f"""\
apiVersion: mdhub/v1
kind: Hub
http: {{listen: "0.0.0.0:8080"}}
publish: {{listen: "tcp://0.0.0.0:5555"}}
contracts: {{list: [{SYMBOL}, m2705.DCE, MA701.CZCE, IF2612.CFFEX]}}
canaries: {{list: [{SYMBOL}, m2705.DCE, MA701.CZCE, IF2612.CFFEX]}}
calendar: {{always_open: true}}
# A worker that is killed comes back soon, however often.
health: {{backoff_min_ms: 100, backoff_max_ms: 500}}
libraries:
  sim: {{path: /usr/local/bin/libmdhub_simapi.so, env: {{SIMAPI_WORLD: /etc/mdhub/world.json}}}}
  ctp: {{path: /usr/local/lib/mdhub/ctp/libthostmduserapi_se.so}}
  sopt: {{path: /usr/local/lib/mdhub/sopt/libsoptthostmduserapi_se.so}}
"""


def run(*words: str, stdin: str = "", within_s: float = 120) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, whatever that is."""
    return subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=within_s, check=False)


def said(*words: str, stdin: str = "", within_s: float = 120) -> str:
    """What a command prints that must succeed."""
    done = run(*words, stdin=stdin, within_s=within_s)
    assert done.returncode == 0, f"{shlex.join(words)}: {done.returncode}: {done.stderr.strip()[-600:]}"
    return done.stdout.strip()


def inspect(what: str, template: str) -> Any:
    """A part of `docker inspect`."""
    return json.loads(said("docker", "inspect", "-f", f"{{{{json {template}}}}}", what))


def health() -> str:
    """What docker's health check thinks of the hub."""
    return str(inspect("mdhub", ".State.Health.Status"))


def eventually(condition: Callable[[], T | None], within_s: float, what: str) -> T:
    """The first truthy value of `condition`."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {within_s:.0f} s: {what} (last seen: {value!r})"
        time.sleep(0.1)


class Client:
    """A strategy outside of the container: the real libzmq."""

    def __init__(self, endpoint: str = TICKS) -> None:
        """Subscribes before anybody need listen."""
        self._socket = zmq.Context.instance().socket(zmq.SUB)
        for option, value in ((zmq.LINGER, 0), (zmq.RECONNECT_IVL, 20), (zmq.SUBSCRIBE, SYMBOL.encode())):
            self._socket.setsockopt(option, value)
        self._socket.connect(endpoint)

    def ticks(self, count: int, within_s: float = 60) -> float:
        """Takes `count` new ticks, and says at what time.monotonic() the first of them came."""
        deadline, first = time.monotonic() + within_s, 0.0
        for _ in range(count):
            while True:
                left_ms = (deadline - time.monotonic()) * 1000
                assert left_ms > 0 and self._socket.poll(left_ms), f"no tick of {SYMBOL} within {within_s:.0f} s"
                topic, payload = self._socket.recv_multipart()[:2]
                tick = msgpack.unpackb(payload)
                if topic.decode() == SYMBOL and not tick["flags"] & FLAG_SNAPSHOT:
                    break
            first = first or time.monotonic()
        return first

    def close(self) -> None:
        """Lets go of the socket."""
        self._socket.close()


@dataclass(frozen=True)
class Process:
    """One process of the container, as the host's kernel shows it."""

    pid: int
    parent: int
    state: str
    words: str
    status: dict[str, str]


def _process(directory: Path) -> Process | None:
    try:
        status = dict(line.split(":\t", 1) for line in (directory / "status").read_text().splitlines() if ":\t" in line)
        words = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return None
    return Process(int(directory.name), int(status["PPid"]), status["State"][0], words, status)


def processes(container: str = "mdhub") -> list[Process]:
    """The first process of the container and all that descend from it, zombies among them."""
    first = int(inspect(container, ".State.Pid"))
    everything = [p for d in Path("/proc").iterdir() if d.name.isdigit() and (p := _process(d))]
    found = [p for p in everything if p.pid == first and first]
    for process in found:
        found += [p for p in everything if p.parent == process.pid]
    return found


def workers() -> list[Process]:
    """The gateways' processes."""
    return [p for p in processes() if " gateway " in f" {p.words} " and p.state != "Z"]


def hub() -> Process:
    """The hub's own process."""
    return next(p for p in processes() if p.words.startswith("mdhub run"))


def get(path: str, login: str = "", base: str = HTTP) -> tuple[int, str]:
    """Status and body of a GET; `login` is NAME:PASSWORD."""
    request = urllib.request.Request(base + path)
    if login:
        request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


class Checks:
    """The checks, in their order, and what became of them."""

    def __init__(self, image: str, revision: str, compose: str, etc: Path) -> None:
        """Writes what the container is given."""
        self.image, self.revision, self.etc = image, revision, etc
        self.compose_words = [*compose.split(), "-p", "mdhub-check", "-f", "compose.yaml"]
        self.rows: list[tuple[str, str, float]] = []
        self.failed = 0
        os.environ.update(MDHUB_IMAGE=image, MDHUB_ETC=str(etc), MDHUB_LAN_ADDRESS=lan_address())
        etc.mkdir(mode=0o755, parents=True, exist_ok=True)
        # A client of another machine reads a folder that only root may enter as nothing.
        etc.parent.chmod(0o711)
        fronts = {f"tcp://front-{n}.sim:41213": {"delay_ms": 0.3} for n in range(ACCOUNTS)}
        market = {"kind": "synthetic", "interval_ms": 500, "levels": 5}
        (etc / "world.json").write_text(json.dumps({"seed": 1, "market": market, "fronts": fronts}))
        (etc / "mdhub.yaml").write_text(SETTINGS)
        (etc / "accounts.yaml").write_text("---\n".join(_account(n) for n in range(ACCOUNTS)))

    def check(self, name: str, judge: Callable[[], str]) -> bool:
        """One row of the table."""
        begin = time.monotonic()
        try:
            figures, verdict = judge(), "ok"
        except (AssertionError, OSError, subprocess.TimeoutExpired, StopIteration, ValueError) as fault:
            figures, verdict = f"{type(fault).__name__}: {fault}".replace("\n", " ")[:400], "FAILED"
            self.failed += 1
        seconds = time.monotonic() - begin
        self.rows.append((f"{verdict:6} {name}", figures, seconds))
        print(f"{verdict:6} {name} ({seconds:.1f} s): {figures}", flush=True)
        return verdict == "ok"

    def compose(self, *words: str) -> str:
        """`docker compose`, with the compose.yaml that is shipped."""
        return said(*self.compose_words, *words)

    # What is built.

    def labels(self) -> str:
        """The label is what the program says, and the commit is that of the tree."""
        labels = inspect(self.image, ".Config.Labels")
        version = labels["org.opencontainers.image.version"]
        program = said("docker", "run", "--rm", self.image, "--version")
        assert program == f"mdhub {version}", f"{program!r}, label {version!r}"
        assert labels["org.opencontainers.image.revision"] == self.revision, labels
        return f"{program}, revision {self.revision[:12]}"

    def size(self) -> str:
        """What the image adds to its base is small."""
        whole, base = inspect(self.image, ".Size") / 1e6, inspect("debian:bookworm-slim", ".Size") / 1e6
        assert whole - base < 120, f"{whole - base:.0f} MB beyond its base"
        return f"{whole:.0f} MB, {base:.0f} MB of them are debian:bookworm-slim (here: a stand-in, if so said above)"

    def contents(self) -> str:
        """No compiler, no interpreter of ours, no database server; the locale; both vendor libraries."""
        unwanted = "cc gcc cargo rustc node npm python3 pip mongod mariadbd mysqld curl"
        shell = ["docker", "run", "--rm", "--entrypoint", "sh", self.image, "-c"]
        found = said(*shell, f"for tool in {unwanted}; do command -v $tool || true; done")
        assert not found, found
        charmap = said(*shell, "LC_ALL=zh_CN.GB18030 locale charmap 2>&1")
        assert charmap == "GB18030", charmap
        table = Path("gateways/vendor.sh").read_text().splitlines()
        pinned = [line.split() for line in table if line.startswith("vendor/")]
        files = {f"{DATA_LIBRARIES}/{Path(row[0]).name}/{row[1]}": row[3] for row in pinned}
        lines = said(*shell, f"sha256sum {' '.join(files)}").splitlines()
        sums = {file: digest for digest, file in map(str.split, lines)}
        assert len(files) == 2 and sums == files, sums
        return f"none of: {unwanted}; locale zh_CN.GB18030; both vendor libraries as pinned"

    def settings(self) -> str:
        """The settings that are shipped are valid in the image, and compose takes each profile."""
        shipped = said("docker", "run", "--rm", "-v", f"{Path('deploy').resolve()}:/etc/mdhub:ro", self.image, "check")
        for profile in ([], ["--profile", "mysql"], ["--profile", "mongodb"]):
            self.compose(*profile, "config", "--quiet")
        return f"{shipped.splitlines()[0][:80]}; profiles: mysql, mongodb (their servers are not started here)"

    # What runs.

    def starts(self) -> str:
        """From `compose up` to a healthy hub."""
        begin = time.monotonic()
        self.compose("up", "-d", "--no-build", "mdhub")
        eventually(lambda: get_or_none("/ready"), 60, "the hub is ready")
        ready = time.monotonic() - begin
        eventually(lambda: health() == "healthy", 60, "docker calls it healthy")
        label = "label=com.docker.compose.project=mdhub-check"
        names = said("docker", "ps", "--filter", label, "--format", "{{.Names}}")
        assert names == "mdhub", names
        return f"ready {ready:.1f} s after compose up, healthy for docker after {time.monotonic() - begin:.1f} s"

    def is_confined(self) -> str:
        """As the kernel has it, not as it was asked for: user, capabilities, root file system, limits."""
        for process in processes():
            status = process.status
            assert set(status["Uid"].split()) == {"10001"} and set(status["Gid"].split()) == {"10001"}, process
            assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0 and status["NoNewPrivs"] == "1", process
        for place in ("/", "/etc/mdhub", "/usr/local/bin", "/var/tmp"):
            refused = run("docker", "exec", "-u", "0", "mdhub", "sh", "-c", f": >{place}/x")
            assert refused.returncode and "Read-only file system" in refused.stderr, (place, refused)
        mounts = dict(line.split()[1:3] for line in said("docker", "exec", "mdhub", "cat", "/proc/mounts").splitlines())
        for place in ("/run", "/tmp", f"{DATA}/flow", f"{DATA}/lock"):
            assert mounts[place] == "tmpfs", (place, mounts)
        host = inspect("mdhub", ".HostConfig")
        assert host["Memory"] and host["NanoCpus"] and host["PidsLimit"], host
        assert host["RestartPolicy"]["Name"] == "unless-stopped", host["RestartPolicy"]
        log = host["LogConfig"]
        assert log["Type"] == "json-file" and log["Config"]["mode"] == "non-blocking" and log["Config"]["max-size"], log
        limits = f"{host['Memory'] >> 20} MiB, {host['PidsLimit']} threads"
        return f"uid 10001, no capability, no new privileges, read-only root, {limits}"

    def is_let_out_as_said(self) -> str:
        """The control port on loopback alone; ticks there and at the one named address."""
        ports = inspect("mdhub", ".HostConfig.PortBindings")
        at = {port: sorted(b["HostIp"] for b in bindings) for port, bindings in ports.items()}
        lan = os.environ["MDHUB_LAN_ADDRESS"]
        assert at == {"8080/tcp": ["127.0.0.1"], "5555/tcp": sorted(["127.0.0.1", lan])}, at
        try:
            get("/health", base=f"http://{lan}:8080")
        except urllib.error.URLError:
            return f"8080 at loopback, 5555 at loopback and {lan}"
        raise AssertionError(f"the control port answers at {lan}")

    def gateways_tick(self) -> str:
        """Accounts are added within; ticks come out, at loopback and at the named address."""
        said("docker", "exec", "mdhub", "mdhub", "apply", "-f", "/etc/mdhub/accounts.yaml")
        for endpoint in (TICKS, f"tcp://{os.environ['MDHUB_LAN_ADDRESS']}:5555"):
            client = Client(endpoint)
            client.ticks(10)
            client.close()
        eventually(lambda: len(workers()) == ACCOUNTS, 60, f"{ACCOUNTS} workers")
        return f"{ACCOUNTS} gateways; a libzmq SUB took 10 ticks of {SYMBOL} at each address"

    def dashboard_answers(self) -> str:
        """The pages for everybody; the accounts for whoever has the first password."""
        status, page = get("/")
        assert status == 200 and "<html" in page and "_next/" in page, (status, page[:200])
        assert get("/api/accounts")[0] == 401
        password = said("docker", "exec", "mdhub", "cat", f"{DATA}/initial-admin-password")
        status, body = get("/api/accounts", f"admin:{password}")
        assert status == 200 and "account-9" in body, (status, body[:300])
        return f"/ is a page of {len(page)} bytes; /api/accounts: 401, with the first password {ACCOUNTS} accounts"

    def health_is_asked(self) -> str:
        """What docker asks."""
        answer = said("docker", "exec", "mdhub", "mdhub", "health")
        refused = run("docker", "exec", "mdhub", "mdhub", "health", "--data-dir", "/tmp")
        assert refused.returncode == 1 and "no hub has told" in refused.stderr, refused
        return f"mdhub health: 0: {answer[:60]}"

    def second_hub_is_kept_out(self) -> str:
        """Two hubs on one volume: the second says why not."""
        volumes = ["-v", f"mdhub-data:{DATA}", "-v", f"{self.etc}:/etc/mdhub:ro"]
        refused = run("docker", "run", "--rm", *volumes, self.image, "run")
        assert refused.returncode == 1 and "another hub runs on this data directory" in refused.stderr, refused
        return "exit 1, another hub runs on this data directory"

    def no_zombies(self) -> str:
        """Workers are killed from outside, a hundred of them; every one is buried, and all come back."""
        killed: set[int] = set()

        def kill_more() -> bool:
            for worker in workers():
                if worker.pid not in killed and len(killed) < KILLS:
                    os.kill(worker.pid, signal.SIGKILL)
                    killed.add(worker.pid)
            return len(killed) == KILLS

        eventually(kill_more, 240, f"{KILLS} workers killed")

        def settled() -> bool:
            found = processes()
            return len(workers()) == ACCOUNTS and not any(p.state == "Z" for p in found) and len(found) == ACCOUNTS + 2

        eventually(settled, 60, "tini, the hub and its workers, and no zombie")
        client = Client()
        client.ticks(5)
        client.close()
        return f"{len(killed)} kills; then {len(processes())} processes: tini, the hub, {ACCOUNTS} workers; 0 zombies"

    def accounts(self) -> str:
        """The accounts, as the hub's own command shows them."""
        return said("docker", "exec", "mdhub", "mdhub", "get", "-o", "yaml")

    def stops_cleanly(self) -> str:
        """`docker stop`: in the grace, exit code 0, nothing left."""
        before = processes()
        begin = time.monotonic()
        said("docker", "stop", "mdhub")
        seconds = time.monotonic() - begin
        assert inspect("mdhub", ".Config.StopTimeout") == GRACE_S
        code = inspect("mdhub", ".State.ExitCode")
        assert code == 0 and seconds < GRACE_S, f"exit code {code} after {seconds:.1f} s"
        left = [p for p in before if Path(f"/proc/{p.pid}").exists()]
        assert not left, left
        return f"exit code 0 after {seconds:.1f} s of {GRACE_S:.0f} s; of {len(before)} processes none is left"

    def restart_keeps_accounts(self, accounts: str) -> str:
        """Another container on the same volume: the same accounts; how long until the first tick comes out."""
        self.compose("rm", "-f", "mdhub")
        client = Client()
        begin = time.monotonic()
        self.compose("up", "-d", "--no-build", "mdhub")
        whole = client.ticks(1) - begin
        client.close()
        assert self.accounts() == accounts, "the accounts are others"
        assert accounts.count("kind: Account") == ACCOUNTS, accounts
        return f"{ACCOUNTS} accounts as before in a new container; first tick {whole:.1f} s after compose up"

    def start_up(self) -> str:
        """`docker start`, without compose's own time."""
        said("docker", "stop", "mdhub")
        client = Client()
        begin = time.monotonic()
        said("docker", "start", "mdhub")
        started = time.monotonic() - begin
        tick = client.ticks(1) - begin
        client.close()
        return f"docker start: {started:.2f} s; first tick at the client after {tick:.2f} s"

    def crash_is_mended(self) -> str:
        """A hub that is killed takes its workers along, and docker starts it again."""
        before = processes()
        begin = time.monotonic()
        os.kill(hub().pid, signal.SIGKILL)
        eventually(lambda: not any(Path(f"/proc/{p.pid}").exists() for p in before), 30, "all of the old ones gone")
        client = Client()
        tick = client.ticks(1) - begin
        client.close()
        return f"SIGKILL of the hub: the next tick {tick:.1f} s later, {len(before)} old processes gone"

    def stopped_hub_is_mended(self) -> str:
        """A hub that stands still can end nothing itself: docker's health check and `cron/reconcile` do."""
        old = hub().pid
        begin = time.monotonic()
        os.kill(old, signal.SIGSTOP)
        try:
            eventually(lambda: health() == "unhealthy", 120, "docker calls it unhealthy")
            unhealthy = time.monotonic() - begin
            mend = self._mender()
            minute = 0
            while Path(f"/proc/{old}").exists():
                assert time.monotonic() - begin < 240, "nobody mended it"
                run(*mend, "--at", str(A_SECTION_S + 60 * minute), within_s=90)
                minute += 1
        finally:
            if Path(f"/proc/{old}").exists():
                os.kill(old, signal.SIGCONT)
        client = Client()
        tick = client.ticks(1, 90) - begin
        client.close()
        return f"unhealthy after {unhealthy:.0f} s; ticks again {tick:.0f} s after SIGSTOP, by {mend[0]}"

    def _mender(self) -> list[str]:
        """What cron runs every minute on the host, told how this hub is started and asked."""
        place = self.etc.parent / "cron"
        place.mkdir()
        mdhub = place / "mdhub"
        mdhub.write_text(f'#!/bin/sh\nexec docker run --rm -v {self.etc}:/etc/mdhub:ro {self.image} "$@"\n')
        mdhub.chmod(0o755)
        said_to_it = {
            "MDHUB": str(mdhub),
            "START": "docker start mdhub",
            "STOP": "docker stop mdhub",
            "RESTART": "docker restart mdhub",
            "RUNNING": "docker inspect -f '{{.State.Running}}' mdhub | grep -q true",
            "UNREADY_MIN": "1",
            "STATE_DIR": str(place / "state"),
            "LOG_FILE": str(place / "log"),
        }
        conf = place / "cron.conf"
        conf.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in said_to_it.items()))
        return ["cron/reconcile", "run", "--conf", str(conf)]

    def demo_runs(self) -> str:
        """What somebody tries first, on a root that cannot be written to."""
        name = "mdhub-check-demo"
        begin = time.monotonic()
        said("docker", "run", "-d", "--rm", "--read-only", "--name", name, "-p", "127.0.0.1::5555", self.image, "demo")
        try:
            client = Client(f"tcp://{said('docker', 'port', name, '5555').splitlines()[0]}")
            tick = client.ticks(3) - begin
            client.close()
            printed = said("docker", "logs", name)
            assert "three simulated accounts" in printed and "login: admin" in printed, printed
            line = said("docker", "exec", name, "mdhub", "subscribe", SYMBOL, "--count", "1")
            assert SYMBOL in line, line
        finally:
            run("docker", "stop", name)
        return f"docker run mdhub demo: first tick after {tick:.1f} s"

    def all(self) -> None:
        """Everything, in an order in which one state leads to the next."""
        self.check("mdhub --version inside is the label", self.labels)
        self.check("the image is small", self.size)
        self.check("what is in it and what is not", self.contents)
        self.check("settings and profiles as shipped", self.settings)
        self.check("docker run mdhub demo", self.demo_runs)
        if not self.check("compose.yaml as shipped starts", self.starts):
            print(run("docker", "logs", "--tail", "40", "mdhub"))
            return
        self.check("confined", self.is_confined)
        self.check("let out as said", self.is_let_out_as_said)
        self.check("ticks reach a client outside", self.gateways_tick)
        self.check("the dashboard answers", self.dashboard_answers)
        self.check("health", self.health_is_asked)
        self.check("a second hub on the volume", self.second_hub_is_kept_out)
        self.check("no zombie", self.no_zombies)
        accounts = self.accounts()
        self.check("docker stop", self.stops_cleanly)
        self.check("a restart keeps accounts", lambda: self.restart_keeps_accounts(accounts))
        self.check("start-up", self.start_up)
        self.check("a crash is mended", self.crash_is_mended)
        self.check("SIGSTOP of the hub is mended", self.stopped_hub_is_mended)

    def report(self) -> None:
        """The table."""
        width = max(len(name) for name, _, _ in self.rows)
        print("\n" + "\n".join(f"{name:{width}}  {seconds:6.1f} s  {figures}" for name, figures, seconds in self.rows))
        print(f"\n{len(self.rows) - self.failed} checks hold, {self.failed} do not")


def _account(number: int) -> str:
    settings = {"md_address": f"tcp://front-{number}.sim:41213", "library": "sim", "user_id": "u", "broker_id": "9999"}
    head = {"apiVersion": "mdhub/v1", "kind": "Account", "id": f"account-{number}", "gateway": "ctp"}
    return json.dumps({**head, "password": "secret", "settings": settings}) + "\n"


def get_or_none(path: str) -> bool:
    """Whether it is answered with 200, and nobody need listen yet."""
    try:
        return get(path)[0] == 200
    except OSError:
        return False


def lan_address() -> str:
    """This machine's address towards others; 127.0.0.2 where it has none."""
    addresses = [word for word in said("hostname", "-I").split() if ":" not in word and not word.startswith("172.")]
    return addresses[0] if addresses else "127.0.0.2"


def main() -> int:
    """Ends with 0 where all checks hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--image", required=True)
    parser.add_argument("--revision", required=True)
    parser.add_argument("--compose", default="docker compose")
    parser.add_argument("--etc", type=Path, required=True)
    args = parser.parse_args()
    if not shutil.which("docker"):
        parser.error("docker is missing")
    checks = Checks(args.image, args.revision, args.compose, args.etc)
    checks.all()
    checks.report()
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
