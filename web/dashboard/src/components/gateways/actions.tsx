"use client";

import { Play, RotateCw, Square, type LucideIcon } from "lucide-react";
import { useState } from "react";

import { answer, api, type ApiError } from "@/api/client";
import { IconButton } from "@/components/ui/button";
import { useLink } from "@/live/link";
import { useHub } from "@/live/store";
import { actionWords } from "@/words/actions";
import { useWords } from "@/words/words";

import { Confirm } from "./confirm";
import { type Action, isLast, refusal } from "./possible";

const ACTIONS: readonly { action: Action; icon: LucideIcon }[] = [
  { action: "start", icon: Play },
  { action: "stop", icon: Square },
  { action: "restart", icon: RotateCw },
];

/** Writes desired state; what comes of it is told by the hub. */
function ask(action: Action, id: string): Promise<unknown> {
  const params = { path: { id } };
  switch (action) {
    case "start":
      return answer(api.POST("/api/accounts/{id}/start", { params }));
    case "stop":
      return answer(api.POST("/api/accounts/{id}/stop", { params }));
    case "restart":
      return answer(api.POST("/api/accounts/{id}/restart", { params }));
  }
}

/** Start, Stop and Hard restart of one gateway, always in the same places. */
export function GatewayActions({ id }: { id: string }) {
  const words = useWords(actionWords);
  const gateway = useHub((hub) => hub.gateways[id]);
  const isLost = useLink((link) => link.state.is === "lost");
  const [asking, setAsking] = useState<Exclude<Action, "start"> | null>(null);
  const [error, setError] = useState<string | null>(null);
  if (!gateway) return null;
  const run = async (action: Action) => {
    setAsking(null);
    setError(null);
    try {
      await ask(action, id);
    } catch (failure) {
      setError(words.failed(words[action], (failure as ApiError).message));
    }
  };
  const press = (action: Action) => {
    // A stop that costs nothing needs no question; a restart always has one.
    const isQuiet = action === "start" || (action === "stop" && !isLast(gateway, Object.values(useHub.getState().gateways)));
    if (isQuiet) void run(action);
    else setAsking(action);
  };
  return (
    <span className="relative inline-flex gap-0.5">
      {ACTIONS.map(({ action, icon: Icon }) => {
        const refused = refusal(action, gateway);
        return (
          <IconButton key={action} label={words.ofGateway(words[action], id)} impossible={isLost ? words.noLink : refused !== null && words[refused]} onClick={() => press(action)}>
            <Icon className="size-4" aria-hidden />
          </IconButton>
        );
      })}
      {error !== null && (
        <span role="alert" className="absolute top-full right-0 z-10 max-w-80 rounded-m border border-bad-edge bg-bad-soft px-2 py-1 text-left text-12 whitespace-normal text-bad-text">
          {error}
        </span>
      )}
      {asking !== null && <Confirm gateway={gateway} action={asking} onDo={() => void run(asking)} onClose={() => setAsking(null)} />}
    </span>
  );
}
