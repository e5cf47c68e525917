"""docs/operations.md: its commands, tried on a real hub, do and print what it says."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from conftest import Hubs
from harness import desired
from harness.api import initial_password
from harness.hub import Hub, mdhub
from harness.places import REPOSITORY
from harness.world import FUTURES, MAIN_FRONT, live_world, settings

DOCUMENT = (REPOSITORY / "docs/operations.md").read_text()
WITHIN_S = 30.0


def _refusals() -> list[str]:
    """What a hub says that does not start, by the document's table."""
    table = DOCUMENT.split("| it says | you |", 1)[1].split("\n\n", 1)[0]
    return re.findall(r"^\| `([^`]+)`", table, flags=re.MULTILINE)


def _login(hub: Hub, host: str, **headers: str) -> tuple[int, str]:
    """Status and cookie of a login that a reverse proxy passes on, asked for by this name."""
    body = json.dumps({"username": "admin", "password": initial_password(hub)}).encode()
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    asked = {"Content-Type": "application/json", "Host": host, **more}
    request = urllib.request.Request(f"{hub.listening().http}/api/session", data=body, headers=asked, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:
            return answer.status, answer.headers["Set-Cookie"]
    except urllib.error.HTTPError as problem:
        return problem.code, ""


def test_a_backup_prints_what_the_guide_shows_and_its_lines_bring_the_accounts_back(hubs: Hubs) -> None:
    hub = hubs.empty()
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
    copy = hub.data_dir / "before-upgrade.backup"
    done = mdhub("backup", "--data-dir", str(hub.data_dir), str(copy))
    shown = DOCUMENT.split("$ mdhub backup accounts.backup\n", 1)[1].split("```", 1)[0]
    assert done.stdout.replace(str(copy), "accounts.backup") == shown
    again = mdhub("backup", "--data-dir", str(hub.data_dir), str(copy))
    assert again.returncode == 1 and "nothing was written" in again.stderr

    mdhub("account", "--data-dir", str(hub.data_dir), "delete", "ctp-main", "--yes")
    hub.stopped("ctp-main")
    assert hub.stop() == 0
    line = re.search(r"'(cd /var/lib/mdhub && [^']+)'", DOCUMENT)
    assert line, "the line that restores is not there"
    command = line[1].replace("/var/lib/mdhub", str(hub.data_dir))
    subprocess.run(["sh", "-euc", command], check=True, timeout=WITHIN_S)
    back = hubs.run(hub.data_dir.parent / "mdhub.yaml")
    back.running("ctp-main", WITHIN_S)


def test_a_hub_that_cannot_start_says_what_the_guide_has_a_row_for(hubs: Hubs, tmp_path: Path) -> None:
    hub = hubs.empty()
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
    file = hubs.directory / "mdhub.yaml"
    said = [mdhub("run", "--config", str(file), "--data-dir", str(hub.data_dir)).stderr]

    keyless = tmp_path / "keyless"
    keyless.mkdir(mode=0o700)
    copied = mdhub("backup", "--data-dir", str(hub.data_dir), str(keyless / "mdhub.db"))
    assert copied.returncode == 0, copied.stderr
    said.append(mdhub("run", "--config", str(file), "--data-dir", str(keyless)).stderr)

    document = json.loads(file.read_text())
    document["http"]["listen"] = hub.listening().http.removeprefix("http://")
    taken = tmp_path / "taken.yaml"
    taken.write_text(json.dumps(document))
    said.append(mdhub("run", "--config", str(taken), "--data-dir", str(tmp_path / "other")).stderr)

    rows = _refusals()
    unsaid = [row for row in rows if not any(row in text.splitlines()[-1] for text in said)]
    # A newer release's database is made by the store's own tests.
    assert unsaid == ["it is for a newer release"], f"{unsaid} was not said; but: {said}"
    assert len(rows) == len(said) + 1
    assert "it is for a newer release" in (REPOSITORY / "store/src/lib.rs").read_text()


def test_behind_the_guides_proxy_the_hub_answers_by_its_name_with_a_secure_cookie(hubs: Hubs) -> None:
    block = next(text for text in re.findall(r"```yaml\n(.*?)```", DOCUMENT, flags=re.DOTALL) if "trusted_proxies" in text)
    names = re.findall(r"(allowed_hosts|trusted_proxies): \[([^\]]+)\]", block)
    assert [name for name, _ in names] == ["allowed_hosts", "trusted_proxies"], block
    proxied = {"listen": "127.0.0.1:0", **{name: [value] for name, value in names}}
    passed_on = dict(re.findall(r"proxy_set_header (X-\S+) (\S+);", DOCUMENT))
    headers = {name.replace("-", "_"): value.replace("$remote_addr", "192.168.1.77") for name, value in passed_on.items()}
    assert set(headers) == {"X_Forwarded_For", "X_Forwarded_Proto"}
    hub = hubs.run(settings(hubs.directory, live_world(), FUTURES, http=proxied))
    status, cookie = _login(hub, "hub.desk.lan", **headers)
    assert status == 200 and "; Secure" in cookie, cookie
    assert "; Secure" not in _login(hub, "hub.desk.lan")[1]
    assert _login(hub, "other.desk.lan", **headers)[0] == 421


def test_a_token_made_by_the_guides_line_is_what_the_settings_take_and_is_never_the_same(tmp_path: Path) -> None:
    words = re.findall(r"^mdhub (token \S+)", DOCUMENT, flags=re.MULTILINE)[0].split()
    made = [mdhub(*words).stdout for _ in range(2)]
    tokens = [re.findall(r"^token of desk-7, for the client alone: (\S{16,})$", said, flags=re.MULTILINE)[0] for said in made]
    assert tokens[0] != tokens[1]
    entry = json.loads(re.findall(r"^entry of publish.tokens in mdhub.yaml: (.+)$", made[0], flags=re.MULTILINE)[0])
    assert entry == {"name": "desk-7", "sha256": hashlib.sha256(tokens[0].encode()).hexdigest()}
    file = settings(tmp_path, live_world(), FUTURES, publish={"listen": "tcp://127.0.0.1:0", "tokens": [entry]})
    checked = mdhub("check", "--config", str(file))
    assert checked.returncode == 0, checked.stderr
    refused = mdhub("token", "desk 7")
    assert refused.returncode == 1
    assert "desk 7" in refused.stderr


def test_the_crons_words_and_variables_are_those_of_the_script() -> None:
    script = (REPOSITORY / "cron/reconcile").read_text()
    section = DOCUMENT.split("\n## Cron\n", 1)[1].split("\n## ", 1)[0]
    verbs = set(re.findall(r"^mdhub-reconcile (\w+)", section, flags=re.MULTILINE))
    assert verbs == set(re.findall(r"^    (\w+)\)", script, flags=re.MULTILINE)) - {"run"}
    told = set(re.findall(r"\b([A-Z]{4,}(?:_[A-Z]+)*)(?==|`)", section))
    assert told >= {"START", "STOP", "RESTART", "RUNNING", "MDHUB", "MAIL_TO"}
    assert told <= set(re.findall(r"^([A-Z_]+)=", script, flags=re.MULTILINE)), told
    for words, line in [
        ("20 minutes before", "AHEAD_MIN=20"),
        ("15 minutes after", "AFTER_MIN=15"),
        ("for three minutes", "UNREADY_MIN=3"),
        ("once an hour", "MAIL_EVERY_MIN=60"),
        ("/var/log/mdhub-cron.log", "LOG_FILE=/var/log/mdhub-cron.log"),
    ]:
        assert words in section and f"\n{line}\n" in script, (words, line)
