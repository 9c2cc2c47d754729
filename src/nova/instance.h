/* SPDX-License-Identifier: Apache-2.0
 *
 * instance: a server as the database has it: one row, whole.
 *
 * What nova keeps in a dozen side tables (metadata, system metadata, tags, flavor, network cache, fault, request) is in
 * columns of the row, JSON where it has structure, so that a list of servers is one query and a change is one statement. A deleted
 * server stays as a row with `deleted`: administrators still see it.
 *
 * State changes are compare-and-swap: instance_update() with what must hold now. All functions that take a `tx` are for
 * use inside db_write() or db_read().
 */
#ifndef NOVA_INSTANCE_H
#define NOVA_INSTANCE_H

#include "oslo/json.h"
#include "oslo/sql.h"

/* The columns, in the order of the table in instance.c. */
enum instance_field {
    INSTANCE_ID, INSTANCE_UUID, INSTANCE_PROJECT_ID, INSTANCE_USER_ID, INSTANCE_NAME, INSTANCE_DESCRIPTION,
    INSTANCE_HOSTNAME, INSTANCE_RESERVATION_ID, INSTANCE_LAUNCH_INDEX, INSTANCE_IMAGE_REF, INSTANCE_KERNEL_ID,
    INSTANCE_RAMDISK_ID, INSTANCE_KEY_NAME, INSTANCE_KEYPAIR, INSTANCE_USER_DATA, INSTANCE_CONFIG_DRIVE,
    INSTANCE_AVAILABILITY_ZONE, INSTANCE_HOST, INSTANCE_NODE, INSTANCE_LAUNCHED_ON, INSTANCE_VM_STATE,
    INSTANCE_TASK_STATE, INSTANCE_POWER_STATE, INSTANCE_PROGRESS, INSTANCE_LOCKED_BY, INSTANCE_LOCKED_REASON,
    INSTANCE_FLAVOR, INSTANCE_FLAVORID, INSTANCE_MEMORY_MB, INSTANCE_VCPUS, INSTANCE_ROOT_GB, INSTANCE_EPHEMERAL_GB,
    INSTANCE_METADATA, INSTANCE_SYSTEM_METADATA, INSTANCE_TAGS, INSTANCE_SECURITY_GROUPS,
    INSTANCE_REQUESTED_NETWORKS, INSTANCE_BLOCK_DEVICE_MAPPING, INSTANCE_NETWORK_INFO, INSTANCE_ADDRESSES,
    INSTANCE_REQUEST_SPEC, INSTANCE_INJECTED_FILES, INSTANCE_TRUSTED_CERTS, INSTANCE_SERVER_GROUP, INSTANCE_FAULT,
    INSTANCE_ROOT_DEVICE_NAME,
    INSTANCE_ACCESS_IP_V4, INSTANCE_ACCESS_IP_V6, INSTANCE_AUTO_DISK_CONFIG, INSTANCE_CREATED_AT, INSTANCE_UPDATED_AT,
    INSTANCE_LAUNCHED_AT, INSTANCE_TERMINATED_AT, INSTANCE_DELETED, INSTANCE_DELETED_AT, INSTANCE_GENERATION,
    INSTANCE_FIELDS
};

/* Texts may be NULL unless the comment says otherwise. Times are microseconds since 1970; 0: not yet. */
struct instance {
    int64_t id;
    const char *uuid;                 /* never NULL */
    const char *project_id, *user_id; /* never NULL */
    const char *name;                 /* display_name, never NULL */
    const char *description;
    const char *hostname;
    const char *reservation_id;       /* "r-xxxxxxxx": all servers of one request */
    int64_t launch_index;
    const char *image_ref;            /* ""; booted from a volume */
    const char *kernel_id, *ramdisk_id;
    const char *key_name;
    const char *keypair;              /* {"name","type","public_key","fingerprint"} */
    const char *user_data;            /* base64, as given */
    const char *config_drive;         /* "True" or "" */
    const char *availability_zone;
    const char *host, *node;          /* NULL until a compute host has it */
    const char *launched_on;
    const char *vm_state;             /* never NULL */
    const char *task_state;
    int64_t power_state;              /* enum power_state */
    int64_t progress;                 /* percent */
    const char *locked_by;            /* "owner" or "admin"; NULL: not locked */
    const char *locked_reason;
    const char *flavor;               /* {"id","flavorid","name","memory_mb","vcpus","root_gb","ephemeral_gb","swap",
                                       * "rxtx_factor","extra_specs":{},"description"} as it was at creation */
    const char *flavorid;
    int64_t memory_mb, vcpus, root_gb, ephemeral_gb;
    const char *metadata;             /* {"key":"value"} */
    const char *system_metadata;      /* image_* properties and our own */
    const char *tags;                 /* ",a,b,": see instance_tags_*(); NULL: none */
    const char *security_groups;      /* ["name or id"] as asked; names shown until network_info is there */
    const char *requested_networks;   /* "auto", "none" or [{"uuid","port","fixed_ip","tag"}] */
    const char *block_device_mapping; /* [{...}] of block_device_mapping_v2, normalised */
    const char *network_info;         /* nova.network.model.NetworkInfo: the cache of its ports */
    const char *addresses;            /* and what the API shows of it: instance_update() writes both */
    const char *request_spec;         /* {"availability_zone","force_hosts":[],"force_nodes":[],"scheduler_hints":{},
                                       * "requested_host","requested_node","image":{glance's image}} */
    const char *injected_files;       /* [["path","base64"]] */
    const char *trusted_certs;        /* ["uuid"] */
    const char *server_group;         /* UUID */
    const char *fault;                /* {"code","message","details","created" (us),"host"}: the last one */
    const char *root_device_name;
    const char *access_ip_v4, *access_ip_v6;
    bool auto_disk_config;
    int64_t created_at, updated_at, launched_at, terminated_at;
    bool deleted;
    int64_t deleted_at;
    int64_t generation;               /* grows with each change */
};

