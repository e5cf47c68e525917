"""What a pyzmq subscriber sees of our PUB server, compared with what it sees of libzmq's own.

    python tests/e2e/zmtp_conformance.py [PATH_OF_ZMTP_PUB]

Each scenario runs against both publishers and tells what it saw as plain values; a difference is printed and makes the
exit code 1. Under pytest it is ``test_our_publisher_is_seen_as_libzmqs_own``. Needs pyzmq, and the example:

    cargo build -p mdhub-feed --example zmtp_pub
"""

import contextlib
import hashlib
import pathlib
import socket
import struct
import subprocess
import sys
import threading
import time

import zmq
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils import monitor

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "target/debug/examples/zmtp_pub"
ROUNDS_A_SECOND = 500
TOPICS = ["rb2701.SHFE", "rb2705.SHFE", "ru2701.SHFE", "IO2612-C-4000.CFFEX", "r"]
DEADLINE_S = 10.0
SETTLE_S = 0.4
TOKEN = "open sesame"


@contextlib.contextmanager
def ours(example, listen="127.0.0.1:0", token=None):
    """Our publisher; gives its endpoint. With a token it asks for it."""
    asks = [f"token={hashlib.sha256(token.encode()).hexdigest()}"] if token else []
    command = [str(example), listen, str(ROUNDS_A_SECOND), *TOPICS, *asks]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            endpoint = process.stdout.readline().strip()
            assert endpoint.startswith("tcp://"), f"{example} did not say where it listens: {endpoint!r}"
            yield endpoint
        finally:
            process.stdin.close()
            assert process.wait(DEADLINE_S) == 0


@contextlib.contextmanager
def libzmqs(listen="127.0.0.1:0", token=None):
    """The same rounds from libzmq's PUB; gives its endpoint. With a token it asks for it."""
    with zmq.Context() as context, contextlib.ExitStack() as stack:
        pub = context.socket(zmq.PUB)
        pub.linger = 0
        if token:
            guard = ThreadAuthenticator(context)
            guard.start()
            stack.callback(guard.stop)
            guard.configure_plain(domain="ticks", passwords={"desk": token})
            pub.plain_server = True
            pub.zap_domain = b"ticks"
        pub.bind(f"tcp://{listen}" if not listen.endswith(":0") else "tcp://127.0.0.1:*")
        endpoint = pub.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        leave = threading.Event()

        def publish():
            number = 0
            while not leave.wait(1 / ROUNDS_A_SECOND):
                number += 1
                for topic in TOPICS:
                    pub.send_multipart([topic.encode(), str(number).encode()])
            pub.close()

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            yield endpoint
        finally:
            leave.set()
            thread.join()


class Subscriber:
    """A SUB socket that gives up when nothing comes for DEADLINE_S."""

    def __init__(self, socket_type=zmq.SUB, **options):
        self.context = zmq.Context()
        self.socket = self.context.socket(socket_type)
        self.socket.linger = 0
        self.socket.rcvtimeo = int(DEADLINE_S * 1000)
        self.socket.reconnect_ivl = 50
        self.socket.rcvhwm = 0
        # Subscriptions wait in the sending pipe, and a SUB socket silently loses those beyond its 1,000.
        self.socket.sndhwm = 0
        for name, value in options.items():
            setattr(self.socket, name, value)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.destroy()

    def receive(self):
        parts = self.socket.recv_multipart()
        assert len(parts) == 2, parts
        return parts[0].decode(), int(parts[1])

    def rounds(self, count=20):
        """The topics of `count` whole rounds, in order, and whether each topic's numbers have no gap.

        SETTLE_S pass before: what an earlier subscription left in the buffers, and the round in
        which this one began, are not counted.
        """
        settled = time.monotonic() + SETTLE_S
        while time.monotonic() < settled:
            self.receive()
        first = self.receive()[1] + 1
        seen = {}
        while True:
            topic, number = self.receive()
            if number >= first + count:
                break
            if number >= first:
                seen.setdefault(number, []).append(topic)
        return {"topics": sorted({tuple(round_) for round_ in seen.values()}), "rounds": len(seen)}

    def is_silent(self, for_s=0.3):
        """Whether there comes a time in which nothing comes."""
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until:
            if not self.socket.poll(int(for_s * 1000)):
                return True
            self.receive()
        return False


