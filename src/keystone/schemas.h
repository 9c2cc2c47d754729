/* SPDX-License-Identifier: Apache-2.0
 *
 * The pieces of which the schemas of bodies are made (keystone/common/validation/parameter_types.py).
 */
#ifndef KEYSTONE_SCHEMAS_H
#define KEYSTONE_SCHEMAS_H

#include "oslo/schema.h"

extern const struct schema schema_text;             /* any string */
extern const struct schema schema_text_or_null;
extern const struct schema schema_boolean;
extern const struct schema schema_name;             /* 1 to 255 characters, not blank */
extern const struct schema schema_short_name;       /* 1 to 64: projects and domains */
extern const struct schema schema_id;               /* 1 to 64 letters, digits and dashes */
extern const struct schema schema_id_or_null;
extern const struct schema schema_external_id;      /* 1 to 64 characters: users, who may come from a directory */
extern const struct schema schema_role_list;        /* roles by id or by name */
extern const struct schema schema_tag, schema_tags; /* of projects */
extern const struct schema schema_immutable;        /* the options of projects, domains and roles */

#endif
