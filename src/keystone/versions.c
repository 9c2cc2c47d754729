/* SPDX-License-Identifier: Apache-2.0
 *
 * The version documents: the list of versions (300) and v3; to who asks for it, the JSON home document instead.
 */
#include "keystone/state.h"

#include "oslo/json.h"

#include <string.h>


static void write_version(struct request *rq, const char *name)
{
    struct json_writer *w = &rq->json;

    json_begin(w, name);
    json_text(w, "id", "v3.14");
    json_text(w, "status", "stable");
    json_text(w, "updated", "2020-04-07T00:00:00Z");
    json_begin_array(w, "links");
    json_begin(w, NULL);
    json_text(w, "rel", "self");
    json_text(w, "href", keystone_url(rq, "/"));
    json_end(w);
    json_end_array(w);
    json_begin_array(w, "media-types");
    json_begin(w, NULL);
    json_text(w, "base", "application/json");
    json_text(w, "type", "application/vnd.openstack.identity-v3+json");
    json_end(w);
    json_end_array(w);
    json_end(w);
}

static bool wants_home(const struct request *rq)
{
    const char *accept = request_header(rq, "Accept");

    return accept != NULL && strncmp(accept, "application/json-home", strlen("application/json-home")) == 0;
}

static struct fault *versions_list(struct request *rq)
{
    if (wants_home(rq)) {
        json_home_write(rq, "/v3");
        rq->status = 200;
        return NULL;
    }
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "versions");
    json_begin_array(&rq->json, "values");
    write_version(rq, NULL);
    json_end_array(&rq->json);
    json_end(&rq->json);
    json_end(&rq->json);
    response_header(rq, "Location", keystone_url(rq, "/"));
    rq->status = 300;
    return NULL;
}

static struct fault *version_show(struct request *rq)
{
    if (wants_home(rq)) {
        json_home_write(rq, "");
        return NULL;
    }
    json_begin(&rq->json, NULL);
    write_version(rq, "version");
    json_end(&rq->json);
    return NULL;
}

static const struct route rows[] = {
    ROUTE(GET, "/",    NULL, versions_list, .flags = NO_TOKEN, .status = 300),
    ROUTE(GET, "/v3",  NULL, version_show,  .flags = NO_TOKEN),
};

const struct route_table version_routes = ROUTES(rows);
