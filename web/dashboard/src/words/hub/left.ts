// A worker's last words, in Chinese: why it left. Pure.

import type { Rule } from "./sentences";

/** What a worker says as it leaves. */
export const LEFT: readonly Rule[] = [
  [/^asked to stop$/, () => "应要求停止"],
  [/^asked to leave by TERM$/, () => "收到 TERM 信号退出"],
  [/^the hub closed the commands$/, () => "中枢关闭了指令管道"],
  [/^tick pipe: (.+)$/, (why) => `行情管道：${why}`],
  [/^control pipe: (.+)$/, (why) => `控制管道：${why}`],
  [/^the front refused the login, code (-?\d+): (.*)$/, (code, words) => `前置拒绝登录，代码 ${code}：${words}`],
  [/^no front answered within ([\d.]+ s)$/, (s) => `${s} 内没有前置应答`],
  [/^(\d+) attempts failed, the last for (.+)$/, (n, why) => `尝试 ${n} 次均失败，最后一次：${why}`],
  [/^the front has not answered the login within ([\d.]+ s)$/, (s) => `前置在 ${s} 内未答复登录`],
  [/^not one tick came for ([\d.]+ s) in an open session, (.+)$/, (s, ever) => `开市期间 ${s} 内没有一笔行情，${ever === "ever since the subscription" ? "订阅以来从未有过" : ever.replace(/^after (\d+)$/, "此前共 $1 笔")}`],
  [/^the front's connection was lost (\d+) times within ([\d.]+ s), the last time for (.+)$/, (n, s, why) => `${s} 内断线 ${n} 次，最后一次：${why}`],
  [/^at most (\d+) within ([\d.]+ s) are borne$/, (n, s) => `${s} 内最多容许 ${n} 次`],
  [/^logged in, but none of (\d+) subscriptions was answered within ([\d.]+ s): (.+)$/, (n, s, which) => `已登录，但 ${n} 个订阅在 ${s} 内均未答复：${which}`],
  [/^the ring dropped ticks in each of (\d+) consecutive seconds, (\d+) in all: the hub does not keep up$/, (n, all) => `缓冲区连续 ${n} 秒丢弃行情，共 ${all} 笔：中枢跟不上`],
  [/^the hub has read no report for (\d+) ms, (\d+) bytes wait$/, (ms, n) => `中枢 ${ms} 毫秒未读报告，积压 ${n} 字节`],
  [/^mdhub's own code panicked in a callback$/, () => "mdhub 自身代码在回调中异常"],
  [/^mdhub's own code failed in a callback: (.+)$/, (why) => `mdhub 自身代码在回调中异常：${why}`],
  [/^([\w.]+) cannot be imported: (.+)$/, (cls, why) => `无法导入 ${cls}：${why}`],
  [/^([\w.]+) cannot be made: (.+)$/, (cls, why) => `无法创建 ${cls}：${why}`],
  [/^([\w.]+): module (\S+) has no (\w+)$/, (cls, module, name) => `${cls}：模块 ${module} 中没有 ${name}`],
  [/^([\w.]+)\.connect failed: (.+)$/, (cls, why) => `${cls} 连接失败：${why}`],
  [/^the locale zh_CN\.GB18030 is missing in (\S+)$/, (place) => `${place} 中缺少区域设置 zh_CN.GB18030`],
  [/^without it the first decoded text ends the process$/, () => "缺少它，首次解码文本就会使进程终止"],
  [/^run: (gateways\/vnpy\/install \S+)$/, (command) => `请运行：${command}`],
  [/^(\S+) is no environment of vnpy, it has no (\S+)$/, (place, name) => `${place} 不是 vnpy 环境，缺少 ${name}`],
  [/^make it with: (gateways\/vnpy\/install \S+)$/, (command) => `请运行：${command}`],
];
