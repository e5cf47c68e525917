"""Who is told: a mail server that insists on STARTTLS and a login, and receivers of posts. All on this machine."""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import hmac
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from harness.waiting import eventually

USER = "desk"
PASSWORD = "mail-password-7f3a"
DELIVERED_WITHIN_S = 30.0


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    directory.mkdir(parents=True, exist_ok=True)
    made, key = directory / "ca.pem", directory / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    words += ["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([*words, "-out", str(made), "-keyout", str(key)], check=True, capture_output=True)
    return made, key


@dataclass
class MailServer:
    """Takes mail over STARTTLS from one user."""

    directory: Path
    port: int = field(default_factory=free_port)
    received: list[tuple[float, EmailMessage, list[str]]] = field(default_factory=list)
    refused_logins: int = 0
    _controller: Controller | None = None

    def __post_init__(self) -> None:
        """Makes its certificate."""
        self.ca, self._key = certificate(self.directory)

    def url(self, password: str = PASSWORD) -> str:
        """How the hub is told of it."""
        return f"smtp://{USER}:{password}@localhost:{self.port}?tls=required"

    def environment(self, password: str = PASSWORD) -> dict[str, str]:
        """What a hub that sends mail by it is started with."""
        return {"MDHUB_SMTP_URL": self.url(password), "SSL_CERT_FILE": str(self.ca)}

    def _is_known(self, _server: Any, _session: Session, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        is_right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        self.refused_logins += not is_right
        return AuthResult(success=is_right)

    async def handle_DATA(self, _server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keeps a mail; called by aiosmtpd."""
        assert session.ssl is not None
        assert session.authenticated
        assert isinstance(envelope.content, bytes)
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.received.append((time.monotonic(), mail, list(envelope.rcpt_tos)))
        return "250 OK"

    @contextmanager
    def running(self) -> Iterator[MailServer]:
        """Listens, for a while."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, self._key)
        controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=self._is_known,
        )
        controller.start()
        try:
            yield self
        finally:
            controller.stop()

    def subjects(self) -> list[str]:
        """Of every mail so far, without the program's name before it."""
        return [str(mail["Subject"]).removeprefix("[mdhub] ") for _, mail, _ in self.received]

    def wait_for(self, subject: str, within_s: float = DELIVERED_WITHIN_S) -> float:
        """Waits for a mail; when it came (monotonic seconds)."""

        def look() -> float | None:
            return next((self.received[i][0] for i, s in enumerate(self.subjects()) if s == subject), None)

        try:
            return eventually(look, within_s, "")
        except AssertionError:
            raise AssertionError(f"no mail {subject!r} within {within_s} s: {self.subjects()}") from None


@dataclass
class Post:
    """One request to a robot."""

    path: str
    body: dict[str, Any]

    def query(self, name: str) -> str:
        """One parameter of the address."""
        return parse_qs(urlsplit(self.path).query)[name][0]


class Robots:
    """Receives posts; how it answers may be changed."""

    def __init__(self) -> None:
        """Listens on a free port."""
        self.posts: list[Post] = []
        self.pings: list[str] = []
        self.answer: dict[str, Any] = {"errcode": 0, "code": 0}
        robots = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # noqa: N802
                length = int(self.headers["content-length"])
                robots.posts.append(Post(self.path, json.loads(self.rfile.read(length))))
                self._answer()

            def do_GET(self) -> None:  # noqa: N802
                robots.pings.append(self.path)
                self._answer()

            def _answer(self) -> None:
                text = json.dumps(robots.answer).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_words: Any) -> None:
                """Is silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Listens no more."""
        self._server.shutdown()
        self._server.server_close()

    def of(self, path: str) -> list[Post]:
        """The posts to one address."""
        return [post for post in self.posts if urlsplit(post.path).path == path]

    def wait_for(self, path: str, count: int = 1) -> list[Post]:
        """Waits for so many posts to one address."""
        return eventually(lambda: found if len(found := self.of(path)) >= count else None, DELIVERED_WITHIN_S, path)


def signature(key: str, text: str) -> str:
    """What DingTalk and Feishu ask for: base64 of HMAC-SHA256."""
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()
