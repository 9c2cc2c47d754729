/* SPDX-License-Identifier: Apache-2.0
 *
 * cells: which hosts are of which cell: the tables cell_mappings and host_mappings of [api_database], with upstream's
 * columns. All servers live in the one cell whose database is [database]; cell0 is a row, as upstream makes it.
 *
 * The scheduler gives nothing to a host that is not mapped (nova-manage cell_v2 discover_hosts, or [scheduler]
 * discover_hosts_in_cells_interval), nor to one of a disabled cell. Where no cell but cell0 was ever made, there is nothing
 * to tell hosts apart by, and all may be used. The all-in-one makes its cells and maps each host as it appears.
 *
 * Without [api_database] connection these tables are in [database].
 */
#ifndef NOVA_CELLS_H
#define NOVA_CELLS_H

#include "base/map.h"
#include "nova/hosts.h"
#include "oslo/app.h"

#define CELL0_UUID "00000000-0000-0000-0000-000000000000"

extern const char nova_cell_tables[]; /* of [database], for when there is no other */
enum { NOVA_API_MIGRATIONS = 1 };
extern const struct migration nova_api_migrations[NOVA_API_MIGRATIONS];

struct cell {
    int64_t id;
    const char *uuid, *name; /* name may be NULL */
    const char *transport_url, *database_connection;
    bool disabled;
};

struct host_mapping {
    const char *host;
    int64_t cell_id;
    const char *cell_name, *cell_uuid;
};

/* The URL of the API database; NULL: the tables are in [database]. */
const char *cells_database_url(const struct config *config);

/* app->private of a nova that runs: opens [api_database] when it is another one. Brings its schema up to date in the
 * all-in-one; there it makes the cells too. */
struct fault *cells_start(struct context *cx);
void cells_stop(struct app *app);
struct db *cells_db(const struct app *app);

/* In the transaction's arena, by id. */
struct fault *cells_list(struct tx *tx, struct cell **ret, size_t *ret_count);
struct fault *cells_find(struct tx *tx, const char *uuid, struct cell **ret); /* NULL: there is none */
/* By host; cell_id 0: of all cells. */
struct fault *cells_hosts(struct tx *tx, int64_t cell_id, struct host_mapping **ret, size_t *ret_count);

struct fault *cells_create(struct arena *arena, struct db *db, const struct cell *cell); /* 409 SQL_DUPLICATE */
/* *ret_new is false when the host is mapped already, to whichever cell. */
struct fault *cells_map_host(struct arena *arena, struct db *db, int64_t cell_id, const char *host, bool *ret_new);
struct fault *cells_unmap_host(struct arena *arena, struct db *db, const char *host);

/* The hosts that may be scheduled to, as keys; *ret_all: all of them. */
struct fault *cells_schedulable(struct arena *arena, const struct app *app, struct map *hosts, bool *ret_all);

/* Maps the unmapped hosts of compute_nodes to the cell of [database]; nothing happens while there is none. */
struct fault *cells_discover(struct context *cx);
/* The same for new nodes of the all-in-one. */
struct fault *cells_map_new(struct context *cx, const struct compute_node *nodes, size_t count);

#endif
