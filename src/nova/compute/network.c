/* SPDX-License-Identifier: Apache-2.0
 *
 * network: the instance's ports in neutron, bound to this host; and nova's picture of them, network_info, in the form
 * of nova.network.model.
 *
 * Ports are found again by device_id, so every function may run twice. Calls are the service's: only it may bind ports
 * to hosts; that the user may use the networks was checked when the server was asked for.
 */
#include "base/log.h"
#include "nova/compute/compute.h"
#include "nova/virt/vif.h"

#include <string.h>

static struct fault *neutron(struct context *cx, enum http_method method, const char *path, json_t *body, int accept,
    json_t **ret)
{
    struct rest_response answer;
    TRY(rest_call(cx, &(struct rest){ .service = "network", .method = method, .path = path, .body = body,
        .as = AS_SERVICE,
        .accept_status = accept }, &answer));
    if (ret != NULL)
        *ret = answer.status < 400 ? answer.body : NULL;
    return NULL;
}

static struct fault *list(struct context *cx, const char *what, const char *query, json_t **ret)
{
    json_t *body;
    TRY(neutron(cx, GET, arena_printf(cx->arena, "/v2.0/%s?%s", what, query), NULL, 0, &body));
    *ret = json_object_get(body, what);
    return NULL;
}

static struct fault *ports_of(struct context *cx, const char *uuid, json_t **ret)
{
    return list(cx, "ports", arena_printf(cx->arena, "device_id=%s", uuid), ret);
}

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value != NULL && *value != '\0' ? value : NULL;
}

static json_t *find_by(const json_t *items, const char *name, const char *value)
{
    for (size_t i = 0; i < json_array_size(items); i++) {
        const char *have = text(json_array_get(items, i), name);
        if (have != NULL && value != NULL && strcmp(have, value) == 0)
            return json_array_get(items, i);
    }
    return NULL;
}

/* ---- what is asked for ---- */

/* The one network of a request that names none: the project's own, else a shared one (nova: _get_available_networks).
 * */
static struct fault *only_network(struct context *cx, const struct instance *instance, json_t *wishes)
{
    json_t *networks;
    TRY(list(cx, "networks", arena_printf(cx->arena, "tenant_id=%s&shared=false", rest_escape(cx->arena,
        instance->project_id)), &networks));
    json_t *own = networks;
    TRY(list(cx, "networks", "shared=true", &networks));
    size_t count = json_array_size(own) + json_array_size(networks);
    if (count > 1)
        return FAULT(cx, 409, "NetworkAmbiguous",
            "Multiple possible networks found, use a Network ID to be more specific.");
    if (count == 1) {
        json_t *network = json_array_size(own) > 0 ? json_array_get(own, 0) : json_array_get(networks, 0);
        json_array_append_new(wishes, json_pack("{s:O}", "uuid", json_object_get(network, "id")));
    }
    return NULL;
}

static struct fault *wishes_of(struct context *cx, const struct instance *instance, json_t **ret)
{
    json_t *asked = json_parse_own(cx->arena, instance->requested_networks);
    const char *word = asked == NULL ? instance->requested_networks : json_string_value(asked);
    *ret = json_is_array(asked) ? asked : json_keep(cx->arena, json_array());
    if (json_is_array(asked) || (word != NULL && strcmp(word, "none") == 0))
        return NULL;
    return only_network(cx, instance, *ret);
}

/* Ids of the groups of the request, or NULL where neutron's default is right. */
static struct fault *groups_of(struct context *cx, const struct instance *instance, json_t **ret)
{
    const json_t *asked = json_parse_own(cx->arena, instance->security_groups);
    const char *first = json_string_value(json_array_get(asked, 0));
    json_t *groups;
    *ret = NULL;
    if (json_array_size(asked) == 0 || (json_array_size(asked) == 1 && first != NULL && strcmp(first, "default") == 0))
        return NULL;
    TRY(neutron(cx, GET, arena_printf(cx->arena, "/v2.0/security-groups?tenant_id=%s", rest_escape(cx->arena,
        instance->project_id)), NULL, 0, &groups));
    groups = json_object_get(groups, "security_groups");
    json_t *ids = json_keep(cx->arena, json_array());
    for (size_t i = 0; i < json_array_size(asked); i++) {
        const json_t *item = json_array_get(asked, i);
        const char *name = json_is_string(item) ? json_string_value(item) : json_text_at(item, "name");
        const json_t *group = find_by(groups, "id", name);
        group = group != NULL ? group : find_by(groups, "name", name);
        if (group == NULL)
            return FAULT(cx, 404, "SecurityGroupNotFound", "Security group %s not found.", name != NULL ? name : "");
        json_array_append(ids, json_object_get(group, "id"));
    }
    *ret = ids;
    return NULL;
}

