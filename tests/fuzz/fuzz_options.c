/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: the parser of configuration files.
 */
#include "oslo/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct config_entry *first = NULL;
    struct config_entry **tail = &first;

    (void)config_parse(arena, "fuzz.conf", (const char *)data, size, &tail);
    return 0;
}
