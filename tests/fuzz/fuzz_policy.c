/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: policy files, with their check strings.
 */
#include "oslo/policy/tree.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct file_rule *first = NULL;
    struct file_rule **tail = &first;
    char *text = arena_strndup(arena, (const char *)data, size);
    struct check *check = NULL;

    (void)policy_parse_file(arena, "fuzz.yaml", text, size, &tail);
    (void)policy_parse(arena, "fuzz", text, &check);
    return 0;
}
