/* SPDX-License-Identifier: Apache-2.0
 * kept: a list in the order of sending, and a map by tag. See kept.h. */
#include "oslo/messaging/http/kept.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "oslo/json.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAG_DIGITS = 15 };

struct message {
    struct message *before, *after;
    char tag[TAG_DIGITS + 1];
    json_t *request;
    int64_t expires_us; /* 0: never */
    size_t peer;
    int64_t hub; /* 0: nobody has taken it over yet */
};

/* What is known of an address. */
struct address {
    int64_t hub;
    bool look; /* something may have been taken over by another hub than this */
};

struct kept {
    pthread_mutex_t lock;
    struct message *oldest, *newest;
    struct map messages;
    struct address *addresses;
    bool complained;
};

struct kept *kept_create(size_t peers)
{
    struct kept *kept = calloc(1, sizeof(*kept));
    if (kept == NULL || (kept->addresses = calloc(peers + 1, sizeof(*kept->addresses))) == NULL)
        abort();
    pthread_mutex_init(&kept->lock, NULL);
    return kept;
}

static void forget(struct kept *kept, struct message *m)
{
    *(m->before != NULL ? &m->before->after : &kept->oldest) = m->after;
    *(m->after != NULL ? &m->after->before : &kept->newest) = m->before;
    map_remove(&kept->messages, m->tag);
    json_decref(m->request);
    free(m);
}

void kept_destroy(struct kept *kept)
{
    if (kept == NULL)
        return;
    while (kept->oldest != NULL)
        forget(kept, kept->oldest);
    map_release(&kept->messages);
    pthread_mutex_destroy(&kept->lock);
    free(kept->addresses);
    free(kept);
}

static struct message *find(const struct kept *kept, const char *id)
{
    char tag[TAG_DIGITS + 1];
    snprintf(tag, sizeof(tag), "%s", id);
    return map_get(&kept->messages, tag);
}

void kept_add(struct kept *kept, json_t *request, int64_t ttl_ms)
{
    struct message *m = calloc(1, sizeof(*m));
    if (m == NULL)
        abort();
    snprintf(m->tag, sizeof(m->tag), "%s", json_text_at(request, "id"));
    m->request = json_incref(request);
    m->expires_us = ttl_ms > 0 ? clock_monotonic_us() + ttl_ms * 1000 : 0;
    pthread_mutex_lock(&kept->lock);
    m->before = kept->newest;
    *(m->before != NULL ? &m->before->after : &kept->oldest) = m;
    kept->newest = m;
    map_set(&kept->messages, m->tag, m);
    bool full = kept->messages.count > KEPT_LIMIT, complain = full && !kept->complained;
    kept->complained = kept->complained || full;
    if (full)
        forget(kept, kept->oldest);
    pthread_mutex_unlock(&kept->lock);
    if (complain)
        log_warning("oslo.messaging", "%d messages are not handled yet: the oldest would be lost with their hub", KEPT_LIMIT);
}

void kept_sent(struct kept *kept, const char *id, size_t peer, int64_t hub)
{
    pthread_mutex_lock(&kept->lock);
    struct message *m = find(kept, id);
    if (m != NULL) {
        m->peer = peer;
        m->hub = hub;
        if (hub != kept->addresses[peer].hub)
            kept->addresses[peer].look = true;
    }
    pthread_mutex_unlock(&kept->lock);
}

void kept_drop(struct kept *kept, const char *id)
{
    pthread_mutex_lock(&kept->lock);
    struct message *m = find(kept, id);
    if (m != NULL)
        forget(kept, m);
    pthread_mutex_unlock(&kept->lock);
}

void kept_settled(struct kept *kept, const json_t *tags)
{
    pthread_mutex_lock(&kept->lock);
    for (size_t i = 0; i < json_array_size(tags); i++) {
        char tag[TAG_DIGITS + 2];
        snprintf(tag, sizeof(tag), "%0*llx", TAG_DIGITS, (unsigned long long)json_integer_value(json_array_get(tags, i)));
        struct message *m = map_get(&kept->messages, tag);
        if (m != NULL)
            forget(kept, m);
    }
    pthread_mutex_unlock(&kept->lock);
}

json_t *kept_lost(struct kept *kept, size_t peer, int64_t hub)
{
    struct address *address = &kept->addresses[peer];
    json_t *lost = NULL;
    int64_t now_us = clock_monotonic_us();
    pthread_mutex_lock(&kept->lock);
    bool look = address->look || hub != address->hub;
    address->look = false;
    address->hub = hub;
    for (struct message *m = look ? kept->oldest : NULL, *after; m != NULL; m = after) {
        after = m->after;
        if (m->expires_us != 0 && m->expires_us < now_us) {
            forget(kept, m);
        } else if (m->hub != 0 && m->peer == peer && m->hub != hub) {
            if (lost == NULL)
                lost = json_array();
            json_array_append(lost, m->request);
        }
    }
    pthread_mutex_unlock(&kept->lock);
    return lost;
}

void kept_look(struct kept *kept, size_t peer)
{
    pthread_mutex_lock(&kept->lock);
    kept->addresses[peer].look = true;
    pthread_mutex_unlock(&kept->lock);
}
