/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/federation/assertion.h"

#include "oslo/options.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { NAME_LIMIT = 256 };

struct reading {
    struct request *rq;
    const char *prefix;
    json_t *variables;
};

/* A header's value is UTF-8, or ISO-8859-1 as RFC 7230 has it. */
static json_t *value_of(struct arena *arena, const char *value)
{
    json_t *text = json_string(value);

    if (text != NULL)
        return text;
    char *wide = arena_alloc(arena, strlen(value) * 2 + 1), *end = wide;
    for (const unsigned char *c = (const unsigned char *)value; *c != '\0'; c++) {
        if (*c < 0x80) {
            *end++ = (char)*c;
        } else {
            *end++ = (char)(0xc0 | *c >> 6);
            *end++ = (char)(0x80 | (*c & 0x3f));
        }
    }
    return json_string(wide);
}

/* The name with '_' for '-', in capitals if so wanted, behind `begin`. */
static char *variable_name(struct arena *arena, const char *begin, const char *name, bool upper)
{
    char *text = arena_printf(arena, "%s%s", begin, name);

    for (char *c = text; *c != '\0'; c++)
        *c = *c == '-' ? '_' : upper ? (char)toupper((unsigned char)*c) : *c;
    return text;
}

static void take(void *argument, const char *name, const char *value)
{
    /* what every front server says; proxies may write headers in small letters */
    static const char *const capitals[] = { "REMOTE_USER", "REMOTE_DOMAIN", "AUTH_TYPE" };
    const struct reading *reading = argument;
    struct arena *arena = reading->rq->cx.arena;
    size_t prefix = strlen(reading->prefix);

    /* '_' is no '-' here: who takes the one away from what his clients send may let the other pass */
    if (strncasecmp(name, reading->prefix, prefix) != 0 || name[prefix] == '\0' || strlen(name) > NAME_LIMIT)
        return;
    const char *own = name + prefix, *bare = variable_name(arena, "", own, false);
    for (size_t i = 0; i < sizeof(capitals) / sizeof(capitals[0]); i++)
        if (strcasecmp(bare, capitals[i]) == 0)
            bare = capitals[i];
    const char *const names[] = { own, bare, variable_name(arena, "HTTP_", own, true), variable_name(arena, "HTTP_", name, true) };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        json_object_set_new(reading->variables, names[i], value_of(arena, value));
}

static json_t *variables(struct request *rq)
{
    const struct config *config = rq->cx.app->config;
    const char *prefix = config_str(config, "federation", "trusted_header_prefix"), *peer = request_peer(rq);
    struct reading reading = { rq, prefix, json_keep(rq->cx.arena, json_object()) };
    bool trusted = false;

    if (prefix == NULL || prefix[0] == '\0' || peer == NULL)
        return reading.variables;
    const char *const *address = config_list(config, "federation", "trusted_front_addresses", NULL);
    for (; *address != NULL; address++)
        trusted |= strcmp(*address, peer) == 0;
    if (trusted)
        request_headers(rq, take, &reading);
    return reading.variables;
}

json_t *assertion_read(struct request *rq)
{
    const char *prefix = config_str(rq->cx.app->config, "federation", "assertion_prefix"), *name;
    json_t *all = variables(rq), *value;
    void *next;

    if (prefix == NULL || prefix[0] == '\0')
        return all;
    json_object_foreach_safe(all, next, name, value) {
        if (strncmp(name, prefix, strlen(prefix)) != 0)
            json_object_del(all, name);
    }
    return all;
}

const char *assertion_variable(struct request *rq, const char *name)
{
    return json_string_value(json_object_get(variables(rq), name));
}