/* As nova: "Instance X could not be found.", 404 itemNotFound. */
struct fault *instance_not_found(struct arena *arena, const char *uuid);

/* Writes new rows. uuid, created_at and id are filled in when empty; generation becomes 1. */
struct fault *instance_insert(struct tx *tx, struct instance *instances, size_t count);

/* Loads one that is not deleted (or any, with `deleted`). Fault: instance_not_found(). */
struct fault *instance_load(struct tx *tx, const char *uuid, bool deleted, struct instance *ret);

/* As instance_load in a read transaction of its own. */
struct fault *instance_get(struct arena *arena, struct db *db, const char *uuid, bool deleted, struct instance *ret);

/* All that are not deleted of a host, or (host NULL) all in one of the task states; for start-up and periodic tasks. */
struct fault *instance_list_host(struct tx *tx, const char *host, struct instance **ret, size_t *ret_count);

/* "SELECT <all columns> FROM instances i"; instance_read() takes the present row of such a query, from column 0. */
const char *instance_select(void);
void instance_read(struct arena *arena, struct rows *rows, struct instance *ret);

struct instance_change {
    enum instance_field field;
    struct sql_value value;
};
#define CHANGE(field_, value_) { INSTANCE_##field_, value_ }
#define CHANGES(...)                                                                                                   \
    (const struct instance_change[]){ __VA_ARGS__ },                                                                   \
        (sizeof((struct instance_change[]){ __VA_ARGS__ }) / sizeof(struct instance_change))

/* What must hold for the change; zeroed: only that it is not deleted. Lists are NULL-terminated; "" in task_states is none. */
struct instance_expect {
    const char *const *vm_states;
    const char *const *task_states;
    int64_t generation;
};
#define STATES(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Changes a row at once, and updated_at. Faults: instance_not_found(); 409 code "UnexpectedDeletingTaskStateError" when it is being
 * deleted meanwhile, "UnexpectedTaskStateError" or "UnknownInstanceUpdateConflict" otherwise, in nova's words. */
struct fault *instance_update(struct tx *tx, const char *uuid, const struct instance_change *changes, size_t count,
    const struct instance_expect *expect);
/* The same in a transaction of its own. */
struct fault *instance_save(struct arena *arena, struct db *db, const char *uuid,
    const struct instance_change *changes, size_t count, const struct instance_expect *expect);

/* Deletes: the row stays with deleted, vm_state deleted, no task_state and terminated_at. Twice is no fault. */
struct fault *instance_destroy(struct tx *tx, const char *uuid);

/* The whole row as a JSON object (columns' names, JSON columns as JSON), for messages, and back. New reference. */
json_t *instance_to_json(struct arena *arena, const struct instance *instance);
void instance_from_json(struct arena *arena, const json_t *json, struct instance *ret);

/* Members of an object as changes: unknown names and id, uuid, generation are a 400. */
struct fault *instance_changes_from_json(struct arena *arena, const json_t *json, struct instance_change **ret,
    size_t *ret_count);

/* The tags of a row as a NULL-terminated list, and a list as the column's text (NULL when empty). */
const char *const *instance_tags_list(struct arena *arena, const char *tags, size_t *ret_count);
const char *instance_tags_text(struct arena *arena, const char *const *tags, size_t count);

#endif
