/* SPDX-License-Identifier: Apache-2.0
 *
 * keystone-manage doctor: what is known to go wrong in a deployment, as a table. Those of upstream's symptoms that can
 * occur here; the rest are of parts (dogpile's cache) that this keystone does not have.
 */
#include "keystone/command/commands.h"

#include "base/log.h"
#include "keystone/token/fernet.h"
#include "keystone/token/fernet_repository.h"
#include "oslo/regex.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* NULL too when no table knows the option. */
static const char *value(const struct command_call *call, const char *group, const char *name)
{
    return config_has(call->app->config, group, name) ? config_str(call->app->config, group, name) : NULL;
}

static int64_t number(const struct command_call *call, const char *group, const char *name)
{
    return config_has(call->app->config, group, name) ? config_int(call->app->config, group, name) : 0;
}

static bool truth(const struct command_call *call, const char *group, const char *name)
{
    return config_has(call->app->config, group, name) && config_bool(call->app->config, group, name);
}

static bool unusable(const struct command_call *call, const char *group)
{
    const char *path = value(call, group, "key_repository");
    struct stat status;

    if (path == NULL || access(path, R_OK | X_OK) != 0)
        return true;
    if (stat(path, &status) == 0 && (status.st_mode & (S_IROTH | S_IXOTH)) != 0)
        log_warning("keystone.common.fernet_utils", "key_repository is world readable: %s", path);
    return false;
}

static bool keyless(const struct command_call *call, const char *group)
{
    unsigned char keys[FERNET_KEYS_LIMIT][FERNET_KEY_SIZE];
    const char *path = value(call, group, "key_repository");
    size_t count = 0;

    return path == NULL || fernet_read_keys(call->arena, path, keys, &count) != NULL || count == 0;
}

static bool jws(const struct command_call *call)
{
    const char *provider = value(call, "token", "provider");

    return provider != NULL && strcmp(provider, "fernet") != 0;
}

/* ---- The symptoms ---- */

static bool same_repository(struct command_call *call)
{
    const char *credentials = value(call, "credential", "key_repository"), *tokens = value(call, "fernet_tokens",
        "key_repository");

    return credentials != NULL && tokens != NULL && strcmp(credentials, tokens) == 0;
}

static bool credential_repository(struct command_call *call)
{
    return unusable(call, "credential");
}

static bool credential_keys(struct command_call *call)
{
    return keyless(call, "credential");
}

static bool debug_mode(struct command_call *call)
{
    return truth(call, "DEFAULT", "debug");
}

static bool emulation_dn(struct command_call *call)
{
    return !truth(call, "ldap", "user_enabled_emulation") && value(call, "ldap", "user_enabled_emulation_dn") != NULL;
}

static bool emulation_group(struct command_call *call)
{
    return !truth(call, "ldap", "user_enabled_emulation") && truth(call, "ldap", "user_enabled_emulation_use_group_config");
}

static bool members_are_ids(struct command_call *call)
{
    const char *class = value(call, "ldap", "group_objectclass");

    return class != NULL && strcmp(class, "posixGroup") == 0 && !truth(call, "ldap", "group_members_are_ids");
}

static bool domain_files(struct command_call *call)
{
    const char *directory = value(call, "identity", "domain_config_dir");
    const struct dirent *entry;
    bool found = false;

    if (!truth(call, "identity", "domain_specific_drivers_enabled") ||
        truth(call, "identity", "domain_configurations_from_database") || directory == NULL)
        return false;
    DIR *stream = opendir(directory);
    if (stream == NULL) {
        printf("Could not find directory %s\n", directory);
        return true;
    }
    while ((entry = readdir(stream)) != NULL) {
        size_t length = strlen(entry->d_name);
        bool fits = length >= 14 && strncmp(entry->d_name, "keystone.", 9) == 0 &&
            strcmp(entry->d_name + length - 5, ".conf") == 0;
        if (entry->d_name[0] == '.' || fits)
            continue;
        printf("Warning: %s is no keystone.<domain_name>.conf\n", entry->d_name);
        found = true;
    }
    closedir(stream);
    return found;
}