class Wire:
    """A subscriber without libzmq, for what a SUB socket hides: it filters once more by itself."""

    def __init__(self, endpoint, minor):
        host, port = endpoint.removeprefix("tcp://").split(":")
        self.socket = socket.create_connection((host, int(port)), DEADLINE_S)
        self.file = self.socket.makefile("rb")
        self.socket.sendall(b"\xff" + bytes(8) + b"\x7f\x03" + bytes([minor]) + b"NULL".ljust(20, b"\0") + bytes(32))
        self.command(b"READY", b"\x0bSocket-Type" + struct.pack(">I", 3) + b"SUB")
        # The padding, bytes 1 to 8, means nothing.
        greeting = self.file.read(64)
        self.greeted = greeting[:1] + greeting[9:], self.frame()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, flags, body):
        self.socket.sendall(bytes([flags, len(body)]) + body)

    def command(self, name, data):
        self.send(4, bytes([len(name)]) + name + data)

    def frame(self):
        flags, length = self.file.read(2)
        return flags, self.file.read(length)

    def window(self, count=50):
        """What comes between two PONGs, `count` frames or half a second apart: topics, and the PONG's frame."""
        time.sleep(0.1)  # libzmq answers in another thread than the one that applies subscriptions.
        self.topics_until_pong()
        if not count:
            time.sleep(0.5)
        seen = set()
        for _ in range(count):
            flags, body = self.frame()
            if flags == 1:
                seen.add(body)
        rest, pong = self.topics_until_pong()
        return sorted(seen | rest), pong

    def topics_until_pong(self):
        self.command(b"PING", struct.pack(">H", 0) + b"more than 16 bytes")
        seen = set()
        while True:
            flags, body = self.frame()
            if flags & 4:
                return seen, body
            if flags == 1:
                seen.add(body)


def on_the_wire(endpoint):
    """The greeting, READY, both forms of subscribing and cancelling, and PONG, byte by byte."""
    seen = []
    for minor, subscribe, cancel in [
        (0, lambda w, p: w.send(0, b"\x01" + p), lambda w, p: w.send(0, b"\x00" + p)),
        (1, lambda w, p: w.send(0, b"\x01" + p), lambda w, p: w.send(0, b"\x00" + p)),
        (1, lambda w, p: w.command(b"SUBSCRIBE", p), lambda w, p: w.command(b"CANCEL", p)),
    ]:
        with Wire(endpoint, minor) as wire:
            seen.append(wire.greeted)
            seen.append(wire.window(0))
            subscribe(wire, b"rb2701")
            subscribe(wire, b"I")
            wire.command(b"NONSENSE", b"which is ignored")
            seen.append(wire.window())
            cancel(wire, b"I")
            seen.append(wire.window())
            cancel(wire, b"rb2701")
            seen.append(wire.window(0))
    return seen


def subscribe_before_connecting(endpoint):
    with Subscriber() as sub:
        sub.socket.subscribe("rb2701.SHFE")
        sub.socket.connect(endpoint)
        return sub.rounds()


def subscribe_after_connecting(endpoint):
    with Subscriber() as sub:
        sub.socket.connect(endpoint)
        silent = sub.is_silent()
        sub.socket.subscribe("ru2701.SHFE")
        return silent, sub.rounds()


