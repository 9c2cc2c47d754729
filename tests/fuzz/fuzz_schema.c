/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: documents against a schema with every keyword, and the texts of what does not fit.
 */
#include "oslo/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct schema text = { .types = SCHEMA_STRING | SCHEMA_NULL, .min_length = 1, .max_length = 8,
    .pattern = "^[a-z]*$", .format = "name" };
static const struct schema number = { .types = SCHEMA_NUMBER | SCHEMA_STRING, .minimum = 1, .maximum = 9,
    .maximum_real = 8.5 };
static const struct schema object;
static const struct schema list = { .types = SCHEMA_ARRAY, .items = &object, .max_items = 3, .unique_items = true };
static const struct schema texts = { .types = SCHEMA_ARRAY, .items = &text, .min_items = 1 };
static const struct schema choice = { .any_of = SCHEMA_ANY(&texts, &number), .one_of = SCHEMA_ANY(&number, &texts) };
static const struct schema object = { .types = SCHEMA_OBJECT | SCHEMA_INTEGER | SCHEMA_NUMBER | SCHEMA_STRING,
    .properties = SCHEMA_PROPERTIES({ "a", &text }, { "b", &number }, { "c", &choice }, { "d", &list }),
    .patterns = SCHEMA_PROPERTIES({ "^x", &object }), .required = SCHEMA_WORDS("a"), .closed = true };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned options[] = { SCHEMA_FIRST, SCHEMA_BEST, SCHEMA_FIRST | SCHEMA_TEXT_NUMBER };
    json_t *document = json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);

    for (size_t i = 0; document != NULL && i < sizeof(options) / sizeof(options[0]); i++) {
        ARENA_CLEANUP struct arena *arena = arena_create();
        struct violation violation;

        if (!schema_check(arena, &object, document, options[i], &violation)) {
            (void)violation_text_nova(arena, &violation, false);
            (void)violation_text_keystone(arena, &violation);
        }
    }
    json_decref(document);
    return 0;
}
