/* SPDX-License-Identifier: Apache-2.0
 * manage: see manage.h. */
#include "nubo/manage.h"

#include "nubo/program_config.h"
#include "nubo/services.h"
#include "oslo/command.h"

#include <string.h>

static const struct program *find(const char *path, const struct service **ret_service)
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    for (int i = 0; services[i] != NULL; i++)
        for (const struct program *const *program = services[i]->programs; program != NULL && *program != NULL; program++)
            if (strcmp((*program)->name, name) == 0) {
                *ret_service = services[i];
                return *program;
            }
    return NULL;
}

bool manage_run(int argc, char **argv, int *ret_status)
{
    const struct service *service;
    for (int skip = 0; skip < 2 && skip < argc; skip++) {
        const struct program *program = find(argv[skip], &service);
        if (program == NULL)
            continue;
        ARENA_CLEANUP struct arena *arena = arena_create();
        struct config_source defaults[PROGRAM_SOURCES];
        size_t count = 0;
        if (program->sibling != NULL)
            program_find_config(arena, program->project, program->sibling, NULL, defaults, &count);
        program_find_config(arena, program->project, program->name, NULL, defaults, &count);
        *ret_status = command_main(service, program, defaults, count, argc - skip, argv + skip);
        return true;
    }
    return false;
}
