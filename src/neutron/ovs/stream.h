/* SPDX-License-Identifier: Apache-2.0
 *
 * stream: cuts the bytes of an OVSDB connection into JSON messages (RFC 7047: objects one after the other, without any
 * separator). Takes any bytes: what is no message within the limits is a fault, after which the stream must be reset.
 */
#ifndef NEUTRON_OVS_STREAM_H
#define NEUTRON_OVS_STREAM_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/fault.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    OVSDB_STREAM_MESSAGE_LIMIT = 16 * 1024 * 1024, /* bytes of one message */
    OVSDB_STREAM_DEPTH_LIMIT = 64,                 /* nested arrays and objects */
};

/* A zeroed struct is an empty stream; end it with ovsdb_stream_reset(). */
struct ovsdb_stream {
    struct buf data;
    size_t begin;   /* where the first unread message begins */
    size_t scanned; /* what was looked at */
    unsigned depth;
    bool in_string, escaped;
};

void ovsdb_stream_reset(struct ovsdb_stream *stream);

/* Bytes as they came off the socket. */
void ovsdb_stream_feed(struct ovsdb_stream *stream, const void *data, size_t length);

/* The next whole message through *ret (the caller's to json_decref), or NULL while it is not complete. */
struct fault *ovsdb_stream_next(struct arena *arena, struct ovsdb_stream *stream, json_t **ret);

#endif
