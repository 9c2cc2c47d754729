/* SPDX-License-Identifier: Apache-2.0
 *
 * token_payload: see token_payload.h. libmsgpackc packs. Reading is a cursor of our own over the handful of types that
 * occur: it allocates nothing that a forged length asks for.
 */
#include "keystone/token/token_payload.h"

#include "base/base64url.h"
#include "base/random.h"
#include "base/text.h"

#include <math.h>
#include <msgpack.h>
#include <stdbool.h>
#include <string.h>

enum field {
    END,
    USER,
    METHODS,
    PROJECT,
    DOMAIN,
    DOMAIN_BYTES, /* 16 bytes, or the default domain's id as it is */
    TRUST_BYTES,
    SYSTEM_TEXT,
    GROUPS,
    PROVIDER,
    PROTOCOL,
    ACCESS_TOKEN,
    APP_CRED,
    THUMBPRINT,
    EXPIRES,
    AUDIT,
};

enum { FIELDS = 10, LIST_LIMIT = 4096 };

/* clang-format off */
static const enum field formats[TOKEN_VERSIONS][FIELDS] = {
    [TOKEN_UNSCOPED]               = { USER, METHODS, EXPIRES, AUDIT },
    [TOKEN_DOMAIN]                 = { USER, METHODS, DOMAIN_BYTES, EXPIRES, AUDIT },
    [TOKEN_PROJECT]                = { USER, METHODS, PROJECT, EXPIRES, AUDIT },
    [TOKEN_TRUST]                  = { USER, METHODS, PROJECT, EXPIRES, AUDIT, TRUST_BYTES },
    [TOKEN_FEDERATED]              = { USER, METHODS, GROUPS, PROVIDER, PROTOCOL, EXPIRES, AUDIT },
    [TOKEN_FEDERATED_PROJECT]      = { USER, METHODS, PROJECT, GROUPS, PROVIDER, PROTOCOL, EXPIRES, AUDIT },
    [TOKEN_FEDERATED_DOMAIN]       = { USER, METHODS, DOMAIN, GROUPS, PROVIDER, PROTOCOL, EXPIRES, AUDIT },
    [TOKEN_OAUTH]                  = { USER, METHODS, PROJECT, ACCESS_TOKEN, EXPIRES, AUDIT },
    [TOKEN_SYSTEM]                 = { USER, METHODS, SYSTEM_TEXT, EXPIRES, AUDIT },
    [TOKEN_APPLICATION_CREDENTIAL] = { USER, METHODS, PROJECT, EXPIRES, AUDIT, APP_CRED },
    [TOKEN_OAUTH2_CREDENTIAL]      = { USER, METHODS, PROJECT, DOMAIN, EXPIRES, AUDIT, THUMBPRINT },
};
/* clang-format on */

/* Where a field's text lies in the struct; NULL: it is no text. */
static const char **text_of(struct token_payload *payload, enum field field)
{
    switch (field) {
    case USER:
        return &payload->user_id;
    case PROJECT:
        return &payload->project_id;
    case DOMAIN:
    case DOMAIN_BYTES:
        return &payload->domain_id;
    case TRUST_BYTES:
        return &payload->trust_id;
    case SYSTEM_TEXT:
        return &payload->system;
    case PROVIDER:
        return &payload->identity_provider_id;
    case PROTOCOL:
        return &payload->protocol_id;
    case ACCESS_TOKEN:
        return &payload->access_token_id;
    case APP_CRED:
        return &payload->app_cred_id;
    case THUMBPRINT:
        return &payload->thumbprint;
    case END:
    case METHODS:
    case GROUPS:
    case EXPIRES:
    case AUDIT:
        break;
    }
    return NULL;
}

