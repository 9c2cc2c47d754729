/* SPDX-License-Identifier: Apache-2.0
 *
 * projects: the tree of projects below each domain. API reference: Projects and Project tags, identity v3.
 */
#include "keystone/projects.h"

#include "keystone/model.h"

static const struct entity_option options[] = { { "immutable", "IMMU" }, { NULL, NULL } };

static const struct attribute project_attributes[] = {
    { "id",          "id" },
    { "name",        "name",        ATTRIBUTE_FILTER },
    { "domain_id",   "domain_id",   ATTRIBUTE_FILTER, DOMAIN_ROOT },
    { "description", "description" },
    { "enabled",     "enabled",     ATTRIBUTE_BOOL | ATTRIBUTE_FILTER },
    { "parent_id",   "parent_id",   ATTRIBUTE_FILTER },
    { "is_domain",   "is_domain",   ATTRIBUTE_BOOL | ATTRIBUTE_FILTER },
};

const struct entity project_entity = {
    .name = "project", .plural = "projects", .from = "project", .table = "project", .id_column = "id",
    .extra_column = "extra", .fixed = "id <> '" DOMAIN_ROOT "'", .attributes = project_attributes,
    .count = sizeof(project_attributes) / sizeof(project_attributes[0]), .options_table = "project_option",
    .options_key = "project_id", .options = options, .tags = true,
};

static const struct attribute domain_attributes[] = {
    { "id",          "id" },
    { "name",        "name",        ATTRIBUTE_FILTER },
    { "description", "description" },
    { "enabled",     "enabled",     ATTRIBUTE_BOOL | ATTRIBUTE_FILTER },
};

const struct entity domain_entity = {
    .name = "domain", .plural = "domains", .from = "project", .table = "project", .id_column = "id",
    .extra_column = "extra", .fixed = "is_domain = 1 AND id <> '" DOMAIN_ROOT "'", .attributes = domain_attributes,
    .count = sizeof(domain_attributes) / sizeof(domain_attributes[0]), .options_table = "project_option",
    .options_key = "project_id", .options = options, .tags = true,
};
