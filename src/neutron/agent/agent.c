/* SPDX-License-Identifier: Apache-2.0
 * agent: see agent.h. */
#include "neutron/agent/agent.h"

#include <stdio.h>
#include <string.h>

struct fault *agent_ask(struct context *cx, const char *method, json_t *arguments, json_t **ret_result)
{
    /* The newest of the methods that agents ask: a server refuses a caller that is older than its method. */
    const struct rpc_target target = { .topic = "q-plugin", .version = "1.8" };
    json_t *result = NULL;
    TRY(rpc_call(cx, &target, method, json_keep(cx->arena, arguments), 0, &result));
    if (ret_result != NULL)
        *ret_result = result;
    return NULL;
}

struct fault *agent_state_report(struct context *cx, const char *type, const char *binary, json_t *configurations, bool started)
{
    const char *zone = config_str(cx->app->config, "AGENT", "availability_zone");
    return agent_ask(cx, "report_state", json_pack("{s:{s:s, s:s, s:s, s:s, s:s, s:o, s:b}}", "agent_state",
        "agent_type", type, "binary",
        binary, "topic", "N/A", "host", cx->app->cloud->host, "availability_zone", zone, "configurations",
            configurations, "start_flag",
        (int)started), NULL);
}

struct ovs_daemon agent_switch(struct arena *arena, const struct app *app)
{
    const struct cloud *cloud = app->cloud;
    const char *connection = config_str(app->config, "ovs", "ovsdb_connection"), *slash;
    if (connection != NULL && strncmp(connection, "unix:/", 6) == 0) {
        slash = strrchr(connection, '/');
        return (struct ovs_daemon){ .dir = arena_strndup(arena, connection + 5, (size_t)(slash - connection - 5)),
            .netns = cloud->netns, .host = cloud->host, .external = true };
    }
    if (cloud->state_dir == NULL || connection != NULL)
        return (struct ovs_daemon){ .dir = "/run/openvswitch", .netns = cloud->netns, .host = cloud->host, .external = true };
    return (struct ovs_daemon){ .dir = arena_printf(arena, "%s/run/ovs", cloud->state_dir), .netns = cloud->netns,
        .host = cloud->host };
}

struct dhcp_config agent_dhcp_config(struct arena *arena, const struct app *app)
{
    const struct cloud *cloud = app->cloud;
    return (struct dhcp_config){
        .dir = cloud->state_dir != NULL ? arena_printf(arena, "%s/run/dhcp", cloud->state_dir)
                                        : arena_printf(arena, "%s/dhcp", app->state_path),
        .netns_prefix = cloud->netns_prefix != NULL ? cloud->netns_prefix : "",
        .root_netns = cloud->netns,
        .bridge = "br-int",
        .lease_duration_s = (int)config_int(app->config, "DEFAULT", "dhcp_lease_duration"),
        .lease_max = (unsigned)config_int(app->config, "DEFAULT", "dnsmasq_lease_max"),
        .dns_domain = config_str(app->config, "DEFAULT", "dns_domain"),
        .dns_servers = config_list(app->config, "DEFAULT", "dnsmasq_dns_servers", NULL),
        .force_metadata = config_bool(app->config, "DEFAULT", "force_metadata"),
        .enable_isolated_metadata = config_bool(app->config, "DEFAULT", "enable_isolated_metadata"),
    };
}

static struct fault *wake(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    struct agent_waker *waker = owner;
    if (waker->periodic != NULL)
        periodic_wake(waker->periodic);
    return NULL;
}

static const struct rpc_method notifications[] = {
    { "port_update",                 "1.0", wake },
    { "port_delete",                 "1.0", wake },
    { "network_update",              "1.0", wake },
    { "network_delete",              "1.0", wake },
    { "subnet_create",               "1.0", wake },
    { "subnet_update",               "1.0", wake },
    { "subnet_delete",               "1.0", wake },
    { "security_groups_rule_updated", "1.0", wake },
    { NULL, NULL, NULL },
};

struct fault *agent_listen(struct context *cx, const char *name, struct agent_waker *waker)
{
    return rpc_serve(cx, "q-agent-notifier", arena_printf(cx->arena, "%s@%s", name, cx->app->cloud->host), notifications, waker, 1);
}

void agent_unlisten(struct app *app, const char *name)
{
    char server[300];
    snprintf(server, sizeof(server), "%s@%s", name, app->cloud->host);
    rpc_unserve(app, "q-agent-notifier", server);
}
