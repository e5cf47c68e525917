import { readFileSync } from "node:fs";

import { describe, expect, it, test } from "vitest";

import { inChinese } from "./sentences";

/** Two English words in a row, which no sentence in Chinese has. */
const ENGLISH = /[a-z']{2,} [a-z']{2,}/;

/** What a source of the hub's writes between quotes, with a value in place of each `{...}`. */
function literals(path: string): string[] {
  const code = readFileSync(new URL(`../../../../../${path}`, `file://${import.meta.dirname}/x`), "utf8").split("#[cfg(test)]")[0] ?? "";
  const found = [...code.matchAll(/^(?!\s*\/\/).*$/gm)].flatMap(([line]) => [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((match) => match[1] ?? ""));
  return found.filter((text) => text.split(" ").length >= 3).map((text) => text.replace(/\{[^}]*\}/g, "7"));
}

describe("every sentence of the planner's", () => {
  const all = literals("reconciler/src/plan/status.rs");
  // Parts of sentences: joined to others in the cases below.
  const parts = ["7; it was started 7 ago", ", exit 7 in a row", "; it starts in 7", "7; silent: 77", "ended by the hub for being sick, ", "the front went away: 7, 7", "7 and 7 more", "a reason that the vendor does not document", "its heartbeat timed out", "the heartbeat could not be sent", "it sent a bad packet", "silent though others bring them"];

  it("is found in the source", () => {
    expect(all.length).toBeGreaterThan(40);
    expect(parts.filter((part) => !all.includes(part))).toEqual([]);
  });

  it("is said in Chinese", () => {
    // A value stands for a span of seconds in some, and for a sentence of its own in others.
    const said = all.filter((text) => !parts.includes(text)).map((text) => [text, inChinese(text.replace(/\b(in|for|started) 7\b(?! (min|s|or))/g, "$1 7 s").replace(/^7; /, ""))] as const);
    expect(said.filter(([, chinese]) => ENGLISH.test(chinese))).toEqual([]);
  });
});

it("says why a tick was condemned in Chinese, whatever the rule", () => {
  const { all, prices } = { all: literals("feed/src/quarantine.rs"), prices: "last price 1, bid 2 x 3, ask 4 x 5" };
  const written = all.filter((text) => !["last price 7, bid 7 x 7, ask 7 x 7"].includes(text)).map((text) => text.replace(/^7(?=[:,] )/, prices).replace("here 7, limits 7", `here ${prices}, limits 1 and 2`).replace("limits, 7", "limits, 1 and 2"));
  expect(written.length).toBeGreaterThan(12);
  expect(written.map(inChinese).filter((chinese) => ENGLISH.test(chinese))).toEqual([]);
});

it("says the steps of a trial in Chinese", () => {
  const steps = ['front tcp://h:1 is 127.0.0.1:1', "front connected", "login accepted, trading day 20261124", "login refused, code 3: CTP:不合法的登录", "first tick: rb2701, last 3142", "no tick: the market is closed", "login works; no contract was subscribed"];
  expect(steps.map(inChinese).filter((chinese) => ENGLISH.test(chinese))).toEqual([]);
});

test.each([
  ["signal 9; restarts in 2 s", "信号 9；2 秒后重启"],
  ["exit code 21 (no front answered within 30.0 s), exit 3 in a row; restarts in 4 s", "退出码 21（30.0 s 内没有前置应答），连续第 3 次退出；4 秒后重启"],
  ["exit code 21 (no front answered within 30.0 s; 3 attempts failed, the last for reason 0x1001, x); restarts in 1 s", "退出码 21（30.0 s 内没有前置应答；尝试 3 次均失败，最后一次：reason 0x1001, x）；1 秒后重启"],
  ["ended by the hub for being sick, signal 15; restarts in 1 s", "因不健康被中枢结束，信号 15；1 秒后重启"],
  ["the front went away: 0x1001, reading failed", "前置断开 0x1001：读取失败"],
  ["11 of 11 contracts accepted; silent: CZCE, DCE; restarts in 9 s", "已接受 11/11 个合约；静默：CZCE, DCE；9 秒后重启"],
  ["its market is closed; it starts in 600 s", "市场休市；600 秒后启动"],
  ["the worker has not said Hello; it was started 1 s ago", "工作进程尚未报到；1 秒前启动"],
  ["10 of 11 contracts accepted; refused: si2701 (合约不存在); unanswered: 1", "已接受 10/11 个合约；被拒绝：si2701 (合约不存在)；未答复 1 个"],
  [
    "contracts go on with ctp-backup (11 of CFFEX, SHFE: CF701.CZCE, IF2612.CFFEX and 3 more); their first tick from there came 116 ms after ctp-main was lost: signal 9; restarts in 2 s",
    "合约改由 ctp-backup 承载（CFFEX, SHFE 共 11 个：CF701.CZCE, IF2612.CFFEX 等另 3 个）；ctp-main 中断后 116 毫秒收到首笔行情：信号 9；2 秒后重启",
  ],
  ["contracts without a source (rb2701.SHFE): it is stopped by hand", "合约无源可用（rb2701.SHFE）：已手动停止"],
  ["Stopped by hand, from 127.0.0.1", "停止（手动），来自 127.0.0.1"],
  ["changed: is_enabled, priority, from 127.0.0.1", "已修改：is_enabled, priority，来自 127.0.0.1"],
  ["the front refuses the login for good: 3, CTP:不合法的登录; it waits until the account changes", "前置持续拒绝登录：3，CTP:不合法的登录；等待账户修改"],
  ["its login was tried well: login, subscription and ticks work, from 127.0.0.1", "试登录成功：登录、订阅与行情均正常，来自 127.0.0.1"],
  ["its login was tried, and who asked left before the result, from 127.0.0.1", "试登录未等到结果即离开，来自 127.0.0.1"],
  ["started as process 123", "已启动，进程 123"],
  ["something that nobody has written yet", "something that nobody has written yet"],
])("%s", (english, chinese) => {
  expect(inChinese(english)).toBe(chinese);
});
