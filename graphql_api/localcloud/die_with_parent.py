"""Becomes the program in its arguments, with a promise of the kernel: no outliving the parent. Linux only.

Run as ``python -I -S die_with_parent.py PARENT_PID PROGRAM ARGUMENTS…``. A stage of its own between fork and exec,
because a ``preexec_fn`` runs Python in the forked copy of a threaded process, where any lock may be held for ever.
``PR_SET_PDEATHSIG`` survives exec; it fires when the *thread* that started us ends, so that thread must live as long.

Source: prctl(2), PR_SET_PDEATHSIG.
"""

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1


def main(parent: int, command: list[str]) -> None:
    """Replaces this process; returns only if ``parent`` died before the kernel knew of the promise."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == parent:
        os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
