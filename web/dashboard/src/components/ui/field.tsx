import { Search as Magnifier } from "lucide-react";
import { type ComponentProps, type ReactNode, useId } from "react";

import { cn } from "./cn";

export function Input({ className, ...rest }: ComponentProps<"input">) {
  return (
    <input
      className={cn(
        "h-8 w-full rounded-m border border-edge bg-inset px-2.5 text-13 text-text placeholder:text-muted placeholder:opacity-100 aria-invalid:border-bad",
        className,
      )}
      {...rest}
    />
  );
}

/** An input with its label, and below it what is wrong with it or what it is for. */
export function Field({ label, error, hint, ...rest }: ComponentProps<"input"> & { label: ReactNode; error?: string | undefined; hint?: ReactNode }) {
  const id = useId();
  return (
    <div>
      <label htmlFor={id} className="mb-[5px] block text-12 text-muted">
        {label}
      </label>
      <Input id={id} aria-invalid={error ? true : undefined} aria-describedby={error || hint ? `${id}-says` : undefined} {...rest} />
      {(error ?? hint) && (
        <p id={`${id}-says`} className={cn("mt-1 text-12", error ? "text-bad-text" : "text-muted")}>
          {error ?? hint}
        </p>
      )}
    </div>
  );
}

/** The search of a page: `/` puts the focus here. */
export function SearchInput({ label, className, ...rest }: ComponentProps<"input"> & { label: string }) {
  return (
    <span className={cn("relative block", className)}>
      <Magnifier className="pointer-events-none absolute top-1/2 left-[9px] size-4 -translate-y-1/2 text-muted" aria-hidden />
      <Input type="search" data-search aria-label={label} placeholder={label} className="h-7 pl-8 text-12" {...rest} />
    </span>
  );
}

/** On or off. */
export function Switch({ checked, label, onChange, impossible }: { checked: boolean; label: string; onChange: (to: boolean) => void; impossible?: string | false }) {
  return (
    <button
      type="button"
      role="switch"
      aria-checked={checked}
      aria-label={label}
      aria-disabled={impossible ? true : undefined}
      title={impossible || label}
      onClick={() => !impossible && onChange(!checked)}
      className={cn(
        "relative inline-block h-[18px] w-8 flex-none rounded-full border border-edge bg-inset align-middle before:absolute before:-inset-x-1 before:-inset-y-1.5",
        "after:absolute after:top-0.5 after:left-0.5 after:size-3 after:rounded-full after:bg-edge aria-disabled:cursor-not-allowed aria-disabled:opacity-50",
        checked && "border-accent bg-accent-solid after:left-4 after:bg-white",
      )}
    />
  );
}

/** One of a few that exclude each other. */
export function Segmented<Value extends string>(props: { label: string; value: Value; options: readonly { value: Value; label: ReactNode }[]; onChange: (value: Value) => void }) {
  return (
    <div role="group" aria-label={props.label} className="inline-flex h-7 self-start overflow-hidden rounded-m border border-border-strong">
      {props.options.map((option) => (
        <button
          key={option.value}
          type="button"
          aria-pressed={option.value === props.value}
          onClick={() => props.onChange(option.value)}
          className="inline-flex items-center gap-1.5 border-r border-border-strong px-2.5 text-12 text-muted last:border-r-0 hover:text-text aria-pressed:bg-accent-soft aria-pressed:font-medium aria-pressed:text-text aria-pressed:shadow-[inset_0_-2px_0_var(--accent)]"
        >
          {option.label}
        </button>
      ))}
    </div>
  );
}

/** A filter that is on or off. */
export function Chip({ pressed, onClick, children }: { pressed: boolean; onClick: () => void; children: ReactNode }) {
  return (
    <button
      type="button"
      aria-pressed={pressed}
      onClick={onClick}
      className="inline-flex h-7 items-center gap-1.5 rounded-m border border-border-strong px-[9px] text-12 text-muted hover:text-text aria-pressed:border-accent aria-pressed:bg-accent-soft aria-pressed:text-text"
    >
      {children}
    </button>
  );
}

/** One of many. */
export function Select({ label, className, ...rest }: ComponentProps<"select"> & { label: string }) {
  return (
    <select
      aria-label={label}
      className={cn("h-7 rounded-m border border-edge bg-inset px-2 text-12 text-text", className)}
      {...rest}
    />
  );
}
