/* SPDX-License-Identifier: Apache-2.0 */
#include "nova/command/commands.h"

#include "nova/cells.h"

static void close_cells(void *app)
{
    cells_stop(app);
}

struct fault *nova_command_open_cells(struct command_call *call)
{
    const char *url = cells_database_url(call->app->config);
    struct db *db;
    arena_defer(call->arena, close_cells, call->app);
    if (url == NULL || call->app->private != NULL)
        return NULL;
    TRY(command_database_of(call, url, &db));
    call->app->private = db;
    return NULL;
}

struct fault *nova_command_open(struct command_call *call)
{
    TRY(command_database(call));
    return nova_command_open_cells(call);
}
