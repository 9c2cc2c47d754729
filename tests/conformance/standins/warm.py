#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the clients' programs for bin/client, each in a child of a process that has their libraries loaded.

    warm.py SOCKET

A client spends most of its time with loading itself, and the clients' suites start thousands of them. The child runs the
unmodified program with the caller's arguments, environment, folder and standard files; its exit status goes back as one byte.
"""
import importlib.metadata
import os
import runpy
import signal
import socket
import sys
import traceback

from cliff import app

GROUPS = ("openstack.", "keystoneauth1.", "cliff.", "novaclient.", "neutronclient.")


def load():
    """All that the clients find by their entry points; what does not load here is the client's to complain about."""
    import novaclient.shell  # pylint: disable=import-outside-toplevel,unused-import
    import openstackclient.shell  # pylint: disable=import-outside-toplevel,unused-import
    from stevedore import extension  # pylint: disable=import-outside-toplevel
    points = importlib.metadata.entry_points()
    for group in points.groups:
        if group.startswith(GROUPS):
            extension.ExtensionManager(group, on_load_failure_callback=lambda *failure: None)
    # a program's own module takes the arguments at its import: each child imports it for itself
    for name in [name for name in sys.modules if name.endswith(".shell")]:
        del sys.modules[name]


def serve(peer):
    """One program, in the child; its exit status."""
    size, files, _, _ = socket.recv_fds(peer, 4, 3)
    size, told = int.from_bytes(size, "big"), b""
    while len(told) < size and (part := peer.recv(size - len(told))):
        told += part
    said = told.decode("utf-8", "surrogateescape").split("\0")
    end = 2 + int(said[1])
    os.chdir(said[0])
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(row.partition("=")[::2] for row in said[end:])
    sys.argv = said[2:end]
    app.App.NAME = os.path.basename(sys.argv[0])  # cliff takes it from the arguments at its import
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
        return 0
    except SystemExit as left:
        if left.code is None or isinstance(left.code, int):
            return (left.code or 0) & 0xff
        print(left.code, file=sys.stderr)
    except BaseException:  # as the interpreter does at a program's end
        traceback.print_exc()
    return 1


def main():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    load()
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind(sys.argv[1])
    door.listen(16)
    while True:
        peer, _ = door.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            door.close()
            status = serve(peer)
            sys.stdout.flush()
            sys.stderr.flush()
            peer.sendall(bytes([status]))
            os._exit(status)
        peer.close()


if __name__ == "__main__":
    main()
