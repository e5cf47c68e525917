"use client";

import { CircleMinus, Pencil, Trash2 } from "lucide-react";
import Link from "next/link";
import { useState } from "react";

import type { Account } from "@/api/types";
import { GatewayActions } from "@/components/gateways/actions";
import { HealthBadge, ObservedBadge } from "@/components/gateways/badges";
import { Badge } from "@/components/ui/badge";
import { IconButton } from "@/components/ui/button";
import { cn } from "@/components/ui/cn";
import { Input, Switch } from "@/components/ui/field";
import { rowLook, Table, Td, Th } from "@/components/ui/table";
import { dayClock } from "@/format/time";
import { judged } from "@/live/judged";
import { useLink } from "@/live/link";
import { useHub } from "@/live/store";
import { accountWords } from "@/words/accounts";
import { useWords } from "@/words/words";

type Change = (account: Account, body: object) => Promise<void>;

/** Written when the focus leaves it or Enter is pressed. */
function Priority({ account, onChange, readOnly }: { account: Account; onChange: Change; readOnly: boolean }) {
  const words = useWords(accountWords);
  const [text, setText] = useState<string | null>(null);
  const shown = text ?? String(account.priority);
  const value = Number(shown);
  const isWrong = !Number.isInteger(value) || value < 1 || value > 1000 || shown.trim() === "";
  const write = () => {
    setText(null);
    if (!isWrong && value !== account.priority) void onChange(account, { priority: value });
  };
  return (
    <Input
      inputMode="numeric"
      aria-label={words.priorityOf(account.id)}
      aria-invalid={isWrong || undefined}
      title={isWrong ? words.priorityRange : undefined}
      readOnly={readOnly}
      value={shown}
      onChange={(event) => setText(event.target.value)}
      onBlur={write}
      onKeyDown={(event) => {
        if (event.key === "Enter") write();
        if (event.key === "Escape") setText(null);
      }}
      className="h-7 w-11 text-right"
    />
  );
}

function State({ account }: { account: Account }) {
  const words = useWords(accountWords);
  const gateway = useHub((hub) => hub.gateways[account.id]);
  if (!account.is_enabled) return <Badge tone="idle" icon={CircleMinus}>{words.notInPool}</Badge>;
  if (!gateway) return null;
  const { observed, health } = judged(gateway);
  return observed === "Running" || health === "CrashLoop" ? <HealthBadge of={health} /> : <ObservedBadge of={observed} />;
}

export function AccountTable(props: { accounts: Account[]; onChange: Change; onEdit: (account: Account) => void; onDelete: (account: Account) => void }) {
  const words = useWords(accountWords);
  const isLost = useLink((link) => link.state.is === "lost");
  const wide = "max-wide:hidden";
  return (
    <Table className="[&_tbody_tr:last-child_td]:border-b-0">
      <thead>
        <tr>
          <Th className="w-[68px]">{words.priority}</Th>
          <Th className="w-[130px]">{words.account}</Th>
          <Th className="w-[74px]">{words.inPool}</Th>
          <Th className="w-[130px] pl-[15px]!">{words.state}</Th>
          <Th className={wide}>{words.description}</Th>
          <Th>{words.front}</Th>
          <Th className={cn("w-[110px]", wide)}>{words.secrets}</Th>
          <Th end className={cn("w-[116px]", wide)}>{words.changed}</Th>
          <Th end className="w-[172px]">{words.actions}</Th>
        </tr>
      </thead>
      <tbody>
        {props.accounts.map((account) => (
          <tr key={account.id} data-account={account.id} className={cn(rowLook(account.is_enabled ? undefined : "off"), "[&>td]:h-9")}>
            <Td><Priority account={account} onChange={props.onChange} readOnly={isLost} /></Td>
            <Td>
              <Link href={`/gateway?id=${encodeURIComponent(account.id)}`} prefetch={false} className="font-semibold hover:underline">{account.id}</Link>
            </Td>
            <Td>
              <Switch checked={account.is_enabled} label={words.inPoolOf(account.id)} impossible={isLost && words.away} onChange={(is_enabled) => void props.onChange(account, { is_enabled })} />
            </Td>
            <Td className="pl-[15px]!"><State account={account} /></Td>
            <Td className={wide} title={account.description}>{account.description}</Td>
            <Td title={account.settings.md_address.join(", ")}>{account.settings.md_address.map((front) => front.replace(/^tcp:\/\//, "")).join(", ")}</Td>
            <Td className={cn("text-muted", wide)}>{account.has_password ? words.saved : words.noPassword}</Td>
            <Td end className={cn("text-muted", wide)}>{dayClock(account.updated_at_ms)}</Td>
            <Td end className="overflow-visible">
              <span className="inline-flex gap-0.5">
                <GatewayActions id={account.id} />
                <IconButton label={words.editAccount(account.id)} impossible={isLost && words.away} onClick={() => props.onEdit(account)}>
                  <Pencil className="size-4" aria-hidden />
                </IconButton>
                <IconButton label={words.deleteAccount(account.id)} impossible={isLost && words.away} onClick={() => props.onDelete(account)}>
                  <Trash2 className="size-4" aria-hidden />
                </IconButton>
              </span>
            </Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