/* ---- packing ---- */

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Only what comes back the same is shortened. */
static bool hex_bytes(const char *text, unsigned char *ret)
{
    if (text == NULL || strlen(text) != 32)
        return false;
    for (int i = 0; i < 16; i++) {
        int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        ret[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static void pack_text(msgpack_packer *packer, const char *text)
{
    if (text == NULL) {
        msgpack_pack_nil(packer);
        return;
    }
    msgpack_pack_str(packer, strlen(text));
    msgpack_pack_str_body(packer, text, strlen(text));
}

static void pack_bytes(msgpack_packer *packer, const void *bytes, size_t length)
{
    msgpack_pack_bin(packer, length);
    msgpack_pack_bin_body(packer, bytes, length);
}

/* (whether it is bytes, the id) */
static void pack_id(msgpack_packer *packer, const char *id, bool never_bytes)
{
    unsigned char bytes[16];

    msgpack_pack_array(packer, 2);
    if (!never_bytes && hex_bytes(id, bytes)) {
        msgpack_pack_true(packer);
        pack_bytes(packer, bytes, sizeof(bytes));
    } else {
        msgpack_pack_false(packer);
        pack_text(packer, id);
    }
}

static struct fault *pack_bare_id(struct arena *arena, msgpack_packer *packer, const char *id, bool text_too)
{
    unsigned char bytes[16];

    if (hex_bytes(id, bytes))
        pack_bytes(packer, bytes, sizeof(bytes));
    else if (text_too && id != NULL)
        pack_text(packer, id);
    else
        return fault_new(arena, 500, NULL, "badly formed hexadecimal UUID string");
    return NULL;
}

static size_t list_count(const char *const *list)
{
    size_t count = 0;

    while (list != NULL && list[count] != NULL)
        count++;
    return count;
}

static struct fault *pack_audit_ids(struct arena *arena, msgpack_packer *packer, const char *const *ids)
{
    size_t count = list_count(ids);

    msgpack_pack_array(packer, count);
    for (size_t i = 0; i < count; i++) {
        unsigned char *bytes;
        size_t length;

        if (!base64url_decode(arena, ids[i], strlen(ids[i]), &bytes, &length))
            return fault_new(arena, 500, NULL, "An audit id is not base64url");
        pack_bytes(packer, bytes, length);
    }
    return NULL;
}

static struct fault *pack_field(struct arena *arena, msgpack_packer *packer, enum field field,
    const struct token_payload *payload)
{
    const char **text = text_of((struct token_payload *)payload, field);

    switch (field) {
    case METHODS:
        msgpack_pack_unsigned_int(packer, payload->methods);
        return NULL;
    case EXPIRES:
        msgpack_pack_double(packer, (double)payload->expires_us / 1e6);
        return NULL;
    case AUDIT:
        return pack_audit_ids(arena, packer, payload->audit_ids);
    case GROUPS:
        msgpack_pack_array(packer, list_count(payload->group_ids));
        for (size_t i = 0; i < list_count(payload->group_ids); i++)
            pack_id(packer, payload->group_ids[i], false);
        return NULL;
    case DOMAIN_BYTES:
    case TRUST_BYTES:
        return pack_bare_id(arena, packer, *text, field == DOMAIN_BYTES);
    case SYSTEM_TEXT:
    case PROTOCOL:
        pack_text(packer, *text);
        return NULL;
    default:
        pack_id(packer, *text, field == THUMBPRINT);
        return NULL;
    }
}

static size_t field_count(enum token_version version)
{
    size_t count = 0;

    while (formats[version][count] != END)
        count++;
    return count;
}

struct fault *token_pack(struct arena *arena, const struct token_payload *payload, const void **ret,
    size_t *ret_length)
{
    msgpack_sbuffer buffer;
    msgpack_packer packer;
    struct fault *fault = NULL;
    size_t count = field_count(payload->version);

    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    msgpack_pack_array(&packer, count + 1);
    msgpack_pack_int(&packer, (int)payload->version);
    for (size_t i = 0; i < count && fault == NULL; i++)
        fault = pack_field(arena, &packer, formats[payload->version][i], payload);
    if (fault == NULL) {
        *ret = arena_memdup(arena, buffer.data, buffer.size);
        *ret_length = buffer.size;
    }
    msgpack_sbuffer_destroy(&buffer);
    return fault;
}

/* ---- unpacking ---- */

struct cursor {
    struct arena *arena;
    const unsigned char *at, *end;
};

static bool take(struct cursor *cursor, size_t size, uint64_t *ret)
{
    if ((size_t)(cursor->end - cursor->at) < size)
        return false;
    *ret = 0;
    for (size_t i = 0; i < size; i++)
        *ret = *ret << 8 | *cursor->at++;
    return true;
}

/* An array's length. */
static bool read_array(struct cursor *cursor, size_t *ret)
{
    uint64_t head, count;

    if (!take(cursor, 1, &head))
        return false;
    if ((head & 0xf0) == 0x90)
        count = head & 0x0f;
    else if ((head != 0xdc && head != 0xdd) || !take(cursor, head == 0xdc ? 2 : 4, &count))
        return false;
    if (count > LIST_LIMIT)
        return false;
    *ret = (size_t)count;
    return true;
}

static bool read_unsigned(struct cursor *cursor, uint64_t *ret)
{
    uint64_t head;

    if (!take(cursor, 1, &head))
        return false;
    if (head < 0x80) {
        *ret = head;
        return true;
    }
    return head >= 0xcc && head <= 0xcf && take(cursor, (size_t)1 << (head - 0xcc), ret);
}

/* A text or bytes: which of both matters only to the reader of bare ids. False for nil too, with *ret NULL. */
static bool read_text(struct cursor *cursor, const unsigned char **ret, size_t *ret_length, bool *ret_binary)
{
    uint64_t head, length;

    *ret = NULL;
    if (!take(cursor, 1, &head))
        return false;
    *ret_binary = head >= 0xc4 && head <= 0xc6;
    if ((head & 0xe0) == 0xa0)
        length = head & 0x1f;
    else if (*ret_binary ? !take(cursor, (size_t)1 << (head - 0xc4), &length)
                         : head < 0xd9 || head > 0xdb || !take(cursor, (size_t)1 << (head - 0xd9), &length))
        return false;
    if (length > (uint64_t)(cursor->end - cursor->at))
        return false;
    *ret = cursor->at;
    *ret_length = (size_t)length;
    cursor->at += length;
    return true;
}

/* No NUL inside: the id would be another one in C. */
static bool copy_text(struct cursor *cursor, const unsigned char *bytes, size_t length, const char **ret)
{
    if (memchr(bytes, '\0', length) != NULL)
        return false;
    *ret = arena_strndup(cursor->arena, (const char *)bytes, length);
    return true;
}

static bool read_nil(struct cursor *cursor)
{
    if (cursor->at == cursor->end || *cursor->at != 0xc0)
        return false;
    cursor->at++;
    return true;
}

static bool read_plain(struct cursor *cursor, const char **ret)
{
    const unsigned char *bytes;
    size_t length;
    bool binary;

    *ret = NULL;
    if (read_nil(cursor))
        return true;
    return read_text(cursor, &bytes, &length, &binary) && copy_text(cursor, bytes, length, ret);
}

static bool read_id(struct cursor *cursor, const char **ret)
{
    const unsigned char *bytes;
    size_t count, length;
    uint64_t head;
    bool binary;

    if (!read_array(cursor, &count) || count != 2 || !take(cursor, 1, &head) || (head != 0xc2 && head != 0xc3))
        return false;
    if (head == 0xc2)
        return read_plain(cursor, ret);
    if (!read_text(cursor, &bytes, &length, &binary) || length != 16)
        return false;
    *ret = text_hex(cursor->arena, bytes, 16);
    return true;
}

/* 16 bytes are a UUID; msgpack before 1.0 wrote them as a text, which an id of 16 letters would also be. */
static bool read_bare_id(struct cursor *cursor, const char **ret)
{
    const unsigned char *bytes;
    size_t length;
    bool binary;

    if (!read_text(cursor, &bytes, &length, &binary))
        return false;
    for (size_t i = 0; i < length; i++)
        binary = binary || bytes[i] < 0x20 || bytes[i] >= 0x7f;
    if (length != 16 || !binary)
        return copy_text(cursor, bytes, length, ret);
    *ret = text_hex(cursor->arena, bytes, 16);
    return true;
}

static bool read_list(struct cursor *cursor, bool audit, const char *const **ret)
{
    const char **list;
    size_t count;

    if (!read_array(cursor, &count) || count > (size_t)(cursor->end - cursor->at))
        return false;
    list = ARENA_ARRAY(cursor->arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        const unsigned char *bytes;
        size_t length;
        bool binary;

        if (!audit) {
            if (!read_id(cursor, &list[i]) || list[i] == NULL)
                return false;
            continue;
        }
        if (!read_text(cursor, &bytes, &length, &binary))
            return false;
        list[i] = base64url_encode(cursor->arena, bytes, length);
    }
    *ret = list;
    return true;
}

/* Seconds as a float (since Pike), or an integer. Rounded to microseconds as Python's utcfromtimestamp. */
static bool read_expires(struct cursor *cursor, int64_t *ret_us)
{
    uint64_t bits;
    double seconds, whole, part;

    if (cursor->at < cursor->end && *cursor->at != 0xcb) {
        if (!read_unsigned(cursor, &bits) || bits > 253402300799)
            return false;
        *ret_us = (int64_t)bits * 1000000;
        return true;
    }
    if (!take(cursor, 1, &bits) || !take(cursor, 8, &bits))
        return false;
    memcpy(&seconds, &bits, sizeof(seconds));
    if (!(seconds >= 0 && seconds <= 253402300799.0))
        return false;
    part = modf(seconds, &whole);
    *ret_us = (int64_t)whole * 1000000 + (int64_t)rint(part * 1e6);
    return true;
}

static bool read_field(struct cursor *cursor, enum field field, struct token_payload *payload)
{
    const char **text = text_of(payload, field);
    uint64_t bits;

    switch (field) {
    case METHODS:
        if (!read_unsigned(cursor, &bits) || bits > UINT32_MAX)
            return false;
        payload->methods = (unsigned)bits;
        return true;
    case EXPIRES:
        return read_expires(cursor, &payload->expires_us);
    case AUDIT:
        return read_list(cursor, true, &payload->audit_ids);
    case GROUPS:
        return read_list(cursor, false, &payload->group_ids);
    case DOMAIN_BYTES:
    case TRUST_BYTES:
        return read_bare_id(cursor, text);
    case SYSTEM_TEXT:
    case PROTOCOL:
        return read_plain(cursor, text);
    default:
        return read_id(cursor, text);
    }
}

struct fault *token_unpack(struct arena *arena, const void *data, size_t length, struct token_payload *ret)
{
    struct cursor cursor = { .arena = arena, .at = data, .end = (const unsigned char *)data + length };
    struct token_payload payload = { 0 };
    uint64_t version;
    size_t count;

    if (!read_array(&cursor, &count) || count == 0 || !read_unsigned(&cursor, &version))
        return fault_new(arena, 404, NULL, "Could not recognize Fernet token");
    if (version >= TOKEN_VERSIONS)
        return fault_new(arena, 404, NULL, "This is not a recognized Fernet payload version: %llu",
            (unsigned long long)version);
    payload.version = (enum token_version)version;
    if (count != field_count(payload.version) + 1)
        return fault_new(arena, 404, NULL, "Could not recognize Fernet token");
    for (size_t i = 0; formats[version][i] != END; i++)
        if (!read_field(&cursor, formats[version][i], &payload))
            return fault_new(arena, 404, NULL, "Could not recognize Fernet token");
    if (cursor.at != cursor.end || payload.user_id == NULL)
        return fault_new(arena, 404, NULL, "Could not recognize Fernet token");
    *ret = payload;
    return NULL;
}

/* ---- tokens ---- */

struct fault *token_encode(struct arena *arena, struct fernet_keys *keys, const struct token_payload *payload,
    const char **ret)
{
    const void *data = NULL;
    size_t length = 0;

    TRY(token_pack(arena, payload, &data, &length));
    return fernet_encrypt(arena, keys, data, length, false, ret);
}

struct fault *token_decode(struct arena *arena, struct fernet_keys *keys, const char *token,
    struct token_payload *ret, int64_t *ret_issued_us)
{
    void *data;
    size_t length;
    int64_t issued_s = 0;

    if (!fernet_decrypt(arena, keys, token, &data, &length, &issued_s) || issued_s < 0 || issued_s > 253402300799)
        return fault_new(arena, 404, NULL, "Could not recognize Fernet token");
    TRY(token_unpack(arena, data, length, ret));
    if (ret_issued_us != NULL)
        *ret_issued_us = issued_s * 1000000;
    return NULL;
}

/* ---- receipts ---- */

static const enum field receipt_format[] = { USER, METHODS, EXPIRES };
enum { RECEIPT_FIELDS = sizeof(receipt_format) / sizeof(receipt_format[0]) };

struct fault *receipt_encode(struct arena *arena, struct fernet_keys *keys, const struct token_payload *payload,
    const char **ret)
{
    msgpack_sbuffer buffer;
    msgpack_packer packer;
    struct fault *fault = NULL;

    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    msgpack_pack_array(&packer, RECEIPT_FIELDS);
    for (size_t i = 0; i < RECEIPT_FIELDS && fault == NULL; i++)
        fault = pack_field(arena, &packer, receipt_format[i], payload);
    if (fault == NULL)
        fault = fernet_encrypt(arena, keys, buffer.data, buffer.size, false, ret);
    msgpack_sbuffer_destroy(&buffer);
    return fault;
}

bool receipt_unpack(struct arena *arena, const void *data, size_t length, struct token_payload *ret)
{
    struct cursor cursor = { .arena = arena, .at = data, .end = (const unsigned char *)data + length };
    struct token_payload payload = { 0 };
    size_t count;

    if (!read_array(&cursor, &count) || count != RECEIPT_FIELDS)
        return false;
    for (size_t i = 0; i < RECEIPT_FIELDS; i++)
        if (!read_field(&cursor, receipt_format[i], &payload))
            return false;
    *ret = payload;
    return cursor.at == cursor.end && payload.user_id != NULL;
}

bool receipt_decode(struct arena *arena, struct fernet_keys *keys, const char *receipt, struct token_payload *ret,
    int64_t *ret_issued_us)
{
    int64_t issued_s = 0;
    size_t length;
    void *data;

    if (!fernet_decrypt(arena, keys, receipt, &data, &length, &issued_s) || !receipt_unpack(arena, data, length, ret))
        return false;
    *ret_issued_us = issued_s * 1000000;
    return true;
}

unsigned token_methods_bits(const char *const *configured, const char *const *methods)
{
    unsigned bits = 0;

    for (; *methods != NULL; methods++)
        for (unsigned i = 0; i < 32 && configured[i] != NULL; i++)
            if (strcmp(configured[i], *methods) == 0)
                bits |= 1u << i;
    return bits;
}

const char *const *token_methods_names(struct arena *arena, const char *const *configured, unsigned methods)
{
    const char **names = ARENA_ARRAY(arena, const char *, 33);
    size_t known = list_count(configured), count = 0;

    for (size_t i = known < 32 ? known : 32; i-- > 0;)
        if (methods & (1u << i))
            names[count++] = configured[i];
    return names;
}

const char *token_audit_id(struct arena *arena)
{
    unsigned char bytes[16];

    random_bytes(bytes, sizeof(bytes));
    return base64url_encode(arena, bytes, sizeof(bytes));
}
