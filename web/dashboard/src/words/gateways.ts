import { both } from "./words";

/** The words of badges. */
export const gatewayWords = both(
  {
    Running: "Running",
    Stopped: "Stopped",
    Starting: "Starting",
    Connecting: "Connecting",
    CoolingDown: "CoolingDown",
    Blocked: "Blocked",
    Stopping: "Stopping",
    Healthy: "Healthy",
    Degraded: "Degraded",
    Unhealthy: "Unhealthy",
    CrashLoop: "CrashLoop",
    NotJudged: "Not judged",
    restartsIn: (s: string) => `restarts in ${s} s`,
  },
  {
    Running: "运行",
    Stopped: "停止",
    Starting: "启动中",
    Connecting: "连接中",
    CoolingDown: "冷却中",
    Blocked: "受阻",
    Stopping: "停止中",
    Healthy: "健康",
    Degraded: "降级",
    Unhealthy: "异常",
    CrashLoop: "反复崩溃",
    NotJudged: "不判定",
    restartsIn: (s: string) => `${s} 秒后重启`,
  },
);
