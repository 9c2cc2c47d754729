/* SPDX-License-Identifier: Apache-2.0
 *
 * server_schema: what a request to make a server looks like, from microversion to microversion.
 */
#include "nova/api/server_create.h"

static const struct schema port_id = { .types = SCHEMA_STRING | SCHEMA_NULL, .format = "uuid" };
static const struct schema any_text = { .types = SCHEMA_STRING };
static const struct schema text_255 = { .types = SCHEMA_STRING, .max_length = 255 };
static const struct schema empty_text = { .types = SCHEMA_STRING, .max_length = 0, .values = SCHEMA_WORDS("") };
static const struct schema image_ref = { .one_of = SCHEMA_ANY(&nova_schema_uuid, &empty_text) };
static const struct schema flavor_ref = { .types = SCHEMA_STRING | SCHEMA_INTEGER, .min_length = 1 };
static const struct schema disk_config = { .types = SCHEMA_STRING, .values = SCHEMA_WORDS("AUTO", "MANUAL") };
static const struct schema access_v4 = { .types = SCHEMA_STRING, .format = "ipv4" };
static const struct schema access_v6 = { .types = SCHEMA_STRING, .format = "ipv6" };
static const struct schema file_contents = { .types = SCHEMA_STRING, .format = "base64" };
static const struct schema file = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("path", "contents"),
    .properties = SCHEMA_PROPERTIES({ "path", &any_text }, { "contents", &file_contents }) };
static const struct schema personality = { .types = SCHEMA_ARRAY, .items = &file };
static const struct schema group = SCHEMA_CLOSED({ "name", &nova_schema_name });
static const struct schema groups = { .types = SCHEMA_ARRAY, .items = &group };
static const struct schema user_data = { .types = SCHEMA_STRING, .format = "base64", .max_length = 65535 };
static const struct schema description = { .types = SCHEMA_STRING | SCHEMA_NULL, .max_length = 255 };
static const struct schema tags = { .types = SCHEMA_ARRAY, .items = &nova_schema_tag, .max_items = 50 };
static const struct schema certificate = { .types = SCHEMA_STRING, .min_length = 1 };
static const struct schema certificates = { .types = SCHEMA_ARRAY | SCHEMA_NULL, .items = &certificate, .min_items = 1,
    .max_items = 50, .unique_items = true };
static const struct schema fqdn = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255, .pattern = "^[a-zA-Z0-9-._]*$" };
static const struct schema hostname = { .types = SCHEMA_STRING, .min_length = 2, .max_length = 63,
    .pattern = "^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$" };

/* Networks: an uuid of any text before 2.37, tags in 2.32-2.36 and from 2.42 on, words from 2.37 on. */
static const struct schema network_1 = SCHEMA_CLOSED({ "fixed_ip", &nova_schema_ip }, { "port", &port_id }, { "uuid", &any_text });
static const struct schema network_32 = SCHEMA_CLOSED({ "fixed_ip", &nova_schema_ip }, { "port", &port_id }, { "uuid", &any_text },
    { "tag", &nova_schema_tag });
static const struct schema network_37 = SCHEMA_CLOSED({ "fixed_ip", &nova_schema_ip }, { "port", &port_id },
    { "uuid", &nova_schema_uuid });
static const struct schema network_42 = SCHEMA_CLOSED({ "fixed_ip", &nova_schema_ip }, { "port", &port_id },
    { "uuid", &nova_schema_uuid }, { "tag", &nova_schema_tag });
static const struct schema networks_1 = { .types = SCHEMA_ARRAY, .items = &network_1 };
static const struct schema networks_32 = { .types = SCHEMA_ARRAY, .items = &network_32 };
static const struct schema list_37 = { .types = SCHEMA_ARRAY, .items = &network_37 };
static const struct schema list_42 = { .types = SCHEMA_ARRAY, .items = &network_42 };
static const struct schema network_word = { .types = SCHEMA_STRING, .values = SCHEMA_WORDS("none", "auto") };
static const struct schema networks_37 = { .one_of = SCHEMA_ANY(&list_37, &network_word) };
static const struct schema networks_42 = { .one_of = SCHEMA_ANY(&list_42, &network_word) };

static const struct schema source_type = { .types = SCHEMA_STRING, .values = SCHEMA_WORDS("volume", "image", "snapshot", "blank") };
static const struct schema destination_type = { .types = SCHEMA_STRING, .values = SCHEMA_WORDS("local", "volume") };
static const struct schema device_uuid = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255,
    .pattern = "^[a-zA-Z0-9._-]*$" };
