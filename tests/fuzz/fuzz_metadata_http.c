/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: a guest's HTTP request to the metadata address.
 */
#include "base/arena.h"
#include "neutron/metadata/http.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct guest_request request;

    if (guest_request_read(arena_strndup(arena, "", 0), 0, &request) != 0)
        __builtin_trap();
    char *copy = arena_alloc(arena, size + 1); /* one byte behind, as the listener's buffer has it */
    __builtin_memcpy(copy, data, size);
    if (guest_request_read(copy, size, &request) == 200 && request.path[0] != '/')
        __builtin_trap();
    return 0;
}
