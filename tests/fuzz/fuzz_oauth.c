/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: what OAuth clients send: signed headers, forms, Basic credentials, certificates.
 */
#include "keystone/oauth/oauth1_signature.h"
#include "keystone/oauth/oauth2.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    const char *text = arena_strndup(arena, (const char *)data, size), *one, *other;
    struct oauth1_header header;

    if (oauth1_parse(arena, text, &header) && oauth1_problem(arena, &header, 1763841350, &one) == NULL)
        (void)oauth1_signature_right(arena, &header, "POST", "http://Host:80/v3", header.pairs, header.count, "a", "b");
    (void)oauth2_form_value(arena, (const char *)data, size, "client_id");
    (void)oauth2_basic(arena, text, &one, &other);
    (void)oauth2_certificate_names(arena, text);
    return 0;
}
