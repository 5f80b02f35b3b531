"""
Run a program, print its seconds and the most MB that it had: `launcher.py PROGRAM ARGUMENT…`.

A process starts with the peak of the one that it was forked from, through an exec too, so a large
one can't measure a small one. This file is run by itself (`command`), imports next to nothing, and
is smaller than all that it measures.
"""

import os
import sys
import time


def command(*program: str) -> tuple[str, ...]:
    """Give the command line that measures a program's; it does without site-packages."""
    return (sys.executable, "-SIE", os.path.abspath(__file__), *program)


def _run(program: list[str]) -> int:
    nothing = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    began = time.perf_counter()
    pid = os.posix_spawn(program[0], program, os.environ, file_actions=[nothing])
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - began
    print(seconds, usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024))
    return abs(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    sys.exit(_run(sys.argv[1:]))
