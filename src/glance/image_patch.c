/* SPDX-License-Identifier: Apache-2.0
 *
 * image_patch: PATCH /v2/images/{id}, in the form application/openstack-images-v2.1-json-patch (add, remove and replace
 * with "op" and "path") and its predecessor v2.0 (a member named after the operation).
 */
#include "glance/images.h"

#include <string.h>
#include <strings.h>

enum operation { ADD, REMOVE, REPLACE };
static const char *const operations[] = { "add", "remove", "replace" };
static const char available[] = "add, remove, replace";

struct patch_change {
    enum operation operation;
    const char *name; /* first part of the path */
    const char *part; /* second, or NULL */
    json_t *value;
    bool old; /* v2.0 */
};

struct patch {
    struct request *rq;
    struct patch_change *changes;
    size_t count;
    struct image image;
    bool properties_changed, tags_changed;
};

static struct fault *bad(struct request *rq, const char *text)
{
    return FAULT(RQ(rq), 400, NULL, "%s", text);
}

static struct fault *parse_operation(struct request *rq, const json_t *raw, struct patch_change *ret,
    const char **ret_path)
{
    const char *op = json_string_value(json_object_get(raw, "op"));
    int found = -1;
    if (ret->old) {
        for (int i = 0; i < 3; i++) {
            if (json_object_get(raw, operations[i]) == NULL)
                continue;
            if (found >= 0)
                return bad(rq,
                    "Operation objects must contain only one member named \"add\", \"remove\", or \"replace\".");
            found = i;
        }
        if (found < 0)
            return bad(rq,
                "Operation objects must contain exactly one member named \"add\", \"remove\", or \"replace\".");
        *ret_path = json_string_value(json_object_get(raw, operations[found]));
    } else {
        if (json_object_get(raw, "op") == NULL)
            return FAULT(RQ(rq), 400, NULL,
                "Unable to find `op` in JSON Schema change. It must be one of the following: %s.", available);
        for (int i = 0; i < 3 && op != NULL; i++)
            if (strcmp(op, operations[i]) == 0)
                found = i;
        if (found < 0)
            return FAULT(RQ(rq), 400, NULL, "Invalid operation: `%s`. It must be one of the following: %s.",
                op == NULL ? "" : op, available);
        *ret_path = json_string_value(json_object_get(raw, "path"));
        if (*ret_path == NULL)
            return bad(rq, "Unable to find 'path' in JSON Schema change");
    }
    ret->operation = (enum operation)found;
    return *ret_path == NULL ? bad(rq, "Operations must be JSON objects.") : NULL;
}

static struct fault *check_pointer(struct request *rq, const char *pointer)
{
    size_t length = strlen(pointer);
    if (*pointer != '/')
        return FAULT(RQ(rq), 400, NULL, "Pointer `%s` does not start with \"/\".", pointer);
    for (const char *at = pointer + 1; *at != '\0'; at++)
        if (*at == '/' && at[1 + strspn(at + 1, " \t")] == '/')
            return FAULT(RQ(rq), 400, NULL, "Pointer `%s` contains adjacent \"/\".", pointer);
    if (length > 1 && pointer[length - 1] == '/')
        return FAULT(RQ(rq), 400, NULL, "Pointer `%s` end with \"/\".", pointer);
    for (const char *at = strchr(pointer, '~'); at != NULL; at = strchr(at + 1, '~'))
        if (at[1] != '0' && at[1] != '1')
            return FAULT(RQ(rq), 400, NULL,
                "Pointer `%s` contains \"~\" not part of a recognized escape sequence.", pointer);
    return NULL;
}

/* One part of a pointer, without its escapes and the blanks around it. */
static const char *pointer_part(struct arena *arena, const char *text, size_t length)
{
    while (length > 0 && (*text == ' ' || *text == '\t'))
        text++, length--;
    while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
        length--;
    char *part = arena_alloc(arena, length + 1), *to = part;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '~' && i + 1 < length)
            *to++ = text[++i] == '1' ? '/' : '~';
        else
            *to++ = text[i];
    }
    return part;
}

static struct fault *parse_path(struct request *rq, const char *pointer, struct patch_change *ret)
{
    TRY(check_pointer(rq, pointer));
    const char *rest = pointer + strspn(pointer, "/");
    size_t length = strcspn(rest, "/"), parts = 1;
    ret->name = pointer_part(rq->cx.arena, rest, length);
    if (rest[length] == '/') {
        rest += length + 1;
        length = strcspn(rest, "/");
        ret->part = pointer_part(rq->cx.arena, rest, length);
        parts = rest[length] == '/' ? 3 : 2;
    }
    size_t limit = strcmp(ret->name, "locations") == 0 && ret->operation != REPLACE ? 2 : 1;
    if (parts != limit || strlen(ret->name) > 255)
        return FAULT(RQ(rq), 400, NULL, "Invalid JSON pointer for this resource: '%s'", pointer);
    return NULL;
}

