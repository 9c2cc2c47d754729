/* SPDX-License-Identifier: Apache-2.0
 * router: a tree of path segments made once from the route tables. Literal segments win over {names}. See http.h. */
#include "base/map.h"
#include "oslo/http.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct candidate {
    const struct route *route;
    struct candidate *next; /* same method, other microversions; in table order */
};

struct node {
    struct map children;                      /* literal segment -> struct node * */
    struct node *any;                         /* {name} */
    struct candidate *methods[HTTP_METHODS];
    struct candidate *rest[HTTP_METHODS];     /* {name*}: from here to the end */
};

struct router {
    struct node *root;
};

static const char *const method_names[HTTP_METHODS] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" };

enum http_method http_method_parse(const char *name)
{
    for (int i = 0; i < HTTP_METHODS; i++)
        if (strcmp(name, method_names[i]) == 0)
            return (enum http_method)i;
    return HTTP_METHODS;
}

static struct node *node_create(void)
{
    struct node *node = calloc(1, sizeof(*node));
    if (node == NULL)
        abort();
    return node;
}

static void candidates_free(struct candidate *c)
{
    while (c != NULL) {
        struct candidate *next = c->next;
        free(c);
        c = next;
    }
}

static void node_destroy(struct node *node)
{
    if (node == NULL)
        return;
    struct map_entry *entry;
    for (size_t at = 0; (entry = map_next(&node->children, &at)) != NULL;)
        node_destroy(entry->value);
    map_release(&node->children);
    node_destroy(node->any);
    for (int i = 0; i < HTTP_METHODS; i++) {
        candidates_free(node->methods[i]);
        candidates_free(node->rest[i]);
    }
    free(node);
}

static bool versions_overlap(const struct route *a, const struct route *b)
{
    int a_max = a->max_version != 0 ? a->max_version : 1 << 30;
    int b_max = b->max_version != 0 ? b->max_version : 1 << 30;
    return a->min_version <= b_max && b->min_version <= a_max;
}

static void add_candidate(struct candidate **list, const struct route *route)
{
    for (; *list != NULL; list = &(*list)->next)
        assert(!versions_overlap((*list)->route, route) && "two routes for one method and path");
    *list = calloc(1, sizeof(**list));
    if (*list == NULL)
        abort();
    (*list)->route = route;
}

static struct node *child(struct node *node, const char *segment, size_t length)
{
    if (segment[0] == '{') {
        if (node->any == NULL)
            node->any = node_create();
        return node->any;
    }
    char *name = strndup(segment, length);
    struct node *found = map_get(&node->children, name);
    if (found == NULL) {
        found = node_create();
        map_set(&node->children, name, found);
    }
    free(name);
    return found;
}

static void add_route(struct router *router, const struct route *route)
{
    assert(route->handler != NULL);
    assert((route->policy != NULL || (route->flags & (NO_TOKEN | OPTIONAL_TOKEN))) && "a route needs a policy");
    struct node *node = router->root;
    for (const char *at = route->path; *at != '\0';) {
        at += *at == '/';
        if (*at == '\0')
            break; /* "/" alone, or a trailing slash */
        size_t length = strcspn(at, "/");
        if (length >= 2 && at[0] == '{' && at[length - 2] == '*') {
            add_candidate(&node->rest[route->method], route);
            return;
        }
        node = child(node, at, length);
        at += length;
    }
    add_candidate(&node->methods[route->method], route);
}

struct router *router_create(const struct route_table *const *tables)
{
    struct router *router = calloc(1, sizeof(*router));
    if (router == NULL)
        abort();
    router->root = node_create();
    for (; tables != NULL && *tables != NULL; tables++)
        for (size_t i = 0; i < (*tables)->count; i++)
            add_route(router, &(*tables)->rows[i]);
    return router;
}

void router_destroy(struct router *router)
{
    if (router == NULL)
        return;
    node_destroy(router->root);
    free(router);
}

enum { SEGMENTS = 32 };

struct walk {
    const char *segments[SEGMENTS];
    const char *tails[SEGMENTS + 1]; /* the path from this segment to its end */
    int count;
    const char *taken[PATH_ARGUMENTS];
    int taken_count;
};

