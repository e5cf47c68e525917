"use client";

import { TriangleAlert } from "lucide-react";

import type { Gateway } from "@/api/types";
import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { count } from "@/format/number";
import { marketOf } from "@/live/overall";
import { useHub } from "@/live/store";
import { actionWords } from "@/words/actions";
import { useWords } from "@/words/words";

import { type Action, isLast, others } from "./possible";

/** Says what ending a process costs, before it is ended. */
export function Confirm({ gateway, action, onDo, onClose }: { gateway: Gateway; action: Exclude<Action, "start">; onDo: () => void; onClose: () => void }) {
  const words = useWords(actionWords);
  const gateways = useHub((hub) => hub.gateways);
  const all = Object.values(gateways);
  const isDangerous = isLast(gateway, all);
  const kind = marketOf(gateway).toUpperCase();
  const healthy = others(gateway, all).map((one) => one.id);
  const costs = isDangerous ? (action === "stop" ? words.lastStop(kind) : words.lastRestart(kind)) : healthy.length > 0 ? words.harmless(healthy.join(", "), kind) : words.notLast;
  const doIt = isDangerous ? (action === "stop" ? words.loseAndStop : words.loseAndRestart) : action === "stop" ? words.stop : words.restartNow;
  return (
    <Dialog
      title={action === "stop" ? words.stopTitle(gateway.id) : words.restartTitle(gateway.id)}
      icon={isDangerous && <TriangleAlert className="size-[22px] text-bad" aria-hidden />}
      onClose={onClose}
      closeLabel={words.close}
      footer={
        <>
          <Button data-autofocus={isDangerous || undefined} onClick={onClose}>
            {words.cancel}
          </Button>
          <Button data-autofocus={!isDangerous || undefined} look={isDangerous ? "danger" : "primary"} onClick={onDo}>
            {doIt}
          </Button>
        </>
      }
    >
      <p>{costs}</p>
      {isDangerous && (
        <dl className="mt-3 grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5 border-t border-border pt-3 text-13 [&>dt]:text-muted">
          <dt>{words.contracts}</dt>
          <dd>{count(gateway.acknowledged)}</dd>
          <dt>{words.others}</dt>
          <dd>{words.none}</dd>
          <dt>{words.instead}</dt>
          <dd>{words.insteadHint}</dd>
        </dl>
      )}
    </Dialog>
  );
}
