import { cva, type VariantProps } from "class-variance-authority";
import type { ButtonHTMLAttributes } from "react";

import { cn } from "./cn";

const button = cva(
  "inline-flex items-center justify-center gap-1.5 whitespace-nowrap rounded-m border text-13 aria-disabled:cursor-not-allowed aria-disabled:opacity-50",
  {
    variants: {
      look: {
        plain: "border-border-strong text-text hover:bg-raised",
        primary: "border-accent-solid bg-accent-solid font-medium text-white hover:bg-accent-solid-hover",
        danger: "border-bad-solid bg-bad-solid font-medium text-white hover:bg-bad-solid-hover",
        ghost: "border-transparent text-muted hover:bg-raised hover:text-text",
      },
      size: { m: "h-8 px-3", s: "h-7 px-[9px] text-12" },
    },
    defaultVariants: { look: "plain", size: "m" },
  },
);

type ButtonProps = Omit<ButtonHTMLAttributes<HTMLButtonElement>, "disabled"> &
  VariantProps<typeof button> & {
    /** Why it makes no sense now: it stays in the tab order, says so, and does nothing. */
    impossible?: string | false | undefined;
  };

export function Button({ look, size, className, impossible, onClick, type = "button", title, ...rest }: ButtonProps) {
  return (
    <button
      type={type}
      className={cn(button({ look, size }), className)}
      aria-disabled={impossible ? true : undefined}
      title={impossible || title}
      onClick={(event) => (impossible ? event.preventDefault() : onClick?.(event))}
      {...rest}
    />
  );
}

/** A square button that shows an icon only: `label` is its name. */
export function IconButton({ label, impossible, className, onClick, ...rest }: Omit<ButtonProps, "look" | "size"> & { label: string }) {
  return (
    <button
      type="button"
      aria-label={impossible ? `${label}: ${impossible}` : label}
      title={impossible || label}
      aria-disabled={impossible ? true : undefined}
      className={cn(
        "inline-grid size-7 place-items-center rounded-s text-muted hover:bg-raised hover:text-text max-wide:size-8",
        "aria-disabled:cursor-not-allowed aria-disabled:bg-transparent aria-disabled:text-idle aria-disabled:opacity-50",
        className,
      )}
      onClick={(event) => (impossible ? event.preventDefault() : onClick?.(event))}
      {...rest}
    />
  );
}
