/* SPDX-License-Identifier: Apache-2.0
 *
 * server_create: POST /servers. Checks the request against what the database, the image and the network service know, then writes
 * all instance rows and their actions in one transaction and tells the conductor.
 */
#include "nova/api/server_create.h"

#include "base/clock.h"
#include "base/random.h"
#include "nova/action.h"
#include "nova/api/flavor.h"
#include "nova/api/server_check.h"
#include "nova/quota.h"
#include "nova/rpcapi.h"
#include "oslo/messaging.h"

#include <ctype.h>
#include <string.h>

enum { HOSTNAME_MAX = 63, PASSWORD_LENGTH = 12, TAGS_MAX = 50 };

/* What the transaction needs; it may run more than once. */
struct creation {
    struct request *rq;
    const json_t *server;
    struct instance model;       /* all instances are alike but for names and index */
    struct instance *instances;
    int64_t min_count, max_count, count;
    const char *flavor_ref;
    struct flavor flavor;
    const json_t *image;
    const char *host, *node;     /* forced, from zone:host:node */
    const char *requested_host, *requested_node;
    const json_t *hints;
};

/* As nova.utils.sanitize_hostname: letters, digits, dots and dashes, at most 63. */
static const char *sanitize_hostname(struct arena *arena, const char *name)
{
    char *out = arena_alloc(arena, strlen(name) + 1);
    size_t length = 0;

    for (const char *c = name; *c != '\0'; c++) {
        if (*c == ' ' || *c == '_' || *c == '.')
            out[length++] = '-';
        else if (isalnum((unsigned char)*c) || *c == '-')
            out[length++] = (char)tolower((unsigned char)*c);
    }
    size_t skip = strspn(out, "-.");
    out += skip;
    length -= skip;
    if (length > HOSTNAME_MAX)
        length = HOSTNAME_MAX;
    while (length > 0 && (out[length - 1] == '-' || out[length - 1] == '.'))
        length--;
    out[length] = '\0';
    return out;
}

