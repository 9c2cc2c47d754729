/* SPDX-License-Identifier: Apache-2.0
 * stream: counts brackets outside strings to find a message's end, then lets jansson read it. See stream.h. */
#include "neutron/ovs/stream.h"

#include <string.h>

void ovsdb_stream_reset(struct ovsdb_stream *stream)
{
    buf_release(&stream->data);
    *stream = (struct ovsdb_stream){ 0 };
}

/* Drops what was read when that is most of the buffer, so that a byte is moved a bounded number of times. */
static void compact(struct ovsdb_stream *stream)
{
    if (stream->begin == 0 || 2 * stream->begin < stream->data.length)
        return;
    size_t left = stream->data.length - stream->begin;
    memmove(stream->data.data, stream->data.data + stream->begin, left);
    stream->data.length = left;
    stream->data.data[left] = '\0';
    stream->scanned -= stream->begin;
    stream->begin = 0;
}

void ovsdb_stream_feed(struct ovsdb_stream *stream, const void *data, size_t length)
{
    compact(stream);
    buf_append(&stream->data, data, length);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Takes one byte in; true when it ends a message. */
static bool scan(struct ovsdb_stream *stream, char c)
{
    if (stream->in_string) {
        if (stream->escaped)
            stream->escaped = false;
        else if (c == '\\')
            stream->escaped = true;
        else if (c == '"')
            stream->in_string = false;
        return false;
    }
    if (c == '"')
        stream->in_string = true;
    else if (c == '{' || c == '[')
        stream->depth++;
    else if (c == '}' || c == ']')
        return --stream->depth == 0;
    return false;
}

static struct fault *bad(struct arena *arena, const char *why)
{
    return fault_new(arena, 500, NULL, "The OVSDB server sent what is no message: %s.", why);
}

static struct fault *parse(struct arena *arena, struct ovsdb_stream *stream, json_t **ret)
{
    json_error_t error;
    json_t *message = json_loadb(stream->data.data + stream->begin, stream->scanned - stream->begin, 0, &error);
    stream->begin = stream->scanned;
    if (message == NULL)
        return bad(arena, error.text);
    *ret = message;
    return NULL;
}

struct fault *ovsdb_stream_next(struct arena *arena, struct ovsdb_stream *stream, json_t **ret)
{
    *ret = NULL;
    while (stream->scanned < stream->data.length) {
        char c = stream->data.data[stream->scanned++];
        if (stream->depth == 0 && is_space(c)) {
            stream->begin = stream->scanned;
            continue;
        }
        if (stream->depth == 0 && c != '{')
            return bad(arena, "not an object");
        if (scan(stream, c))
            return parse(arena, stream, ret);
        if (stream->depth > OVSDB_STREAM_DEPTH_LIMIT)
            return bad(arena, "nested too deeply");
        if (stream->scanned - stream->begin > OVSDB_STREAM_MESSAGE_LIMIT)
            return bad(arena, "too long");
    }
    return NULL;
}
