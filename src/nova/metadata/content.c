/* SPDX-License-Identifier: Apache-2.0
 * content: see content.h. */
#include "nova/metadata/content.h"

#include "base/random.h"
#include "nova/metadata/network_data.h"
#include "oslo/app.h"

#include <openssl/evp.h>
#include <string.h>

const char *const metadata_openstack_versions[] = { "2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15",
    "2016-06-30",
    "2016-10-06", "2017-02-22", "2018-08-27", "2020-10-14", NULL };
const char *const metadata_ec2_versions[] = { "1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10",
    "2007-12-15",
    "2008-02-01", "2008-09-01", "2009-04-04", NULL };

enum openstack_version { FOLSOM, GRIZZLY, HAVANA, LIBERTY, NEWTON_ONE, NEWTON_TWO, OCATA, ROCKY, VICTORIA,
    OPENSTACK_VERSIONS };
enum { SEED_BYTES = 512, MAX_FILES = 256 };
enum { EC2_ON_DRIVE = 8 }; /* 2009-04-04: older ones are left out, as config_drive_skip_versions */

struct set {
    struct context *cx;
    const struct instance *instance;
    struct metadata_file *files;
    size_t count;
};

static void add_data(struct set *set, const char *path, const void *data, size_t length, bool json)
{
    if (set->count < MAX_FILES)
        set->files[set->count++] = (struct metadata_file){ path, data, length, json };
}

static void add_json(struct set *set, const char *path, const json_t *document)
{
    const char *text = json_dump(set->cx->arena, document);
    add_data(set, path, text, strlen(text), true);
}

static bool decode(struct arena *arena, const char *base64, const void **ret, size_t *ret_length)
{
    size_t length = 0, padding = 0;
    char *clean = arena_alloc(arena, strlen(base64) + 4);
    for (const char *p = base64; *p != '\0'; p++)
        if (strchr("\r\n\t ", *p) == NULL)
            clean[length++] = *p;
    unsigned char *data = arena_alloc(arena, length + 4);
    while (padding < 2 && padding < length && clean[length - 1 - padding] == '=')
        padding++;
    int decoded = EVP_DecodeBlock(data, (const unsigned char *)clean, (int)length);
    if (decoded < 0)
        return false;
    *ret = data;
    *ret_length = (size_t)decoded - padding;
    return true;
}

bool metadata_user_data(struct arena *arena, const struct instance *instance, const void **ret, size_t *ret_length)
{
    return instance->user_data != NULL && decode(arena, instance->user_data, ret, ret_length);
}

static const char *hostname_of(struct context *cx, const struct instance *instance)
{
    const char *domain = config_str(cx->app->config, "api", "dhcp_domain");
    const char *name = instance->hostname != NULL ? instance->hostname : "";
    return domain != NULL && *domain != '\0' ? arena_printf(cx->arena, "%s.%s", name, domain) : name;
}

/* ---- /openstack ---- */

static json_t *files_list(struct context *cx, const struct instance *instance)
{
    const json_t *files = json_parse_own(cx->arena, instance->injected_files);
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(files); i++) {
        const char *path = json_string_value(json_array_get(json_array_get(files, i), 0));
        json_array_append_new(list, json_pack("{s:s, s:s}", "path", path != NULL ? path : "", "content_path",
            arena_printf(cx->arena, "/content/%04zu", i)));
    }
    return list;
}

static json_t *random_seed_text(void)
{
    unsigned char seed[SEED_BYTES], text[SEED_BYTES * 4 / 3 + 8];
    random_bytes(seed, sizeof(seed));
    EVP_EncodeBlock(text, seed, sizeof(seed));
    return json_string((const char *)text);
}

static void add_keys(struct context *cx, const struct instance *instance, json_t *to)
{
    const json_t *pair = json_parse_own(cx->arena, instance->keypair);
    const char *name = json_text_at(pair, "name"), *type = json_text_at(pair, "type"), *key = json_text_at(pair,
        "public_key");
    if (name == NULL || key == NULL)
        return;
    json_object_set_new(to, "public_keys", json_pack("{s:s}", name, key));
    json_object_set_new(to, "keys", json_pack("[{s:s, s:s, s:s}]", "name", name, "type", type != NULL ? type : "ssh",
        "data", key));
}

/* The NICs that carry tags are told with them. */
static json_t *devices(struct context *cx, const struct instance *instance, enum openstack_version version)
{
    const json_t *asked = json_parse_own(cx->arena, instance->requested_networks);
    const json_t *vifs = json_parse_own(cx->arena, instance->network_info);
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(vifs) && i < json_array_size(asked); i++) {
        const char *tag = json_text_at(json_array_get(asked, i), "tag");
        json_t *device = json_pack("{s:s, s:s?, s:s, s:s}", "type", "nic", "mac", json_text_at(json_array_get(vifs,
            i), "address"), "bus", "none", "address", "none");
        if (version >= ROCKY)
            json_object_set_new(device, "vf_trusted", json_false());
        if (tag != NULL)
            json_object_set_new(device, "tags", json_pack("[s]", tag));
        if (tag != NULL || version >= ROCKY)
            json_array_append_new(list, device);
        else
            json_decref(device);
    }
    return list;
}

