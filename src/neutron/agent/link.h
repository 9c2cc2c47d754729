/* SPDX-License-Identifier: Apache-2.0
 *
 * link: network namespaces, veth pairs, taps, addresses, routes and sysctls, by netlink in this process.
 *
 * Namespaces are the named ones of iproute2 (/run/netns/NAME), so `ip netns` sees them. Wherever a function takes
 * `netns`, NULL means the namespace that this process lives in. Every function says what shall be: what is already so
 * is left alone and is no failure, so each may be run again after a crash.
 *
 * The kernel's words come back in the fault (status 500); input that is no address is a fault, too.
 */
#ifndef NEUTRON_LINK_H
#define NEUTRON_LINK_H

#include "base/arena.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>

enum { LINK_NAME_MAX = 15 }; /* IFNAMSIZ - 1: longer names are a fault */

#define NETNS_DIR "/run/netns"

/* Makes the namespace and brings its `lo` up. */
struct fault *netns_create(struct arena *arena, const char *netns);

/* Removes the name; devices in it die with the last process or socket that still uses it. */
struct fault *netns_delete(struct arena *arena, const char *netns);

bool netns_exists(const char *netns);

/* Puts the calling thread into a namespace; sockets that it opens from now on belong there. *ret_home is to be passed
 * to netns_leave(), which puts it back (and aborts if that fails: a thread in the wrong namespace must not go on). Between
 * the two the thread must not run anything that could start other threads' work. */
struct fault *netns_enter(struct arena *arena, const char *netns, int *ret_home);
void netns_leave(int home);

/* A veth pair: `name` in `netns`, `peer` in `peer_netns`. A pair that exists with either end missing is made anew. */
struct fault *link_create_veth(struct arena *arena, const char *netns, const char *name, const char *peer_netns,
    const char *peer);

/* Deletes a device (and its veth peer). */
struct fault *link_delete(struct arena *arena, const char *netns, const char *name);

struct link_settings {
    const char *mac; /* "fa:16:3e:..", or NULL: as it is */
    int mtu;         /* 0: as it is */
    bool up;         /* false: as it is */
};
struct fault *link_set(struct arena *arena, const char *netns, const char *name, const struct link_settings *settings);

/* The device's addresses shall be exactly these ("10.0.0.2/24", "fd00::2/64"; count may be 0). IPv6 link-local addresses
 * are the kernel's and stay. Duplicate address detection is off for what is added. */
struct fault *link_set_addresses(struct arena *arena, const char *netns, const char *name, const char *const *addresses,
    size_t count);

/* Checksums of what is sent are computed before it leaves the device. A veth end whose peer is a port of a userspace
 * switch needs it: the switch would pass unfinished TCP and UDP checksums on. (As `ethtool -K NAME tx off`.) */
struct fault *link_tx_checksum_off(struct arena *arena, const char *netns, const char *name);

#endif
