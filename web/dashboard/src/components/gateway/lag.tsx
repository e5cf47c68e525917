"use client";

import { Panel } from "@/components/ui/panel";
import { asMs, count } from "@/format/number";
import { gatewayPageWords } from "@/words/gateway";
import { useWords } from "@/words/words";

import { bars, bound, type Counters, placeOf } from "./counters";

const HEIGHT = 90;
const WIDTH = 28;

/** How far behind the winner this source's copies came. */
export function Lag({ counters }: { counters: Counters | null }) {
  const words = useWords(gatewayPageWords);
  const shown = bars(counters?.lag_histogram_us ?? []);
  const most = Math.max(1, ...shown.map((bar) => bar.ticks));
  const total = shown.reduce((sum, bar) => sum + bar.ticks, 0);
  const marks = [
    { name: "p50", at: placeOf(shown, counters?.lag_us_p50) },
    { name: "p99", at: placeOf(shown, counters?.lag_us_p99) },
  ].filter((mark): mark is { name: string; at: number } => mark.at !== null);
  const text = words.lagText(count(total), asMs(counters?.lag_us_p50), asMs(counters?.lag_us_p99));
  return (
    <Panel id="lag" title={words.lagTitle} sub={words.lagSub}>
      <div className="p-3">
        {total === 0 ? (
          <p className="text-muted">{words.noLag}</p>
        ) : (
          <>
            <svg role="img" aria-label={text} viewBox={`0 0 ${shown.length * WIDTH} ${HEIGHT + 14}`} width={shown.length * WIDTH} height={HEIGHT + 14} className="h-auto max-w-full">
              {marks.map(({ name, at }) => (
                <g key={name}>
                  <line x1={at * WIDTH} x2={at * WIDTH} y1={10} y2={HEIGHT} stroke="var(--text)" strokeDasharray="2 2" />
                  <text x={at * WIDTH + (at > shown.length / 2 ? -3 : 3)} y={9} textAnchor={at > shown.length / 2 ? "end" : "start"} fontSize="9" fill="var(--text)">{name}</text>
                </g>
              ))}
              {shown.map((bar, index) => {
                // Of few among many something is still to be seen.
                const height = bar.ticks === 0 ? 0 : Math.max(2, (bar.ticks / most) * (HEIGHT - 14));
                return (
                  <g key={bar.below_us}>
                    <rect x={index * WIDTH + 3} y={HEIGHT - height} width={WIDTH - 6} height={height} fill="var(--c1)" />
                    {index % 2 === 0 && (
                      <text x={index * WIDTH + WIDTH / 2} y={HEIGHT + 11} textAnchor="middle" fontSize="9" fill="var(--muted)">
                        {bound(bar.below_us)}
                      </text>
                    )}
                  </g>
                );
              })}
            </svg>
            <p className="mt-1 text-12 text-muted">{text}</p>
          </>
        )}
      </div>
    </Panel>
  );
}
