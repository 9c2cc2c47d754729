/* SPDX-License-Identifier: Apache-2.0
 *
 * daemon: a libvirtd of our own, one a cloud, that shares nothing with the host's.
 *
 * It runs in the guests' network namespace and in a mount namespace in which /run, /etc/libvirt and
 * /var/{lib,log,cache}/libvirt are folders below <state_dir>/libvirt. Replacing all of /run also keeps it from the host's
 * systemd-machined and D-Bus. QEMU binaries for foreign processors, and /dev/kvm when KVM does not work, are covered
 * there: the probe of QEMU's abilities then takes 0.3 s instead of 9 s, is cached in the state directory, and kvm is not
 * offered where it cannot run.
 *
 * A reaper, a fork of this process without its threads and files, stands above libvirtd and the guests and collects those
 * that end. libvirt waits until a killed QEMU is really gone, and process 1 may be slow to collect (2 s a destroy seen).
 *
 * Guests survive the end of libvirtd and ours. This file needs no libvirt library.
 */
#ifndef NOVA_VIRT_LIBVIRT_DAEMON_H
#define NOVA_VIRT_LIBVIRT_DAEMON_H

#include "base/arena.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct libvirt_daemon {
    const char *state_dir; /* absolute; at most 60 characters, because of the limit on socket paths */
    const char *netns;     /* under /run/netns, or NULL */
    bool kvm;              /* leave /dev/kvm visible */
};

/* Starts it, or adopts the one that runs, and waits until it takes connections. Returns the connection URI. Needs root. */
struct fault *libvirt_daemon_start(struct arena *arena, const struct libvirt_daemon *daemon, const char **ret_uri);

/* The process, or 0. Told by the lock that libvirtd holds on its pid file, so never a stranger's. */
pid_t libvirt_daemon_pid(struct arena *arena, const char *state_dir);

/* Ends it; guests go on. Not running is fine. */
struct fault *libvirt_daemon_stop(struct arena *arena, const char *state_dir);

/* Ends every guest of this cloud at once, by SIGTERM (QEMU flushes its disks) and after grace_ms by SIGKILL. For `down`, after
 * guests had their chance by power_off. Works without libvirtd. Returns how many there were. */
struct fault *libvirt_daemon_end_guests(struct arena *arena, const char *state_dir, int grace_ms, size_t *ret_ended);

#endif