/* Depth first: the literal child, then {name}, then {name*}. Gives the method lists of where the path ends. */
static const struct candidate *const *descend(const struct node *node, struct walk *walk, int depth)
{
    if (depth == walk->count) {
        for (int i = 0; i < HTTP_METHODS; i++)
            if (node->methods[i] != NULL)
                return (const struct candidate *const *)node->methods;
    } else {
        const struct node *literal = map_get(&node->children, walk->segments[depth]);
        int taken = walk->taken_count;
        const struct candidate *const *found = literal != NULL ? descend(literal, walk, depth + 1) : NULL;
        if (found != NULL)
            return found;
        walk->taken_count = taken;
        if (node->any != NULL && walk->segments[depth][0] != '\0' && taken < PATH_ARGUMENTS) {
            walk->taken[walk->taken_count++] = walk->segments[depth];
            found = descend(node->any, walk, depth + 1);
            if (found != NULL)
                return found;
            walk->taken_count = taken;
        }
    }
    for (int i = 0; i < HTTP_METHODS; i++)
        if (node->rest[i] != NULL && walk->taken_count < PATH_ARGUMENTS) {
            walk->taken[walk->taken_count++] = walk->tails[depth];
            return (const struct candidate *const *)node->rest;
        }
    return NULL;
}

static bool split(struct request *rq, const char *path, struct walk *walk)
{
    walk->count = 0;
    const char *at = path + (*path == '/');
    size_t left = strlen(at);
    if (left > 0 && at[left - 1] == '/') /* a trailing slash is the same path */
        left--;
    const char *end = at + left;
    walk->tails[0] = at;
    while (at < end) {
        if (walk->count == SEGMENTS)
            return false;
        const char *slash = memchr(at, '/', (size_t)(end - at));
        size_t length = (size_t)((slash != NULL ? slash : end) - at);
        walk->segments[walk->count] = arena_strndup(rq->cx.arena, at, length);
        walk->count++;
        at += length + (slash != NULL);
        walk->tails[walk->count] = at;
        if (slash != NULL && at == end) { /* "a//": an empty last segment */
            if (walk->count == SEGMENTS)
                return false;
            walk->segments[walk->count++] = "";
            walk->tails[walk->count] = at;
        }
    }
    return true;
}

static const char *allowed(struct request *rq, const struct candidate *const *methods)
{
    const char *list = NULL;
    for (int i = 0; i < HTTP_METHODS; i++)
        if (methods[i] != NULL)
            list = list == NULL ? method_names[i] : arena_printf(rq->cx.arena, "%s, %s", list, method_names[i]);
    return list;
}

static const struct route *pick(const struct candidate *list, int version)
{
    for (; list != NULL; list = list->next) {
        const struct route *r = list->route;
        if (version < 0 || (version >= r->min_version && (r->max_version == 0 || version <= r->max_version)))
            return r;
    }
    return NULL;
}

const struct route *router_find(const struct router *router, struct request *rq, const char **ret_allow)
{
    struct walk walk = { .count = 0 };
    *ret_allow = NULL;
    if (!split(rq, rq->path, &walk))
        return NULL;
    const struct candidate *const *methods = descend(router->root, &walk, 0);
    if (methods == NULL)
        return NULL;
    *ret_allow = allowed(rq, methods);
    if (rq->method == HTTP_METHODS)
        return NULL;
    const struct candidate *list = methods[rq->method];
    if (list == NULL && rq->method == HEAD)
        list = methods[GET];
    const struct route *route = pick(list, rq->version);
    if (list != NULL && route == NULL)
        *ret_allow = NULL; /* the path is there, but not at this microversion: 404 */
    rq->route = route;
    for (int i = 0; i < walk.taken_count; i++)
        rq->arguments[i] = walk.taken[i];
    return route;
}

const char *request_argument(const struct request *rq, const char *name)
{
    size_t length = strlen(name);
    int index = 0;
    for (const char *at = strchr(rq->route->path, '{'); at != NULL && index < PATH_ARGUMENTS; at = strchr(at, '{')) {
        at++;
        if (strncmp(at, name, length) == 0 && (at[length] == '}' || at[length] == '*'))
            return rq->arguments[index];
        index++;
    }
    return NULL;
}
