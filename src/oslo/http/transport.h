/* SPDX-License-Identifier: Apache-2.0
 *
 * transport: where a request came from: a socket (http/server.c) or a service in this process (rest.c). Private to oslo.
 */
#ifndef OSLO_TRANSPORT_H
#define OSLO_TRANSPORT_H

#include "oslo/http.h"

struct transport {
    const char *(*header)(const struct request *rq, const char *name);
    ssize_t (*read)(struct request *rq, void *to, size_t size);
    const char *(*peer)(const struct request *rq); /* these two NULL: no socket */
    void (*headers)(const struct request *rq, void (*take)(void *argument, const char *name, const char *value), void *argument);
};

/* Every `void *transport` of a request points to a struct that begins with this. */
struct carrier {
    const struct transport *transport;
};

/* A header of a list, without regard to case; NULL when absent. */
const char *header_find(const struct header *list, const char *name);

#endif