static bool password_age(struct command_call *call)
{
    int64_t age = number(call, "security_compliance", "minimum_password_age");
    int64_t expires = number(call, "security_compliance", "password_expires_days");

    return age > 0 && expires > 0 && age >= expires;
}

static bool password_regex(struct command_call *call)
{
    const char *pattern = value(call, "security_compliance", "password_regex");

    return pattern != NULL && *pattern != '\0' && regex_compile(call->arena, pattern) == NULL;
}

static bool password_words(struct command_call *call)
{
    const char *pattern = value(call, "security_compliance", "password_regex");

    return pattern != NULL && *pattern != '\0' && value(call, "security_compliance", "password_regex_description") == NULL;
}

static bool certificate_comma(struct command_call *call)
{
    const char *path = value(call, "saml", "certfile");

    return path != NULL && strchr(path, ',') != NULL;
}

static bool key_comma(struct command_call *call)
{
    const char *path = value(call, "saml", "keyfile");

    return path != NULL && strchr(path, ',') != NULL;
}

static bool token_repository(struct command_call *call)
{
    return !jws(call) && unusable(call, "fernet_tokens");
}

static bool token_keys(struct command_call *call)
{
    return !jws(call) && keyless(call, "fernet_tokens");
}

static const struct symptom {
    const char *name;
    bool (*present)(struct command_call *call);
    const char *words;
} symptoms[] = {
    { "unique key repositories", same_repository, "Key repositories for encryption should be unique: keystone.conf"
      " [credential] key_repository and [fernet_tokens] key_repository point to the same location." },
    { "usability of credential fernet key repository", credential_repository,
      "Credential key repository is not setup correctly: it must be readable by the user running keystone, not by others." },
    { "keys in credential fernet key repository", credential_keys,
      "Credential key repository is empty. Run `keystone-manage credential_setup`." },
    { "debug mode is enabled", debug_mode, "Debug mode should be set to False in production: keystone.conf debug." },
    { "comma in SAML public certificate path", certificate_comma,
      "`[saml] certfile` should not contain a comma (`,`): it separates the certificate from the key for xmlsec1." },
    { "comma in SAML private key file path", key_comma,
      "`[saml] keyfile` should not contain a comma (`,`): it separates the certificate from the key for xmlsec1." },
    { "LDAP user enabled emulation dn ignored", emulation_dn,
      "`[ldap] user_enabled_emulation_dn` is being ignored, because [ldap] user_enabled_emulation is not set." },
    { "LDAP user enabled emulation use group config ignored", emulation_group,
      "`[ldap] user_enabled_emulation_use_group_config` is being ignored, because [ldap] user_enabled_emulation is not set." },
    { "LDAP group members are ids disabled", members_are_ids,
      "`[ldap] group_members_are_ids` is not enabled, though [ldap] group_objectclass is posixGroup." },
    { "LDAP file based domain specific configs", domain_files,
      "Domain specific driver directory is invalid or contains invalid files: keystone.conf [identity] domain_config_dir." },
    { "minimum password age greater than expires days", password_age,
      "Minimum password age should be less than the password expires days ([security_compliance])." },
    { "invalid password regular expression", password_regex,
      "Invalid password regular expression: keystone.conf [security_compliance] password_regex. No password can be changed." },
    { "password regular expression description not set", password_words,
      "Password regular expression description is not set: keystone.conf [security_compliance] password_regex_description." },
    { "usability of Fernet key repository", token_repository,
      "Fernet key repository is not setup correctly: it must be readable by the user running keystone, not by others." },
    { "keys in Fernet key repository", token_keys, "Fernet key repository is empty. Run `keystone-manage fernet_setup`." },
};

struct fault *keystone_doctor(struct command_call *call)
{
    for (size_t i = 0; i < sizeof(symptoms) / sizeof(symptoms[0]); i++) {
        if (debug_mode(call))
            printf("Checking for %s...\n", symptoms[i].name);
        if (!symptoms[i].present(call))
            continue;
        printf("\nWARNING: %s\n", symptoms[i].words);
        call->status = 1;
    }
    return NULL;
}