static const char *reservation_id(struct arena *arena)
{
    char *text = arena_strdup(arena, "r-12345678");

    for (int i = 2; i < 10; i++)
        text[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[random_below(36)];
    return text;
}

/* "zone[:host[:node]]" */
static struct fault *parse_zone(struct creation *c)
{
    struct request *rq = c->rq;
    const char *zone = json_text_at(c->server, "availability_zone");

    if (zone != NULL && strchr(zone, ':') != NULL) {
        char *rest = arena_strdup(rq->cx.arena, zone);

        zone = strsep(&rest, ":");
        c->host = strsep(&rest, ":");
        c->node = strsep(&rest, ":");
        if (rest != NULL)
            return BAD_REQUEST(rq, "Invalid input received: Unable to parse availability_zone");
        if (c->host != NULL && *c->host == '\0')
            c->host = NULL;
        if (c->node != NULL && *c->node == '\0')
            c->node = NULL;
        TRY(request_enforce(rq, "os_compute_api:servers:create:forced_host", NULL));
    }
    if (zone == NULL || *zone == '\0')
        zone = config_str(rq->cx.app->config, "DEFAULT", "default_schedule_zone");
    c->model.availability_zone = zone;
    if (rq->version < 74)
        return NULL;
    c->requested_host = json_text_at(c->server, "host");
    c->requested_node = json_text_at(c->server, "hypervisor_hostname");
    if (c->requested_host == NULL && c->requested_node == NULL)
        return NULL;
    TRY(request_enforce(rq, "compute:servers:create:requested_destination", NULL));
    if (c->host != NULL || c->node != NULL)
        return BAD_REQUEST(rq, "One mechanism with host and/or hypervisor_hostname and another mechanism with zone:host:node "
            "are mutually exclusive.");
    return NULL;
}

/* Block devices: the image on the local disk, and blank local disks. Volumes need the block storage service. */
static struct fault *check_block_devices(struct creation *c)
{
    struct request *rq = c->rq;
    const json_t *devices = json_object_get(c->server, "block_device_mapping_v2");
    size_t i;
    json_t *device;

    if (json_array_size(json_object_get(c->server, "block_device_mapping")) > 0)
        return BAD_REQUEST(rq, "Block Device Mapping is Invalid: this cloud has no block storage service yet.");
    json_array_foreach((json_t *)devices, i, device)
    {
        const char *source = json_text_at(device, "source_type"), *to = json_text_at(device, "destination_type");

        if (source == NULL)
            source = json_text_at(device, "volume_id") != NULL ? "volume" : "blank";
        if (to == NULL)
            to = strcmp(source, "image") == 0 || strcmp(source, "blank") == 0 ? "local" : "volume";
        if (strcmp(to, "local") != 0 || strcmp(source, "volume") == 0 || strcmp(source, "snapshot") == 0)
            return BAD_REQUEST(rq, "Block Device Mapping is Invalid: this cloud has no block storage service yet.");
        if (strcmp(source, "image") == 0 && (json_number(json_object_get(device, "boot_index"), -1) != 0 ||
            json_text_at(c->server, "imageRef") == NULL))
            return BAD_REQUEST(rq, "Block Device Mapping is Invalid: Mapping image to local is not supported.");
    }
    if (json_array_size(devices) > 0)
        c->model.block_device_mapping = json_dump(rq->cx.arena, devices);
    return NULL;
}

/* [["path", "base64"]] within the quotas, up to 2.56. */
static struct fault *read_files(struct creation *c, const int64_t limits[QUOTA_RESOURCES])
{
    struct request *rq = c->rq;
    const json_t *personality = json_object_get(c->server, "personality");
    json_t *files = json_keep(rq->cx.arena, json_array());
    size_t i;
    json_t *file;

    if (json_array_size(personality) == 0)
        return NULL;
    if (limits[QUOTA_INJECTED_FILES] >= 0 && (int64_t)json_array_size(personality) > limits[QUOTA_INJECTED_FILES])
        return FORBIDDEN(rq, "Personality file limit exceeded");
    json_array_foreach((json_t *)personality, i, file)
    {
        const char *path = json_text_at(file, "path"), *contents = json_text_at(file, "contents");
        int64_t path_limit = limits[QUOTA_INJECTED_FILE_PATH_BYTES], limit = limits[QUOTA_INJECTED_FILE_CONTENT_BYTES];

        if (path_limit >= 0 && (int64_t)strlen(path) > path_limit)
            return FORBIDDEN(rq, "Personality file path exceeds maximum %lld", (long long)path_limit);
        if (limit >= 0 && (int64_t)(strlen(contents) / 4 * 3) > limit + 2)
            return FORBIDDEN(rq, "Personality file content exceeds maximum %lld", (long long)limit);
        json_array_append_new(files, json_pack("[s,s]", path, contents));
    }
    c->model.injected_files = json_dump(rq->cx.arena, files);
    return NULL;
}

static struct fault *load_key(struct tx *tx, struct creation *c)
{
    struct request *rq = c->rq;
    const char *name = json_text_at(c->server, "key_name");
    struct rows *rows;

    if (name == NULL)
        return NULL;
    TRY(sql_query(tx, &rows, "SELECT type,fingerprint,public_key FROM key_pairs WHERE user_id=? AND name=?",
        BIND(TEXT(rq->cx.caller->user_id), TEXT(name))));
    if (!rows_next(rows))
        return BAD_REQUEST(rq, "Invalid key_name provided.");
    json_t *key = json_pack("{s:s,s:s,s:s,s:s}", "name", name, "type", rows_text(rows, 0), "fingerprint",
        rows_text(rows, 1), "public_key", rows_text(rows, 2));
    rows_end(rows);
    c->model.key_name = name;
    c->model.keypair = json_dump(rq->cx.arena, json_keep(rq->cx.arena, key));
    return NULL;
}

/* A zone that nobody is in cannot be asked for; a host that was named must be there. */
static struct fault *check_destination(struct tx *tx, struct creation *c)
{
    struct request *rq = c->rq;
    struct service_row *services;
    struct aggregate *aggregates;
    size_t service_count, aggregate_count;
    bool zone_found = c->model.availability_zone == NULL || c->host != NULL || c->node != NULL;
    bool host_found = c->requested_host == NULL;
    const char *default_zone = config_str(rq->cx.app->config, "DEFAULT", "default_availability_zone");

    if (zone_found && host_found)
        return NULL;
    TRY(service_list(tx, NULL, "nova-compute", &services, &service_count));
    TRY(aggregate_list(tx, &aggregates, &aggregate_count));
    for (size_t i = 0; i < service_count; i++) {
        const char *zone = host_zone(aggregates, aggregate_count, services[i].host, default_zone);

        if (c->model.availability_zone != NULL && !services[i].disabled && strcmp(zone, c->model.availability_zone) == 0)
            zone_found = true;
        if (c->requested_host != NULL && strcmp(services[i].host, c->requested_host) == 0)
            host_found = true;
    }
    if (!zone_found)
        return BAD_REQUEST(rq, "The requested availability zone is not available");
    if (!host_found)
        return BAD_REQUEST(rq, "Compute host %s could not be found.", c->requested_host);
    return NULL;
}

/* What the database must know, in one snapshot. */
static struct fault *check_database(struct tx *tx, struct creation *c)
{
    struct request *rq = c->rq;
    int64_t limits[QUOTA_RESOURCES];
    const char *slash = strrchr(c->flavor_ref, '/'), *group = json_text_at(c->hints, "group");
    int64_t items = (int64_t)json_object_size(json_object_get(c->server, "metadata")), known = 1;

    struct fault *fault = flavor_load(tx, slash != NULL ? slash + 1 : c->flavor_ref, rq->cx.caller->project_id,
        api_is_admin(rq), &c->flavor);
    if (fault != NULL && fault->status == 404)
        fault->status = 400;
    TRY(fault);
    TRY(quota_limits(tx, rq->cx.app->config, rq->cx.caller->project_id, rq->cx.caller->user_id, limits, NULL));
    if (limits[QUOTA_METADATA_ITEMS] >= 0 && items > limits[QUOTA_METADATA_ITEMS])
        return FORBIDDEN(rq, "Maximum number of metadata items exceeds %lld", (long long)limits[QUOTA_METADATA_ITEMS]);
    TRY(read_files(c, limits));
    TRY(load_key(tx, c));
    TRY(check_destination(tx, c));
    if (group != NULL) {
        TRY(sql_int_of(tx, &known, 0, "SELECT id FROM server_groups WHERE uuid=? AND project_id=?",
            BIND(TEXT(group), TEXT(rq->cx.caller->project_id))));
        if (known == 0)
            return BAD_REQUEST(rq, "Instance group %s could not be found.", group);
        c->model.server_group = group;
    }
    return NULL;
}

/* image_*: the image's properties, as nova keeps them with the instance. */
static const char *system_metadata(struct arena *arena, const json_t *image, const char *image_ref)
{
    static const char *const skip[] = { "id", "name", "status", "self", "file", "schema", "owner", "checksum", "visibility",
        "created_at", "updated_at", "tags", "locations", "os_hash_algo", "os_hash_value", "size", "virtual_size", "protected",
        "os_hidden", "direct_url", "stores", NULL };
    json_t *metadata = json_keep(arena, json_object());
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)image, name, value)
    {
        bool skipped = false;

        for (size_t i = 0; skip[i] != NULL; i++)
            skipped = skipped || strcmp(skip[i], name) == 0;
        if (skipped || !(json_is_string(value) || json_is_integer(value)))
            continue;
        json_object_set_new(metadata, arena_printf(arena, "image_%s", name), json_is_string(value) ? json_incref(value)
            : json_string(json_dump(arena, value)));
    }
    json_object_set_new(metadata, "image_base_image_ref", json_string(image_ref));
    return json_dump(arena, metadata);
}