static struct fault *check_name(struct request *rq, const struct patch_change *change)
{
    static const char *const read_only[] = { "created_at", "updated_at", "status", "checksum", "size", "virtual_size",
        "direct_url", "self", "file", "schema", "id", "os_hash_algo", "os_hash_value" };
    for (size_t i = 0; i < sizeof(read_only) / sizeof(read_only[0]); i++)
        if (strcmp(change->name, read_only[i]) == 0)
            return FAULT(RQ(rq), 403, NULL, "Attribute '%s' is read-only.", change->name);
    TRY(image_check_reserved(rq, change->name));
    if (change->operation == REMOVE || change->part != NULL)
        return NULL;
    json_t *part = json_keep(rq->cx.arena, json_object());
    json_object_set(part, change->name, change->value);
    return image_validate(rq, part);
}

static struct fault *parse_change(struct request *rq, json_t *raw, struct patch_change *ret)
{
    const char *path;
    if (!json_is_object(raw))
        return bad(rq, "Operations must be JSON objects.");
    TRY(parse_operation(rq, raw, ret, &path));
    TRY(parse_path(rq, path, ret));
    ret->value = json_object_get(raw, "value");
    if (ret->operation != REMOVE && ret->value == NULL)
        return FAULT(RQ(rq), 400, NULL, "Operation \"%s\" requires a member named \"value\".",
            operations[ret->operation]);
    return check_name(rq, ret);
}

static struct fault *parse_patch(struct request *rq, struct patch *patch)
{
    static const char v20[] = "application/openstack-images-v2.0-json-patch";
    static const char v21[] = "application/openstack-images-v2.1-json-patch";
    const char *given = request_header(rq, "Content-Type"), *why;
    const char *type = given == NULL ? "" : arena_strndup(rq->cx.arena, given, strcspn(given, "; "));
    if (strcasecmp(type, v20) != 0 && strcasecmp(type, v21) != 0) {
        response_headerf(rq, "Accept-Patch", "%s, %s", v20, v21);
        return FAULT(RQ(rq), 415, NULL, "The request media type is not supported by this server.");
    }
    if (rq->data_length == 0)
        return bad(rq, "Body expected in request.");
    json_t *body = json_parse(rq->cx.arena, rq->data, rq->data_length, &why);
    if (body == NULL)
        return glance_dialect.malformed(rq, why);
    if (!json_is_array(body))
        return bad(rq, "Request body must be a JSON array of operation objects.");
    patch->count = json_array_size(body);
    patch->changes = ARENA_ARRAY(rq->cx.arena, struct patch_change, patch->count + 1);
    for (size_t i = 0; i < patch->count; i++) {
        patch->changes[i].old = strcasecmp(type, v20) == 0;
        TRY(parse_change(rq, json_array_get(body, i), &patch->changes[i]));
    }
    return NULL;
}

static struct fault *set_number(struct patch *patch, const struct patch_change *change, int64_t *to)
{
    int64_t value = json_integer_value(change->value);
    if (value < 0)
        return FAULT(RQ(patch->rq), 400, NULL, "Invalid value '%lld' for parameter '%s': Cannot be a negative value",
            (long long)value, change->name);
    if (value > INT32_MAX)
        return FAULT(RQ(patch->rq), 400, NULL, "'%s' value out of range, must not be greater than 2147483647.",
            change->name);
    *to = value;
    return NULL;
}

static struct fault *set_format(struct patch *patch, const struct patch_change *change, const char **to)
{
    if (strcmp(patch->image.status, "queued") != 0 && strcmp(patch->image.status, "importing") != 0)
        return FAULT(RQ(patch->rq), 403, NULL, "Attribute %s can be only replaced for a queued image.", change->name);
    *to = json_string_value(change->value);
    return NULL;
}

static struct fault *set_visibility(struct patch *patch, const struct patch_change *change)
{
    const char *value = json_string_value(change->value);
    if (strcmp(value, "public") == 0)
        TRY(image_enforce(patch->rq, "publicize_image", &patch->image));
    if (strcmp(value, "community") == 0)
        TRY(image_enforce(patch->rq, "communitize_image", &patch->image));
    patch->image.visibility = value;
    return NULL;
}

