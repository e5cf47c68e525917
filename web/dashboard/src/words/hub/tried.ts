// The steps of a login that is tried, in Chinese. Pure.

import type { Rule } from "./sentences";

/** What a trial says. */
export const TRIED: readonly Rule[] = [
  [/^library (\S+) found, sha256 (\S+)$/, (path, hash) => `找到接口库 ${path}，sha256 ${hash}`],
  [/^vnpy's environment (\S+) found$/, (path) => `找到 vnpy 环境 ${path}`],
  [/^library loaded, version (".*")$/, (version) => `已加载接口库，版本 ${version}`],
  [/^library loaded, version (".*"), with which mdhub was not tested$/, (version) => `已加载接口库，版本 ${version}，未经 mdhub 测试`],
  [/^front (\S+) is (\d.*|\[.*)$/, (address, to) => `前置 ${address} 解析为 ${to}`],
  [/^front (\S+) has no address: (.+)$/, (address, why) => `前置 ${address} 无法解析：${why}`],
  [/^front (\S+) is reached by TCP$/, (address) => `前置 ${address} 可建立 TCP 连接`],
  [/^front (\S+) is not reached by TCP: (.+)$/, (address, why) => `前置 ${address} 无法建立 TCP 连接：${why}`],
  [/^front (\S+) is not reached by TCP, nor by the library$/, (address) => `前置 ${address} 无法建立 TCP 连接，接口库也连不上`],
  [/^front connected$/, () => "前置已连接"],
  [/^front disconnected, reason (\S+)$/, (code) => `前置断开，原因 ${code}`],
  [/^login accepted, trading day (\S*)$/, (day) => `登录成功，交易日 ${day}`],
  [/^login refused, code (-?\d+): (.*)$/, (code, words) => `登录被拒绝，代码 ${code}：${words}`],
  [/^(\S+) refused, code (-?\d+): (.*)$/, (symbol, code, words) => `${symbol} 被拒绝，代码 ${code}：${words}`],
  [/^(\d+) of (\d+) contracts subscribed$/, (n, of) => `已订阅 ${n}/${of} 个合约`],
  [/^(\d+) contracts unanswered: (.+)$/, (n, which) => `${n} 个合约未答复：${which}`],
  [/^first tick: (\S+), last (.+)$/, (symbol, price) => `首笔行情：${symbol}，最新价 ${price}`],
  [/^no tick within (\d+) s \(market closed\?\)$/, (s) => `${s} 秒内无行情（休市？）`],
  [/^no tick: the market is closed$/, () => "无行情：市场休市"],
  [/^login works$/, () => "登录正常"],
  [/^login, subscription and ticks work$/, () => "登录、订阅与行情均正常"],
  [/^no contract was subscribed$/, () => "没有合约订阅成功"],
  [/^not done within (\d+) ms$/, (ms) => `${ms} 毫秒内未完成`],
  [/^a wrong password is refused: this front checks it$/, () => "错误密码被拒绝：该前置校验密码"],
  [/^a wrong password is accepted, too: this front checks none, so the login proves nothing of it$/, () => "错误密码也能登录：该前置不校验密码，登录成功不能证明密码正确"],
  [/^whether the front checks passwords stays open: (.+)$/, (why) => `无法判断该前置是否校验密码：${why}`],
  [/^whether this front checks it was not tried: many market-data fronts check none$/, () => "未测试该前置是否校验密码：许多行情前置并不校验"],
];
