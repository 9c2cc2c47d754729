/* SPDX-License-Identifier: Apache-2.0
 *
 * migrations: upstream's tables, complete, as its migrations b4ed3a175331 to 422ece571366 leave them (Zed and 2023.1 are the
 * same), so that the same database serves either program; and two tables of our own (store.h).
 */
#include "placement/store.h"

static const char tables[] =
    "CREATE TABLE resource_classes (created_at DATETIME, updated_at DATETIME, id $SERIAL, name VARCHAR(255) NOT"
    " NULL, CONSTRAINT uniq_resource_classes0name UNIQUE (name))"
    ";\nCREATE TABLE resource_providers (created_at DATETIME, updated_at DATETIME, id $SERIAL, uuid VARCHAR(36) NOT"
    " NULL, name VARCHAR(200), generation INTEGER, root_provider_id INTEGER, parent_provider_id INTEGER, CONSTRAINT"
    " uniq_resource_providers0uuid UNIQUE (uuid), CONSTRAINT uniq_resource_providers0name UNIQUE (name), FOREIGN KEY"
    " (parent_provider_id) REFERENCES resource_providers (id), FOREIGN KEY (root_provider_id) REFERENCES"
    " resource_providers (id))"
    ";\nCREATE INDEX resource_providers_name_idx ON resource_providers (name)"
    ";\nCREATE INDEX resource_providers_parent_provider_id_idx ON resource_providers (parent_provider_id)"
    ";\nCREATE INDEX resource_providers_root_provider_id_idx ON resource_providers (root_provider_id)"
    ";\nCREATE INDEX resource_providers_uuid_idx ON resource_providers (uuid)"
    ";\nCREATE TABLE inventories (created_at DATETIME, updated_at DATETIME, id $SERIAL, resource_provider_id INTEGER"
    " NOT NULL, resource_class_id INTEGER NOT NULL, total INTEGER NOT NULL, reserved INTEGER NOT NULL, min_unit"
    " INTEGER NOT NULL, max_unit INTEGER NOT NULL, step_size INTEGER NOT NULL, allocation_ratio FLOAT NOT NULL,"
    " CONSTRAINT uniq_inventories0resource_provider_resource_class UNIQUE (resource_provider_id, resource_class_id))"
    ";\nCREATE INDEX inventories_resource_class_id_idx ON inventories (resource_class_id)"
    ";\nCREATE INDEX inventories_resource_provider_id_idx ON inventories (resource_provider_id)"
    ";\nCREATE INDEX inventories_resource_provider_resource_class_idx ON inventories (resource_provider_id,"
    " resource_class_id)"
    ";\nCREATE TABLE allocations (created_at DATETIME, updated_at DATETIME, id $SERIAL, resource_provider_id INTEGER"
    " NOT NULL, consumer_id VARCHAR(36) NOT NULL, resource_class_id INTEGER NOT NULL, used INTEGER NOT NULL)"
    ";\nCREATE INDEX allocations_resource_provider_class_used_idx ON allocations (resource_provider_id,"
    " resource_class_id, used)"
    ";\nCREATE INDEX allocations_resource_class_id_idx ON allocations (resource_class_id)"
    ";\nCREATE INDEX allocations_consumer_id_idx ON allocations (consumer_id)"
    ";\nCREATE TABLE placement_aggregates (created_at DATETIME, updated_at DATETIME, id $SERIAL, uuid VARCHAR(36),"
    " CONSTRAINT uniq_placement_aggregates0uuid UNIQUE (uuid))"
    ";\nCREATE INDEX ix_placement_aggregates_uuid ON placement_aggregates (uuid)"
    ";\nCREATE TABLE resource_provider_aggregates (created_at DATETIME, updated_at DATETIME, resource_provider_id"
    " INTEGER NOT NULL, aggregate_id INTEGER NOT NULL, PRIMARY KEY (resource_provider_id, aggregate_id))"
    ";\nCREATE INDEX resource_provider_aggregates_aggregate_id_idx ON resource_provider_aggregates (aggregate_id)"
    ";\nCREATE TABLE traits (created_at DATETIME, updated_at DATETIME, id $SERIAL, name VARCHAR(255) NOT NULL,"
    " CONSTRAINT uniq_traits0name UNIQUE (name))"
    ";\nCREATE TABLE resource_provider_traits (created_at DATETIME, updated_at DATETIME, trait_id INTEGER NOT NULL,"
    " resource_provider_id INTEGER NOT NULL, PRIMARY KEY (trait_id, resource_provider_id), FOREIGN KEY"
    " (resource_provider_id) REFERENCES resource_providers (id), FOREIGN KEY (trait_id) REFERENCES traits (id))"
    ";\nCREATE INDEX resource_provider_traits_resource_provider_trait_idx ON resource_provider_traits"
    " (resource_provider_id, trait_id)"
    ";\nCREATE TABLE projects (created_at DATETIME, updated_at DATETIME, id $SERIAL, external_id VARCHAR(255) NOT"
    " NULL, CONSTRAINT uniq_projects0external_id UNIQUE (external_id))"
    ";\nCREATE TABLE users (created_at DATETIME, updated_at DATETIME, id $SERIAL, external_id VARCHAR(255) NOT NULL,"
    " CONSTRAINT uniq_users0external_id UNIQUE (external_id))"
    ";\nCREATE TABLE consumer_types (created_at DATETIME, updated_at DATETIME, id $SERIAL, name VARCHAR(255) NOT"
    " NULL, CONSTRAINT uniq_consumer_types0name UNIQUE (name))"
    ";\nCREATE TABLE consumers (created_at DATETIME, updated_at DATETIME, id $SERIAL, uuid VARCHAR(36) NOT NULL,"
    " project_id INTEGER NOT NULL, user_id INTEGER NOT NULL, generation INTEGER NOT NULL DEFAULT 0, consumer_type_id"
    " INTEGER, CONSTRAINT uniq_consumers0uuid UNIQUE (uuid), CONSTRAINT consumers_consumer_type_id_fkey FOREIGN KEY"
    " (consumer_type_id) REFERENCES consumer_types (id))"
    ";\nCREATE INDEX consumers_project_id_user_id_uuid_idx ON consumers (project_id, user_id, uuid)"
    ";\nCREATE INDEX consumers_project_id_uuid_idx ON consumers (project_id, uuid)"
    ";\nCREATE INDEX consumers_consumer_type_id_idx ON consumers (consumer_type_id)"
    ";\nCREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, PRIMARY KEY (version_num))"
    ";\nINSERT INTO alembic_version (version_num) VALUES ('" PLACEMENT_REVISION "')";

static const char own[] =
    "CREATE TABLE IF NOT EXISTS nubo_placement_order (id INTEGER NOT NULL PRIMARY KEY, serial BIGINT NOT NULL)"
    ";\nINSERT INTO nubo_placement_order (id, serial) SELECT 1, 0 FROM (SELECT COUNT(*) AS present FROM"
    " nubo_placement_order) AS counted WHERE present = 0"
    ";\nCREATE TABLE IF NOT EXISTS nubo_placement_changes (id $SERIAL, provider_id INTEGER NOT NULL)";

const struct migration placement_migrations[PLACEMENT_MIGRATIONS] = {
    { 1, "the tables of 2023.1",             tables, PLACEMENT_REVISION },
    { 2, "order and changes, for the model", own },
};
