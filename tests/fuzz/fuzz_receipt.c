/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: payloads of auth receipts; and paths of access rules.
 */
#include "keystone/token/token_payload.h"
#include "oslo/identity/access_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct token_payload payload;

    (void)receipt_unpack(arena, data, size, &payload);
    (void)access_rules_path_matches(arena_strndup(arena, (const char *)data, size / 2),
        arena_strndup(arena, (const char *)data + size / 2, size - size / 2));
    return 0;
}
