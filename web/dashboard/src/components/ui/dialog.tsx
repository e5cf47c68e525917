"use client";

import { X } from "lucide-react";
import { type ReactNode, useId, useLayoutEffect, useRef } from "react";

import { IconButton } from "./button";
import { cn } from "./cn";

interface DialogProps {
  title: ReactNode;
  /** Esc, the cross, a press beside it. */
  onClose: () => void;
  children: ReactNode;
  footer?: ReactNode;
  icon?: ReactNode;
  closeLabel: string;
  /** A sheet at the right edge instead of a box in the middle. */
  sheet?: boolean;
}

/** The browser's own modal dialog: it holds the focus, gives it back, and the rest of the page is inert meanwhile. The focus
 *  begins at what has `data-autofocus`. */
export function Dialog({ title, onClose, children, footer, icon, closeLabel, sheet = false }: DialogProps) {
  const box = useRef<HTMLDialogElement>(null);
  const id = useId();
  // Before the box leaves the page: afterwards it could not give the focus back.
  useLayoutEffect(() => {
    const dialog = box.current;
    dialog?.showModal();
    dialog?.querySelector<HTMLElement>("[data-autofocus]")?.focus();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={box}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onMouseDown={(event) => event.target === box.current && onClose()}
      className={cn(
        "flex-col border-border-strong bg-panel p-0 text-text shadow-[var(--shadow)] open:flex",
        sheet ? "fixed top-0 right-0 bottom-0 left-auto m-0 h-dvh max-h-none w-[560px] max-w-full border-l" : "m-auto w-[520px] max-w-[94vw] rounded-l border",
      )}
    >
      <div className={cn("flex flex-none items-center gap-3 px-5", sheet ? "h-[60px] border-b border-border" : "pt-5")}>
        {icon}
        <h2 id={id} className="text-16 font-semibold">
          {title}
        </h2>
        {sheet && (
          <IconButton label={closeLabel} className="ml-auto" onClick={onClose}>
            <X className="size-4" aria-hidden />
          </IconButton>
        )}
      </div>
      <div className={cn("min-h-0 flex-1 px-5", sheet ? "overflow-auto py-4" : "pt-2 pb-4 text-14")}>{children}</div>
      {footer !== undefined && <div className="flex flex-none items-center justify-end gap-2 border-t border-border px-5 py-3">{footer}</div>}
    </dialog>
  );
}