static const struct schema device_name = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255,
    .pattern = "^[a-zA-Z0-9._/-]*$" };
static const struct schema boot_index = { .types = SCHEMA_INTEGER | SCHEMA_STRING | SCHEMA_NULL, .pattern = "^-?[0-9]+$" };
static const struct schema volume_type = { .types = SCHEMA_STRING | SCHEMA_NULL, .max_length = 255 };
#define DEVICE_1                                                                                                       \
    { "virtual_name", &text_255 }, { "volume_id", &nova_schema_uuid }, { "snapshot_id", &nova_schema_uuid },                       \
    { "volume_size", &nova_schema_positive }, { "device_name", &device_name }, { "delete_on_termination", &nova_schema_boolean },  \
    { "no_device", &nova_schema_any }, { "connection_info", &any_text }
#define DEVICE_2                                                                                                       \
    DEVICE_1, { "source_type", &source_type }, { "uuid", &device_uuid }, { "image_id", &nova_schema_uuid },                   \
    { "destination_type", &destination_type }, { "guest_format", &text_255 }, { "device_type", &text_255 },              \
    { "disk_bus", &text_255 }, { "boot_index", &boot_index }
static const struct schema device_old = SCHEMA_CLOSED(DEVICE_1);
static const struct schema devices_old = { .types = SCHEMA_ARRAY, .items = &device_old };
static const struct schema device_1 = SCHEMA_CLOSED(DEVICE_2);
static const struct schema device_32 = SCHEMA_CLOSED(DEVICE_2, { "tag", &nova_schema_tag });
static const struct schema device_67 = SCHEMA_CLOSED(DEVICE_2, { "tag", &nova_schema_tag }, { "volume_type", &volume_type });
static const struct schema devices_1 = { .types = SCHEMA_ARRAY, .items = &device_1 };
static const struct schema devices_32 = { .types = SCHEMA_ARRAY, .items = &device_32 };
static const struct schema devices_67 = { .types = SCHEMA_ARRAY, .items = &device_67 };

#define SERVER                                                                                                         \
    { "name", &nova_schema_name }, { "imageRef", &image_ref }, { "flavorRef", &flavor_ref }, { "adminPass", &any_text },      \
    { "metadata", &nova_schema_metadata }, { "OS-DCF:diskConfig", &disk_config }, { "accessIPv4", &access_v4 },               \
    { "accessIPv6", &access_v6 }, { "availability_zone", &nova_schema_name }, { "block_device_mapping", &devices_old },       \
    { "config_drive", &nova_schema_boolean }, { "key_name", &nova_schema_name }, { "min_count", &nova_schema_positive },                \
    { "max_count", &nova_schema_positive }, { "return_reservation_id", &nova_schema_boolean }, { "security_groups", &groups },     \
    { "user_data", &user_data }
#define DEVICES(schema_)  { "block_device_mapping_v2", &(schema_) }
#define NETWORKS(schema_) { "networks", &(schema_) }
#define FILES             { "personality", &personality }
#define DESCRIPTION       { "description", &description }
#define TAGS              { "tags", &tags }
#define CERTIFICATES      { "trusted_image_certificates", &certificates }
#define HOSTS             { "host", &fqdn }, { "hypervisor_hostname", &fqdn }

static const struct schema hints_or_lists = { .types = SCHEMA_STRING | SCHEMA_ARRAY };
static const struct schema query_hint = { .types = SCHEMA_STRING | SCHEMA_OBJECT };
static const struct schema cidr_hint = { .types = SCHEMA_STRING, .pattern = "^/[0-9a-f.:]+$" };
static const struct schema hints = { .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "group", &nova_schema_uuid },
    { "different_host", &hints_or_lists }, { "same_host", &hints_or_lists }, { "query", &query_hint },
    { "build_near_host_ip", &nova_schema_ip }, { "cidr", &cidr_hint }) };

/* The body of one version: SCHEMA_FROM(n, properties...) makes body_n. Networks are required from 2.37 on. */
#define BODY(version_, required_, ...)                                                                                 \
    static const struct schema server_##version_ = { .types = SCHEMA_OBJECT, .closed = true, .required = required_,     \
        .properties = SCHEMA_PROPERTIES(__VA_ARGS__) };                                                                 \
    static const struct schema body_##version_ = { .types = SCHEMA_OBJECT, .closed = true,                              \
        .required = SCHEMA_WORDS("server"), .properties = SCHEMA_PROPERTIES({ "server", &server_##version_ },           \
        { "os:scheduler_hints", &hints }, { "OS-SCH-HNT:scheduler_hints", &hints }) }
