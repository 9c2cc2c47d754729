/* SPDX-License-Identifier: Apache-2.0
 *
 * daemon: an Open vSwitch of our own: ovsdb-server and ovs-vswitchd with every file in one folder, inside one network
 * namespace. An all-in-one cloud never touches the Open vSwitch that the host may run; an agent that an operator
 * started uses it (`external`).
 *
 * Both daemons are started in the foreground as our children and outlive us: who starts next adopts them by their pid
 * files (and command lines, so that a reused pid is not mistaken). `config.db` survives restarts, flows do not: after a
 * restart of ovs-vswitchd the agent writes them again (flows.h).
 */
#ifndef NEUTRON_OVS_DAEMON_H
#define NEUTRON_OVS_DAEMON_H

#include "base/arena.h"
#include "base/fault.h"

#include <stdbool.h>
#include <sys/types.h>

struct ovs_daemon {
    const char *dir;    /* OVS_RUNDIR and all the others; short: sockets in it must fit 107 bytes. Made with mode 0750 */
    const char *netns;  /* the namespace that ports and tunnels live in; NULL: this process's */
    const char *schema; /* NULL: /usr/share/openvswitch/vswitch.ovsschema */
    const char *host;   /* external_ids:hostname and system-id of the switch */
    bool external;      /* the switch of the host, run by somebody else: it is used and never started */
};

struct ovs_daemon_state {
    pid_t ovsdb_pid, vswitchd_pid;
    bool restarted; /* ovs-vswitchd was started by this call: there are no flows */
};

/* Starts what does not run; what runs is adopted and not disturbed. ~0.1 s when both must be started. */
struct fault *ovs_daemon_ensure(struct arena *arena, const struct ovs_daemon *daemon, struct ovs_daemon_state *ret);

/* Ends both and waits. Bridges' devices go with them; the database stays. */
struct fault *ovs_daemon_stop(struct arena *arena, const struct ovs_daemon *daemon);

/* A descriptor that becomes readable when ovs-vswitchd ends, so that nobody must poll for it (pidfd_open(2)); -1 when it
 * does not run. The caller closes it. */
int ovs_daemon_watch(const struct ovs_daemon *daemon);

/* "DIR/db.sock", for ovsdb_create(). */
const char *ovs_daemon_socket(struct arena *arena, const struct ovs_daemon *daemon);

#endif
