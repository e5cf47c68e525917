"""The accounts page: desired state by hand."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Locator, expect

from dashboard.conftest import Board
from harness.api import get
from harness.hub import Hub
from harness.processes import workers_of
from harness.waiting import eventually

PASSWORD = "a-secret-of-the-desk"
VNPY = {
    "用户名": "021739",
    "密码": PASSWORD,
    "经纪商代码": "8000",
    "行情服务器": "203.0.113.31:30011",
    "备注": "模拟盘",
}


def row(board: Board, account: str) -> Locator:
    """The account's row."""
    return board.page.locator(f"[data-account='{account}']")


def pids(hub: Hub, account: str) -> list[int]:
    """Processes of an account, as the kernel knows them."""
    return [worker.pid for worker in workers_of(hub.pid) if worker.account == account]


def test_a_switch_and_a_priority_change_what_really_runs(board: Board, hub: Hub) -> None:
    page = board.open("/accounts")
    switch = row(board, "ctp-backup").get_by_role("switch")
    expect(switch).to_be_checked()
    eventually(lambda: pids(hub, "ctp-backup"), 20, "a process of ctp-backup")
    switch.click()
    eventually(lambda: not pids(hub, "ctp-backup"), 20, "the process is gone")
    expect(switch).not_to_be_checked()
    expect(row(board, "ctp-backup").get_by_text("Not in pool")).to_be_visible()
    expect(row(board, "ctp-backup").get_by_role("button", name=re.compile("^Start ctp-backup"))).to_have_attribute("aria-disabled", "true")
    switch.click()
    eventually(lambda: pids(hub, "ctp-backup"), 20, "a new process")
    expect(row(board, "ctp-backup").get_by_text("Healthy")).to_be_visible()
    before = pids(hub, "ctp-backup")
    priority = page.get_by_label("Priority of ctp-backup")
    priority.fill("7")
    priority.press("Enter")
    eventually(lambda: get(hub, "/api/accounts/ctp-backup")[1]["priority"] == 7, 20, "the priority is written")
    priority.fill("seven")
    expect(priority).to_have_attribute("aria-invalid", "true")
    priority.press("Escape")
    expect(priority).to_have_value("7")
    priority.fill("2")
    priority.blur()
    eventually(lambda: get(hub, "/api/accounts/ctp-backup")[1]["priority"] == 2, 20, "the priority is written back")
    assert pids(hub, "ctp-backup") == before, "another priority restarts nothing"


def test_what_vnpy_people_have_is_pasted_saved_edited_and_deleted(board: Board, hub: Hub) -> None:
    page = board.open("/accounts")
    board.expect_complaint("422")
    page.get_by_role("button", name="Paste JSON").click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_label("connect_ctp.json or an account document").fill("{ not yet")
    expect(sheet.get_by_text("This is no JSON yet")).to_be_visible()
    sheet.get_by_label("connect_ctp.json or an account document").fill(json.dumps(VNPY, ensure_ascii=False))
    expect(sheet.get_by_text("1 key unknown")).to_be_visible()
    expect(sheet.get_by_text("备注", exact=True)).to_be_visible()
    expect(sheet.get_by_text("tcp://203.0.113.31:30011")).to_be_visible()
    expect(sheet.get_by_text(f"write-only, {len(PASSWORD)} characters")).to_be_visible()
    board.shot("accounts-new")
    assert board.axe() == []
    sheet.get_by_label("Account id").fill("Not An Id")
    sheet.get_by_label("Library").fill("sim")
    sheet.get_by_label("Priority").fill("9")
    sheet.get_by_role("button", name="Save account").click()
    expect(sheet.get_by_label("Account id")).to_have_attribute("aria-invalid", "true")
    sheet.get_by_label("Account id").fill("ctp-third")
    sheet.get_by_role("button", name="Save account").click()
    expect(sheet).to_be_hidden()
    expect(row(board, "ctp-third").get_by_text("203.0.113.31:30011")).to_be_visible()
    status, saved = get(hub, "/api/accounts/ctp-third")
    assert status == 200 and saved["has_password"] and saved["settings"]["user_id"] == "021739", saved
    # Another front needs the password again, and nothing is saved without it.
    row(board, "ctp-third").get_by_role("button", name="Edit ctp-third").click()
    sheet.get_by_label("Fronts (one a line)").fill("tcp://203.0.113.32:30011")
    expect(sheet.get_by_text("Front or library have changed")).to_be_visible()
    expect(sheet.get_by_role("button", name="Save account")).to_have_attribute("aria-disabled", "true")
    sheet.get_by_label("Password").fill(PASSWORD)
    sheet.get_by_role("button", name="Save account").click()
    expect(row(board, "ctp-third").get_by_text("203.0.113.32:30011")).to_be_visible()
    assert PASSWORD not in page.content(), "a password is on the page"
    row(board, "ctp-third").get_by_role("button", name="Delete ctp-third").click()
    dialog = page.get_by_role("dialog")
    gone = dialog.get_by_role("button", name="Delete for good")
    expect(gone).to_have_attribute("aria-disabled", "true")
    dialog.get_by_label("Type ctp-third to confirm").fill("ctp-third")
    gone.click()
    expect(row(board, "ctp-third")).to_be_hidden()
    assert get(hub, "/api/accounts/ctp-third")[0] == 404


