"""The process: which descriptor is what, the tie to the parent, and TERM."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from dataclasses import dataclass

from . import codes, log
from .inbox import Inbox

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
# Inherited with the account's lock on it: left open as long as the process lives.
LOCK = 4
# A main thread that has not left by then hangs in a call of the library.
_PATIENCE_S = 1.0
# Bytes of a printed line that are kept.
_LINE_BYTES_MAX = 1024


class NoWorker(Exception):
    """This is no worker's environment."""


@dataclass(frozen=True)
class Descriptors:
    """A worker's ways out to the hub: the tick pipe twice, and the reports, which do not block."""

    ticks_waiting: int
    ticks_direct: int
    reports: int


def take_descriptors(parent_pid: int) -> Descriptors:
    """Takes the descriptors over, and ties this process to its parent's life."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        # Once the kernel knows that this process goes with its parent, the parent is looked at: it may have gone before.
        _control(libc, _PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent_pid:
            raise NoWorker(f"parent process is {os.getppid()}, the hub is {parent_pid}")
        reports = os.open("/proc/self/fd/3", os.O_WRONLY | os.O_NONBLOCK)
        log.never_wait()
        # Whether a write waits belongs to an opening, not to a descriptor.
        ticks = os.dup(1)
        direct = os.open(f"/proc/self/fd/{ticks}", os.O_WRONLY | os.O_NONBLOCK)
        _take_printed()
        # No core file and no debugger: a password is in this memory.
        _control(libc, _PR_SET_DUMPABLE, 0)
    except OSError as why:
        raise NoWorker(str(why)) from None
    return Descriptors(ticks, direct, reports)


def _control(libc: ctypes.CDLL, option: int, value: int) -> None:
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def _take_printed() -> None:
    """Descriptor 1 becomes a pipe to this process, so that what libraries print cannot land among ticks. It does not block: the
    library's thread must not wait for a reader, and loses its words instead."""
    printed, printing = os.pipe()
    os.set_blocking(printing, False)
    os.dup2(printing, 1)
    os.close(printing)
    threading.Thread(target=_read_printed, args=(printed,), name="printed", daemon=True).start()


def _read_printed(pipe: int) -> None:
    gate, partial = log.Gate("the library prints"), b""
    while chunk := os.read(pipe, 4096):
        *lines, partial = (partial + chunk).split(b"\n")
        for line in lines:
            gate.tell(line[:_LINE_BYTES_MAX].decode(errors="replace").strip())
        partial = partial[:_LINE_BYTES_MAX]


def take_term(inbox: Inbox) -> None:
    """Takes TERM over. Called before any other thread is made: they inherit that it is not theirs."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_wait_for_term, args=(inbox,), name="term", daemon=True).start()


def _wait_for_term(inbox: Inbox) -> None:
    signal.sigwait({signal.SIGTERM})
    # A full queue is a main thread that is busy: the end comes all the same.
    inbox.tell("term")
    time.sleep(_PATIENCE_S)
    log.error("TERM: the main thread does not leave by itself; the process ends here")
    os._exit(codes.ASKED)
