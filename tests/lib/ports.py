# SPDX-License-Identifier: Apache-2.0
"""TCP ports for what tests start. A port that was claimed is this process's until it ends: a lock on its byte of one file keeps
other runs on the machine off it. All lie below 32768, where the kernel's own begin."""
import fcntl
import os
import pathlib
import socket
import tempfile

LOWEST, HIGHEST = 20000, 32767
LOCKS = pathlib.Path(tempfile.gettempdir()) / "nubo-test-ports"
_claimed = set()
_lock = None


def _open_locks():
    global _lock
    if _lock is None:
        try:
            _lock = os.open(LOCKS, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:  # whoever is first makes it for every user's runs
            _lock = os.open(LOCKS, os.O_RDWR | os.O_NOFOLLOW | os.O_CREAT, 0o666)
            os.fchmod(_lock, 0o666)
    return _lock


def _take(port, addresses):
    if port in _claimed:
        return False
    try:
        fcntl.lockf(_open_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        for address in addresses:  # also something that is no test may listen there
            with socket.socket() as probe:
                probe.bind((address, port))
    except OSError:
        return False
    _claimed.add(port)
    return True


def claim_shifted(numbers, shifts, addresses=("127.0.0.1",)):
    """The first of `shifts` by which all of these port numbers can be claimed."""
    for shift in shifts:
        taken = []
        for number in numbers:
            if not _take(number + shift, addresses):
                break
            taken.append(number + shift)
        if len(taken) == len(numbers):
            return shift
        _claimed.difference_update(taken)
    raise RuntimeError("no free ports")


def claim(count=1, addresses=("127.0.0.1",)):
    """The first of `count` ports in a row."""
    room = HIGHEST - LOWEST - count
    begin = os.getpid() * 131 % room  # runs beside each other seldom meet
    return claim_shifted(range(count), (LOWEST + (begin + i) % room for i in range(room)), addresses)
