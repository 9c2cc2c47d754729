# SPDX-License-Identifier: Apache-2.0
"""Loaded by every Python of a run.

tempest's client sleeps 10 s before it deletes a subnet, to give clouds time to end ports;
ours needs none, and must show it by taking the deletion at once."""
import sys
import time
import types

_sleep = time.sleep


def sleep(seconds):
    if sys._getframe(1).f_globals.get("__name__") != "tempest.lib.services.network.subnets_client":
        _sleep(seconds)


time.sleep = sleep

# Debian's python3-os-client-config lacks the file that its module of constructors reads at its import
_constructors = types.ModuleType("os_client_config.constructors")
_constructors.get_constructor_mapping = lambda: {"identity": "keystoneclient.client.Client"}
sys.modules[_constructors.__name__] = _constructors