/* Sets a member that every image has. *ret_known is false for all others. */
static struct fault *set_member(struct patch *patch, const struct patch_change *change, bool *ret_known)
{
    struct image *image = &patch->image;
    const char *name = change->name;
    *ret_known = true;
    if (strcmp(name, "name") == 0)
        image->name = json_string_value(change->value);
    else if (strcmp(name, "visibility") == 0)
        return set_visibility(patch, change);
    else if (strcmp(name, "protected") == 0)
        image->protected = json_is_true(change->value);
    else if (strcmp(name, "os_hidden") == 0)
        image->os_hidden = json_is_true(change->value);
    else if (strcmp(name, "min_disk") == 0)
        return set_number(patch, change, &image->min_disk);
    else if (strcmp(name, "min_ram") == 0)
        return set_number(patch, change, &image->min_ram);
    else if (strcmp(name, "disk_format") == 0)
        return set_format(patch, change, &image->disk_format);
    else if (strcmp(name, "container_format") == 0)
        return set_format(patch, change, &image->container_format);
    else if (strcmp(name, "tags") == 0) {
        image->tags = json_keep(patch->rq->cx.arena, json_array());
        for (size_t i = 0; i < json_array_size(change->value); i++) {
            bool twice = false;
            for (size_t j = 0; j < i; j++)
                twice = twice || json_equal(json_array_get(change->value, i), json_array_get(change->value, j));
            if (!twice)
                json_array_append(image->tags, json_array_get(change->value, i));
        }
        patch->tags_changed = true;
    } else if (strcmp(name, "owner") == 0) {
        if (!glance_caller_is_admin(patch->rq))
            return FAULT(RQ(patch->rq), 403, NULL, "Owner can't be updated by non admin.");
        image->owner = json_string_value(change->value);
    } else {
        *ret_known = false;
    }
    return NULL;
}

static bool is_member(const char *name)
{
    static const char *const names[] = { "name", "visibility", "protected", "os_hidden", "min_disk", "min_ram",
        "disk_format", "container_format", "tags", "owner" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static struct fault *change_locations(struct patch *patch, const struct patch_change *change)
{
    static const char *const verbs[] = { "add", "remove", "update" };
    if (change->operation == REPLACE && json_array_size(change->value) == 0)
        return FAULT(RQ(patch->rq), 403, NULL, "Cannot set locations to empty list.");
    TRY(image_enforce(patch->rq, change->operation == REMOVE ? "delete_image_location" : "set_image_location",
        &patch->image));
    return FAULT(RQ(patch->rq), 403, NULL, "It's not allowed to %s locations if locations are invisible.",
        verbs[change->operation]);
}

static struct fault *apply(struct patch *patch, const struct patch_change *change)
{
    struct request *rq = patch->rq;
    if (strcmp(change->name, "locations") == 0)
        return change_locations(patch, change);
    TRY(image_enforce_mutable(rq, "modify_image", &patch->image));
    bool member = is_member(change->name), known;
    bool present = member || json_object_get(patch->image.properties, change->name) != NULL;
    if (change->operation == REMOVE && member)
        return FAULT(RQ(rq), 403, NULL, "Property %s may not be removed.", change->name);
    if (change->operation != ADD && !present)
        return FAULT(RQ(rq), 409, NULL, "Property %s does not exist.", change->name);
    if (change->operation == ADD && present && change->old)
        return FAULT(RQ(rq), 409, NULL, "Property %s already present.", change->name);
    if (member)
        return set_member(patch, change, &known);
    patch->properties_changed = true;
    if (change->operation == REMOVE)
        json_object_del(patch->image.properties, change->name);
    else
        json_object_set(patch->image.properties, change->name, change->value);
    if (json_object_size(patch->image.properties) > 128)
        return FAULT(RQ(rq), 413, NULL,
            "The limit has been exceeded on the number of allowed image properties. Attempted: %zu, Maximum: 128",
            json_object_size(patch->image.properties));
    return NULL;
}

static struct fault *patch_run(struct tx *tx, void *argument)
{
    struct patch *patch = argument;
    patch->properties_changed = patch->tags_changed = false;
    TRY(tx_serialize_on(tx, "image", request_argument(patch->rq, "image_id")));
    TRY(image_load(patch->rq, tx, request_argument(patch->rq, "image_id"), &patch->image));
    for (size_t i = 0; i < patch->count; i++)
        TRY(apply(patch, &patch->changes[i]));
    if (patch->count == 0)
        return NULL;
    TRY(image_save(tx, &patch->image));
    if (patch->properties_changed)
        TRY(image_save_properties(tx, &patch->image));
    return patch->tags_changed ? image_save_tags(tx, &patch->image) : NULL;
}

static struct fault *patch_image(struct request *rq)
{
    struct patch patch = { .rq = rq };
    TRY(parse_patch(rq, &patch));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, patch_run, &patch));
    if (patch.count > 0)
        image_notify(rq, "image.update", &patch.image);
    image_write(rq, NULL, &patch.image);
    return NULL;
}

static const struct route rows[] = {
    ROUTE(PATCH, "/v2/images/{image_id}", "modify_image", patch_image, HANDLER_POLICY, .flags = ANY_BODY),
};
const struct route_table glance_image_patch_routes = ROUTES(rows);