#define FLAVORED  SCHEMA_WORDS("name", "flavorRef")
#define NETWORKED SCHEMA_WORDS("name", "flavorRef", "networks")

BODY(1,  FLAVORED,  SERVER, DEVICES(devices_1),  NETWORKS(networks_1),  FILES);
BODY(19, FLAVORED,  SERVER, DEVICES(devices_1),  NETWORKS(networks_1),  FILES, DESCRIPTION);
BODY(32, FLAVORED,  SERVER, DEVICES(devices_32), NETWORKS(networks_32), FILES, DESCRIPTION);
BODY(33, FLAVORED,  SERVER, DEVICES(devices_1),  NETWORKS(networks_32), FILES, DESCRIPTION);
BODY(37, NETWORKED, SERVER, DEVICES(devices_1),  NETWORKS(networks_37), FILES, DESCRIPTION);
BODY(42, NETWORKED, SERVER, DEVICES(devices_32), NETWORKS(networks_42), FILES, DESCRIPTION);
BODY(52, NETWORKED, SERVER, DEVICES(devices_32), NETWORKS(networks_42), FILES, DESCRIPTION, TAGS);
BODY(57, NETWORKED, SERVER, DEVICES(devices_32), NETWORKS(networks_42), DESCRIPTION, TAGS);
BODY(63, NETWORKED, SERVER, DEVICES(devices_32), NETWORKS(networks_42), DESCRIPTION, TAGS, CERTIFICATES);
BODY(67, NETWORKED, SERVER, DEVICES(devices_67), NETWORKS(networks_42), DESCRIPTION, TAGS, CERTIFICATES);
BODY(74, NETWORKED, SERVER, DEVICES(devices_67), NETWORKS(networks_42), DESCRIPTION, TAGS, CERTIFICATES, HOSTS);
BODY(90, NETWORKED, SERVER, DEVICES(devices_67), NETWORKS(networks_42), DESCRIPTION, TAGS, CERTIFICATES, HOSTS,
    { "hostname", &hostname });
BODY(94, NETWORKED, SERVER, DEVICES(devices_67), NETWORKS(networks_42), DESCRIPTION, TAGS, CERTIFICATES, HOSTS,
    { "hostname", &fqdn });

static const struct {
    int from;
    const struct schema *body;
} bodies[] = {
    { 94, &body_94 }, { 90, &body_90 }, { 74, &body_74 }, { 67, &body_67 }, { 63, &body_63 }, { 57, &body_57 },
    { 52, &body_52 }, { 42, &body_42 }, { 37, &body_37 }, { 33, &body_33 }, { 32, &body_32 }, { 19, &body_19 }, { 1, &body_1 },
};

struct fault *server_create_validate(struct request *rq)
{
    size_t i = 0;

    while (bodies[i].from > rq->version)
        i++;
    return request_validate(rq, bodies[i].body);
}

/* PUT /servers/{id} */
#define UPDATE                                                                                                         \
    { "name", &nova_schema_name }, { "OS-DCF:diskConfig", &disk_config }, { "accessIPv4", &access_v4 }, { "accessIPv6", &access_v6 }
#define UPDATE_BODY(version_, ...)                                                                                     \
    static const struct schema update_##version_ = SCHEMA_CLOSED(__VA_ARGS__);                                          \
    static const struct schema update_body_##version_ = { .types = SCHEMA_OBJECT, .closed = true,                       \
        .required = SCHEMA_WORDS("server"), .properties = SCHEMA_PROPERTIES({ "server", &update_##version_ }) }
UPDATE_BODY(1,  UPDATE);
UPDATE_BODY(19, UPDATE, DESCRIPTION);
UPDATE_BODY(90, UPDATE, DESCRIPTION, { "hostname", &hostname });
UPDATE_BODY(94, UPDATE, DESCRIPTION, { "hostname", &fqdn });

struct fault *server_update_validate(struct request *rq)
{
    return request_validate(rq, rq->version >= 94 ? &update_body_94 : rq->version >= 90 ? &update_body_90
        : rq->version >= 19 ? &update_body_19 : &update_body_1);
}
