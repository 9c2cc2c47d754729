/* SPDX-License-Identifier: Apache-2.0
 *
 * metadata/agent: neutron-metadata-agent. Listens on 169.254.169.254 in every network's namespace; the network and the
 * guest's address tell its port, the port its server, and the request goes to nova's metadata API, signed with the shared
 * secret.
 */
#include "neutron/agent/agent.h"
#include "neutron/metadata/proxy.h"

#include "base/log.h"
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

enum { METADATA_PORT = 80 };

struct metadata_agent {
    struct app *app;
    struct listener *listener;
    struct agent_waker waker;
    struct map networks; /* listened on */
    bool started;
};

static struct metadata_agent *agent;

/* ---- One request ---- */

static const char *text_option(const char *name)
{
    const char *text = config_str(agent->app->config, "DEFAULT", name);
    return text != NULL && *text != '\0' ? text : NULL;
}

static struct http_tls metadata_tls(void)
{
    return (struct http_tls){ .cafile = text_option("auth_ca_cert"), .certfile = text_option("nova_client_cert"),
        .keyfile = text_option("nova_client_priv_key"),
        .insecure = config_bool(agent->app->config, "DEFAULT", "nova_metadata_insecure") };
}

static const char *metadata_url(struct arena *arena, const char *path)
{
    const char *host = config_str(agent->app->config, "DEFAULT", "nova_metadata_host");
    const struct cloud *cloud = agent->app->cloud;
    long port = config_int(agent->app->config, "DEFAULT", "nova_metadata_port");
    if (host == NULL || host[0] == '\0')
        return arena_printf(arena, "http://%s:%ld%s", strcmp(cloud->bind, "0.0.0.0") == 0 ? "127.0.0.1" : cloud->bind,
            port + cloud->port_offset, path);
    return arena_printf(arena, "%s://%s:%ld%s", config_str(agent->app->config, "DEFAULT", "nova_metadata_protocol"), host,
        port, path);
}

static void handle(void *context, struct arena *arena, const struct listener_request *request, struct listener_answer *answer)
{
    struct context cx = context_service(arena, agent->app);
    json_t *port = NULL;
    if (strcmp(request->http->method, "GET") != 0 && strcmp(request->http->method, "POST") != 0) {
        answer->status = 405;
        return;
    }
    if (request->http->path[0] != '/') { /* "@host/..." would make nova's address a user name */
        answer->status = 400;
        return;
    }
    struct fault *fault = agent_ask(&cx, "get_port_by_address",
        json_pack("{s:s, s:s}", "network_id", request->network_id, "ip_address", request->peer_ip), &port);
    const char *device_id = json_text_at(port, "device_id"), *project_id = json_text_at(port, "project_id");
    if (fault != NULL) {
        log_warning("neutron.metadata", "network %s: %s", request->network_id, fault_text(arena, fault));
        answer->status = 500;
    } else if (device_id == NULL || device_id[0] == '\0') {
        answer->status = 404;
    } else {
        const struct metadata_call call = { .url = metadata_url(arena, request->http->path),
            .secret = config_str(agent->app->config, "DEFAULT", "metadata_proxy_shared_secret"), .peer_ip = request->peer_ip,
            .device_id = device_id, .project_id = project_id, .http = request->http, .tls = metadata_tls() };
        metadata_proxy(&cx, &call, answer);
    }
}

/* ---- The turn ---- */

static bool present(const char *const *networks, const char *id)
{
    for (; *networks != NULL; networks++)
        if (strcmp(*networks, id) == 0)
            return true;
    return false;
}

/* A socket keeps its namespace alive: it goes when the network's DHCP server is gone. */
static void listen_on(struct arena *arena, const struct app *app)
{
    struct dhcp_config config = agent_dhcp_config(arena, app);
    const char *const *networks = dhcp_networks(arena, &config);
    struct map_entry *entry;
    for (size_t at = 0; (entry = map_next(&agent->networks, &at)) != NULL;)
        if (!present(networks, entry->key)) {
            listener_remove(agent->listener, entry->key);
            map_remove(&agent->networks, entry->key);
        }
    for (; *networks != NULL; networks++) {
        struct fault *fault = listener_add(arena, agent->listener, *networks, dhcp_netns(arena, &config, *networks),
            "169.254.169.254", METADATA_PORT);
        if (fault != NULL)
            log_warning("neutron.metadata", "network %s: %s", *networks, fault_text(arena, fault));
        else
            map_set(&agent->networks, *networks, agent);
    }
}

static struct fault *turn(struct context *cx, void *owner)
{
    if (cx->app->cloud->fake_compute <= 0)
        listen_on(cx->arena, cx->app);
    bool started = !agent->started;
    agent->started = true;
    return agent_state_report(cx, "Metadata agent", "neutron-metadata-agent", json_pack("{s:I}", "metadata_workers",
        (json_int_t)config_int(cx->app->config, "DEFAULT", "metadata_workers")), started);
}

void metadata_agent_wake(void)
{
    if (agent != NULL && agent->waker.periodic != NULL)
        periodic_wake(agent->waker.periodic);
}

struct fault *metadata_agent_start(struct context *cx)
{
    agent = calloc(1, sizeof(*agent));
    if (agent == NULL)
        abort();
    agent->app = cx->app;
    agent->listener = listener_create(handle, NULL, (unsigned)config_int(cx->app->config, "DEFAULT", "metadata_workers"));
    agent->waker.periodic = periodic_start(cx->app, "metadata agent", 0, config_int(cx->app->config, "AGENT",
        "report_interval") * 1000, turn, NULL);
    return NULL;
}

void metadata_agent_stop(struct app *app)
{
    if (agent == NULL)
        return;
    struct periodic *periodic = agent->waker.periodic;
    agent->waker.periodic = NULL;
    periodic_stop(periodic);
    listener_destroy(agent->listener);
    map_release(&agent->networks);
    free(agent);
    agent = NULL;
}
