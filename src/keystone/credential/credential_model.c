/* SPDX-License-Identifier: Apache-2.0
 *
 * Credentials as they are kept; their API is in credentials.c and ec2_credentials.c.
 */
#include "keystone/credential/credentials.h"

#include "base/text.h"
#include "keystone/token/fernet.h"
#include "oslo/json.h"
#include "oslo/options.h"

#include <openssl/evp.h>
#include <string.h>

static bool is_ec2(const char *type)
{
    return strcmp(type, "ec2") == 0;
}

/* What the key opened: of an EC2 credential a JSON string that holds the object, or the object itself. */
static const char *opened_blob(struct arena *arena, const char *type, const char *text)
{
    if (!is_ec2(type))
        return text;
    json_t *value = json_parse_own(arena, arena_printf(arena, "[%s]", text));
    const json_t *blob = json_array_get(value, 0);
    return json_is_string(blob) ? json_string_value(blob) : text;
}

static struct fault *read_row(struct context *cx, struct rows *rows, struct arena *arena, struct credential *ret)
{
    void *data;
    size_t length;

    *ret = (struct credential){
        .id = rows_text(rows, 0), .user_id = rows_text(rows, 1), .project_id = rows_text(rows, 2),
        .type = rows_text(rows, 3), .extra = rows_text(rows, 4),
    };
    if (!fernet_decrypt(arena, keystone_of(cx)->credential_keys, rows_text(rows, 5), &data, &length, NULL))
        return fault_new(arena, 500, "CredentialEncryptionError", "Credential could not be decrypted. Please contact the "
            "administrator");
    ret->blob = opened_blob(arena, ret->type, data);
    return NULL;
}

#define COLUMNS "SELECT id, user_id, project_id, type, extra, encrypted_blob FROM credential "

struct fault *credential_find(struct tx *tx, struct context *cx, const char *id, struct credential **ret)
{
    struct rows *rows;

    *ret = NULL;
    TRY(sql_query(tx, &rows, COLUMNS "WHERE id = ?", BIND(TEXT(id))));
    if (!rows_next(rows))
        return rows_fault(rows);
    struct credential *credential = ARENA_NEW(tx_arena(tx), struct credential);
    struct fault *fault = read_row(cx, rows, tx_arena(tx), credential);
    rows_end(rows);
    *ret = credential;
    return fault;
}

struct fault *credentials_of(struct tx *tx, struct context *cx, const char *user_id, const char *type,
    struct credential **ret, size_t *ret_count)
{
    struct credential *found = NULL;
    size_t count = 0, capacity = 0;
    struct rows *rows;

    TRY(sql_query(tx, &rows, COLUMNS "WHERE (? IS NULL OR user_id = ?) AND (? IS NULL OR type = ?) ORDER BY id",
        BIND(TEXT(user_id), TEXT(user_id), TEXT(type), TEXT(type))));
    while (rows_next(rows)) {
        if (count == capacity) {
            struct credential *larger = ARENA_ARRAY(tx_arena(tx), struct credential, capacity * 2 + 16);
            if (count > 0)
                memcpy(larger, found, count * sizeof(*found));
            found = larger;
            capacity = capacity * 2 + 16;
        }
        TRY(read_row(cx, rows, tx_arena(tx), &found[count]));
        count++;
    }
    *ret = found;
    *ret_count = count;
    return rows_fault(rows);
}

struct fault *credential_seal(struct context *cx, const char *type, const char *blob, const char **ret_sealed,
    const char **ret_hash)
{
    const char *text = blob;

    if (strlen(blob) > FERNET_TOKEN_LIMIT / 4)
        return FAULT(cx, 413, NULL, "Request is too large.");
    if (is_ec2(type)) {
        struct buf quoted = { 0 };
        json_quote(&quoted, blob, strlen(blob));
        text = arena_strdup(cx->arena, buf_text(&quoted));
        buf_release(&quoted);
    }
    return fernet_encrypt_hashed(cx->arena, keystone_of(cx)->credential_keys, text, strlen(text), ret_sealed, ret_hash);
}

struct fault *credential_insert(struct tx *tx, struct context *cx, const struct credential *credential, const char *sealed,
    const char *hash)
{
    int64_t limit = config_int(cx->app->config, "credential", "user_limit"), present;

    TRY(sql_int_of(tx, &present, 0, "SELECT COUNT(*) FROM credential WHERE user_id = ?", BIND(TEXT(credential->user_id))));
    if (limit >= 0 && present >= limit)
        return keystone_refused(cx, "Unable to create additional credentials, maximum of %lld already exceeded for user.",
            (long long)limit);
    struct fault *fault = sql_exec(tx, "INSERT INTO credential (id, user_id, project_id, type, extra, encrypted_blob, key_hash)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        BIND(TEXT(credential->id), TEXT(credential->user_id), TEXT(credential->project_id), TEXT(credential->type),
            TEXT(credential->extra != NULL ? credential->extra : "{}"), TEXT(sealed), TEXT(hash)));
    if (fault != NULL && fault->code == SQL_DUPLICATE)
        return fault_because(keystone_conflict(cx, "credential", "Duplicate entry found with ID %s", credential->id), fault);
    return fault;
}

struct fault *credential_erase(struct context *cx, const char *id)
{
    return db_exec(cx->arena, cx->app->db, "DELETE FROM credential WHERE id = ?", BIND(TEXT(id)), NULL);
}

const char *credential_access_id(struct arena *arena, const char *access)
{
    unsigned char digest[32];

    if (EVP_Digest(access, strlen(access), digest, NULL, EVP_sha256(), NULL) != 1)
        return "";
    return text_hex(arena, digest, sizeof(digest));
}

struct fault *credentials_end_of_user(struct tx *tx, const char *user_id)
{
    return sql_exec(tx, "DELETE FROM credential WHERE user_id = ?", BIND(TEXT(user_id)));
}

struct fault *credentials_end_of_project(struct tx *tx, const char *project_id)
{
    return sql_exec(tx, "DELETE FROM credential WHERE project_id = ?", BIND(TEXT(project_id)));
}