static json_t *meta_data(struct context *cx, const struct instance *instance, enum openstack_version version,
    const char *admin_password)
{
    json_t *to = json_pack("{s:s}", "uuid", instance->uuid);
    json_t *meta = json_parse_own(cx->arena, instance->metadata), *files = files_list(cx, instance);
    if (json_object_size(meta) > 0)
        json_object_set(to, "meta", meta);
    if (json_array_size(files) > 0)
        json_object_set(to, "files", files);
    json_decref(files);
    if (admin_password != NULL)
        json_object_set_new(to, "admin_pass", json_string(admin_password));
    add_keys(cx, instance, to);
    json_object_set_new(to, "hostname", json_string(hostname_of(cx, instance)));
    json_object_set_new(to, "name", json_string(instance->name));
    json_object_set_new(to, "launch_index", json_integer(instance->launch_index));
    json_object_set_new(to, "availability_zone", instance->availability_zone != NULL
        ? json_string(instance->availability_zone)
                                                                                    : json_null());
    if (version >= GRIZZLY)
        json_object_set_new(to, "random_seed", random_seed_text());
    if (version >= LIBERTY)
        json_object_set_new(to, "project_id", json_string(instance->project_id));
    if (version >= NEWTON_ONE)
        json_object_set_new(to, "devices", devices(cx, instance, version));
    if (version >= VICTORIA)
        json_object_set_new(to, "dedicated_cpus", json_array());
    return json_keep(cx->arena, to);
}

static void add_version(struct set *set, const char *name, enum openstack_version version, const char *admin_password)
{
    struct arena *arena = set->cx->arena;
    const void *user_data;
    size_t length;
    add_json(set, arena_printf(arena, "openstack/%s/meta_data.json", name),
        meta_data(set->cx, set->instance, version, admin_password));
    if (metadata_user_data(arena, set->instance, &user_data, &length))
        add_data(set, arena_printf(arena, "openstack/%s/user_data", name), user_data, length, false);
    if (version >= HAVANA)
        add_json(set, arena_printf(arena, "openstack/%s/vendor_data.json", name), json_keep(arena, json_object()));
    if (version >= LIBERTY)
        add_json(set, arena_printf(arena, "openstack/%s/network_data.json", name),
            json_keep(arena, network_data(arena, json_parse_own(arena, set->instance->network_info))));
    if (version >= NEWTON_TWO)
        add_json(set, arena_printf(arena, "openstack/%s/vendor_data2.json", name), json_keep(arena, json_pack("{s:{}}",
            "static")));
}

static struct fault *add_contents(struct set *set)
{
    struct arena *arena = set->cx->arena;
    const json_t *files = json_parse_own(arena, set->instance->injected_files);
    for (size_t i = 0; i < json_array_size(files); i++) {
        const char *text = json_string_value(json_array_get(json_array_get(files, i), 1));
        const void *data = "";
        size_t length = 0;
        if (text != NULL && !decode(arena, text, &data, &length))
            return FAULT(set->cx, 400, NULL, "Personality file contents could not be decoded.");
        add_data(set, arena_printf(arena, "openstack/content/%04zu", i), data, length, false);
    }
    return NULL;
}

/* ---- EC2 ---- */

static const char *first_fixed(const json_t *vifs, bool floating)
{
    for (size_t v = 0; v < json_array_size(vifs); v++) {
        const json_t *subnets = json_at(json_array_get(vifs, v), "network.subnets");
        for (size_t s = 0; s < json_array_size(subnets); s++) {
            const json_t *ips = json_object_get(json_array_get(subnets, s), "ips");
            for (size_t i = 0; i < json_array_size(ips); i++) {
                const json_t *ip = json_array_get(ips, i), *floats = json_object_get(ip, "floating_ips");
                if (!floating && json_int_at(ip, "version", 0) == 4)
                    return json_text_at(ip, "address");
                if (floating && json_array_size(floats) > 0)
                    return json_text_at(json_array_get(floats, 0), "address");
            }
        }
    }
    return "";
}

static int version_index(const char *version)
{
    int i = 0;
    while (metadata_ec2_versions[i] != NULL && strcmp(metadata_ec2_versions[i], version) != 0)
        i++;
    return strcmp(version, "latest") == 0 ? EC2_ON_DRIVE : metadata_ec2_versions[i] != NULL ? i : -1;
}