static const char *request_spec(struct creation *c)
{
    struct arena *arena = c->rq->cx.arena;
    json_t *spec = json_keep(arena, json_object());
    const struct {
        const char *name, *value;
    } texts[] = { { "availability_zone", c->model.availability_zone }, { "requested_host", c->requested_host },
        { "requested_node", c->requested_node } };

    for (size_t i = 0; i < 3; i++)
        json_object_set_new(spec, texts[i].name, texts[i].value != NULL ? json_string(texts[i].value) : json_null());
    json_object_set_new(spec, "force_hosts", c->host != NULL ? json_pack("[s]", c->host) : json_array());
    json_object_set_new(spec, "force_nodes", c->node != NULL ? json_pack("[s]", c->node) : json_array());
    json_object_set_new(spec, "scheduler_hints", c->hints != NULL ? json_incref((json_t *)c->hints) : json_object());
    json_object_set_new(spec, "image", json_incref((json_t *)c->image));
    return json_dump(arena, spec);
}

static struct fault *read_tags(struct creation *c)
{
    struct request *rq = c->rq;
    const json_t *tags = json_object_get(c->server, "tags");
    const char **list = ARENA_ARRAY(rq->cx.arena, const char *, json_array_size(tags) + 1);
    size_t count = 0, i;
    json_t *tag;