def test_a_search_is_in_the_address_and_a_lost_race_is_told(board: Board, hub: Hub) -> None:
    page = board.open("/accounts?q=sopt")
    board.expect_complaint("409")
    expect(row(board, "sopt-main")).to_be_visible()
    expect(row(board, "ctp-main")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.get_by_label("Search accounts")).to_be_focused()
    page.get_by_label("Search accounts").fill("zzz")
    expect(page.get_by_text("No account matches the search")).to_be_visible()
    page.get_by_label("Search accounts").fill("")
    # Somebody else writes first: this page's form is of a generation that is gone.
    row(board, "sopt-main").get_by_role("button", name="Edit sopt-main").click()
    origin = board.url
    changed = page.context.request.put(f"{origin}/api/accounts/sopt-main", data={"description": "theirs"}, headers={"Origin": origin})
    assert changed.ok
    sheet = page.get_by_role("dialog")
    sheet.get_by_label("Description").fill("mine")
    sheet.get_by_role("button", name="Save account").click()
    expect(sheet.get_by_role("alert")).to_contain_text("Save account: not done.")
    assert get(hub, "/api/accounts/sopt-main")[1]["description"] == "theirs"


def test_a_login_is_tried_before_anything_is_saved_step_by_step(board: Board, hub: Hub) -> None:
    page = board.open("/accounts")
    row(board, "ctp-main").get_by_role("button", name="Edit ctp-main").click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_role("button", name="Test login").click()
    for step in ("address", "login", "tick"):
        expect(sheet.locator(f"[data-step='{step}']").first).to_be_visible(timeout=20_000)
    expect(sheet.locator("[data-step='result']")).to_have_attribute("data-outcome", "ok")
    expect(sheet.get_by_text("was not tried")).to_be_visible()
    board.shot("accounts-trial")
    assert board.axe() == []
    # Another front than the saved one needs the password: said by the hub, and nothing is started.
    board.expect_complaint("422")
    sheet.get_by_label("Fronts (one a line)").fill("tcp://203.0.113.9:1")
    sheet.get_by_role("button", name="Test login").click()
    expect(sheet.get_by_role("alert")).to_contain_text("must be given again")
    assert get(hub, "/api/accounts/ctp-main")[1]["generation"] >= 1
    assert not [worker for worker in workers_of(hub.pid) if worker.account == "probe"]


def test_whoever_has_a_keyboard_only_takes_an_account_out_of_the_pool_and_back(board: Board, hub: Hub) -> None:
    page = board.open("/")
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.wait_for_url("**/accounts")
    expect(row(board, "ctp-backup")).to_be_visible()
    for is_on in (False, True):
        for _ in range(60):
            if page.evaluate("document.activeElement.getAttribute('aria-label')") == "ctp-backup in the pool":
                break
            page.keyboard.press("Tab")
        page.keyboard.press("Space")
        eventually(lambda: get(hub, "/api/accounts/ctp-backup")[1]["is_enabled"] is is_on, 20, "the switch is written")
        switch = row(board, "ctp-backup").get_by_role("switch")
        expect(switch).to_be_checked(checked=is_on)
        expect(switch).to_be_focused()
    eventually(lambda: pids(hub, "ctp-backup"), 20, "a process again")
