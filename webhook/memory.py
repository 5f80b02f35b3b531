"""
How the process gives memory back to the system.

glibc takes a large block by `mmap` and gives it back when it is freed, but each one that is freed
raises the size from which on it does so, up to 32 MiB. After one large review the next ones come
from the heap, which is never whole again: it grew by some 7 MiB in 10,000 reviews.
A size that was set stays: https://man7.org/linux/man-pages/man3/mallopt.3.html
"""

from __future__ import annotations

import ctypes

# Above what uvloop asks for at each read over TLS (256 KiB, given back at once): with glibc's first
# size of 128 KiB every read would be an mmap and a munmap, a sixth of a review's time.
MMAP_FROM_BYTES = 264 * 1024

_M_MMAP_THRESHOLD = -3


def return_large_blocks() -> None:
    """Have large blocks given back for good; does nothing where the C library isn't glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, MMAP_FROM_BYTES)
