"use client";

import {
  ArrowRightLeft,
  CircleAlert,
  CircleCheck,
  CircleDot,
  CircleMinus,
  Clock,
  LoaderCircle,
  Lock,
  type LucideIcon,
  Play,
  Square,
  TriangleAlert,
} from "lucide-react";

import { Badge, type Tone } from "@/components/ui/badge";
import type { Desired, Health, Observed } from "@/live/judged";
import { gatewayWords } from "@/words/gateways";
import { useWords } from "@/words/words";

type Look = [Tone, LucideIcon];

const DESIRED: Record<Desired, Look> = { Running: ["plain", Play], Stopped: ["idle", Square] };

const OBSERVED: Record<Observed, Look> = {
  Stopped: ["idle", Square],
  Starting: ["run", LoaderCircle],
  Connecting: ["run", ArrowRightLeft],
  Running: ["ok", CircleDot],
  CoolingDown: ["warn", Clock],
  Blocked: ["bad", Lock],
  Stopping: ["idle", Square],
};

const HEALTH: Record<Health, Look> = {
  Healthy: ["ok", CircleCheck],
  Degraded: ["warn", TriangleAlert],
  Unhealthy: ["warn", TriangleAlert],
  CrashLoop: ["bad", CircleAlert],
  NotJudged: ["idle", CircleMinus],
};

function StateBadge({ look: [tone, icon], word }: { look: Look; word: string }) {
  return (
    <Badge tone={tone} icon={icon}>
      {word}
    </Badge>
  );
}

export function DesiredBadge({ of }: { of: Desired }) {
  return <StateBadge look={DESIRED[of]} word={useWords(gatewayWords)[of]} />;
}

export function ObservedBadge({ of }: { of: Observed }) {
  return <StateBadge look={OBSERVED[of]} word={useWords(gatewayWords)[of]} />;
}

export function HealthBadge({ of }: { of: Health }) {
  return <StateBadge look={HEALTH[of]} word={useWords(gatewayWords)[of]} />;
}
