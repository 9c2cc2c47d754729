/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: token payloads. What was read is packed again and must read the same.
 */
#include "keystone/token/token_payload.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct token_payload payload, again;
    const void *packed;
    size_t length;

    if (token_unpack(arena, data, size, &payload) == NULL && token_pack(arena, &payload, &packed, &length) == NULL &&
        (token_unpack(arena, packed, length, &again) != NULL || again.version != payload.version))
        abort();
    return 0;
}
