/* SPDX-License-Identifier: Apache-2.0
 *
 * dialect: glance's faults, as webob writes them: HTML, or JSON or text for those who ask for it.
 */
#include "glance/images.h"

#include <string.h>

struct glance *glance_of(const struct request *rq)
{
    return rq->cx.app->private;
}

struct fault *glance_answer_empty(struct request *rq)
{
    rq->status = 204;
    rq->content_type = NULL;
    return NULL;
}

static struct fault *malformed(struct request *rq, const char *why)
{
    if (rq->data_length == 0)
        return FAULT(RQ(rq), 400, NULL, "Body expected in request.");
    struct fault *fault = FAULT(RQ(rq), 400, NULL, "Malformed JSON in request body.");
    return fault_detail(rq->cx.arena, fault, "%s", why);
}

static struct fault *invalid(struct request *rq, const struct violation *violation)
{
    return FAULT(RQ(rq), 400, NULL, "%s", violation_text_glance(rq->cx.arena, violation, "image"));
}

static struct fault *forbidden(struct request *rq, const char *rule)
{
    struct fault *fault = FAULT(RQ(rq), 403, NULL, "You are not authorized to complete %s action.", rule);
    return fault;
}

static void html_text(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&':
            buf_puts(out, "&amp;");
            break;
        case '<':
            buf_puts(out, "&lt;");
            break;
        case '>':
            buf_puts(out, "&gt;");
            break;
        case '"':
            buf_puts(out, "&quot;");
            break;
        case '\'':
            buf_puts(out, "&#x27;");
            break;
        default:
            buf_putc(out, *text);
        }
    }
}

static void render(struct request *rq, const struct fault *fault)
{
    const char *accept = request_header(rq, "Accept");
    const char *title = http_reason(fault->status);
    bool html = accept == NULL || *accept == '\0' || strstr(accept, "text/html") != NULL ||
        strstr(accept, "*/*") != NULL || strstr(accept, "text/*") != NULL;
    rq->status = fault->status;
    buf_clear(&rq->out);
    rq->json = (struct json_writer){ .out = &rq->out };
    if (html) {
        rq->content_type = "text/html; charset=UTF-8";
        buf_printf(&rq->out, "<html>\n <head>\n  <title>%d %s</title>\n </head>\n <body>\n  <h1>%d %s</h1>\n  ",
            fault->status, title, fault->status, title);
        html_text(&rq->out, fault->message);
        buf_puts(&rq->out, "<br /><br />\n\n\n\n </body>\n</html>");
    } else if (strstr(accept, "json") != NULL || strstr(accept, "application/*") != NULL) {
        rq->content_type = "application/json";
        json_begin(&rq->json, NULL);
        json_textf(&rq->json, "message", "%s<br /><br />\n\n\n", fault->message);
        json_textf(&rq->json, "code", "%d %s", fault->status, title);
        json_text(&rq->json, "title", title);
        json_end(&rq->json);
    } else {
        rq->content_type = "text/plain; charset=UTF-8";
        buf_printf(&rq->out, "%d %s\n\n%s\n\n\n\n\n", fault->status, title, fault->message);
    }
}

/* As glance's mapper: /v2/images/ is an image without a name, which is not found, rather than the list. */
static const char *keep_trailing_slash(struct request *rq)
{
    return strcmp(rq->path, "/v2/images/") == 0 ? "/v2/images//" : rq->path;
}

const struct dialect glance_dialect = {
    .schema_options = SCHEMA_BEST,
    .merge_slashes = true,
    .rewrite = keep_trailing_slash,
    .body_limit = 1024 * 1024,
    .malformed = malformed,
    .invalid = invalid,
    .forbidden = forbidden,
    .render = render,
};
