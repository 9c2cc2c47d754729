/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/reference.h"

#include "base/clock.h"
#include "keystone/catalog/templated.h"
#include "keystone/federation/federation.h"
#include "keystone/model.h"
#include "oslo/options.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* One snapshot, counted: by the cache and by each arena that uses it. */
struct held {
    struct reference reference;
    _Atomic bool missed;
    struct arena *arena;
    uint64_t generation;
    _Atomic int references;
};

struct reference_cache {
    pthread_mutex_t lock;
    struct held *held; /* NULL: nothing yet */
};

enum { SHARED_MAX_AGE_US = 1000000 }; /* how long another process's change may stay unseen */

struct reference_cache *reference_cache_create(void)
{
    struct reference_cache *cache = calloc(1, sizeof(*cache));

    if (cache == NULL)
        abort();
    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

static void held_release(void *object)
{
    struct held *held = object;

    if (atomic_fetch_sub(&held->references, 1) == 1) {
        arena_destroy(held->arena);
        free(held);
    }
}

void reference_cache_destroy(struct reference_cache *cache)
{
    if (cache == NULL)
        return;
    if (cache->held != NULL)
        held_release(cache->held);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static struct fault *read_roles(struct tx *tx, struct held *held)
{
    struct reference *reference = &held->reference;
    struct identity_role *roles = NULL;
    struct implication *implications = NULL;
    struct rows *rows;

    TRY(sql_query(tx, &rows, "SELECT id, name, domain_id FROM role ORDER BY id", NO_BIND));
    while (rows_next(rows)) {
        const char *domain_id = rows_text(rows, 2);
        roles = ARENA_GROW(held->arena, roles, reference->role_count);
        roles[reference->role_count++] = (struct identity_role){
            arena_strdup(held->arena, rows_text(rows, 0)), arena_strdup(held->arena, rows_text(rows, 1)),
            domain_id == NULL || strcmp(domain_id, ROLE_NO_DOMAIN) == 0 ? NULL : arena_strdup(held->arena, domain_id) };
    }
    TRY(rows_fault(rows));
    reference->roles = roles;
    TRY(sql_query(tx, &rows, "SELECT prior_role_id, implied_role_id FROM implied_role", NO_BIND));
    while (rows_next(rows)) {
        struct implication edge = { reference_role(reference, rows_text(rows, 0)), reference_role(reference, rows_text(rows, 1)) };
        if (edge.prior == reference->role_count || edge.implied == reference->role_count)
            continue;
        implications = ARENA_GROW(held->arena, implications, reference->implication_count);
        implications[reference->implication_count++] = edge;
    }
    reference->implications = implications;
    return rows_fault(rows);
}

/* In the order of the services, which are sorted as this query sorts them. */
static struct fault *read_endpoints(struct tx *tx, struct held *held, struct catalog_service *services)
{
    struct reference *reference = &held->reference;
    struct catalog_endpoint *endpoints = NULL;
    struct rows *rows;
    size_t at = 0, service = 0;

    TRY(sql_query(tx, &rows, "SELECT s.id, e.id, e.interface, e.region_id, e.url FROM service s JOIN endpoint e"
        " ON e.service_id = s.id WHERE s.enabled = 1 AND e.enabled = 1 ORDER BY s.type, s.id, e.id", NO_BIND));
    while (rows_next(rows)) {
        const char *id = rows_text(rows, 0);
        size_t found = service;
        while (found < reference->service_count && strcmp(services[found].id, id) != 0)
            found++;
        if (found == reference->service_count)
            continue; /* it was made between the two queries */
        service = found;
        if (services[service].count++ == 0)
            services[service].first = at;
        endpoints = ARENA_GROW(held->arena, endpoints, at);
        endpoints[at++] = (struct catalog_endpoint){
            arena_strdup(held->arena, rows_text(rows, 1)), arena_strdup(held->arena, rows_text(rows, 2)),
            arena_strdup(held->arena, rows_text(rows, 3)), arena_strdup(held->arena, rows_text(rows, 4)) };
    }
    reference->endpoints = endpoints;
    struct fault *fault = rows_fault(rows);
    rows_end(rows);
    return fault;
}

static struct fault *read_catalog(struct tx *tx, struct held *held)
{
    struct reference *reference = &held->reference;
    struct catalog_service *services = NULL;
    struct rows *rows;

    TRY(sql_query(tx, &rows, "SELECT id, type, extra FROM service WHERE enabled = 1 ORDER BY type, id", NO_BIND));
    while (rows_next(rows)) {
        const char *name = json_text_at(json_parse_own(held->arena, rows_text(rows, 2)), "name");
        services = ARENA_GROW(held->arena, services, reference->service_count);
        services[reference->service_count++] = (struct catalog_service){
            .id = arena_strdup(held->arena, rows_text(rows, 0)), .type = arena_strdup(held->arena, rows_text(rows, 1)),
            .name = arena_strdup(held->arena, name != NULL ? name : "") };
    }
    TRY(rows_fault(rows));
    reference->services = services;
    return read_endpoints(tx, held, services);
}

/* The same out of a file of templates: a service is a type, its endpoints have no ids. */
static struct fault *fill_catalog(struct held *held, const struct templated *templated)
{
    struct reference *reference = &held->reference;
    struct catalog_service *services = ARENA_ARRAY(held->arena, struct catalog_service, templated->count + 1);
    struct catalog_endpoint *endpoints = ARENA_ARRAY(held->arena, struct catalog_endpoint, templated->count + 1);
    size_t endpoint_count = 0;

    for (size_t i = 0; i < templated->count; i++) {
        const char *type = templated->entries[i].service;
        bool there = false;
        for (size_t k = 0; k < reference->service_count; k++)
            there |= strcmp(services[k].type, type) == 0;
        if (there)
            continue;
        struct catalog_service *service = &services[reference->service_count++];
        *service = (struct catalog_service){ .type = type, .name = NULL, .first = endpoint_count };
        for (size_t k = i; k < templated->count; k++) {
            const struct templated_entry *entry = &templated->entries[k];
            const char *interface = templated_interface(held->arena, entry->key);
            if (strcmp(entry->service, type) != 0)
                continue;
            if (interface != NULL)
                endpoints[endpoint_count++] = (struct catalog_endpoint){ .interface = interface, .region_id = entry->region,
                    .url = entry->value };
            else if (strcmp(entry->key, "name") == 0)
                service->name = entry->value;
        }
        service->count = endpoint_count - service->first;
    }
    reference->services = services;
    reference->endpoints = endpoints;
    return NULL;
}

static int by_project(const void *a, const void *b)
{
    return strcmp(((const struct endpoint_choice *)a)->project_id, ((const struct endpoint_choice *)b)->project_id);
}

/* Whether a filter chooses any endpoint at all: one that does not counts for nothing. */
static struct fault *chooses_any(struct tx *tx, const struct endpoint_filter *filter, bool *ret)
{
    int64_t count = 0;

    if (!filter->nothing)
        TRY(sql_int_of(tx, &count, 0, "SELECT COUNT(*) FROM endpoint WHERE (service_id = ? OR ? = 1) AND (interface = ? OR"
            " ? = 1) AND (region_id = ? OR ? = 1) AND (region_id IS NULL OR ? = 0)",
            BIND(TEXT(filter->service_id), INT(filter->service_id == NULL), TEXT(filter->interface),
                INT(filter->interface == NULL), TEXT(filter->region_id), INT(filter->region_id == NULL),
                INT(filter->no_region))));
    *ret = count > 0;
    return NULL;
}

/* OS-EP-FILTER: which endpoints the catalogs of projects have. */
static struct fault *read_choices(struct tx *tx, struct held *held)
{
    struct endpoint_choice *choices = NULL;
    struct rows *rows;
    size_t count = 0;
    bool any;

    TRY(sql_query(tx, &rows, "SELECT p.project_id, p.endpoint_id FROM project_endpoint p JOIN endpoint e ON e.id = p.endpoint_id",
        NO_BIND));
    while (rows_next(rows)) {
        choices = ARENA_GROW(held->arena, choices, count);
        choices[count++] = (struct endpoint_choice){ .project_id = arena_strdup(held->arena, rows_text(rows, 0)),
            .endpoint_id = arena_strdup(held->arena, rows_text(rows, 1)) };
    }
    TRY(rows_fault(rows));
    rows_end(rows);
    size_t first = count, kept = count;
    TRY(sql_query(tx, &rows, "SELECT p.project_id, g.filters FROM project_endpoint_group p JOIN endpoint_group g ON"
        " g.id = p.endpoint_group_id", NO_BIND));
    while (rows_next(rows)) {
        choices = ARENA_GROW(held->arena, choices, count);
        choices[count++] = (struct endpoint_choice){ .project_id = arena_strdup(held->arena, rows_text(rows, 0)),
            .filter = endpoint_filter_read(held->arena, json_parse_own(tx_arena(tx), rows_text(rows, 1))) };
    }
    TRY(rows_fault(rows));
    rows_end(rows);
    for (size_t i = first; i < count; i++) {
        TRY(chooses_any(tx, &choices[i].filter, &any));
        if (any)
            choices[kept++] = choices[i];
    }
    if (kept > 0)
        qsort(choices, kept, sizeof(*choices), by_project);
    held->reference.choices = choices;
    held->reference.choice_count = kept;
    return NULL;
}

static struct fault *read_providers(struct tx *tx, struct held *held)
{
    BUF_CLEANUP struct buf text = { 0 };
    struct json_writer w = { .out = &text };

    TRY(service_providers_write(&w, NULL, tx));
    held->reference.service_providers = strcmp(buf_text(&text), "[]") != 0 ? arena_strdup(held->arena, buf_text(&text)) : NULL;
    return NULL;
}

/* Reads a snapshot with the generation that was current before the first byte was read. */
static struct fault *held_read(struct context *cx, struct held **ret)
{
    struct held *held = calloc(1, sizeof(*held));
    struct tx *tx;

    if (held == NULL)
        abort();
    held->arena = arena_create();
    held->references = 1;
    held->generation = atomic_load(&keystone_of(cx)->generation);
    held->reference.read_us = clock_monotonic_us();
    held->reference.missed = &held->missed;
    struct fault *fault = db_read(cx->arena, cx->app->db, &tx);
    if (fault == NULL) {
        fault = read_roles(tx, held);
        if (fault == NULL)
            fault = keystone_of(cx)->templated != NULL ? fill_catalog(held, keystone_of(cx)->templated) :
                read_catalog(tx, held);
        if (fault == NULL)
            fault = read_choices(tx, held);
        if (fault == NULL)
            fault = read_providers(tx, held);
        held->reference.nothing_unless_chosen = !config_bool(cx->app->config, "endpoint_filter",
            "return_all_endpoints_if_no_filter");
        tx_end(tx);
    }
    if (fault != NULL) {
        held_release(held);
        return fault;
    }
    *ret = held;
    return NULL;
}

static bool held_current(const struct keystone *keystone, const struct held *held)
{
    return held != NULL && held->generation == atomic_load(&keystone->generation) &&
        (!keystone->shared || (clock_monotonic_us() - held->reference.read_us < SHARED_MAX_AGE_US && !atomic_load(&held->missed)));
}

void reference_missed(const struct reference *reference)
{
    atomic_store(reference->missed, true);
}

bool reference_is_stale(const struct context *cx, const struct reference *reference)
{
    return keystone_of(cx)->shared && atomic_load(reference->missed);
}

struct fault *reference_get(struct context *cx, const struct reference **ret)
{
    struct keystone *keystone = keystone_of(cx);
    struct reference_cache *cache = keystone->reference;
    struct held *held = NULL, *old;

    pthread_mutex_lock(&cache->lock);
    if (held_current(keystone, cache->held)) {
        held = cache->held;
        atomic_fetch_add(&held->references, 1);
    }
    pthread_mutex_unlock(&cache->lock);
    if (held == NULL) {
        TRY(held_read(cx, &held));
        atomic_fetch_add(&held->references, 1);
        pthread_mutex_lock(&cache->lock);
        old = cache->held;
        cache->held = held;
        pthread_mutex_unlock(&cache->lock);
        if (old != NULL)
            held_release(old);
    }
    arena_defer(cx->arena, held_release, held);
    *ret = &held->reference;
    return NULL;
}

size_t reference_role(const struct reference *reference, const char *role_id)
{
    size_t low = 0, high = reference->role_count;

    if (role_id == NULL)
        return reference->role_count;
    for (size_t i = low; i < high; i++) /* databases may sort by other rules than strcmp: no bisection */
        if (strcmp(reference->roles[i].id, role_id) == 0)
            return i;
    return reference->role_count;
}

void reference_expand(const struct reference *reference, bool *marks)
{
    bool more = true;

    while (more) {
        more = false;
        for (size_t i = 0; i < reference->implication_count; i++) {
            const struct implication *edge = &reference->implications[i];
            if (marks[edge->prior] && !marks[edge->implied]) {
                marks[edge->implied] = true;
                more = true;
            }
        }
    }
}

/* ---- Catalog ---- */

bool catalog_url(struct buf *out, const char *url, const char *user_id, const char *project_id)
{
    /* What an endpoint's URL may name: `$(name)s` or `%(name)s`, as the reference's whitelist. */
    const struct {
        const char *name, *value;
        bool known;
    } names[] = {
        { "tenant_id", project_id, true }, { "project_id", project_id, true }, { "user_id", user_id, true },
        { "public_bind_host", "0.0.0.0", true }, { "admin_bind_host", "0.0.0.0", true },
        { "compute_host", "0.0.0.0", true }, { "admin_port", "35357", true }, { "public_port", "5000", true },
        { "public_endpoint", NULL, true }, { "admin_endpoint", NULL, true },
    };
    enum { NAMES = sizeof(names) / sizeof(names[0]) };

    for (const char *c = url; *c != '\0'; c++) {
        if (*c == '%' && c[1] == '%') {
            if (out != NULL)
                buf_putc(out, '%');
            c++;
        } else if ((*c == '$' || *c == '%') && c[1] == '(') {
            const char *end = strchr(c, ')');
            size_t i = 0, length = end != NULL ? (size_t)(end - c - 2) : 0;
            if (end == NULL || (end[1] != 's' && end[1] != 'd'))
                return false;
            while (i < NAMES && !(strlen(names[i].name) == length && strncmp(names[i].name, c + 2, length) == 0))
                i++;
            if (i == NAMES)
                return false;
            if (out != NULL) {
                if (names[i].value == NULL)
                    return false;
                buf_puts(out, names[i].value);
            }
            c = end + 1;
        } else if (*c == '%') {
            return false;
        } else if (out != NULL) {
            buf_putc(out, *c);
        }
    }
    return true;
}

/* The choices of a project: NULL when it has none. */
static const struct endpoint_choice *choices_of(const struct reference *reference, const char *project_id)
{
    size_t low = 0, high = reference->choice_count;

    if (project_id == NULL)
        return NULL;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(reference->choices[middle].project_id, project_id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == reference->choice_count || strcmp(reference->choices[low].project_id, project_id) != 0)
        return NULL;
    return &reference->choices[low];
}

static bool is_chosen(const struct reference *reference, const struct endpoint_choice *choice, const char *project_id,
    const struct catalog_service *service, const struct catalog_endpoint *endpoint)
{
    const struct endpoint_choice *end = reference->choices + reference->choice_count;

    for (; choice < end && strcmp(choice->project_id, project_id) == 0; choice++)
        if (choice->endpoint_id != NULL ? strcmp(choice->endpoint_id, endpoint->id) == 0 :
            endpoint_filter_matches(&choice->filter, service->id, endpoint->region_id, endpoint->interface))
            return true;
    return false;
}

/* False when its URL cannot be filled in: it is left out. */
static bool endpoint_write(struct json_writer *w, const struct catalog_endpoint *endpoint, const char *user_id,
    const char *project_id)
{
    BUF_CLEANUP struct buf url = { 0 };

    if (!catalog_url(&url, endpoint->url, user_id, project_id))
        return false;
    if (w == NULL)
        return true;
    json_begin(w, NULL);
    if (endpoint->id != NULL)
        json_text(w, "id", endpoint->id);
    json_text(w, "interface", endpoint->interface);
    if (endpoint->id != NULL)
        json_text(w, "region_id", endpoint->region_id);
    json_text(w, "url", buf_text(&url));
    json_text(w, "region", endpoint->region_id);
    json_end(w);
    return true;
}

void catalog_write(struct json_writer *w, const char *name, const struct reference *reference, const char *user_id,
    const char *project_id)
{
    const struct endpoint_choice *choices = choices_of(reference, project_id);
    size_t services = choices == NULL && reference->nothing_unless_chosen ? 0 : reference->service_count;

    json_begin_array(w, name);
    for (size_t i = 0; i < services; i++) {
        const struct catalog_service *service = &reference->services[i];
        const struct catalog_endpoint *endpoints = &reference->endpoints[service->first];
        bool any = choices == NULL; /* a service stays without endpoints only where nothing is filtered */
        for (size_t k = 0; k < service->count && !any; k++)
            any = is_chosen(reference, choices, project_id, service, &endpoints[k]) &&
                endpoint_write(NULL, &endpoints[k], user_id, project_id);
        if (!any)
            continue;
        json_begin(w, NULL);
        json_begin_array(w, "endpoints");
        for (size_t k = 0; k < service->count; k++)
            if (choices == NULL || is_chosen(reference, choices, project_id, service, &endpoints[k]))
                endpoint_write(w, &endpoints[k], user_id, project_id);
        json_end_array(w);
        if (service->id != NULL)
            json_text(w, "id", service->id);
        json_text(w, "type", service->type);
        if (service->name != NULL)
            json_text(w, "name", service->name);
        json_end(w);
    }
    json_end_array(w);
}
