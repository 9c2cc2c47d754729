/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: mappings of federation: the rules up to the first line's end, the assertion behind it; and lists as text.
 */
#include "keystone/federation/mapping.h"
#include "oslo/json.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    const char *text = arena_strndup(arena, (const char *)data, size), *why;
    size_t length = strcspn(text, "\n"), rest = text[length] == '\n' ? length + 1 : length;
    const json_t *mapping = json_parse(arena, text, length, &why);
    const json_t *assertion = json_parse(arena, text + rest, strlen(text + rest), &why);
    struct mapped mapped;

    if (mapping != NULL && mapping_check(arena, mapping, &why))
        (void)mapping_apply(arena, "fuzz", json_object_get(mapping, "rules"), assertion, &mapped);
    (void)mapping_list(arena, text);
    return 0;
}
