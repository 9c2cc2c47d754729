/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: a condition of LDAP from any text has exactly one pair of parentheses, its own, and no asterisk.
 */
#include "base/arena.h"
#include "keystone/identity/directory_filter.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    const char *value = arena_strndup(arena, (const char *)data, size);
    BUF_CLEANUP struct buf filter = { 0 };

    filter_equals(&filter, "uid", value);
    const char *text = buf_text(&filter);
    if (strchr(text + 1, '(') != NULL || strchr(text, ')') != text + strlen(text) - 1 || strchr(text, '*') != NULL)
        abort();
    return 0;
}
