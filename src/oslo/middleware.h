/* SPDX-License-Identifier: Apache-2.0
 *
 * middleware: what oslo.middleware puts in front of every API: cross-origin requests ([cors]), health checks ([healthcheck]),
 * the headers of proxies and the limit of bodies ([oslo_middleware]). A service whose defaults differ has its rows of [cors]
 * in a table of its own: the first row of an option holds.
 */
#ifndef OSLO_MIDDLEWARE_H
#define OSLO_MIDDLEWARE_H

#include "oslo/http.h"
#include "oslo/options.h"

extern const struct option_table middleware_options;

/* The rows of a service's own defaults, each a list: "X-Auth-Token,X-Roles". */
#define CORS_OPTIONS(allow_headers_, expose_headers_, allow_methods_)                                                  \
    { "cors", "allow_headers", OPTION_LIST, allow_headers_, "Headers that pages of other origins may send." },         \
    { "cors", "expose_headers", OPTION_LIST, expose_headers_, "Headers that pages of other origins may read." },       \
    { "cors", "allow_methods", OPTION_LIST, allow_methods_, "Methods that pages of other origins may use." }

/* Bytes of a body that is no stream. */
size_t middleware_body_limit(const struct app *app);

/* "http://host" as the client knows it: by Forwarded or X-Forwarded-* when a proxy may say so, else by Host, else
 * `authority`. In the request's arena. */
const char *middleware_base_url(const struct request *rq, const char *authority);

/* Answers health checks and preflight requests: true when the response is there and nobody else shall see the request. */
bool middleware_answers(struct request *rq);

/* The headers that a page of another origin needs to read a response. */
void middleware_finish(struct request *rq);

#endif