    if (rq->version < 52)
        return NULL;
    json_array_foreach((json_t *)tags, i, tag)
    {
        size_t k = 0;

        while (k < count && strcmp(list[k], json_string_value(tag)) != 0)
            k++;
        if (k == count)
            list[count++] = json_string_value(tag);
    }
    c->model.tags = instance_tags_text(rq->cx.arena, list, count);
    return NULL;
}

/* The members that go into the rows as they are. */
static void fill_model(struct creation *c)
{
    struct request *rq = c->rq;
    struct arena *arena = rq->cx.arena;
    const json_t *server = c->server, *drive = json_object_get(server, "config_drive"),
        *metadata = json_object_get(server, "metadata"), *certs = json_object_get(server, "trusted_image_certificates");
    const char *mandatory = json_text_at(c->image, "img_config_drive");
    bool with_drive = (drive != NULL && json_truth(drive)) || config_bool(rq->cx.app->config, "DEFAULT", "force_config_drive") ||
        (mandatory != NULL && strcmp(mandatory, "mandatory") == 0);
    struct instance *m = &c->model;

    m->project_id = rq->cx.caller->project_id;
    m->user_id = rq->cx.caller->user_id;
    m->name = json_text_at(server, "name");
    m->description = rq->version >= 19 ? json_text_at(server, "description") : m->name;
    m->hostname = rq->version >= 90 ? json_text_at(server, "hostname") : NULL;
    m->reservation_id = reservation_id(arena);
    m->image_ref = json_text_at(server, "imageRef");
    m->kernel_id = json_text_at(c->image, "kernel_id");
    m->ramdisk_id = json_text_at(c->image, "ramdisk_id");
    m->user_data = json_text_at(server, "user_data");
    m->config_drive = with_drive ? "True" : "";
    m->vm_state = VM_BUILDING;
    m->task_state = TASK_SCHEDULING;
    m->flavor = flavor_json(arena, &c->flavor);
    m->flavorid = c->flavor.flavorid;
    m->memory_mb = c->flavor.memory_mb;
    m->vcpus = c->flavor.vcpus;
    m->root_gb = c->flavor.root_gb;
    m->ephemeral_gb = c->flavor.ephemeral_gb;
    m->metadata = metadata != NULL ? json_dump(arena, metadata) : "{}";
    m->system_metadata = system_metadata(arena, c->image, m->image_ref);
    m->request_spec = request_spec(c);
    m->trusted_certs = json_array_size(certs) > 0 ? json_dump(arena, certs) : NULL;
    m->access_ip_v4 = json_text_at(server, "accessIPv4");
    m->access_ip_v6 = server_short_ipv6(arena, json_text_at(server, "accessIPv6"));
    m->auto_disk_config = json_text_at(server, "OS-DCF:diskConfig") != NULL
        ? strcmp(json_text_at(server, "OS-DCF:diskConfig"), "AUTO") == 0
        : json_text_at(c->image, "auto_disk_config") != NULL;
}

static void fill_names(struct creation *c, struct instance *instance, int64_t index)
{
    struct arena *arena = c->rq->cx.arena;
    const char *hostname = c->model.hostname;

    *instance = c->model;
    instance->uuid = uuid_new(arena);
    instance->launch_index = index;
    if (hostname == NULL) {
        hostname = sanitize_hostname(arena, c->model.name);
        if (*hostname == '\0')
            hostname = arena_printf(arena, "Server-%s", instance->uuid);
        else if (c->count > 1)
            hostname = arena_printf(arena, "%s-%lld", hostname, (long long)index + 1);
    }
    instance->hostname = hostname;
    if (c->count > 1)
        instance->name = arena_printf(arena, "%s-%lld", c->model.name, (long long)index + 1);
}

