import { rowLook, Table, Td, Th } from "@/components/ui/table";
import { count, DASH } from "@/format/number";
import { clock } from "@/format/time";
import { quarantineWords } from "@/words/quarantine";
import { useWords } from "@/words/words";

import { MINUTES, type OverTime, type RuleCounts } from "./counts";

const BAR_PX = 5;
const HEIGHT_PX = 18;

/** A bar a minute, from zero; the numbers stand in its name. */
function Bars({ minutes }: { minutes: (number | null)[] }) {
  const words = useWords(quarantineWords);
  const most = Math.max(...minutes.map((n) => n ?? 0), 1);
  const sum = minutes.reduce<number>((all, n) => all + (n ?? 0), 0);
  const label = words.bars(count(sum), count(Math.max(...minutes.map((n) => n ?? 0))), minutes.filter((n) => n === null).length);
  return (
    <svg role="img" aria-label={label} width={MINUTES * BAR_PX} height={HEIGHT_PX} className="block">
      <title>{label}</title>
      <line x1={0} x2={MINUTES * BAR_PX} y1={HEIGHT_PX - 0.5} y2={HEIGHT_PX - 0.5} stroke="var(--border-strong)" />
      {minutes.map((n, index) => {
        if (n === 0) return null;
        // Where not all is told, a dash says so.
        const height = n === null ? 1 : Math.max(2, (n / most) * (HEIGHT_PX - 1));
        return <rect key={index} x={index * BAR_PX} y={n === null ? HEIGHT_PX / 2 : HEIGHT_PX - height} width={BAR_PX - 1} height={height} fill={n === null ? "var(--muted)" : "var(--c1)"} />;
      })}
    </svg>
  );
}

interface RuleTableProps {
  rules: RuleCounts[];
  sources: string[];
  over: Record<string, OverTime>;
  chosen: string;
  onChoose: (rule: string) => void;
}

/** How often each rule rejected whose ticks, and when. */
export function RuleTable({ rules, sources, over, chosen, onChoose }: RuleTableProps) {
  const words = useWords(quarantineWords);
  return (
    <Table className="[&_tbody_tr:last-child_td]:border-b-0">
      <thead>
        <tr>
          <Th>{words.rule}</Th>
          {sources.map((source) => (
            <Th key={source} end>{source}</Th>
          ))}
          <Th end>{words.total}</Th>
          <Th className="w-[170px]">{words.overTime}</Th>
          <Th end className="w-[84px]">{words.last}</Th>
        </tr>
      </thead>
      <tbody>
        {rules.map(({ rule, by, total }) => (
          <tr key={rule} className={rowLook(rule === chosen ? "selected" : undefined)}>
            <Td>
              <button type="button" aria-pressed={rule === chosen} onClick={() => onChoose(rule === chosen ? "" : rule)} className="font-mono text-12 hover:underline">{rule}</button>
            </Td>
            {sources.map((source) => (
              <Td key={source} end className={by[source] ? undefined : "text-muted"}>{count(by[source] ?? 0)}</Td>
            ))}
            <Td end className="font-semibold">{count(total)}</Td>
            <Td>{over[rule] && <Bars minutes={over[rule].minutes} />}</Td>
            <Td end className="text-muted">{over[rule] ? clock(over[rule].lastMs) : DASH}</Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
