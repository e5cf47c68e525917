// Why a tick was condemned, in Chinese: gateways' values stay as they are written. Pure.

import type { Rule } from "./sentences";

const of = (last: string) => (last === "nothing" ? "无" : last);

/** What the quarantine says of a tick. */
export const REJECTED: readonly Rule[] = [
  [/^nobody asked for (.+)$/, (name) => `没有人订阅 ${name}`],
  [/^UpdateTime is empty$/, () => "UpdateTime 为空"],
  [/^UpdateTime (.+) and UpdateMillisec (.+) are no time$/, (time, ms) => `UpdateTime ${time} 与 UpdateMillisec ${ms} 不是时间`],
  [/^TradingDay (.+) and ActionDay (.+) give no date$/, (day, action) => `TradingDay ${day} 与 ActionDay ${action} 得不出日期`],
  [/^trading day (\d+) comes after (\S+)$/, (day, last) => `交易日 ${day} 晚到，此前已是 ${of(last)}`],
  [/^at (.*) the product has closed, and there is no settlement in it$/, (time) => `${time} 该品种已收盘，且不含结算价`],
  [/^at (.*) the product is closed$/, (time) => `${time} 该品种休市`],
  [/^it is (-?\d+) ms ahead of its receipt$/, (ms) => `比接收时间早 ${ms} 毫秒`],
  [/^it was received (-?\d+) ms after its time$/, (ms) => `比其时间晚 ${ms} 毫秒才收到`],
  [/^volume (\S+) comes after (\S+)$/, (one, last) => `成交量 ${one}，此前已是 ${of(last)}`],
  [/^turnover (\S+) comes after (\S+)$/, (one, last) => `成交额 ${one}，此前已是 ${of(last)}`],
  [/^last price (\S+) comes after (\S+)$/, (one, last) => `最新价 ${one}，此前为 ${of(last)}`],
  [/^(.+): this product's are above zero$/, (prices) => `${quoted(prices)}：该品种价格应大于零`],
  [/^(.+): one is between two steps$/, (prices) => `${quoted(prices)}：有价格不合最小变动价位`],
  [/^(.+): the bid is above the ask$/, (prices) => `${quoted(prices)}：买价高于卖价`],
  [/^(.+): one is beyond the limits, (\S+) and (\S+)$/, (prices, low, high) => `${quoted(prices)}：超出涨跌停 ${low} 与 ${high}`],
  [/^(.+), volume (\S+), turnover (\S+), open interest (\S+): one of them cannot be$/, (prices, volume, turnover, interest) => `${quoted(prices)}，成交量 ${volume}，成交额 ${turnover}，持仓量 ${interest}：其中有不可能的值`],
  [/^another source showed it otherwise: here (.+), limits (\S+) and (\S+)$/, (prices, low, high) => `另一源显示不同：此处 ${quoted(prices)}，涨跌停 ${low} 与 ${high}`],
];

function quoted(prices: string): string {
  return prices.replace(/^last price (\S+), bid (\S+) x (\S+), ask (\S+) x (\S+)$/, "最新价 $1，买 $2 x $3，卖 $4 x $5");
}