static struct fault *join_group(struct tx *tx, struct creation *c)
{
    int64_t members, limits[QUOTA_RESOURCES];

    if (c->model.server_group == NULL)
        return NULL;
    TRY(quota_limits(tx, c->rq->cx.app->config, c->model.project_id, c->model.user_id, limits, NULL));
    TRY(sql_int_of(tx, &members, 0, "SELECT COUNT(*) FROM server_group_members m, instances i WHERE m.group_uuid=? AND "
        "i.uuid=m.instance_uuid AND i.user_id=?", BIND(TEXT(c->model.server_group), TEXT(c->model.user_id))));
    if (limits[QUOTA_SERVER_GROUP_MEMBERS] >= 0 && members + c->count > limits[QUOTA_SERVER_GROUP_MEMBERS])
        return fault_new(tx_arena(tx), 403, NULL, "Quota exceeded, too many servers in group");
    for (int64_t i = 0; i < c->count; i++)
        TRY(sql_exec_later(tx, "INSERT INTO server_group_members(group_uuid,instance_uuid) VALUES(?,?)",
            BIND(TEXT(c->model.server_group), TEXT(c->instances[i].uuid))));
    return NULL;
}

static struct fault *run_create(struct tx *tx, void *argument)
{
    struct creation *c = argument;
    struct request *rq = c->rq;

    TRY(tx_serialize_on(tx, "project", c->model.project_id));
    TRY(quota_check_servers(tx, rq->cx.app->config, &(struct quota_wish){ .project_id = c->model.project_id,
        .user_id = c->model.user_id, .min_count = c->min_count, .max_count = c->max_count, .vcpus = c->model.vcpus,
        .memory_mb = c->model.memory_mb }, &c->count));
    c->instances = ARENA_ARRAY(rq->cx.arena, struct instance, (size_t)c->count);
    for (int64_t i = 0; i < c->count; i++)
        fill_names(c, &c->instances[i], i);
    TRY(instance_insert(tx, c->instances, (size_t)c->count));
    for (int64_t i = 0; i < c->count; i++)
        TRY(action_start(tx, RQ(rq), c->instances[i].uuid, ACTION_CREATE));
    return join_group(tx, c);
}

static struct fault *tell_conductor(struct creation *c, const char *password)
{
    struct request *rq = c->rq;
    json_t *message = json_keep(rq->cx.arena, json_object()), *uuids = json_array();
    json_t *spec = json_incref(json_parse_own(rq->cx.arena, c->model.request_spec));

    for (int64_t i = 0; i < c->count; i++)
        json_array_append_new(uuids, json_string(c->instances[i].uuid));
    json_object_set_new(spec, "flavor", json_incref(json_parse_own(rq->cx.arena, c->model.flavor)));
    json_object_set_new(message, "instance_uuids", uuids);
    json_object_set_new(message, "request_spec", spec);
    json_object_set_new(message, "num_instances", json_integer(c->count));
    json_object_set_new(message, "admin_password", json_string(password));
    return rpc_cast(RQ(rq), &(struct rpc_target){ TOPIC_CONDUCTOR, NULL, CONDUCTOR_VERSION }, RPC_BUILD_INSTANCES, message);
}

static struct fault *run_undo(struct tx *tx, void *argument)
{
    const struct creation *c = argument;

    for (int64_t i = 0; i < c->count; i++)
        TRY(instance_destroy(tx, c->instances[i].uuid));
    if (c->model.server_group != NULL)
        for (int64_t i = 0; i < c->count; i++)
            TRY(sql_exec_later(tx, "DELETE FROM server_group_members WHERE instance_uuid=?", BIND(TEXT(c->instances[i].uuid))));
    return NULL;
}

/* The conductor was not told: nothing was created. (An end between the rows and the message is found by the conductor.) */
static struct fault *take_back(struct creation *c, struct fault *why)
{
    if (why == NULL)
        return NULL;
    struct fault *fault = db_write(c->rq->cx.arena, c->rq->cx.app->db, run_undo, c);
    return fault != NULL ? fault_because(why, fault) : why;
}

