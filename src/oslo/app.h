/* SPDX-License-Identifier: Apache-2.0
 *
 * app: a service of the cloud, as tables (`struct service`, const), and as it runs (`struct app`).
 *
 * To add a service: write its `const struct service`, add its row to the list in src/nubo/.
 */
#ifndef OSLO_APP_H
#define OSLO_APP_H

#include "base/fault.h"
#include "base/work.h"
#include "oslo/context.h"
#include "oslo/http.h"
#include "oslo/options.h"
#include "oslo/policy.h"
#include "oslo/sql.h"

struct rpc_server;
struct flow_type;
struct program;

/* A program of the service, as its operators know it: "nova-conductor". The API program's routes are the service's. */
struct role {
    const char *name;
    struct fault *(*start)(struct context *cx); /* registers RPC servers, periodic tasks, threads; cx->app is set */
    void (*stop)(struct app *app);              /* NULL: nothing to do beyond what the engine stops */
    struct fault *(*ready)(struct context *cx); /* after all services of the process were started: flows go on; may be NULL */
};

struct service {
    const char *name;              /* "nova" */
    const char *type;              /* catalog type: "compute" */
    const char *description;       /* of its catalog entry: "OpenStack Compute" */
    const char *endpoint;          /* what follows http://host:port in the catalog: "/v2.1" */
    int port;                      /* of its API; 0: none */
    const struct dialect *dialect;
    const struct route_table *const *routes;             /* NULL-terminated */
    const struct option_table *const *options;           /* NULL-terminated, its own beyond the common ones */
    const struct policy_table *const *policies;          /* NULL-terminated */
    const struct migration *migrations;
    size_t migration_count;
    const struct flow_type *const *flows;                /* NULL-terminated */
    const struct role *roles;                            /* ends with a NULL name */
    struct fault *(*start)(struct context *cx);          /* after the database is open, before any role; may be NULL */
    void (*stop)(struct app *app);
    /* Tokens: keystone checks its own; every other service leaves this NULL and asks keystone. */
    struct fault *(*authenticate)(struct context *cx, const char *token, struct caller **ret);
    /* More ports with routes of their own (the metadata API), NULL-terminated, may be NULL. */
    const struct listener *listeners;
    /* Administrative programs (oslo/command), NULL-terminated, may be NULL. */
    const struct program *const *programs;
};

struct listener {
    const char *name;                           /* "metadata"; NULL ends the list */
    int port;
    const struct route_table *const *routes;
};

/* The process: its apps, its pools, its state directory. One per process, reached through app->cloud. */
struct cloud {
    const char *state_dir;         /* absolute; mode 0700 below it where secrets lie */
    const char *bind;              /* address that the APIs listen on */
    int port_offset;
    const char *region;            /* "RegionOne" */
    const char *host;              /* this host's name, as [DEFAULT] host */
    int fake_compute;              /* > 0: so many simulated compute hosts instead of libvirt and the switch */
    const char *provider_interface; /* NULL: the data plane lives in a namespace of its own */
    const char *netns;             /* that namespace, under /run/netns; NULL: the host's own network */
    const char *netns_prefix;      /* of the namespaces that agents make ("nubo."): they tell this cloud's from another's */
    struct app **apps;             /* NULL-terminated */
    struct work_pool *slow;        /* API routes that wait */
    struct work_pool *messages;    /* RPC handlers and flows */
    struct work_pool *periodic;
    struct http_server *http;
};

struct app {
    const struct service *service;
    struct cloud *cloud;
    struct config *config;
    struct db *db;
    struct policy *policy;
    struct router *router;
    void *private;                 /* the service's own state, made in start() */
    void *identity;                /* oslo/identity's: its service token */
    void *messaging;               /* oslo/messaging's */
    void *flows;                   /* oslo/flow's */
};

/* The app of a catalog type or service name in this process, or NULL. */
struct app *cloud_app(const struct cloud *cloud, const char *type_or_name);

/* This service's public base URL, as the catalog has it: "http://127.0.0.1:8774/v2.1". In the arena. */
const char *app_url(struct arena *arena, const struct app *app);

/* Reads the configuration, opens and migrates the database, compiles policy and routes. The app lives until
 * app_destroy(). `connection` overrides [database] connection when not NULL. */
struct fault *app_create(struct arena *arena, struct cloud *cloud, const struct service *service,
    const char *const *config_files, struct app **ret);
void app_destroy(struct app *app);

/* Runs service->start and the named roles (NULL: all). */
struct fault *app_start(struct arena *arena, struct app *app, const char *const *roles);
void app_stop(struct app *app);

/* Tells the named roles (NULL: all) that every service of the process was started. */
struct fault *app_ready(struct arena *arena, struct app *app, const char *const *roles);

/* Options that every service has ([database], [keystone_authtoken], [DEFAULT] debug, ...). */
extern const struct option_table common_options;

#endif
