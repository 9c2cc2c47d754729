/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands of keystone-manage for key repositories: tokens, receipts, credentials, and a pair of keys for JWS.
 */
#include "keystone/command/commands.h"

#include "base/log.h"
#include "keystone/token/fernet.h"
#include "keystone/token/fernet_repository.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CREDENTIAL_KEYS = 3, PATH_LIMIT = 4096 }; /* 3: fixed, so that a rotation never drops a key that is in use */

const struct argument keystone_owner_arguments[] = {
    { "--keystone-user",  ARGUMENT_TEXT, "The user that owns the keys.", .required_of_root = true },
    { "--keystone-group", ARGUMENT_TEXT, "The group that owns the keys.", .required_of_root = true },
    { NULL },
};

const struct argument keystone_jws_arguments[] = {
    { "--keystone-user",  ARGUMENT_TEXT, "The user that owns the keys.", .required_of_root = true },
    { "--keystone-group", ARGUMENT_TEXT, "The group that owns the keys.", .required_of_root = true },
    { "--force", ARGUMENT_FLAG, "Forcibly overwrite keys if they already exist" },
    { NULL },
};

/* A name, or a number. */
static struct fault *find_owner(struct command_call *call, struct fernet_owner *ret, const struct fernet_owner **ret_given)
{
    const char *user = command_text(call, "--keystone-user"), *group = command_text(call, "--keystone-group");
    const struct passwd *account = user != NULL ? getpwnam(user) : NULL;
    const struct group *members = group != NULL ? getgrnam(group) : NULL;

    *ret_given = NULL;
    if (user != NULL && account == NULL && user[strspn(user, "0123456789")] != '\0')
        return fault_new(call->arena, 500, NULL, "Unknown user '%s' in --keystone-user", user);
    if (group != NULL && members == NULL && group[strspn(group, "0123456789")] != '\0')
        return fault_new(call->arena, 500, NULL, "Unknown group '%s' in --keystone-group", group);
    if (user == NULL || group == NULL) {
        if (user != NULL || group != NULL)
            log_warning("keystone.common.fernet_utils", "Unable to change the ownership of the new key without a keystone user"
                " ID and keystone group ID both being provided");
        return NULL;
    }
    *ret = (struct fernet_owner){ account != NULL ? account->pw_uid : (uid_t)strtoul(user, NULL, 10),
        members != NULL ? members->gr_gid : (gid_t)strtoul(group, NULL, 10) };
    *ret_given = ret;
    return NULL;
}

struct repository {
    const char *group;
    const char *own; /* of a cloud that keeps its keys beside its database, as the service finds it */
    int keys;        /* 0: the group's max_active_keys */
};
static const struct repository tokens = { "fernet_tokens", "fernet-keys" }, receipts = { "fernet_receipts", "fernet-keys" },
    credentials = { "credential", "credential-keys", CREDENTIAL_KEYS };

static const char *path_of(const struct command_call *call, const struct repository *repository)
{
    const struct config *config = call->app->config;

    if (config_is_set(config, repository->group, "key_repository") || call->app->state_path == NULL)
        return config_str(config, repository->group, "key_repository");
    return arena_printf(call->arena, "%s/keystone/%s", call->app->state_path, repository->own);
}

static int keys_of(const struct command_call *call, const struct repository *repository)
{
    return repository->keys > 0 ? repository->keys : (int)config_int(call->app->config, repository->group, "max_active_keys");
}

static struct fault *setup(struct command_call *call, const struct repository *repository)
{
    struct fernet_owner owner;
    const struct fernet_owner *given;

    TRY(find_owner(call, &owner, &given));
    return fernet_setup_for(call->arena, path_of(call, repository), keys_of(call, repository), given);
}

static struct fault *rotate(struct command_call *call, const struct repository *repository)
{
    struct fernet_owner owner;
    const struct fernet_owner *given;
    const char *path = path_of(call, repository);

    TRY(find_owner(call, &owner, &given));
    if (access(path, R_OK | W_OK | X_OK) != 0) {
        log_error("keystone.common.fernet_utils", "Either [%s] key_repository does not exist or Keystone does not have"
            " sufficient permission to access it: %s", repository->group, path);
        return NULL; /* upstream's exit status is 0 then too */
    }
    return fernet_rotate_for(call->arena, path, keys_of(call, repository), given);
}

static bool same_place(const struct command_call *call)
{
    char left[PATH_LIMIT], right[PATH_LIMIT];
    const char *a = path_of(call, &tokens), *b = path_of(call, &receipts);

    if (realpath(a, left) == NULL || realpath(b, right) == NULL)
        return strcmp(a, b) == 0;
    return strcmp(left, right) == 0;
}

struct fault *keystone_fernet_setup(struct command_call *call)
{
    TRY(setup(call, &tokens));
    if (!same_place(call))
        return setup(call, &receipts);
    if (keys_of(call, &tokens) != keys_of(call, &receipts))
        log_warning("keystone.cmd.cli", "Receipt and Token fernet key directories are the same but `max_active_keys` is"
            " different. Receipt `max_active_keys` will be ignored in favor of Token `max_active_keys`.");
    return NULL;
}

struct fault *keystone_fernet_rotate(struct command_call *call)
{
    TRY(rotate(call, &tokens));
    return same_place(call) ? NULL : rotate(call, &receipts);
}

struct fault *keystone_token_setup(struct command_call *call)
{
    return setup(call, &tokens);
}

struct fault *keystone_token_rotate(struct command_call *call)
{
    return rotate(call, &tokens);
}

