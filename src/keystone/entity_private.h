/* SPDX-License-Identifier: Apache-2.0
 *
 * What entity.c and entity_list.c share.
 */
#ifndef KEYSTONE_ENTITY_PRIVATE_H
#define KEYSTONE_ENTITY_PRIVATE_H

#include "keystone/entity.h"

/* "SELECT extra, column, ... FROM ...": the attributes that are columns, in order, behind extra. */
const char *entity_select(struct arena *arena, const struct entity *entity);
/* NULL, or the text that stands for it. */
bool entity_column_null(const struct attribute *attribute, const char *text);
/* The JSON text within a JSON text; what is no such text stays. */
const char *entity_json_inner(struct arena *arena, const char *text);
/* NULL: no option of the entity. */
const char *entity_option_name(const struct entity *entity, const char *id);

#endif
