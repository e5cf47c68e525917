import type { Series } from "@/live/history";
import { POINTS } from "@/live/history";

const WIDTH = 260;
const HEIGHT = 34;

/** The path of a series, from the right; a gap where nothing was heard. */
export function path(points: readonly (number | null)[], max: number): string {
  const step = WIDTH / (POINTS - 1);
  const from = POINTS - points.length;
  let isDrawing = false;
  let text = "";
  points.forEach((point, index) => {
    if (point === null) {
      isDrawing = false;
      return;
    }
    const x = ((from + index) * step).toFixed(1);
    const y = (HEIGHT - 1 - (max > 0 ? point / max : 0) * (HEIGHT - 2)).toFixed(1);
    text += `${isDrawing ? "L" : "M"}${x},${y}`;
    isDrawing = true;
  });
  return text;
}

/** Lines from zero without axes; the numbers stand beside it. */
export function Sparkline({ series, label }: { series: readonly Series[]; label: string }) {
  const max = Math.max(...series.map((one) => one.max), 0);
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label} className="h-[34px] w-full overflow-visible">
      {series.map((one, index) => (
        <path key={index} d={path(one.points, max)} fill="none" stroke={index === 0 ? "var(--c1)" : "var(--c2)"} strokeWidth={1.25} vectorEffect="non-scaling-stroke" />
      ))}
    </svg>
  );
}
