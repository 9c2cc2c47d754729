/* SPDX-License-Identifier: Apache-2.0
 * program_config: oslo.config's find_config_files and find_config_dirs. See program_config.h. */
#include "nubo/program_config.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

static void add(struct config_source *sources, size_t *count, const char *path, bool directory)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(sources[i].path, path) == 0)
            return; /* of another program of the same service */
    if (*count < PROGRAM_SOURCES)
        sources[(*count)++] = (struct config_source){ .path = path, .directory = directory };
}

/* The topmost of the four folders that has it. */
static void find(struct arena *arena, const char *service, const char *name, bool directory, struct config_source *sources,
    size_t *count)
{
    const char *home = getenv("HOME");
    const char *const folders[] = { home != NULL ? arena_printf(arena, "%s/.%s", home, service) : NULL, home,
        arena_printf(arena, "/etc/%s", service), "/etc" };
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        if (folders[i] == NULL)
            continue;
        const char *path = arena_printf(arena, "%s/%s.conf%s", folders[i], name, directory ? ".d" : "");
        if (file_exists(path)) {
            add(sources, count, path, directory);
            return;
        }
    }
}

void program_find_config(struct arena *arena, const char *service, const char *name, const char *const *files,
    struct config_source sources[static PROGRAM_SOURCES], size_t *count)
{
    const char *dist = arena_printf(arena, "/usr/share/%s/%s-dist.conf", service, service); /* RDO's own defaults */
    if (file_exists(dist))
        add(sources, count, dist, false);
    find(arena, service, service, false, sources, count);
    find(arena, service, name, false, sources, count);
    for (; files != NULL && *files != NULL; files++) {
        const char *path = arena_printf(arena, "/etc/%s/%s", service, *files);
        if (file_exists(path))
            add(sources, count, path, false);
    }
    find(arena, service, service, true, sources, count);
    find(arena, service, name, true, sources, count);
}
