/* SPDX-License-Identifier: Apache-2.0
 *
 * server_check: asks glance and neutron, as the caller, whether a server can be made.
 */
#include "nova/api/server_check.h"

#include "base/random.h"
#include "oslo/rest.h"

#include <arpa/inet.h>
#include <string.h>

#define GIB INT64_C(1073741824)

static struct fault *get(struct request *rq, const char *service, const char *path, int accept, struct rest_response *ret)
{
    *ret = (struct rest_response){ .fd = -1 };
    return rest_call(RQ(rq), &(struct rest){ .service = service, .method = GET, .path = path, .as = AS_CALLER,
        .accept_status = accept }, ret);
}

struct fault *server_check_image(struct request *rq, const char *image_ref, const struct flavor *flavor,
    const json_t **ret_image)
{
    struct rest_response answer;
    const char *id = strrchr(image_ref, '/') != NULL ? strrchr(image_ref, '/') + 1 : image_ref;

    TRY(get(rq, "image", arena_printf(rq->cx.arena, "/v2/images/%s", rest_escape(rq->cx.arena, id)), 404, &answer));
    if (answer.status == 404 || answer.body == NULL)
        return BAD_REQUEST(rq, "Can not find requested image");
    const char *status = json_text_at(answer.body, "status");
    int64_t min_disk = json_int_at(answer.body, "min_disk", 0) * GIB, size = json_int_at(answer.body, "size", 0),
            disk = flavor->root_gb * GIB;
    if (status == NULL || strcmp(status, "active") != 0)
        return BAD_REQUEST(rq, "Image %s is not active.", id);
    if (flavor->memory_mb < json_int_at(answer.body, "min_ram", 0))
        return BAD_REQUEST(rq, "Flavor's memory is too small for requested image.");
    if (flavor->root_gb == 0 && !request_allowed(rq, "os_compute_api:servers:create:zero_disk_flavor", NULL))
        return FORBIDDEN(rq, "Only volume-backed servers are allowed for flavors with zero disk.");
    if (flavor->root_gb > 0 && size > disk)
        return BAD_REQUEST(rq, "Flavor's disk is too small for requested image. Flavor disk is %lld bytes, image is %lld "
            "bytes.", (long long)disk, (long long)size);
    if (flavor->root_gb > 0 && min_disk > disk)
        return BAD_REQUEST(rq, "Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is "
            "%lld bytes, minimum size is %lld bytes.", (long long)disk, (long long)min_disk);
    *ret_image = answer.body;
    return NULL;
}

static struct fault *network_usable(struct request *rq, const json_t *network)
{
    const char *id = json_text_at(network, "id");

    if (json_array_size(json_object_get(network, "subnets")) == 0)
        return BAD_REQUEST(rq, "Network %s requires a subnet in order to boot instances on.", id);
    if (json_bool_at(network, "router:external", false) && !json_bool_at(network, "shared", false) &&
        !request_allowed(rq, "network:attach_external_network", NULL))
        return FORBIDDEN(rq, "It is not allowed to create an interface on external network %s", id);
    return NULL;
}

/* The one network that the project can use; none is no fault. */
static struct fault *choose_network(struct request *rq, bool automatic, const char **ret)
{
    const char *project = rest_escape(rq->cx.arena, rq->cx.caller->project_id);
    const char *paths[] = {
        arena_printf(rq->cx.arena, "/v2.0/networks?tenant_id=%s&admin_state_up=True", project),
        "/v2.0/networks?shared=True",
    };
    const json_t *chosen = NULL;

