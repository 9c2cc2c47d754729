/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/schemas.h"

#define ID_PATTERN "^[a-zA-Z0-9-]+$"

const struct schema schema_text         = { .types = SCHEMA_STRING };
const struct schema schema_text_or_null = { .types = SCHEMA_STRING | SCHEMA_NULL };
const struct schema schema_boolean      = { .types = SCHEMA_BOOLEAN, .values = SCHEMA_WORDS("=true", "=false") };
const struct schema schema_name         = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255, .pattern = "[\\S]+" };
const struct schema schema_short_name   = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 64, .pattern = "[\\S]+" };
const struct schema schema_id           = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 64, .pattern = ID_PATTERN };
const struct schema schema_id_or_null   = {
    .types = SCHEMA_STRING | SCHEMA_NULL, .min_length = 1, .max_length = 64, .pattern = ID_PATTERN };
const struct schema schema_external_id  = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 64 };
const struct schema schema_tag  = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255, .pattern = "^[^,/]*$" };
const struct schema schema_tags = { .types = SCHEMA_ARRAY, .items = &schema_tag, .max_items = 80, .unique_items = true };

static const struct schema boolean_or_null = { .types = SCHEMA_BOOLEAN | SCHEMA_NULL };
const struct schema schema_immutable = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "immutable", &boolean_or_null }), .closed = true };

/* [{"id": ...} or {"name": ...}] */
static const struct schema role_reference = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "id", &schema_id }, { "name", &schema_name }),
    .min_properties = 1, .max_properties = 1, .closed = true };
const struct schema schema_role_list = { .types = SCHEMA_ARRAY, .items = &role_reference };