static json_t *group_names(struct context *cx, const struct instance *instance)
{
    const json_t *groups = json_parse_own(cx->arena, instance->security_groups);
    json_t *names = json_array();
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const json_t *group = json_array_get(groups, i);
        const char *name = json_is_string(group) ? json_string_value(group) : json_text_at(group, "name");
        json_array_append_new(names, json_string(name != NULL ? name : ""));
    }
    if (json_array_size(names) == 0)
        json_array_append_new(names, json_string("default"));
    return names;
}

static void add_newer(struct context *cx, const struct instance *instance, int version, json_t *to)
{
    const json_t *vifs = json_parse_own(cx->arena, instance->network_info);
    if (version >= 1) {
        json_object_set_new(to, "local-hostname", json_string(hostname_of(cx, instance)));
        json_object_set_new(to, "public-hostname", json_string(hostname_of(cx, instance)));
        json_object_set_new(to, "public-ipv4", json_string(first_fixed(vifs, true)));
    }
    if (version >= 3) {
        const char *name = json_text_at(json_parse_own(cx->arena, instance->flavor), "name");
        json_object_set_new(to, "instance-type", json_string(name != NULL ? name : ""));
    }
    if (version >= 5) {
        const char *root = instance->root_device_name != NULL ? instance->root_device_name : "/dev/vda";
        json_object_set_new(to, "block-device-mapping", json_pack("{s:s, s:s}", "ami", strrchr(root, '/') != NULL
            ? strrchr(root, '/') + 1 : root, "root", root));
    }
    if (version >= 6)
        json_object_set_new(to, "placement", json_pack("{s:s}", "availability-zone",
            instance->availability_zone != NULL ? instance->availability_zone : ""));
    if (version >= 7)
        json_object_set_new(to, "instance-action", json_string("none"));
}

json_t *metadata_ec2(struct context *cx, const struct instance *instance, const char *version_name)
{
    int version = version_index(version_name);
    const json_t *pair = json_parse_own(cx->arena, instance->keypair);
    const void *user_data;
    size_t length;
    if (version < 0)
        return NULL;
    /* An image has no manifest here, and none in nova, which tells every guest this word in its place. */
    static const char no_manifest[] = "FIXME";
    json_t *to = json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:s?, s:o}", "ami-id", "ami-00000001",
        "ami-launch-index", (json_int_t)instance->launch_index, "ami-manifest-path", no_manifest,
        "instance-id", arena_printf(cx->arena, "i-%08llx", (long long)instance->id), "hostname", hostname_of(cx,
        instance), "local-ipv4", first_fixed(json_parse_own(cx->arena, instance->network_info), false),
        "reservation-id", instance->reservation_id, "security-groups", group_names(cx, instance));
    if (instance->key_name != NULL && json_text_at(pair, "public_key") != NULL)
        json_object_set_new(to, "public-keys", json_pack("{s:{s:s, s:s}}", "0", "_name",
            arena_printf(cx->arena, "0=%s", instance->key_name), "openssh-key", json_text_at(pair, "public_key")));
    add_newer(cx, instance, version, to);
    json_t *tree = json_keep(cx->arena, json_pack("{s:o}", "meta-data", to));
    if (metadata_user_data(cx->arena, instance, &user_data, &length)) {
        json_t *text = json_stringn(user_data, length);
        json_object_set_new(tree, "user-data", text != NULL ? text : json_string(""));
    }
    return tree;
}

static void add_ec2(struct set *set, const char *version)
{
    struct arena *arena = set->cx->arena;
    const void *user_data;
    size_t length;
    const json_t *tree = metadata_ec2(set->cx, set->instance, version);
    add_json(set, arena_printf(arena, "ec2/%s/meta-data.json", version), json_object_get(tree, "meta-data"));
    if (metadata_user_data(arena, set->instance, &user_data, &length))
        add_data(set, arena_printf(arena, "ec2/%s/user-data", version), user_data, length, false);
}

struct fault *metadata_content(struct context *cx, const struct instance *instance, const char *admin_password,
    bool drive,
    const struct metadata_file **ret, size_t *ret_count)
{
    struct set set = { cx, instance, ARENA_ARRAY(cx->arena, struct metadata_file, MAX_FILES), 0 };
    for (int i = 0; metadata_openstack_versions[i] != NULL; i++)
        add_version(&set, metadata_openstack_versions[i], (enum openstack_version)i, drive ? admin_password : NULL);
    add_version(&set, "latest", VICTORIA, drive ? admin_password : NULL);
    TRY(add_contents(&set));
    if (drive) {
        add_ec2(&set, metadata_ec2_versions[EC2_ON_DRIVE]);
        add_ec2(&set, "latest");
    }
    *ret = set.files;
    *ret_count = set.count;
    return NULL;
}