/* ---- making ports ---- */

static const char *owner_of(struct context *cx, const struct instance *instance)
{
    const char *zone = instance->availability_zone;
    return arena_printf(cx->arena, "compute:%s", zone != NULL && *zone != '\0' ? zone : "None");
}

static json_t *binding(struct context *cx, const struct compute_host *host, const struct instance *instance)
{
    return json_pack("{s:s, s:s, s:s}", "device_id", instance->uuid, "device_owner", owner_of(cx, instance),
        "binding:host_id", host->name);
}

static struct fault *take_port(struct context *cx, const struct compute_host *host, const struct instance *instance,
    const char *port_id, json_t *existing, json_t **ret)
{
    const json_t *have = find_by(existing, "id", port_id);
    const char *bound = have != NULL ? text(have, "binding:host_id") : NULL;
    if (bound != NULL && strcmp(bound, host->name) == 0) {
        *ret = (json_t *)have;
        return NULL;
    }
    json_t *body = json_keep(cx->arena, json_pack("{s:o}", "port", binding(cx, host, instance))), *answer;
    TRY(neutron(cx, PUT, arena_printf(cx->arena, "/v2.0/ports/%s", rest_escape(cx->arena, port_id)), body, 0, &answer));
    *ret = json_object_get(answer, "port");
    return NULL;
}

static json_t *new_port(struct context *cx, const struct compute_host *host, const struct instance *instance,
    const json_t *wish,
    json_t *groups)
{
    json_t *port = binding(cx, host, instance);
    const char *address = text(wish, "fixed_ip") != NULL ? text(wish, "fixed_ip") : text(wish, "address");
    json_object_set(port, "network_id", json_object_get(wish, "uuid"));
    json_object_set_new(port, "tenant_id", json_string(instance->project_id));
    json_object_set_new(port, "admin_state_up", json_true());
    if (groups != NULL)
        json_object_set(port, "security_groups", groups);
    if (address != NULL)
        json_object_set_new(port, "fixed_ips", json_pack("[{s:s}]", "ip_address", address));
    return port;
}

static struct fault *check_bound(struct context *cx, const json_t *ports)
{
    for (size_t i = 0; i < json_array_size(ports); i++) {
        const char *type = text(json_array_get(ports, i), "binding:vif_type");
        if (type != NULL && strcmp(type, "binding_failed") == 0)
            return FAULT(cx, 500, "PortBindingFailed",
                "Binding failed for port %s, please check neutron logs for more information.",
                text(json_array_get(ports, i), "id"));
    }
    return NULL;
}

/* A port that an earlier run made for this wish and that no wish has taken yet. */
static json_t *made_before(json_t *existing, const json_t *wishes, const char *network_id)
{
    for (size_t i = 0; i < json_array_size(existing); i++) {
        json_t *port = json_array_get(existing, i);
        const char *id = text(port, "id"), *network = text(port, "network_id");
        if (find_by(wishes, "port", id) != NULL || network == NULL || network_id == NULL || strcmp(network,
            network_id) != 0)
            continue;
        json_incref(port);
        json_array_remove(existing, i);
        return port;
    }
    return NULL;
}

