/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/oauth/oauth1.h"

#include "oslo/json.h"

struct fault *access_token_find(struct tx *tx, const char *id, struct access_token **ret)
{
    struct rows *rows;

    *ret = NULL;
    TRY(sql_query(tx, &rows, "SELECT id, access_secret, authorizing_user_id, project_id, consumer_id, role_ids, expires_at"
        " FROM access_token WHERE id = ?", BIND(TEXT(id))));
    if (!rows_next(rows))
        return rows_fault(rows);
    struct access_token *token = ARENA_NEW(tx_arena(tx), struct access_token);
    *token = (struct access_token){
        .id = rows_text(rows, 0), .secret = rows_text(rows, 1), .user_id = rows_text(rows, 2),
        .project_id = rows_text(rows, 3), .consumer_id = rows_text(rows, 4),
        .role_ids = json_parse_own(tx_arena(tx), rows_text(rows, 5)), .expires_at = rows_text(rows, 6),
    };
    rows_end(rows);
    *ret = token;
    return NULL;
}
