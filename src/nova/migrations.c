/* SPDX-License-Identifier: Apache-2.0
 *
 * migrations: nova's tables. One database: what nova splits into api and cell databases is together here.
 */
#include "nova/migrations.h"

#include "nova/cells.h"
#include "oslo/flow.h"

static const char first[] =
    "CREATE TABLE instances (id $SERIAL, uuid VARCHAR(36) NOT NULL UNIQUE, project_id VARCHAR(255) NOT NULL,"
    " user_id VARCHAR(255) NOT NULL, display_name VARCHAR(255) NOT NULL, display_description VARCHAR(255),"
    " hostname VARCHAR(255), reservation_id VARCHAR(36), launch_index INTEGER NOT NULL, image_ref VARCHAR(255),"
    " kernel_id VARCHAR(255), ramdisk_id VARCHAR(255), key_name VARCHAR(255), keypair TEXT, user_data MEDIUMTEXT,"
    " config_drive VARCHAR(255), availability_zone VARCHAR(255), host VARCHAR(255), node VARCHAR(255),"
    " launched_on VARCHAR(255), vm_state VARCHAR(32) NOT NULL, task_state VARCHAR(64), power_state INTEGER NOT NULL,"
    " progress INTEGER NOT NULL, locked_by VARCHAR(16), locked_reason VARCHAR(255), flavor TEXT, flavorid VARCHAR(255),"
    " memory_mb BIGINT NOT NULL, vcpus BIGINT NOT NULL, root_gb BIGINT NOT NULL, ephemeral_gb BIGINT NOT NULL,"
    " metadata MEDIUMTEXT, system_metadata MEDIUMTEXT, tags TEXT, security_groups TEXT, requested_networks TEXT,"
    " block_device_mapping MEDIUMTEXT, network_info MEDIUMTEXT, request_spec MEDIUMTEXT, injected_files MEDIUMTEXT,"
    " trusted_certs TEXT, server_group VARCHAR(36), fault MEDIUMTEXT, root_device_name VARCHAR(255),"
    " access_ip_v4 VARCHAR(39), access_ip_v6 VARCHAR(39), auto_disk_config INTEGER NOT NULL, created_at BIGINT NOT NULL,"
    " updated_at BIGINT NOT NULL, launched_at BIGINT NOT NULL, terminated_at BIGINT NOT NULL, deleted INTEGER NOT NULL,"
    " deleted_at BIGINT NOT NULL, generation BIGINT NOT NULL);\n"
    "CREATE INDEX instances_project ON instances (deleted, project_id, created_at, id);\n"
    "CREATE INDEX instances_created ON instances (deleted, created_at, id);\n"
    "CREATE INDEX instances_usage ON instances (project_id, deleted, user_id, vcpus, memory_mb);\n"
    "CREATE INDEX instances_host ON instances (host, deleted);\n"
    "CREATE TABLE instance_actions (id $SERIAL, instance_uuid VARCHAR(36) NOT NULL, action VARCHAR(64) NOT NULL,"
    " request_id VARCHAR(64) NOT NULL, user_id VARCHAR(255), project_id VARCHAR(255), start_time BIGINT NOT NULL,"
    " finish_time BIGINT NOT NULL, message VARCHAR(255), created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL);\n"
    "CREATE INDEX instance_actions_request ON instance_actions (instance_uuid, request_id);\n"
    "CREATE TABLE instance_actions_events (id $SERIAL, action_id BIGINT NOT NULL, event VARCHAR(255) NOT NULL,"
    " start_time BIGINT NOT NULL, finish_time BIGINT NOT NULL, result VARCHAR(255), traceback MEDIUMTEXT,"
    " details TEXT, host VARCHAR(255));\n"
    "CREATE INDEX instance_actions_events_action ON instance_actions_events (action_id);\n"
    "CREATE TABLE services (id $SERIAL, uuid VARCHAR(36) NOT NULL UNIQUE, host VARCHAR(255) NOT NULL,"
    " binary_name VARCHAR(64) NOT NULL, topic VARCHAR(64) NOT NULL, report_count BIGINT NOT NULL, disabled INTEGER NOT NULL,"
    " disabled_reason VARCHAR(255), forced_down INTEGER NOT NULL, version INTEGER NOT NULL, last_seen_up BIGINT NOT NULL,"
    " created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, UNIQUE (host, binary_name));\n"
    "CREATE TABLE compute_nodes (id $SERIAL, uuid VARCHAR(36) NOT NULL UNIQUE, host VARCHAR(255) NOT NULL,"
    " hypervisor_hostname VARCHAR(255) NOT NULL, hypervisor_type VARCHAR(64) NOT NULL, hypervisor_version BIGINT NOT NULL,"
    " host_ip VARCHAR(39), vcpus BIGINT NOT NULL, memory_mb BIGINT NOT NULL, local_gb BIGINT NOT NULL,"
    " vcpus_used BIGINT NOT NULL, memory_mb_used BIGINT NOT NULL, local_gb_used BIGINT NOT NULL,"
    " free_ram_mb BIGINT NOT NULL, free_disk_gb BIGINT NOT NULL, disk_available_least BIGINT, current_workload BIGINT NOT NULL,"
    " running_vms BIGINT NOT NULL, cpu_info MEDIUMTEXT, supported_instances MEDIUMTEXT, details MEDIUMTEXT,"
    " created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, UNIQUE (host, hypervisor_hostname));\n"
    "CREATE TABLE aggregates (id $SERIAL, uuid VARCHAR(36) NOT NULL UNIQUE, name VARCHAR(255) NOT NULL UNIQUE,"
    " hosts MEDIUMTEXT NOT NULL, metadata MEDIUMTEXT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL);\n"
    "CREATE TABLE flavors (id $SERIAL, flavorid VARCHAR(255) NOT NULL UNIQUE, name VARCHAR(255) NOT NULL UNIQUE,"
    " memory_mb BIGINT NOT NULL, vcpus BIGINT NOT NULL, root_gb BIGINT NOT NULL, ephemeral_gb BIGINT NOT NULL,"
    " swap BIGINT NOT NULL, rxtx_factor DOUBLE PRECISION NOT NULL, is_public INTEGER NOT NULL, disabled INTEGER NOT NULL,"
    " description TEXT, extra_specs MEDIUMTEXT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL);\n"
    "CREATE TABLE flavor_projects (flavor_id BIGINT NOT NULL, project_id VARCHAR(255) NOT NULL,"
    " PRIMARY KEY (flavor_id, project_id));\n"
    "CREATE TABLE key_pairs (id $SERIAL, user_id VARCHAR(255) NOT NULL, name VARCHAR(255) NOT NULL,"
    " type VARCHAR(8) NOT NULL, fingerprint VARCHAR(255) NOT NULL, public_key TEXT NOT NULL, created_at BIGINT NOT NULL,"
    " UNIQUE (user_id, name));\n"
    "CREATE TABLE server_groups (id $SERIAL, uuid VARCHAR(36) NOT NULL UNIQUE, user_id VARCHAR(255) NOT NULL,"
    " project_id VARCHAR(255) NOT NULL, name VARCHAR(255) NOT NULL, policy VARCHAR(255) NOT NULL, rules TEXT NOT NULL,"
    " created_at BIGINT NOT NULL);\n"
    "CREATE INDEX server_groups_project ON server_groups (project_id);\n"
    "CREATE TABLE server_group_members (group_uuid VARCHAR(36) NOT NULL, instance_uuid VARCHAR(36) NOT NULL,"
    " PRIMARY KEY (group_uuid, instance_uuid));\n"
    "CREATE INDEX server_group_members_instance ON server_group_members (instance_uuid);\n"
    "CREATE TABLE quotas (project_id VARCHAR(255) NOT NULL, user_id VARCHAR(255) NOT NULL, resource VARCHAR(64) NOT NULL,"
    " hard_limit BIGINT NOT NULL, PRIMARY KEY (project_id, user_id, resource));\n";

/* Where archived servers go. A migration that changes one of the three must change its shadow in the same way. */
static const char shadows[] =
    "CREATE TABLE shadow_instances AS SELECT * FROM instances WHERE 1 = 0;\n"
    "CREATE TABLE shadow_instance_actions AS SELECT * FROM instance_actions WHERE 1 = 0;\n"
    "CREATE TABLE shadow_instance_actions_events AS SELECT * FROM instance_actions_events WHERE 1 = 0";

const struct migration nova_migrations[NOVA_MIGRATIONS] = {
    { 1, "nova's tables",   first },
    { 2, "flows under way", flow_migration },
    { 3, "cells and their hosts", nova_cell_tables },
    { 4, "owners of flows", flow_owner_migration },
    { 5, "addresses as they are shown", "ALTER TABLE instances ADD COLUMN addresses MEDIUMTEXT;\n" },
    { 6, "archived servers", shadows },
};
