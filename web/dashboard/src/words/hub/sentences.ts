// What the hub says itself, in Chinese. It speaks English to logs and programs; a page in Chinese reads a sentence of its
// clause by clause, and leaves what it does not know as the hub said it. Names, numbers and a broker's own words stay. Pure.

import { LEFT } from "./left";
import { REJECTED } from "./rejected";
import { TRIED } from "./tried";

export type Rule = readonly [RegExp, (...found: string[]) => string];

/** Of one clause, the whole of it. */
const RULES: readonly Rule[] = [
  [/^library (".*") is not in `libraries:` of the settings$/, (name) => `库 ${name} 不在配置的 libraries: 中`],
  [/^known are: (.+)$/, (names) => `已有：${names === "none" ? "无" : names}`],
  [/^library (".*"): it is vnpy's class (\S+), and the account's gateway is (\w+): write gateway vnpy, or name a shared object$/, (name, cls, kind) => `库 ${name} 是 vnpy 的网关类 ${cls}，而账户的网关是 ${kind}：请改网关为 vnpy，或改用动态库`],
  [/^library (".*"): it is a shared object, and the account's gateway is (\w+): write gateway ctp or sopt, or name an entry with a gateway_class$/, (name, kind) => `库 ${name} 是动态库，而账户的网关是 ${kind}：请改网关为 ctp 或 sopt，或改用带 gateway_class 的条目`],
  // reconciler: conditions
  [/^there is no process$/, () => "没有进程"],
  [/^process (\d+), incarnation (\S+)$/, (pid, life) => `进程 ${pid}，实例 ${life}`],
  [/^process (\d+), incarnation (\S+), (\d+) contracts acknowledged$/, (pid, life, n) => `进程 ${pid}，实例 ${life}，已确认 ${n} 个合约`],
  [/^the worker has not said Hello$/, () => "工作进程尚未报到"],
  [/^(\d+) of (\d+) contracts accepted so far$/, (n, of) => `目前已接受 ${n}/${of} 个合约`],
  [/^(\d+) of (\d+) contracts accepted$/, (n, of) => `已接受 ${n}/${of} 个合约`],
  [/^it comes after the login$/, () => "在登录之后进行"],
  [/^it comes after the connection$/, () => "在连接之后进行"],
  [/^refused: (.+)$/, (which) => `被拒绝：${more(which)}`],
  [/^silent though others bring them: (.+)$/, (which) => `其他源有而此源静默：${more(which)}`],
  [/^silent though others bring them, also after they were subscribed again: (.+)$/, (which) => `其他源有而此源静默，重新订阅后仍如此：${more(which)}`],
  [/^unanswered: (\d+)$/, (n) => `未答复 ${n} 个`],
  [/^the front holds the connection$/, () => "前置保持连接"],
  [/^no front has answered yet$/, () => "尚无前置应答"],
  [/^the front went away: (\S+), (.+)$/, (code, why) => `前置断开 ${code}：${DISCONNECTS[why] ?? why}`],
  [/^the front has not answered the login$/, () => "前置尚未答复登录"],
  [/^trading day (\d+)$/, (day) => `交易日 ${day}`],
  [/^the front refused the login: (-?\d+), (.*)$/, (code, words) => `前置拒绝登录：${code}，${words}`],
  [/^the front refuses the login for good: (-?\d+), (.*)$/, (code, words) => `前置持续拒绝登录：${code}，${words}`],
  [/^nothing keeps it from running$/, () => "没有阻止其运行的因素"],
  [/^no canary is to tick now$/, () => "当前没有应有行情的金丝雀"],
  [/^every watched exchange ticks$/, () => "所监视的交易所均有行情"],
  [/^the first ticks are waited for$/, () => "等待首笔行情"],
  [/^silent: ([A-Z, ]+)$/, (which) => `静默：${which}`],
  [/^others tick$/, () => "其余正常"],
  [/^it does not end again and again$/, () => "没有反复退出"],
  [/^(\d+) or more unwanted exits in (\d+) min$/, (n, minutes) => `${minutes} 分钟内意外退出 ${n} 次或更多`],
  [/^it goes on trying$/, () => "继续重试"],
  [/^it is logged in, but none of its watched exchanges ticks$/, () => "已登录，但所监视的交易所均无行情"],
  [/^it has lost an exchange that it had$/, () => "失去了原有的一个交易所"],
  [/^most of its ticks are rejected$/, () => "其行情大多被拒收"],
  [/^process group (\d+) survives KILL$/, (pid) => `进程组 ${pid} 无法被 KILL 结束`],
  [/^it waits in the kernel$/, () => "卡在内核中"],
  [/^no process survives its KILL$/, () => "没有无法结束的进程"],
  [/^the worker speaks protocol version (\d+), the hub (\d+)$/, (one, other) => `工作进程的协议版本为 ${one}，中枢为 ${other}`],
  // what comes next
  [/^restarts in (\d+) s$/, (s) => `${s} 秒后重启`],
  [/^it starts in (\d+) s$/, (s) => `${s} 秒后启动`],
  [/^it was started (\d+) s ago$/, (s) => `${s} 秒前启动`],
  [/^nor do the others, so perhaps the market is silent$/, () => "其他源也没有，可能市场静默"],
  [/^held for (\d+) s$/, (s) => `暂缓 ${s} 秒`],
  [/^another source is restarted first$/, () => "先重启另一个源"],
  [/^it goes on, since nobody else delivers (\S+)$/, (exchange) => `继续运行，因为没有其他源提供 ${exchange}`],
  [/^TERM now$/, () => "正在终止"],
  [/^KILL( again)? now$/, (again) => `正在${again ? "再次" : ""}强制结束`],
  [/^KILL( again)? in (\d+) s$/, (again, s) => `${s} 秒后${again ? "再次" : ""}强制结束`],
  [/^a process is started$/, () => "正在启动进程"],
  [/^it waits for a restart by hand$/, () => "等待手动重启"],
  [/^it waits until the account changes$/, () => "等待账户修改"],
  [/^it was asked to leave$/, () => "已要求其退出"],
  [/^a new one follows$/, () => "随后启动新进程"],
  // why it rests or ends
  [/^the account was deleted$/, () => "账户已删除"],
  [/^the account is gone$/, () => "账户已不存在"],
  [/^the account is disabled$/, () => "账户已停用"],
  [/^it is stopped by hand$/, () => "已手动停止"],
  [/^the account has changed$/, () => "账户已修改"],
  [/^a restart was asked for$/, () => "已要求重启"],
  [/^the worker is not heard of$/, () => "工作进程没有回应"],
  [/^its tick pipe has ended$/, () => "行情管道已中断"],
  [/^its market is closed$/, () => "市场休市"],
  [/^ended by the hub for being sick, (.+)$/, (rest) => `因不健康被中枢结束，${clause(rest)}`],
  [/^(signal \d+|exit code -?\d+)(?: \((.*)\))?(?:, exit (\d+) in a row)?$/, (how, bye, row) => `${exit(how)}${bye ? `（${inChinese(bye)}）` : ""}${row ? `，连续第 ${row} 次退出` : ""}`],
  [/^(signal \d+|exit code -?\d+): (.+)$/, (how, bye) => `${exit(how)}：${inChinese(bye)}`],
  [/^not started: (.+)$/, (why) => `未能启动：${why}`],
  // events of the hub
  [/^started as process (\d+)$/, (pid) => `已启动，进程 ${pid}`],
  [/^contracts go on with (.+?) \((.+?)\)$/, (names, which) => `合约改由 ${names} 承载（${counted(which)}）`],
  [/^contracts go back to (.+?) \((.+)\)$/, (names, which) => `合约回到 ${names}（${more(which)}）`],
  [/^contracts go to (.+?) \((.+)\), though (\S+) is well$/, (names, which, from) => `合约转到 ${names}（${more(which)}），${from} 仍健康`],
  [/^contracts without a source \((.+?)\): (.+)$/, (which, cause) => `合约无源可用（${more(which)}）：${clause(cause)}`],
  [/^their first tick from there came (\d+) ms after (\S+) was lost: (.+)$/, (ms, from, cause) => `${from} 中断后 ${ms} 毫秒收到首笔行情：${clause(cause)}`],
  [/^no tick has come from there within (\d+) s: (.+)$/, (s, cause) => `${s} 秒内尚无行情：${clause(cause)}`],
  [/^every (\S+) source is silent$/, (kind) => `所有 ${kind.toUpperCase()} 源静默`],
  [/^restarts are held back$/, () => "暂缓重启"],
  [/^(\S+) sources tick again, or fewer than two are up$/, (kind) => `${kind.toUpperCase()} 源恢复行情，或在线不足两个`],
  [/^no source has room for (\d+) contracts: (.+)$/, (n, which) => `没有源能再承载 ${n} 个合约：${more(which)}`],
  [/^see contracts\.max_by_account$/, () => "参见 contracts.max_by_account"],
  [/^every contract has a source again$/, () => "每个合约都重新有源"],
  [/^the tick pipe is broken: (.+)$/, (why) => `行情管道损坏：${why}`],
  [/^rule (\S+) rejected much of what every source sends: from now on it only counts$/, (rule) => `规则 ${rule} 拒收了各源的大量行情：此后仅计数`],
  [/^rule (\S+) rejects again$/, (rule) => `规则 ${rule} 恢复拒收`],
  [/^(\S+): (.+) show other values than (.+): (.+)$/, (contract, some, others, verdict) => `${contract}：${some} 与 ${others} 的数值不一致：${clause(verdict)}`],
  [/^who is wrong cannot be told$/, () => "无法判断谁错"],
  [/^(\S+) is alone with it$/, (id) => `只有 ${id} 如此`],
  [/^this host's clock contradict what every source sends: such ticks are forwarded with flag calendar_doubt$/, () => "本机时钟与各源行情矛盾：此类行情带 calendar_doubt 标志转发"],
  [/^the sections of (\S+) contradict what every source sends: such ticks are forwarded with flag calendar_doubt$/, (product) => `${product} 的交易时段与各源行情矛盾：此类行情带 calendar_doubt 标志转发`],
  [/^check the clock and section `calendar`$/, () => "请检查时钟与配置 calendar"],
  [/^this host's clock and the ticks agree again$/, () => "本机时钟与行情恢复一致"],
  [/^the sections of (\S+) and the ticks agree again$/, (product) => `${product} 的交易时段与行情恢复一致`],
  [/^the calendar ends in (-?\d+) days?$/, (n) => `交易日历 ${n} 天后到期`],
  [/^the calendar ended (\d+) days? ago: every weekday trades$/, (n) => `交易日历已过期 ${n} 天：按每个工作日交易处理`],
  [/^the calendar ended with (\S+): every weekday trades, and ticks carry flag calendar_doubt$/, (day) => `交易日历止于 ${day}：按每个工作日交易处理，行情带 calendar_doubt 标志`],
  [/^give calendar\.holidays and calendar\.valid_until(?: for the time after it)?$/, () => "请提供 calendar.holidays 与 calendar.valid_until"],
  [/^the settings file is refused, and the settings stay as they were: (.+)$/, (why) => `配置文件被拒绝，沿用原配置：${why}`],
  [/^changed settings are in force: (.+)$/, (fields) => `配置变更已生效：${fields}`],
  [/^the settings file says what is in force$/, () => "配置文件与现行配置一致"],
  [/^these settings wait for a restart of the hub: (.+)$/, (fields) => `以下配置待中枢重启后生效：${fields}`],
  [/^the accounts cannot be read$/, () => "无法读取账户"],
  [/^the last desired state stays in force: (.+)$/, (why) => `沿用最近的期望状态：${why}`],
  // what people did
  [/^the account was added(?:, from (.+))?$/, (at) => `已添加账户${from(at)}`],
  [/^the account was deleted, from (.+)$/, (at) => `已删除账户${from(at)}`],
  [/^the account was imported from (.+)$/, (file) => `从 ${file} 导入账户`],
  [/^the account was brought back from a backup$/, () => "从备份恢复账户"],
  [/^there are to be no accounts(?:, from (.+))?$/, (at) => `确认没有账户${from(at)}`],
  [/^changed: (.+?)(?:, from (\S+))?$/, (what, at) => `已修改：${what}${from(at)}`],
  [/^(\w+) by hand(?:, from (.+))?$/, (what, at) => `${BY_HAND[what] ?? what}（手动）${from(at)}`],
  [/^its login was tried, and who asked left before the result(?:, from (\S+))?$/, (at) => `试登录未等到结果即离开${from(at)}`],
  [/^its login was tried (well|with a doubt|in vain): (.+?)(?:, from (\S+))?$/, (how, what, at) => `试登录${TRIED_HOW[how] ?? how}：${inChinese(what)}${from(at)}`],
  [/^account (\S+): the plain-text password in its row was sealed$/, (id) => `账户 ${id}：其记录中的明文密码已加密封存`],
];

const TRIED_HOW: Record<string, string> = { well: "成功", "with a doubt": "存疑", "in vain": "失败" };

const DISCONNECTS: Record<string, string> = {
  "reading failed": "读取失败",
  "writing failed": "写入失败",
  "its heartbeat timed out": "接收心跳超时",
  "the heartbeat could not be sent": "发送心跳失败",
  "it sent a bad packet": "收到错误报文",
  "a reason that the vendor does not document": "柜台未说明的原因",
};

const BY_HAND: Record<string, string> = {
  Started: "启动",
  Stopped: "停止",
  HardRestart: "强制重启",
  Enabled: "启用",
  Disabled: "停用",
};

function exit(how: string): string {
  return how.replace(/^signal /, "信号 ").replace(/^exit code /, "退出码 ");
}

function more(names: string): string {
  return names.replace(/ and (\d+) more$/, " 等另 $1 个");
}

function counted(names: string): string {
  return more(names).replace(/^(\d+) of ([A-Z, ]+): /, "$2 共 $1 个：");
}

function from(where: string | undefined): string {
  return where ? `，来自 ${where}` : "";
}

function clause(text: string): string {
  for (const [pattern, words] of [...RULES, ...LEFT, ...TRIED, ...REJECTED]) {
    const found = pattern.exec(text);
    if (found) return words(...found.slice(1));
  }
  return text;
}

/** What stands between semicolons, but for those in brackets. */
function clauses(sentence: string): string[] {
  const found = [""];
  let depth = 0;
  for (const piece of sentence.split(/(; |[()])/)) {
    depth += Number(piece === "(") - Number(piece === ")");
    if (piece === "; " && depth <= 0) found.push("");
    else found[found.length - 1] += piece;
  }
  return found;
}

/** A sentence of the hub's in Chinese, as far as its clauses are known. */
export function inChinese(sentence: string): string {
  return clauses(sentence).map(clause).join("；");
}
