/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: the OVSDB connection's stream; the first byte says how it is cut.
 */
#include "neutron/ovs/stream.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct ovsdb_stream stream = { 0 };
    json_t *message;

    for (size_t at = 1, cut = size > 0 ? data[0] + 1u : 1; at < size; at += cut) {
        ovsdb_stream_feed(&stream, data + at, size - at < cut ? size - at : cut);
        while (ovsdb_stream_next(arena, &stream, &message) == NULL && message != NULL)
            json_decref(message);
    }
    ovsdb_stream_reset(&stream);
    return 0;
}