static struct fault *answer(struct creation *c, const char *password)
{
    struct request *rq = c->rq;
    struct json_writer *w = &rq->json;
    const json_t *groups = json_object_get(c->server, "security_groups");
    const struct instance *first = &c->instances[0];

    json_begin(w, NULL);
    if (json_truth(json_object_get(c->server, "return_reservation_id"))) {
        json_text(w, "reservation_id", c->model.reservation_id);
        json_end(w);
        return NULL;
    }
    json_begin(w, "server");
    json_text(w, "id", first->uuid);
    api_links(rq, "servers", first->uuid);
    json_text(w, "OS-DCF:diskConfig", first->auto_disk_config ? "AUTO" : "MANUAL");
    if (groups != NULL)
        json_value(w, "security_groups", groups);
    else
        json_raw(w, "security_groups", "[{\"name\":\"default\"}]");
    if (config_bool(rq->cx.app->config, "api", "enable_instance_password"))
        json_text(w, "adminPass", password);
    json_end(w);
    json_end(w);
    response_headerf(rq, "Location", "%s/v2.1%s/servers/%s", rq->base_url, api_project_prefix(rq), first->uuid);
    return NULL;
}

/* Networks, image and groups: asked of their services, before anything is written. */
static struct fault *check_services(struct creation *c)
{
    struct request *rq = c->rq;
    const char *image_ref = json_text_at(c->server, "imageRef");

    if (image_ref == NULL || *image_ref == '\0')
        return BAD_REQUEST(rq, "Missing imageRef attribute");
    TRY(server_check_image(rq, image_ref, &c->flavor, &c->image));
    TRY(server_check_networks(rq, json_object_get(c->server, "networks"), c->max_count, &c->model.requested_networks));
    return server_check_security_groups(rq, json_object_get(c->server, "security_groups"), &c->model.security_groups);
}

static struct fault *read_counts(struct creation *c)
{
    struct request *rq = c->rq;

    c->min_count = json_number(json_object_get(c->server, "min_count"), 1);
    c->max_count = json_number(json_object_get(c->server, "max_count"), c->min_count);
    if (c->min_count > c->max_count)
        return BAD_REQUEST(rq, "min_count must be <= max_count");
    if (c->max_count > 1 && rq->version >= 90 && json_text_at(c->server, "hostname") != NULL)
        return BAD_REQUEST(rq, "Unable to allocate a single hostname to multiple instances");
    return NULL;
}

struct fault *servers_create(struct request *rq)
{
    struct creation c = { .rq = rq };
    struct tx *tx;

    TRY(server_create_validate(rq));
    c.server = json_object_get(rq->body, "server");
    c.flavor_ref = json_is_integer(json_object_get(c.server, "flavorRef"))
        ? json_dump(rq->cx.arena, json_object_get(c.server, "flavorRef")) : json_text_at(c.server, "flavorRef");
    c.hints = json_object_get(rq->body, "os:scheduler_hints");
    if (c.hints == NULL)
        c.hints = json_object_get(rq->body, "OS-SCH-HNT:scheduler_hints");
    TRY(read_counts(&c));
    if (rq->cx.caller->project_id == NULL)
        return FORBIDDEN(rq, "Policy doesn't allow os_compute_api:servers:create to be performed.");
    if (json_array_size(json_object_get(c.server, "trusted_image_certificates")) > 0)
        TRY(request_enforce(rq, "os_compute_api:servers:create:trusted_certs", NULL));
    TRY(parse_zone(&c));
    TRY(check_block_devices(&c));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = check_database(tx, &c);
    tx_end(tx);
    TRY(fault);
    TRY(check_services(&c));
    TRY(read_tags(&c));
    fill_model(&c);
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_create, &c));
    const char *password = json_text_at(c.server, "adminPass");
    if (password == NULL)
        password = random_password(rq->cx.arena, PASSWORD_LENGTH);
    TRY(take_back(&c, tell_conductor(&c, password)));
    for (int64_t i = 0; i < c.count && c.model.server_group != NULL; i++)
        TRY(server_group_tell_member(rq, c.model.server_group, c.instances[i].uuid));
    return answer(&c, password);
}
