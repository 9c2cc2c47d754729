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
struct rest_target;
struct flow_type;
struct program;

/* A program of the service, as its operators know it: "nova-conductor". What it starts as when it is a process of its own. */
struct role {
    const char *name;
    struct fault *(*start)(struct context *cx); /* registers RPC servers, periodic tasks, threads; cx->app is set */
    void (*stop)(struct app *app);              /* NULL: nothing to do beyond what the engine stops */
    struct fault *(*ready)(struct context *cx); /* after all services of the process were started: flows go on; may be NULL */
    bool database;                   /* it opens the service's database */
    const char *const *serves;       /* what it listens for: API_LISTENER, names of the service's listeners; NULL: nothing */
    const char *serves_option;       /* [DEFAULT] list of those that are to be served ("enabled_apis"); NULL: all */
    const char *const *files;        /* configuration beside SERVICE.conf and NAME.conf, below /etc/SERVICE; may be NULL */
    const struct option_table *const *options; /* what those files are for, NULL-terminated; NULL: all of the service's */
};

/* The name of a service's API among what a role serves, unless service->api_name says another. */
#define API_LISTENER "api"

struct service {
    const char *name;              /* "nova" */
    const char *type;              /* catalog type: "compute" */
    const char *description;       /* of its catalog entry: "OpenStack Compute" */
    const char *endpoint;          /* what follows http://host:port in the catalog: "/v2.1" */
    int port;                      /* of its API; 0: none */
    const char *api_name;          /* of its API in role.serves and enabled_ssl_apis; NULL: API_LISTENER */
    const char *host_option, *port_option; /* of its API in [DEFAULT]; NULL: there are none */
    const struct dialect *dialect;
    const struct route_table *const *routes;             /* NULL-terminated */
    const struct option_table *const *options;           /* NULL-terminated, its own beyond the common ones */
    const struct policy_table *const *policies;          /* NULL-terminated */
    const char *database_section;                        /* whose `connection` wins over [database]'s; NULL: none */
    const char *sync_command;                            /* what an operator runs for them: "nova-manage db sync" */
    const struct migration *migrations;
    size_t migration_count;
    const struct flow_type *const *flows;                /* NULL-terminated */
    const struct role *roles;                            /* ends with a NULL name */
    struct fault *(*start)(struct context *cx);          /* after the database is open, before any role; may be NULL */
    void (*stop)(struct app *app);
    /* Tokens: keystone checks its own; every other service leaves this NULL and asks keystone. */
    struct fault *(*authenticate)(struct context *cx, const char *token, struct caller **ret);
    /* Whether a request waits for others where its route does not say so: then it runs on the slow pool; may be NULL. */
    bool (*waits)(const struct request *rq);
    /* Who a request says it is, believed without proof where the configuration says so (test beds). *ret NULL: it does not, and
     * keystone is asked. NULL: never. */
    struct fault *(*unproven)(struct request *rq, struct caller **ret);
    const struct rest_target *targets;                   /* which section is about which other service (rest.h); may be NULL */
    /* More ports with routes of their own (the metadata API), NULL-terminated, may be NULL. */
    const struct listener *listeners;
    /* Administrative programs (oslo/command), NULL-terminated, may be NULL. */
    const struct program *const *programs;
};

struct listener {
    const char *name;                           /* "metadata"; NULL ends the list */
    int port;
    const struct route_table *const *routes;
    const char *host_option, *port_option;      /* in [DEFAULT] */
};

/* The process: its apps, its pools, its state directory. One per process, reached through app->cloud. */
struct cloud {
    const char *state_dir;         /* absolute; mode 0700 below it where secrets lie. NULL: a program that keeps its state
                                    * where its options say (app->state_path) */
    const char *bind;              /* address that the APIs listen on */
    int port_offset;
    const char *region;            /* "RegionOne" */
    const char *host;              /* this host's name, as [DEFAULT] host */
    int fake_compute;              /* > 0: so many simulated compute hosts instead of libvirt and the switch */
    const char *provider_interface; /* NULL: the data plane lives in a namespace of its own */
    const char *netns;             /* that namespace, under /run/netns; NULL: the host's own network */
    bool programs;                 /* roles as programs of an operator's, each with its own configuration; else all in one */
    const char *netns_prefix;      /* of the namespaces that agents make ("nubo."): they tell this cloud's from another's */
    struct app **apps;             /* NULL-terminated: those whose API or any role is in this process */
    struct app *logging;           /* whose configuration says how the process logs: the first that was created */
    struct work_pool *slow;        /* API routes that wait */
    struct work_pool *messages;    /* RPC handlers and flows */
    struct work_pool *periodic;
    struct http_server *http;
};

