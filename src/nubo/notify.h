/* SPDX-License-Identifier: Apache-2.0
 *
 * notify: tells the service manager how it stands, by sd_notify(3)'s protocol: one datagram to $NOTIFY_SOCKET.
 */
#ifndef NUBO_NOTIFY_H
#define NUBO_NOTIFY_H

/* "READY=1", "RELOADING=1", "STOPPING=1"... Without NOTIFY_SOCKET nothing happens; a manager that does not listen is no
 * failure of ours. */
void notify_manager(const char *state);

#endif
