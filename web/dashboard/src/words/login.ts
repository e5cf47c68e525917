import { both } from "./words";

export const loginWords = both(
  {
    title: "Log in",
    user: "User",
    password: "Password",
    logIn: "Log in",
    wrong: "User or password is wrong.",
    slowed: "Too many attempts. Try again in a moment.",
    away: "The hub does not answer. Is it running?",
    expired: "Your login has ended. Log in again to go on.",
    failed: (why: string) => `Not logged in: ${why}`,
  },
  {
    title: "登录",
    user: "用户名",
    password: "密码",
    logIn: "登录",
    wrong: "用户名或密码错误。",
    slowed: "尝试次数过多，请稍后再试。",
    away: "中枢没有响应，它在运行吗？",
    expired: "登录已失效，请重新登录。",
    failed: (why: string) => `登录失败：${why}`,
  },
);
