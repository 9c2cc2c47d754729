/* SPDX-License-Identifier: Apache-2.0
 *
 * listener: 169.254.169.254:80 inside the networks' namespaces, served by one thread of this process.
 *
 * A listening socket is opened inside the namespace and kept here; no process runs per network. Which socket a guest came
 * to tells its network, the peer address tells its port: that pair is what the metadata agent asks neutron with.
 *
 * One thread reads and writes all connections; the handler runs on a small pool of its own, so it may block. A guest that
 * is slow, silent or hostile costs one of a bounded number of connections for a bounded time: limits below. Each answer
 * closes its connection.
 */
#ifndef NEUTRON_METADATA_LISTENER_H
#define NEUTRON_METADATA_LISTENER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/fault.h"
#include "neutron/metadata/http.h"

enum {
    LISTENER_CONNECTIONS_MAX = 512,  /* of all networks; more are closed at once */
    LISTENER_CONNECTIONS_PEER = 16,  /* of one guest; the same */
    LISTENER_READ_MS = 10000,        /* from accept to the whole request, else 408 */
    LISTENER_WRITE_MS = 30000,       /* for the answer */
};

struct listener_request {
    const char *network_id;          /* as given to listener_add() */
    const char *peer_ip;
    const struct guest_request *http; /* headers that a guest must not set are gone: X-Forwarded-*, X-Instance-ID*,
                                      * X-Tenant-ID*, X-Neutron-*, X-OVN-Network-ID */
};

struct listener_answer {
    int status;                      /* 200 when left alone */
    const char *content_type;        /* "text/plain; charset=UTF-8" when left alone */
    struct buf body;                 /* released by the listener */
};

/* Fills the answer. The arena ends with the request. Runs on several threads at once. */
typedef void (*listener_handler)(void *context, struct arena *arena, const struct listener_request *request,
    struct listener_answer *answer);

struct listener;

/* `threads`: handlers at the same time; what the pool cannot take is answered 503. */
struct listener *listener_create(listener_handler handler, void *context, unsigned threads);

/* Closes everything and waits for running handlers. */
void listener_destroy(struct listener *listener);

/* Opens ADDRESS:PORT inside the namespace (NULL: this process's) for a network. Doing it again changes nothing, unless
 * the namespace was made anew or the address differs: then the socket is replaced. IPv4. One thread at a time. */
struct fault *listener_add(struct arena *arena, struct listener *listener, const char *network_id, const char *netns,
    const char *address, int port);

/* Closes the network's socket; requests under way are finished. Unknown networks are no failure. */
void listener_remove(struct listener *listener, const char *network_id);

#endif
