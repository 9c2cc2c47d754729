/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/edit.h"

#include <string.h>

static struct fault *taken(struct edit *edit)
{
    const char *name = json_text_at(edit->document, "name"), *domain_id = json_text_at(edit->document, "domain_id");
    const char *field = name != NULL ? "name" : "ID";

    if (name == NULL)
        name = json_text_at(edit->document, "id");
    if (domain_id == NULL)
        return keystone_conflict(RQ(edit->rq), edit->entity->name, "Duplicate entry found with %s %s", field, name);
    return keystone_conflict(RQ(edit->rq), edit->entity->name, "Duplicate entry found with %s %s at domain ID %s", field,
        name, domain_id);
}

struct serialized {
    struct edit *edit;
    struct fault *(*run)(struct tx *tx, void *edit);
};

/* Names, parents, and what hangs on what: all of it is checked before it is changed, and seldom enough for one row. */
static struct fault *serialized_run(struct tx *tx, void *argument)
{
    const struct serialized *one = argument;

    TRY(tx_serialize(tx, "entities"));
    return one->run(tx, one->edit);
}

struct fault *edit_commit(struct edit *edit, struct fault *(*run)(struct tx *tx, void *edit), bool respond)
{
    struct request *rq = edit->rq;
    struct fault *fault = db_write(rq->cx.arena, rq->cx.app->db, serialized_run,
        &(struct serialized){ edit, run });

    if (fault != NULL && fault->status == 409 && fault->code != NULL && strcmp(fault->code, SQL_DUPLICATE) == 0)
        return fault_because(taken(edit), fault);
    if (fault != NULL)
        return fault;
    keystone_changed(RQ(rq));
    if (respond)
        entity_respond(rq, edit->entity, edit->document);
    return NULL;
}

struct fault *edit_given(struct request *rq, const char *name, const struct schema *schema, const char *id, json_t **ret)
{
    TRY(keystone_member(rq, name, ret));
    TRY(keystone_check(rq, schema, *ret));
    return entity_same_id(rq, *ret, id);
}

struct fault *edit_insert(struct tx *tx, void *argument)
{
    struct edit *edit = argument;

    return entity_insert(tx, edit->entity, edit->document);
}

struct fault *edit_find(struct tx *tx, const struct edit *edit, json_t **ret)
{
    TRY(entity_load(tx, edit->entity, edit->id, ret));
    return *ret != NULL ? NULL : entity_missing(RQ(edit->rq), edit->entity, edit->id);
}

struct fault *edit_merge(struct tx *tx, struct edit *edit, json_t **ret_old)
{
    TRY(edit_find(tx, edit, ret_old));
    TRY(entity_mutable(RQ(edit->rq), edit->entity, *ret_old, edit->given));
    edit->document = entity_merge(tx_arena(tx), edit->entity, *ret_old, edit->given);
    return NULL;
}

struct fault *edit_update(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    json_t *old;

    TRY(edit_merge(tx, edit, &old));
    return entity_store(tx, edit->entity, edit->id, edit->document);
}