struct fault *keystone_receipt_setup(struct command_call *call)
{
    return setup(call, &receipts);
}

struct fault *keystone_receipt_rotate(struct command_call *call)
{
    return rotate(call, &receipts);
}

struct fault *keystone_credential_setup(struct command_call *call)
{
    return setup(call, &credentials);
}

/* ---- Credentials ---- */

/* What upstream keeps beside each credential: SHA-1 of the primary key's text. Without any key the key of zeros counts. */
static struct fault *primary_key_hash(struct command_call *call, const char **ret)
{
    unsigned char keys[FERNET_KEYS_LIMIT][FERNET_KEY_SIZE] = { { 0 } };
    size_t count;

    TRY(fernet_read_keys(call->arena, path_of(call, &credentials), keys, &count));
    *ret = fernet_key_hash(call->arena, keys[0]);
    OPENSSL_cleanse(keys, sizeof(keys));
    return NULL;
}

struct fault *keystone_credential_rotate(struct command_call *call)
{
    const char *hash;
    struct tx *tx;
    int64_t others;

    TRY(keystone_command_open(call));
    TRY(primary_key_hash(call, &hash));
    TRY(db_read(call->arena, call->app->db, &tx));
    TRY(sql_int_of(tx, &others, 0, "SELECT COUNT(*) FROM credential WHERE key_hash <> ?", BIND(TEXT(hash))));
    tx_end(tx);
    if (others > 0)
        return command_fail(call, 1, "Unable to rotate credential keys because not all credentials are encrypted with the"
            " primary key. Please make sure all credentials have been encrypted with the primary key using"
            " `keystone-manage credential_migrate`.");
    return rotate(call, &credentials);
}

struct migration_run {
    struct command_call *call;
    struct fernet_keys *keys;
    const char *hash;
};

/* Seals again what an older key sealed. */
static struct fault *migrate_run(struct tx *tx, void *argument)
{
    const struct migration_run *run = argument;
    struct arena *arena = tx_arena(tx);
    struct rows *rows;

    TRY(sql_query(tx, &rows, "SELECT id, encrypted_blob FROM credential WHERE key_hash <> ?", BIND(TEXT(run->hash))));
    while (rows_next(rows)) {
        const char *id = rows_text(rows, 0), *sealed = rows_text(rows, 1), *again;
        void *data;
        size_t length;

        if (!fernet_decrypt(arena, run->keys, sealed, &data, &length, NULL))
            return fault_new(arena, 500, "CredentialEncryptionError", "Credential %s could not be decrypted. Please contact"
                " the administrator", id);
        struct fault *fault = fernet_encrypt(arena, run->keys, data, length, true, &again);
        OPENSSL_cleanse(data, length);
        TRY(fault);
        TRY(sql_exec(tx, "UPDATE credential SET encrypted_blob = ?, key_hash = ? WHERE id = ?",
            BIND(TEXT(again), TEXT(run->hash), TEXT(id))));
    }
    return rows_fault(rows);
}

struct fault *keystone_credential_migrate(struct command_call *call)
{
    struct migration_run run = { .call = call };

    TRY(keystone_command_open(call));
    TRY(primary_key_hash(call, &run.hash));
    TRY(fernet_keys_open(call->arena, path_of(call, &credentials), true, &run.keys));
    struct fault *fault = db_write(call->arena, call->app->db, migrate_run, &run);
    fernet_keys_close(run.keys);
    return fault;
}

/* ---- JWS ---- */

static struct fault *write_pem(struct command_call *call, const char *path, EVP_PKEY *key, bool private)
{
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    int fd = open(path, flags, private ? 0600 : 0644);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    bool good = file != NULL && (private ? PEM_write_PKCS8PrivateKey(file, key, NULL, NULL, 0, NULL, NULL)
                                         : PEM_write_PUBKEY(file, key)) == 1;

    if (file != NULL)
        good = fclose(file) == 0 && good;
    else if (fd >= 0)
        close(fd);
    return good ? NULL : fault_new(call->arena, 500, NULL, "%s cannot be written: %s", path, strerror(errno));
}

struct fault *keystone_create_jws_keypair(struct command_call *call)
{
    char directory[PATH_LIMIT];
    struct fernet_owner owner;
    const struct fernet_owner *given;

    TRY(find_owner(call, &owner, &given));
    if (getcwd(directory, sizeof(directory)) == NULL)
        return fault_new(call->arena, 500, NULL, "The current directory: %s", strerror(errno));
    const char *private_path = arena_printf(call->arena, "%s/private.pem", directory);
    const char *public_path = arena_printf(call->arena, "%s/public.pem", directory);
    if (!command_flag(call, "--force") && access(private_path, F_OK) == 0)
        return command_fail(call, 1, "Private key %s already exists", private_path);
    if (!command_flag(call, "--force") && access(public_path, F_OK) == 0)
        return command_fail(call, 1, "Public key %s already exists", public_path);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct fault *fault = key == NULL ? fault_new(call->arena, 500, NULL, "No key pair could be made.") : NULL;
    if (fault == NULL)
        fault = write_pem(call, private_path, key, true);
    if (fault == NULL)
        fault = write_pem(call, public_path, key, false);
    EVP_PKEY_free(key);
    if (fault == NULL && given != NULL && (chown(private_path, given->user, given->group) != 0 ||
                                              chown(public_path, given->user, given->group) != 0))
        fault = fault_new(call->arena, 500, NULL, "The keys cannot be given to their owner: %s", strerror(errno));
    return fault;
}
