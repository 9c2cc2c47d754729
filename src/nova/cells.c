/* SPDX-License-Identifier: Apache-2.0
 * cells: see cells.h. */
#include "nova/cells.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

#include <string.h>

#define TABLES                                                                                                         \
    "CREATE TABLE IF NOT EXISTS cell_mappings (created_at DATETIME, updated_at DATETIME, id $SERIAL,"                  \
    " uuid VARCHAR(36) NOT NULL, name VARCHAR(255), transport_url TEXT, database_connection TEXT,"                     \
    " disabled BOOLEAN DEFAULT 0, CONSTRAINT uniq_cell_mappings0uuid UNIQUE (uuid));\n"                                \
    "CREATE TABLE IF NOT EXISTS host_mappings (created_at DATETIME, updated_at DATETIME, id $SERIAL,"                  \
    " cell_id INTEGER NOT NULL, host VARCHAR(255) NOT NULL, CONSTRAINT uniq_host_mappings0host UNIQUE (host),"         \
    " FOREIGN KEY (cell_id) REFERENCES cell_mappings (id))"
const char nova_cell_tables[] = TABLES;
const struct migration nova_api_migrations[NOVA_API_MIGRATIONS] = { { 1, "cells and their hosts", TABLES } };

const char *cells_database_url(const struct config *config)
{
    const char *url = config_str(config, "api_database", "connection"), *main_url = config_str(config, "database", "connection");
    return url == NULL || (main_url != NULL && strcmp(url, main_url) == 0) ? NULL : url;
}

struct db *cells_db(const struct app *app)
{
    return app->private != NULL ? app->private : app->db;
}

/* ---- Rows ---- */

#define CELL_COLUMNS "id, uuid, name, transport_url, database_connection, disabled"

static void read_cell(struct rows *rows, struct cell *cell)
{
    *cell = (struct cell){ rows_int(rows, 0), rows_text(rows, 1), rows_text(rows, 2), rows_text(rows, 3), rows_text(rows, 4),
        rows_int(rows, 5) != 0 };
}

struct fault *cells_list(struct tx *tx, struct cell **ret, size_t *ret_count)
{
    struct rows *rows;
    int64_t total;
    TRY(sql_int_of(tx, &total, 0, "SELECT COUNT(*) FROM cell_mappings", NO_BIND));
    *ret = ARENA_ARRAY(tx_arena(tx), struct cell, (size_t)total + 1);
    *ret_count = 0;
    TRY(sql_query(tx, &rows, "SELECT " CELL_COLUMNS " FROM cell_mappings ORDER BY id", NO_BIND));
    while (*ret_count < (size_t)total && rows_next(rows))
        read_cell(rows, &(*ret)[(*ret_count)++]);
    rows_end(rows);
    return rows_fault(rows);
}

struct fault *cells_find(struct tx *tx, const char *uuid, struct cell **ret)
{
    struct rows *rows;
    *ret = NULL;
    TRY(sql_query(tx, &rows, "SELECT " CELL_COLUMNS " FROM cell_mappings WHERE uuid = ?", BIND(TEXT(uuid))));
    if (rows_next(rows)) {
        *ret = ARENA_NEW(tx_arena(tx), struct cell);
        read_cell(rows, *ret);
        rows_end(rows);
    }
    return rows_fault(rows);
}

struct fault *cells_hosts(struct tx *tx, int64_t cell_id, struct host_mapping **ret, size_t *ret_count)
{
    struct rows *rows;
    int64_t total;
    TRY(sql_int_of(tx, &total, 0, "SELECT COUNT(*) FROM host_mappings", NO_BIND));
    *ret = ARENA_ARRAY(tx_arena(tx), struct host_mapping, (size_t)total + 1);
    *ret_count = 0;
    TRY(sql_query(tx, &rows, "SELECT h.host, h.cell_id, c.name, c.uuid FROM host_mappings h JOIN cell_mappings c"
        " ON c.id = h.cell_id WHERE h.cell_id = ? OR ? = 0 ORDER BY h.host", BIND(INT(cell_id), INT(cell_id))));
    while (*ret_count < (size_t)total && rows_next(rows))
        (*ret)[(*ret_count)++] = (struct host_mapping){ rows_text(rows, 0), rows_int(rows, 1), rows_text(rows, 2),
            rows_text(rows, 3) };
    rows_end(rows);
    return rows_fault(rows);
}

static const char *now(struct arena *arena)
{
    return clock_text(arena, clock_now_us(), CLOCK_SQL);
}

struct fault *cells_create(struct arena *arena, struct db *db, const struct cell *cell)
{
    return db_exec(arena, db, "INSERT INTO cell_mappings (created_at, uuid, name, transport_url, database_connection, disabled)"
        " VALUES (?, ?, ?, ?, ?, ?)", BIND(TEXT(now(arena)), TEXT(cell->uuid), TEXT(cell->name), TEXT(cell->transport_url),
        TEXT(cell->database_connection), INT(cell->disabled)), NULL);
}

struct fault *cells_map_host(struct arena *arena, struct db *db, int64_t cell_id, const char *host, bool *ret_new)
{
    struct fault *fault = db_exec(arena, db, "INSERT INTO host_mappings (created_at, cell_id, host) VALUES (?, ?, ?)",
        BIND(TEXT(now(arena)), INT(cell_id), TEXT(host)), NULL);
    *ret_new = fault == NULL;
    return fault != NULL && fault->status == 409 ? NULL : fault;
}

struct fault *cells_unmap_host(struct arena *arena, struct db *db, const char *host)
{
    return db_exec(arena, db, "DELETE FROM host_mappings WHERE host = ?", BIND(TEXT(host)), NULL);
}

