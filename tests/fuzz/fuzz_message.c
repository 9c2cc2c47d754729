/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: what comes over a wire as a request, as an answer, and as the failure inside one; and transport_url.
 */
#include "oslo/messaging/envelope.h"
#include "oslo/messaging/url.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    const char *text = arena_strndup(arena, (const char *)data, size);
    struct rpc_message message;
    struct rpc_reply reply;
    struct messaging_url url;

    if (envelope_parse_request(arena, text, size, &message) == NULL && (message.method == NULL || message.arguments == NULL))
        __builtin_trap();
    if (envelope_parse_reply(arena, text, size, &reply) == NULL && reply.failure != NULL)
        envelope_failure(arena, reply.failure);
    if (envelope_failure(arena, text)->status < 400)
        __builtin_trap();
    if (messaging_url_parse(arena, text, &url) == NULL && url.host_count > 0 && url.hosts[0].host == NULL)
        __builtin_trap();
    return 0;
}