    for (int i = 0; i < 2; i++) {
        struct rest_response answer;
        size_t k;
        json_t *network;

        TRY(get(rq, "network", paths[i], 0, &answer));
        json_array_foreach(json_object_get(answer.body, "networks"), k, network)
        {
            if (chosen != NULL && strcmp(json_text_at(chosen, "id"), json_text_at(network, "id")) != 0)
                return CONFLICT(rq, "Multiple possible networks found, use a Network ID to be more specific.");
            if (chosen == NULL && (automatic ? !json_bool_at(network, "router:external", false) : true))
                chosen = network;
        }
    }
    *ret = "\"none\"";
    if (chosen == NULL)
        return automatic ? BAD_REQUEST(rq, "Unable to automatically allocate a network for project %s", project) : NULL;
    TRY(network_usable(rq, chosen));
    *ret = arena_printf(rq->cx.arena, "[{\"uuid\":\"%s\"}]", json_text_at(chosen, "id"));
    return NULL;
}

/* *ret NULL: the caller sees no such port. */
static struct fault *find_port(struct request *rq, const char *id, const json_t **ret)
{
    struct rest_response answer;

    TRY(get(rq, "network", arena_printf(rq->cx.arena, "/v2.0/ports/%s", rest_escape(rq->cx.arena, id)), 404, &answer));
    *ret = answer.status == 404 ? NULL : json_object_get(answer.body, "port");
    return NULL;
}

static struct fault *check_unused(struct request *rq, const json_t *port)
{
    const char *device = json_text_at(port, "device_id");

    return device == NULL || *device == '\0' ? NULL : CONFLICT(rq, "Port %s is still in use.", json_text_at(port, "id"));
}

static struct fault *check_port(struct request *rq, const char *id)
{
    const json_t *port;

    TRY(find_port(rq, id, &port));
    if (port == NULL)
        return BAD_REQUEST(rq, "Port id %s could not be found.", id);
    TRY(check_unused(rq, port));
    const char *allocation = json_text_at(port, "ip_allocation");
    if ((allocation == NULL || strcmp(allocation, "immediate") == 0) && json_array_size(json_object_get(port, "fixed_ips")) == 0)
        return BAD_REQUEST(rq, "Port %s requires a FixedIP in order to be used.", id);
    return NULL;
}

struct fault *server_check_attached_port(struct request *rq, const struct instance *instance, const char *id)
{
    const json_t *port;

    TRY(find_port(rq, id, &port));
    if (port == NULL)
        return NOT_FOUND(rq, "Port id %s could not be found.", id);
    const char *project = json_text_at(port, "tenant_id");
    if (project == NULL || strcmp(project, instance->project_id) != 0)
        return BAD_REQUEST(rq, "Port %s not usable for instance %s.", id, instance->uuid);
    return check_unused(rq, port);
}

static struct fault *check_network(struct request *rq, const char *id, const char *address)
{
    struct rest_response answer;

    if (!uuid_like(id))
        return BAD_REQUEST(rq, "Bad networks format: network uuid is not in proper format (%s)", id);
    TRY(get(rq, "network", arena_printf(rq->cx.arena, "/v2.0/networks/%s", rest_escape(rq->cx.arena, id)), 404, &answer));
    if (answer.status == 404 || answer.body == NULL)
        return BAD_REQUEST(rq, "Network %s could not be found.", id);
    TRY(network_usable(rq, json_object_get(answer.body, "network")));
    if (address == NULL)
        return NULL;
    TRY(get(rq, "network", arena_printf(rq->cx.arena, "/v2.0/ports?network_id=%s&fixed_ips=ip_address%%3D%s&fields=device_id",
        rest_escape(rq->cx.arena, id), rest_escape(rq->cx.arena, address)), 0, &answer));
    const json_t *port = json_array_get(json_object_get(answer.body, "ports"), 0);
    if (port != NULL)
        return BAD_REQUEST(rq, "Fixed IP address %s is already in use on instance %s.", address, json_text_at(port, "device_id"));
    return NULL;
}

/* The shape of one entry: nova's words for what a schema cannot say. */
static struct fault *check_entry(struct request *rq, const json_t *networks, size_t index, int64_t count)
{
    const json_t *entry = json_array_get(networks, index);
    const char *port = json_text_at(entry, "port"), *address = json_text_at(entry, "fixed_ip"), *uuid = json_text_at(entry, "uuid");