def unsubscribe(endpoint):
    with Subscriber() as sub:
        sub.socket.connect(endpoint)
        sub.socket.subscribe("rb2701.SHFE")
        sub.socket.subscribe("ru2701.SHFE")
        both = sub.rounds()
        sub.socket.unsubscribe("rb2701.SHFE")
        one = sub.rounds()
        sub.socket.unsubscribe("ru2701.SHFE")
        silent = sub.is_silent()
        sub.socket.subscribe("rb2705.SHFE")
        return both, one, silent, sub.rounds()


def subscribe_twice_unsubscribe_once(endpoint):
    with Subscriber() as sub:
        sub.socket.connect(endpoint)
        sub.socket.subscribe("rb2701.SHFE")
        sub.socket.subscribe("rb2701.SHFE")
        sub.socket.unsubscribe("rb2701.SHFE")
        still = sub.rounds()
        sub.socket.unsubscribe("rb2701.SHFE")
        return still, sub.is_silent()


def prefixes(endpoint):
    seen = {}
    for prefix in ["rb", "r", "rb2701.SHFE.", "RB", "IO2612-C", ""]:
        with Subscriber() as sub:
            sub.socket.connect(endpoint)
            sub.socket.subscribe(prefix)
            seen[prefix] = sub.rounds() if prefix not in ("rb2701.SHFE.", "RB") else sub.is_silent()
    return seen


def overlapping_prefixes(endpoint):
    with Subscriber() as sub:
        sub.socket.connect(endpoint)
        for prefix in ["", "rb", "rb2701.SHFE"]:
            sub.socket.subscribe(prefix)
        everything = sub.rounds()
        sub.socket.unsubscribe("")
        return everything, sub.rounds()


def xsub(endpoint):
    with Subscriber(zmq.XSUB) as sub:
        sub.socket.connect(endpoint)
        sub.socket.send(b"\x01rb")
        sub.socket.send(b"a message upstream, which a publisher ignores")
        seen = sub.rounds()
        sub.socket.send(b"\x00rb")
        return seen, sub.is_silent()


def many_subscriptions(endpoint):
    with Subscriber() as sub:
        sub.socket.connect(endpoint)
        for n in range(2_500):
            sub.socket.subscribe(f"nobody{n}.SHFE")
        sub.socket.subscribe("ru")
        return sub.rounds()


def events_of(sub, seconds):
    """What happened to the connection while ticks came in for so long."""
    watch = sub.socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sub.receive()
    names = []
    while watch.poll(0):
        names.append(zmq.Event(monitor.recv_monitor_message(watch)["event"]).name)
    sub.socket.disable_monitor()
    return names


def heartbeats(endpoint):
    """A client that beats every 50 ms, and tells us to forget it after 100 ms of silence, stays connected."""
    with Subscriber(heartbeat_ivl=50, heartbeat_timeout=200, heartbeat_ttl=100) as sub:
        sub.socket.connect(endpoint)
        sub.socket.subscribe("rb")
        sub.receive()
        return events_of(sub, 2.0), sub.rounds()


def heartbeats_without_ticks(endpoint):
    """Only PONG keeps this one connected."""
    with Subscriber(heartbeat_ivl=50, heartbeat_timeout=200) as sub:
        watch = sub.socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        sub.socket.connect(endpoint)
        names = []
        until = time.monotonic() + 2.0
        while (left := until - time.monotonic()) > 0:
            if watch.poll(int(left * 1000) + 1):
                names.append(zmq.Event(monitor.recv_monitor_message(watch)["event"]).name)
        sub.socket.disable_monitor()
        return names


def wrong_socket_type(endpoint):
    """A PULL socket gets no handshake."""
    with Subscriber(zmq.PULL) as sub:
        watch = sub.socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        sub.socket.connect(endpoint)
        return watch.poll(500), sub.socket.poll(0)


def right_token(endpoint):
    with Subscriber(plain_username=b"desk", plain_password=TOKEN.encode()) as sub:
        sub.socket.connect(endpoint)
        sub.socket.subscribe("rb")
        return sub.rounds()