/* ---- The scheduler's question ---- */

struct fault *cells_schedulable(struct arena *arena, const struct app *app, struct map *hosts, bool *ret_all)
{
    struct tx *tx;
    struct rows *rows;
    int64_t cells;
    *ret_all = !app->cloud->programs;
    if (*ret_all)
        return NULL;
    TRY(db_read(arena, cells_db(app), &tx));
    TRY(sql_int_of(tx, &cells, 0, "SELECT COUNT(*) FROM cell_mappings WHERE uuid <> ?", BIND(TEXT(CELL0_UUID))));
    *ret_all = cells == 0;
    if (!*ret_all) {
        TRY(sql_query(tx, &rows, "SELECT h.host FROM host_mappings h JOIN cell_mappings c ON c.id = h.cell_id"
            " WHERE c.disabled = 0 OR c.disabled IS NULL", NO_BIND));
        while (rows_next(rows))
            map_set(hosts, rows_text(rows, 0), NULL);
        TRY(rows_fault(rows));
    }
    tx_end(tx);
    return NULL;
}

/* ---- Discovery ---- */

/* The id of the cell whose database is [database]: with its URL, else the only one that is not cell0; 0: none. */
static struct fault *own_cell(struct context *cx, int64_t *ret)
{
    const char *url = app_database_url(cx->app->service, cx->app->config);
    struct tx *tx;
    struct cell *cells;
    size_t count, others = 0;
    int64_t only = 0;
    *ret = 0;
    TRY(db_read(cx->arena, cells_db(cx->app), &tx));
    TRY(cells_list(tx, &cells, &count));
    tx_end(tx);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(cells[i].uuid, CELL0_UUID) == 0)
            continue;
        others++;
        only = cells[i].id;
        if (url != NULL && cells[i].database_connection != NULL && strcmp(cells[i].database_connection, url) == 0)
            *ret = cells[i].id;
    }
    if (*ret == 0 && others == 1)
        *ret = only;
    return NULL;
}

struct fault *cells_discover(struct context *cx)
{
    struct tx *tx;
    struct compute_node *nodes;
    size_t count, mapping_count;
    struct host_mapping *mappings;
    int64_t cell;
    TRY(own_cell(cx, &cell));
    if (cell == 0)
        return NULL;
    TRY(db_read(cx->arena, cells_db(cx->app), &tx));
    TRY(cells_hosts(tx, 0, &mappings, &mapping_count));
    tx_end(tx);
    struct map mapped = { 0 };
    for (size_t i = 0; i < mapping_count; i++)
        map_set(&mapped, mappings[i].host, NULL);
    struct fault *fault = db_read(cx->arena, cx->app->db, &tx);
    if (fault == NULL) {
        fault = compute_node_list(tx, NULL, &nodes, &count);
        tx_end(tx);
    }
    for (size_t i = 0; fault == NULL && i < count; i++) {
        bool made;
        if (map_has(&mapped, nodes[i].host))
            continue;
        fault = cells_map_host(cx->arena, cells_db(cx->app), cell, nodes[i].host, &made);
        if (fault == NULL && made)
            log_info("nova.scheduler", "host %s is mapped to its cell", nodes[i].host);
    }
    map_release(&mapped);
    return fault;
}

struct fault *cells_map_new(struct context *cx, const struct compute_node *nodes, size_t count)
{
    int64_t cell = 0;
    if (cx->app->cloud->programs)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        bool made;
        if (nodes[i].created_at != nodes[i].updated_at)
            continue;
        if (cell == 0)
            TRY(own_cell(cx, &cell));
        if (cell == 0)
            return NULL;
        TRY(cells_map_host(cx->arena, cells_db(cx->app), cell, nodes[i].host, &made));
    }
    return NULL;
}

/* ---- Start ---- */

static struct fault *make_own_cells(struct context *cx)
{
    const struct config *config = cx->app->config;
    const char *url = app_database_url(cx->app->service, config);
    const char *transport = config_str(config, "DEFAULT", "transport_url");
    struct tx *tx;
    int64_t count;
    TRY(db_read(cx->arena, cells_db(cx->app), &tx));
    TRY(sql_int_of(tx, &count, 0, "SELECT COUNT(*) FROM cell_mappings", NO_BIND));
    tx_end(tx);
    if (count > 0)
        return NULL;
    TRY(cells_create(cx->arena, cells_db(cx->app), &(struct cell){ .uuid = CELL0_UUID, .name = "cell0",
        .transport_url = "none:///", .database_connection = url }));
    return cells_create(cx->arena, cells_db(cx->app), &(struct cell){ .uuid = uuid_new(cx->arena), .name = "cell1",
        .transport_url = transport, .database_connection = url });
}

struct fault *cells_start(struct context *cx)
{
    const char *url = cells_database_url(cx->app->config);
    struct db *db = NULL;
    if (cx->app->db == NULL)
        return NULL; /* a process of compute hosts */
    if (url != NULL) {
        struct db_settings settings = db_settings_read(cx->app->config);
        settings.connection = url;
        TRY(db_open_settings(cx->arena, &settings, &db));
        cx->app->private = db;
        if (!cx->app->cloud->programs)
            TRY(db_sync(cx->arena, db, nova_api_migrations, NOVA_API_MIGRATIONS, NULL));
    }
    if (cx->app->cloud->programs)
        return NULL;
    TRY(make_own_cells(cx));
    return cells_discover(cx);
}

void cells_stop(struct app *app)
{
    db_close(app->private);
    app->private = NULL;
}
