/* SPDX-License-Identifier: Apache-2.0
 *
 * store: where the bytes of images lie. A driver is a struct of functions; file.c is the one of this machine's disk.
 *
 * A write is a writer: begin, write..., then keep (the bytes are durable and have their final place) and end, or end
 * alone, which leaves nothing. The writer holds a lock until end(), so that a sweep by another process that starts
 * knows bytes that are on their way from bytes that a killed process left.
 */
#ifndef GLANCE_STORE_STORE_H
#define GLANCE_STORE_STORE_H

#include "base/arena.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct image_store; /* a driver's own state */
struct image_writer;

struct image_store_driver {
    const char *scheme; /* of its locations: "file" */
    /* Fault 409 "Duplicate" while such a write is under way. */
    struct fault *(*begin)(struct arena *arena, struct image_store *store, const char *image_id,
        struct image_writer **ret);
    /* Fault 413 in glance_store's words when the media is full, 503 when it may not be written. */
    struct fault *(*write)(struct arena *arena, struct image_writer *writer, const void *data, size_t size);
    struct fault *(*keep)(struct arena *arena, struct image_writer *writer, const char **ret_url);
    void (*end)(struct image_writer *writer); /* NULL is allowed; without keep() before, the bytes are gone */
    /* Opens for reading; the caller closes *ret_fd. Fault 404 when the bytes are not there. */
    struct fault *(*open)(struct arena *arena, struct image_store *store, const char *url, int *ret_fd,
        off_t *ret_size);
    void (*remove)(struct image_store *store, const char *url);
    /* Start-up: removes what killed writes left, and the bytes of ids for which known(owner, id) is false. */
    struct fault *(*sweep)(struct arena *arena, struct image_store *store,
        bool (*known)(void *owner, const char *image_id), void *owner);
    /* Whether a write for the image is under way, in any process. */
    bool (*busy)(struct image_store *store, const char *image_id);
    void (*destroy)(struct image_store *store);
};

extern const struct image_store_driver file_store_driver;
struct fault *file_store_create(struct arena *arena, const char *directory, struct image_store **ret);

#endif
