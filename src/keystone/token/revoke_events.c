/* SPDX-License-Identifier: Apache-2.0
 *
 * OS-REVOKE: the events that end tokens. API reference: OS-REVOKE, identity v3.
 */
#include "keystone/state.h"

#include "base/clock.h"
#include "oslo/json.h"

static const char *const members[] = { "user_id", "role_id", "domain_id", "project_id", "audit_id", "audit_chain_id",
    "OS-TRUST:trust_id", "OS-OAUTH1:consumer_id", "OS-OAUTH1:access_token_id" };
enum { MEMBERS = sizeof(members) / sizeof(members[0]) };

static void write_moment(struct request *rq, const char *name, const char *stored)
{
    int64_t us;

    if (stored != NULL && clock_parse(stored, &us))
        json_text(&rq->json, name, clock_text(rq->cx.arena, us, CLOCK_ISO_USZ));
}

static struct fault *events_list(struct request *rq)
{
    const char *since = request_query(rq, "since");
    struct rows *rows;
    struct tx *tx;
    int64_t us = 0;

    if (since != NULL && since[0] != '\0' && !clock_parse(since, &us))
        return keystone_invalid(RQ(rq), "invalidate date format %s", since);
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT user_id, role_id, domain_id, project_id, audit_id, audit_chain_id, trust_id, consumer_id,"
        " access_token_id, issued_before, revoked_at FROM revocation_event WHERE revoked_at > ? ORDER BY revoked_at, id",
        BIND(TEXT(clock_text(rq->cx.arena, us, CLOCK_SQL)))));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "events");
    while (rows_next(rows)) {
        json_begin(&rq->json, NULL);
        for (int i = 0; i < MEMBERS; i++)
            if (!rows_null(rows, i))
                json_text(&rq->json, members[i], rows_text(rows, i));
        write_moment(rq, "issued_before", rows_text(rows, MEMBERS));
        write_moment(rq, "revoked_at", rows_text(rows, MEMBERS + 1));
        json_end(&rq->json);
    }
    json_end_array(&rq->json);
    TRY(rows_fault(rows));
    tx_end(tx);
    json_begin(&rq->json, "links");
    json_text(&rq->json, "next", NULL);
    json_text(&rq->json, "self", keystone_url(rq, "/OS-REVOKE/events"));
    json_text(&rq->json, "previous", NULL);
    json_end(&rq->json);
    json_end(&rq->json);
    return NULL;
}

/* Tokens of the PKI are no more; the reference refuses to list what there is not. */
static struct fault *pki_list(struct request *rq)
{
    return FAULT(RQ(rq), 403, NULL, "You are not authorized to perform the requested action.");
}

static const struct route rows[] = {
    ROUTE(GET, "/v3/auth/tokens/OS-PKI/revoked", NULL, pki_list, .flags = NO_TOKEN),
    ROUTE(GET, "/v3/OS-REVOKE/events", "identity:list_revoke_events", events_list),
};

const struct route_table revoke_event_routes = ROUTES(rows);
