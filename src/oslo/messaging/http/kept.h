/* SPDX-License-Identifier: Apache-2.0
 *
 * kept: what this process sent and nobody has handled yet, so that it can be sent again when its hub is gone. Thread safe.
 *
 * A message is added before it leaves, noted when a hub took it over, and forgotten when that hub says that it was handled.
 * Which hub answers at an address is a number (hub.h); another number means that the one before is gone with what it held.
 */
#ifndef OSLO_MESSAGING_HTTP_KEPT_H
#define OSLO_MESSAGING_HTTP_KEPT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { KEPT_LIMIT = 20000 }; /* beyond it the oldest is forgotten, and the log says so once */

struct kept;

/* For so many addresses of hubs. */
struct kept *kept_create(size_t peers);
void kept_destroy(struct kept *kept); /* NULL is allowed */

/* `request` is a "send" with an "id"; a reference is taken. ttl_ms > 0: worthless after that. */
void kept_add(struct kept *kept, json_t *request, int64_t ttl_ms);

/* The hub at this address took it over; a message that was settled meanwhile stays forgotten. */
void kept_sent(struct kept *kept, const char *id, size_t peer, int64_t hub);

/* It was refused, or its sender gave up. */
void kept_drop(struct kept *kept, const char *id);

/* These tags were handled. */
void kept_settled(struct kept *kept, const json_t *tags);

/* What another hub at this address held than the one that answers now; `hub` 0: what any held. New references in a new array, in
 * the order of sending; NULL: nothing, which costs nothing to find out. */
json_t *kept_lost(struct kept *kept, size_t peer, int64_t hub);

/* Something of the last kept_lost() could not be sent again: the next one looks once more. */
void kept_look(struct kept *kept, size_t peer);

#endif
