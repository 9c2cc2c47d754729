/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: JWS texts.
 */
#include "keystone/token/jws.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    unsigned char signature[64];
    json_t *payload;
    size_t length;

    (void)jws_parse(arena, arena_strndup(arena, (const char *)data, size), &length, signature, &payload);
    return 0;
}