struct app {
    const struct service *service;
    struct cloud *cloud;
    struct config *config;
    const char *const *roles;      /* of this process, NULL-terminated; NULL: all */
    bool serves_api;               /* its API is served by this process: a call to it is a function call */
    const char *state_path;        /* where it keeps files: [DEFAULT] state_path, or the cloud's state directory */
    const char *bind;              /* its API's address and port, as this host sees them */
    int port;
    struct db *db;                 /* NULL in a process whose roles need none */
    struct policy *policy;
    struct router *router;
    void *private;                 /* the service's own state, made in start() */
    void *identity;                /* oslo/session's: its own tokens */
    void *token_cache;             /* oslo/token_cache's */
    void *messaging;               /* oslo/messaging's */
    void *flows;                   /* oslo/flow's */
};

/* The app of a catalog type or service name in this process, or NULL. */
struct app *cloud_app(const struct cloud *cloud, const char *type_or_name);

/* This service's public base URL, as the catalog has it: "http://127.0.0.1:8774/v2.1". In the arena. */
const char *app_url(struct arena *arena, const struct app *app);

/* Whether its API speaks HTTPS. */
bool app_uses_tls(const struct app *app);

/* What a listener (NULL: the API) speaks TLS with: [ssl] cert_file and key_file. Where a service has a switch of its own, that
 * decides: [DEFAULT] enabled_ssl_apis with [wsgi] ssl_cert_file and ssl_key_file, or [DEFAULT] use_ssl. */
struct app_tls {
    bool on;
    const char *cert_file, *key_file;
    const char *ca_file; /* clients must have a certificate of these authorities; each NULL: not set */
};
struct app_tls app_tls(const struct app *app, const char *listener);

/* How an app is made. */
struct app_form {
    const struct config_source *sources; /* of its configuration; the first one's folder is where relative files are */
    size_t source_count;
    const char *const *overrides;  /* group, name, value, ..., NULL: what the command line said; may be NULL */
    const char *const *roles;      /* NULL-terminated; NULL: all */
    bool migrate;                  /* brings the schema up to date; else an older one is a fault that names the command */
};

/* Reads the configuration, opens the database (when a role needs it), compiles policy and routes. The app lives until
 * app_destroy(). */
struct fault *app_create(struct arena *arena, struct cloud *cloud, const struct service *service, const struct app_form *form,
    struct app **ret);
void app_destroy(struct app *app);

/* Whether a role is among those of this process. */
bool app_has_role(const struct app *app, const char *role);
/* Whether a role of this process serves this listener ("api", "metadata"). */
bool app_serves(const struct app *app, const char *listener);

/* Where a listener of the app is to listen: its options when they are set, else the process's address and port offset. */
void app_listens_on(const struct app *app, const char *host_option, const char *port_option, int port, const char **ret_host,
    int *ret_port);

/* The URL of the service's database; NULL: not set. */
const char *app_database_url(const struct service *service, const struct config *config);

/* Runs service->start and the app's roles. */
struct fault *app_start(struct arena *arena, struct app *app);
void app_stop(struct app *app);

/* Reads configuration and policy again and logs accordingly. On a fault what could not be read stays as it was. */
struct fault *app_reload(struct arena *arena, struct app *app);

/* Tells the roles that every service of the process was started. */
struct fault *app_ready(struct arena *arena, struct app *app);

/* Options that every service has ([database], [DEFAULT] debug, ...). */
extern const struct option_table common_options;

/* All tables of a service: its own, its targets' sections, the common ones, [keystone_authtoken]. Its own rows come first: they
 * hold where its default of a common option is another. Returns how many. */
enum { APP_OPTION_TABLES = 48 };
size_t app_option_tables(const struct service *service, const struct option_table *to[static APP_OPTION_TABLES]);

#endif