def handshake(endpoint, **options):
    """How the first handshake ends: by which event and, where it failed for the token, with which status."""
    with Subscriber(**options) as sub:
        ends = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH
        watch = sub.socket.get_monitor_socket(ends)
        sub.socket.subscribe("rb")
        sub.socket.connect(endpoint)
        if not watch.poll(1_500):
            return "no handshake", sub.socket.poll(0)
        message = monitor.recv_monitor_message(watch)
        status = message["value"] if message["event"] == zmq.EVENT_HANDSHAKE_FAILED_AUTH else None
        return zmq.Event(message["event"]).name, status, sub.socket.poll(300)


def wrong_tokens(endpoint):
    wrong = [("desk", "open sesam"), ("desk", "x" * 255), ("desk", " ")]
    return [handshake(endpoint, plain_username=n.encode(), plain_password=p.encode()) for n, p in wrong]


def no_token(endpoint):
    """A NULL client at a publisher that asks for PLAIN."""
    return handshake(endpoint)


GUARDED = [right_token, wrong_tokens, no_token]

SCENARIOS = [
    on_the_wire,
    subscribe_before_connecting,
    subscribe_after_connecting,
    unsubscribe,
    subscribe_twice_unsubscribe_once,
    prefixes,
    overlapping_prefixes,
    xsub,
    many_subscriptions,
    heartbeats,
    heartbeats_without_ticks,
    wrong_socket_type,
]


def reconnect(publisher):
    """The publisher goes and comes back at the same address: the subscriptions are still known, the numbers begin anew."""
    with Subscriber() as sub:
        sub.socket.subscribe("rb27")
        with publisher() as endpoint:
            sub.socket.connect(endpoint)
            before = sub.rounds()
            last = sub.receive()[1]
        silent = sub.is_silent()
        with publisher(listen=endpoint.removeprefix("tcp://")):
            begins_anew = sub.receive()[1] < last
            return before, silent, begins_anew, sub.rounds()


def connected_before_it_starts(publisher):
    """Who subscribes and connects before the publisher is there gets its ticks once it is."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{holder.getsockname()[1]}"
    with Subscriber() as sub:
        sub.socket.subscribe("rb27")
        sub.socket.connect(f"tcp://{listen}")
        silent = not sub.socket.poll(300)
        with publisher(listen=listen):
            return silent, sub.rounds()


def differences(example):
    """Every scenario that two publishers do not pass alike, as text."""
    found = []

    def compare(name, run):
        # On a busy machine a subscription can take effect late: a difference counts when it shows again.
        for _ in range(2):
            theirs, mine = run(libzmqs), run(lambda **how: ours(example, **how))
            if theirs == mine:
                break
        else:
            found.append(f"{name}:\n  libzmq: {theirs}\n  ours:   {mine}")
        return theirs

    def at_endpoint(scenario, **how):
        def run(publisher):
            with publisher(**how) as endpoint:
                return scenario(endpoint)

        return run

    for scenario in SCENARIOS:
        theirs = compare(scenario.__name__, at_endpoint(scenario))
        print(f"{scenario.__name__}: {theirs}", flush=True)
    for scenario in GUARDED:
        theirs = compare(scenario.__name__, at_endpoint(scenario, token=TOKEN))
        print(f"{scenario.__name__}: {theirs}", flush=True)
    for scenario in (reconnect, connected_before_it_starts):
        print(f"{scenario.__name__}: {compare(scenario.__name__, scenario)}", flush=True)
    return found


def test_our_publisher_is_seen_as_libzmqs_own():
    assert EXAMPLE.exists(), f"{EXAMPLE} is missing: cargo build -p mdhub-feed --example zmtp_pub"
    assert differences(EXAMPLE) == []


def main():
    example = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLE
    found = differences(example)
    print("\n".join(["", "DIFFERENT:", *found]) if found else "\nno difference")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