/* The ports in the order of the wishes: taken, found, or (all at once) made. */
static struct fault *ports_for(struct context *cx, const struct compute_host *host, const struct instance *instance,
    const json_t *wishes, json_t **ret)
{
    json_t *existing, *groups, *port, *answer, *asked = json_keep(cx->arena, json_array());
    size_t count = json_array_size(wishes), made = 0;
    json_t **ports = ARENA_ARRAY(cx->arena, json_t *, count + 1);
    TRY(ports_of(cx, instance->uuid, &existing));
    TRY(groups_of(cx, instance, &groups));
    for (size_t i = 0; i < count; i++) {
        const json_t *wish = json_array_get(wishes, i);
        if (text(wish, "port") != NULL)
            TRY(take_port(cx, host, instance, text(wish, "port"), existing, &ports[i]));
        else if ((port = made_before(existing, wishes, text(wish, "uuid"))) != NULL)
            TRY(take_port(cx, host, instance, text(port, "id"), json_keep(cx->arena, json_pack("[o]", port)),
            &ports[i]));
        else
            json_array_append_new(asked, new_port(cx, host, instance, wish, groups));
    }
    if (json_array_size(asked) > 0) {
        json_t *body = json_keep(cx->arena, json_pack("{s:O}", "ports", asked));
        TRY(neutron(cx, POST, "/v2.0/ports", body, 0, &answer));
        json_t *created = json_object_get(answer, "ports");
        for (size_t i = 0; i < count; i++)
            if (ports[i] == NULL)
                ports[i] = json_array_get(created, made++);
    }
    *ret = json_keep(cx->arena, json_array());
    for (size_t i = 0; i < count; i++)
        if (ports[i] != NULL)
            json_array_append(*ret, ports[i]);
    return check_bound(cx, *ret);
}

/* ---- network info ---- */

static json_t *address_object(const char *address, const char *type)
{
    json_t *object = json_pack("{s:s, s:s, s:i, s:{}}", "address", address, "type", type, "version",
        strchr(address, ':') != NULL ? 6 : 4, "meta");
    if (strcmp(type, "fixed") == 0)
        json_object_set_new(object, "floating_ips", json_array());
    return object;
}

static json_t *subnet_object(const json_t *subnet, const json_t *port)
{
    const json_t *servers = json_object_get(subnet, "dns_nameservers"), *routes = json_object_get(subnet,
        "host_routes");
    const json_t *fixed = json_object_get(port, "fixed_ips");
    json_t *dns = json_array(), *ips = json_array(), *route_list = json_array();
    for (size_t i = 0; i < json_array_size(servers); i++)
        json_array_append_new(dns, address_object(json_string_value(json_array_get(servers, i)), "dns"));
    for (size_t i = 0; i < json_array_size(fixed); i++) {
        const json_t *item = json_array_get(fixed, i);
        const char *id = text(item, "subnet_id");
        if (id != NULL && strcmp(id, text(subnet, "id")) == 0)
            json_array_append_new(ips, address_object(text(item, "ip_address"), "fixed"));
    }
    for (size_t i = 0; i < json_array_size(routes); i++) {
        const json_t *route = json_array_get(routes, i);
        json_array_append_new(route_list, json_pack("{s:s?, s:o, s:n, s:{}}", "cidr", text(route, "destination"),
            "gateway", address_object(text(route, "nexthop"), "gateway"), "interface", "meta"));
    }
    const char *gateway = text(subnet, "gateway_ip");
    return json_pack("{s:s?, s:o, s:o, s:o, s:o, s:i, s:{s:b, s:O?, s:O?}}", "cidr", text(subnet, "cidr"), "dns", dns,
        "gateway", gateway != NULL ? address_object(gateway, "gateway") : json_pack("{s:n, s:s, s:n, s:{}}",
        "address", "type", "gateway", "version", "meta"), "ips", ips, "routes", route_list,
        "version", (int)json_int_at(subnet, "ip_version", 4), "meta", "enable_dhcp",
        json_is_true(json_object_get(subnet, "enable_dhcp")), "ipv6_address_mode", json_object_get(subnet,
        "ipv6_address_mode"), "ipv6_ra_mode", json_object_get(subnet, "ipv6_ra_mode"));
}