    if (port != NULL) {
        for (size_t i = 0; i < index; i++) {
            const char *other = json_text_at(json_array_get(networks, i), "port");

            if (other != NULL && strcmp(other, port) == 0)
                return BAD_REQUEST(rq, "Port ID '%s' was specified twice: you cannot attach a port multiple times.", port);
        }
        if (address != NULL)
            return BAD_REQUEST(rq, "Specified Fixed IP '%s' cannot be used with port '%s': the two cannot be specified "
                "together.", address, port);
        if (count > 1)
            return BAD_REQUEST(rq, "Failed to launch instances: Unable to launch multiple instances with a single configured "
                "port ID. Please launch your instance one by one with different ports.");
        return check_port(rq, port);
    }
    if (uuid == NULL)
        return BAD_REQUEST(rq, "Bad network format: missing 'uuid'");
    if (address != NULL && count > 1)
        return BAD_REQUEST(rq, "Failed to launch instances: max_count cannot be greater than 1 if an fixed_ip is specified.");
    return check_network(rq, uuid, address);
}

struct fault *server_check_networks(struct request *rq, const json_t *networks, int64_t count, const char **ret)
{
    const char *word = json_string_value(networks);

    if (word != NULL && strcmp(word, "none") == 0) {
        *ret = "\"none\"";
        return NULL;
    }
    if (json_array_size(networks) == 0)
        return choose_network(rq, word != NULL, ret);
    TRY(request_enforce(rq, "os_compute_api:servers:create:attach_network", NULL));
    for (size_t i = 0; i < json_array_size(networks); i++)
        TRY(check_entry(rq, networks, i, count));
    *ret = json_dump(rq->cx.arena, networks);
    return NULL;
}

static struct fault *check_group(struct request *rq, const char *name)
{
    struct rest_response answer;
    const char *escaped = rest_escape(rq->cx.arena, name), *project = rq->cx.caller->project_id;

    TRY(get(rq, "network", arena_printf(rq->cx.arena, "/v2.0/security-groups?%s=%s&tenant_id=%s&fields=id",
        uuid_like(name) ? "id" : "name", escaped, rest_escape(rq->cx.arena, project)), 0, &answer));
    size_t found = json_array_size(json_object_get(answer.body, "security_groups"));
    if (found == 0)
        return BAD_REQUEST(rq, "Security group %s not found for project %s.", name, project);
    if (found > 1)
        return CONFLICT(rq, "Multiple security groups found matching '%s'. Use an ID to be more specific.", name);
    return NULL;
}

struct fault *server_check_security_groups(struct request *rq, const json_t *groups, const char **ret)
{
    json_t *names = json_keep(rq->cx.arena, json_array());
    size_t i;
    json_t *group;

    json_array_foreach((json_t *)groups, i, group)
    {
        const char *name = json_text_at(group, "name");
        bool before = false;

        for (size_t k = 0; k < json_array_size(names); k++)
            before = before || strcmp(json_string_value(json_array_get(names, k)), name) == 0;
        if (before)
            continue;
        if (strcmp(name, "default") != 0)
            TRY(check_group(rq, name));
        json_array_append_new(names, json_string(name));
    }
    if (json_array_size(names) == 0)
        json_array_append_new(names, json_string("default"));
    *ret = json_dump(rq->cx.arena, names);
    return NULL;
}

const char *server_short_ipv6(struct arena *arena, const char *text)
{
    struct in6_addr address;
    char shortened[INET6_ADDRSTRLEN];
    if (text == NULL || inet_pton(AF_INET6, text, &address) != 1)
        return text;
    return arena_strdup(arena, inet_ntop(AF_INET6, &address, shortened, sizeof(shortened)));
}
