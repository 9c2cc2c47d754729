/* SPDX-License-Identifier: Apache-2.0
 *
 * What networks, subnets, ports and security groups have in common: they are revised, and found by their tags.
 */
#include "neutron/private.h"

#include "base/clock.h"

#include <string.h>

struct fault *tags_filter(struct op *op, const struct field *field, const char *const *values, size_t count, struct where *where)
{
    bool not = strncmp(field->name, "not-", 4) == 0, any = strstr(field->name, "-any") != NULL;
    struct where *tags = ARENA_NEW(op->cx->arena, struct where);
    where_init(tags, op->cx->arena);
    for (size_t i = 0; i < count; i++) {
        char *save, *text = arena_strdup(op->cx->arena, values[i]);
        for (char *tag = strtok_r(text, ",", &save); tag != NULL; tag = strtok_r(NULL, ",", &save)) {
            BUF_CLEANUP struct buf quoted = { 0 };
            json_quote(&quoted, tag, strlen(tag));
            struct sql_value bound = TEXT(arena_strdup(op->cx->arena, buf_text(&quoted)));
            if (any)
                where_or(tags, "INSTR(tags, ?) > 0", &bound, 1);
            else
                where_and(tags, "INSTR(tags, ?) > 0", &bound, 1);
        }
    }
    if (tags->count > 0)
        where_and(where, not ? arena_printf(op->cx->arena, "NOT (%s)", buf_text(&tags->sql)) : buf_text(&tags->sql),
            tags->values, tags->count);
    return NULL;
}

struct fault *revise(struct tx *tx, const char *table, const char *id)
{
    return sql_exec(tx, arena_printf(tx_arena(tx), "UPDATE %s SET revision = revision + 1, updated_at = ? WHERE id = ?", table),
        BIND(TEXT(clock_text(tx_arena(tx), clock_now_us(), CLOCK_SQL_US)), TEXT(id)));
}
