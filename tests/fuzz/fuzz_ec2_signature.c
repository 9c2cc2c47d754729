/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: signed requests to EC2, as JSON, and what S3 clients sign.
 */
#include "keystone/credential/ec2_signature.h"
#include "oslo/json.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    const char *why;
    const json_t *request = json_parse(arena, (const char *)data, size, &why);

    if (request != NULL)
        (void)ec2_signature_right(arena, "secret", request);
    (void)s3_sign(arena, "secret", (const char *)data, size);
    return 0;
}
