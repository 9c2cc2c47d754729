/* SPDX-License-Identifier: Apache-2.0
 * settings: where the state lies and what the first start was told. See cloud.h. */
#include "nubo/cloud.h"

#include "base/file.h"
#include "base/process.h"
#include "oslo/json.h"

#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char default_state_dir[] = "/var/lib/nubo";

const char *state_directory(struct arena *arena, const char *given)
{
    const char *path = given != NULL ? given : getenv("NUBO_STATE_DIR");
    if (path == NULL || *path == '\0')
        return default_state_dir;
    char absolute[PATH_MAX];
    if (realpath(path, absolute) != NULL)
        return arena_strdup(arena, absolute);
    if (path[0] == '/' || getcwd(absolute, sizeof(absolute)) == NULL)
        return arena_strdup(arena, path);
    return arena_printf(arena, "%s/%s", absolute, path);
}

const char *data_plane_namespace(struct arena *arena, const char *state_dir)
{
    unsigned char digest[32];
    if (strcmp(state_dir, default_state_dir) == 0 ||
        EVP_Q_digest(NULL, "SHA256", NULL, state_dir, strlen(state_dir), digest, NULL) != 1)
        return "nubo";
    return arena_printf(arena, "nubo-%02x%02x%02x", digest[0], digest[1], digest[2]);
}

struct fault *settings_load(struct arena *arena, const char *state_dir, const struct settings *given,
    struct settings *ret)
{
    const char *text = NULL;
    const char *path = arena_printf(arena, "%s/cloud.json", state_dir);
    if (access(path, R_OK) != 0 && errno == EACCES)
        return fault_new(arena, 403, NULL, "%s belongs to somebody else: be root, or name a folder of your own with"
            " --state-dir.", path);
    TRY(file_load(arena, path, STATE_FILE_LIMIT, &text));
    json_t *saved = json_parse_own(arena, text);
    const char *bind = json_text_at(saved, "bind");
    const char *interface = json_text_at(saved, "provider_interface");
    *ret = (struct settings){
        .state_dir = state_dir,
        .bind = given->bind != NULL ? given->bind : bind != NULL ? arena_strdup(arena, bind) : "127.0.0.1",
        .port_offset = given->port_offset >= 0 ? given->port_offset : (int)json_int_at(saved, "port_offset", 0),
        .fake_compute = given->fake_compute >= 0 ? given->fake_compute : (int)json_int_at(saved, "fake_compute", 0),
        .provider_interface = given->provider_interface != NULL ? given->provider_interface : arena_strdup(arena, interface),
    };
    return NULL;
}

struct fault *settings_save(struct arena *arena, const struct settings *settings)
{
    json_t *json = json_keep(arena, json_pack("{s:s, s:i, s:i, s:s?}", "bind", settings->bind, "port_offset",
        settings->port_offset, "fake_compute", settings->fake_compute, "provider_interface", settings->provider_interface));
    const char *text = json_dump(arena, json);
    return file_write(arena, arena_printf(arena, "%s/cloud.json", settings->state_dir), text, strlen(text), 0600, FILE_SYNC);
}

int cloud_pid(struct arena *arena, const char *state_dir)
{
    pid_t pid = process_read_pid(arena_printf(arena, "%s/run/nubo.pid", state_dir));
    return process_alive(pid, "nubo") ? (int)pid : 0;
}
