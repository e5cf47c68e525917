import { both } from "./words";

export const canaryWords = both(
  {
    canaries: "Canaries",
    active: "Active",
    stale: "Stale",
    closed: "Closed",
    noTick: "no tick yet",
    rate: (n: string) => `${n} ticks/s`,
    sources: (n: number, of: number) => (of === 1 && n === 1 ? "1 source" : `${n} of ${of} sources`),
    heartbeat: (id: string, full: number, short: number, closed: number, down: number) =>
      `${id}: ${full} of 30 minutes in full, ${short} short, ${closed} closed${down > 0 ? `, ${down} without the hub` : ""}`,
  },
  {
    canaries: "金丝雀合约",
    active: "活跃",
    stale: "停滞",
    closed: "休市",
    noTick: "尚无行情",
    rate: (n: string) => `${n} 笔/秒`,
    sources: (n: number, of: number) => (of === 1 && n === 1 ? "1 个源" : `${n}/${of} 个源`),
    heartbeat: (id: string, full: number, short: number, closed: number, down: number) =>
      `${id}：30 分钟中 ${full} 分钟完整，${short} 分钟有缺口，${closed} 分钟休市${down > 0 ? `，${down} 分钟中枢未运行` : ""}`,
  },
);