static json_t *network_object(const json_t *network, const json_t *subnets, const json_t *port)
{
    json_t *list_of = json_array();
    const char *id = text(network, "id");
    for (size_t i = 0; i < json_array_size(subnets); i++) {
        const json_t *subnet = json_array_get(subnets, i);
        const json_t *fixed = json_object_get(port, "fixed_ips");
        if (strcmp(text(subnet, "network_id"), id) == 0 && find_by(fixed, "subnet_id", text(subnet, "id")) != NULL)
            json_array_append_new(list_of, subnet_object(subnet, port));
    }
    const char *type = text(network, "provider:network_type");
    return json_pack("{s:s, s:s, s:s?, s:o, s:{s:b, s:s?, s:I, s:s?, s:b}}", "id", id, "bridge", "br-int",
        "label", json_string_value(json_object_get(network, "name")), "subnets", list_of, "meta", "injected", false,
        "tenant_id", text(network, "tenant_id") != NULL ? text(network, "tenant_id") : text(network, "project_id"),
        "mtu", (json_int_t)json_int_at(network, "mtu", 0), "physical_network", text(network,
        "provider:physical_network"), "tunneled", type != NULL && (strcmp(type, "vxlan") == 0 || strcmp(type,
        "gre") == 0 || strcmp(type, "geneve") == 0));
}

static json_t *vif_object(struct context *cx, const json_t *port, const json_t *network, const json_t *subnets,
    bool preserve)
{
    const char *id = text(port, "id"), *status = text(port, "status"), *vnic = text(port, "binding:vnic_type");
    const char *type = text(port, "binding:vif_type");
    return json_pack("{s:s, s:s?, s:o, s:s?, s:O?, s:s, s:s, s:n, s:n, s:b, s:s, s:O?, s:b, s:b, s:{}}", "id", id,
        "address",
        text(port, "mac_address"), "network", network_object(network, subnets, port), "type", type, "details",
        json_object_get(port, "binding:vif_details"), "devname", vif_tap_name(cx->arena, id), "ovs_interfaceid", id,
        "qbh_params",
        "qbg_params", "active", status != NULL && strcmp(status, "ACTIVE") == 0, "vnic_type", vnic != NULL ? vnic
        : "normal",
        "profile", json_object_get(port, "binding:profile"), "preserve_on_delete", preserve, "delegate_create", true,
        "meta");
}

/* "id=A&id=B" of the ports' networks, each once. */
static const char *network_query(struct context *cx, const json_t *ports, const char *name)
{
    BUF_CLEANUP struct buf query = { 0 };
    for (size_t i = 0; i < json_array_size(ports); i++) {
        const char *id = text(json_array_get(ports, i), "network_id");
        if (query.length == 0 || strstr(buf_text(&query), id) == NULL)
            buf_printf(&query, "%s%s=%s", query.length > 0 ? "&" : "", name, id);
    }
    return arena_strdup(cx->arena, buf_text(&query));
}

/* Ports that the user brought are given back at the end, not deleted. */
static bool is_preserved(struct context *cx, const struct instance *instance, const char *port_id)
{
    const json_t *vif = find_by(json_parse_own(cx->arena, instance->network_info), "id", port_id);
    if (vif != NULL)
        return json_is_true(json_object_get(vif, "preserve_on_delete"));
    return find_by(json_parse_own(cx->arena, instance->requested_networks), "port", port_id) != NULL;
}

static struct fault *describe(struct context *cx, const struct instance *instance, const json_t *ports, json_t **ret)
{
    json_t *networks = NULL, *subnets = NULL;
    *ret = json_keep(cx->arena, json_array());
    if (json_array_size(ports) == 0)
        return NULL;
    TRY(list(cx, "networks", network_query(cx, ports, "id"), &networks));
    TRY(list(cx, "subnets", network_query(cx, ports, "network_id"), &subnets));
    for (size_t i = 0; i < json_array_size(ports); i++) {
        const json_t *port = json_array_get(ports, i), *network = find_by(networks, "id", text(port, "network_id"));
        if (network != NULL)
            json_array_append_new(*ret, vif_object(cx, port, network, subnets, is_preserved(cx, instance, text(port,
                "id"))));
    }
    return NULL;
}

struct fault *network_allocate(struct context *cx, const struct compute_host *host, const struct instance *instance,
    json_t **ret)
{
    json_t *wishes, *ports;
    TRY(wishes_of(cx, instance, &wishes));
    TRY(ports_for(cx, host, instance, wishes, &ports));
    return describe(cx, instance, ports, ret);
}

struct fault *network_info_read(struct context *cx, const struct instance *instance, json_t **ret)
{
    const json_t *before = json_parse_own(cx->arena, instance->network_info);
    json_t *ports, *ordered = json_keep(cx->arena, json_array());
    TRY(ports_of(cx, instance->uuid, &ports));
    for (size_t i = 0; i < json_array_size(before); i++) { /* NICs keep their order */
        json_t *port = find_by(ports, "id", text(json_array_get(before, i), "id"));
        if (port != NULL)
            json_array_append(ordered, port);
    }
    for (size_t i = 0; i < json_array_size(ports); i++)
        if (find_by(ordered, "id", text(json_array_get(ports, i), "id")) == NULL)
            json_array_append(ordered, json_array_get(ports, i));
    return describe(cx, instance, ordered, ret);
}

/* ---- the end ---- */

static struct fault *give_back(struct context *cx, const struct instance *instance, const char *port_id)
{
    const char *path = arena_printf(cx->arena, "/v2.0/ports/%s", port_id);
    if (!is_preserved(cx, instance, port_id))
        return neutron(cx, DELETE, path, NULL, 404, NULL);
    json_t *body = json_keep(cx->arena, json_pack("{s:{s:s, s:s, s:s, s:{}}}", "port", "device_id", "",
        "device_owner", "", "binding:host_id", "", "binding:profile"));
    return neutron(cx, PUT, path, body, 404, NULL);
}

struct fault *network_release(struct context *cx, const struct instance *instance)
{
    json_t *ports;
    TRY(ports_of(cx, instance->uuid, &ports));
    for (size_t i = 0; i < json_array_size(ports); i++)
        TRY(give_back(cx, instance, text(json_array_get(ports, i), "id")));
    return NULL;
}

struct fault *network_waiting(struct context *cx, const char *uuid, size_t *ret_waiting, bool *ret_failed)
{
    json_t *ports;
    *ret_waiting = 0;
    *ret_failed = false;
    TRY(ports_of(cx, uuid, &ports));
    for (size_t i = 0; i < json_array_size(ports); i++) {
        const char *status = text(json_array_get(ports, i), "status");
        *ret_waiting += status == NULL || strcmp(status, "ACTIVE") != 0;
        *ret_failed |= status != NULL && strcmp(status, "ERROR") == 0;
    }
    return NULL;
}

/* ---- one more, one less ---- */

struct fault *network_add(struct context *cx, const struct compute_host *host, const struct instance *instance,
    const struct network_wish *wish, json_t **ret_vif)
{
    json_t *port, *infos, *answer, *groups = NULL;
    struct instance like = *instance;
    if (wish->port_id != NULL) {
        TRY(take_port(cx, host, instance, wish->port_id, NULL, &port));
        like.requested_networks = arena_printf(cx->arena, "[{\"port\": \"%s\"}]", wish->port_id);
    } else {
        json_t *wishes = json_keep(cx->arena, json_array());
        if (wish->network_id == NULL)
            TRY(only_network(cx, instance, wishes));
        else
            json_array_append_new(wishes, json_pack("{s:s}", "uuid", wish->network_id));
        json_t *one = json_array_get(wishes, 0);
        if (one == NULL)
            return FAULT(cx, 400, "InterfaceAttachFailedNoNetwork",
                "No specific network was requested and none are available for "
                "project '%s'.", instance->project_id);
        if (wish->address != NULL)
            json_object_set_new(one, "fixed_ip", json_string(wish->address));
        json_t *body = json_keep(cx->arena, json_pack("{s:o}", "port", new_port(cx, host, instance, one, groups)));
        TRY(neutron(cx, POST, "/v2.0/ports", body, 0, &answer));
        port = json_object_get(answer, "port");
    }
    json_t *ports = json_keep(cx->arena, json_pack("[O]", port));
    struct fault *fault = check_bound(cx, ports);
    if (fault == NULL)
        fault = describe(cx, &like, ports, &infos);
    if (fault != NULL) {
        give_back(cx, &like, text(port, "id"));
        return fault;
    }
    *ret_vif = json_array_get(infos, 0);
    return NULL;
}

struct fault *network_remove(struct context *cx, const struct instance *instance, const char *port_id)
{
    return give_back(cx, instance, port_id);
}
