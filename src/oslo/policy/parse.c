/* SPDX-License-Identifier: Apache-2.0
 *
 * policy/parse: check strings to trees (policy.h has the language).
 */
#include "oslo/policy/tree.h"

#include <string.h>
#include <strings.h>

enum { DEPTH_LIMIT = 64, TEXT_LIMIT = 64 << 10 };

enum token_kind { TOKEN_END, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_AND, TOKEN_OR, TOKEN_NOT, TOKEN_CHECK };

struct parser {
    struct arena *arena;
    const char *name;
    const char *at;
    size_t closes;          /* ')' still to come from behind the last word */
    enum token_kind kind;   /* the present token */
    const char *word;
    size_t length;
    int depth;
};

static struct fault *wrong(struct parser *parser, const char *what)
{
    return fault_new(parser->arena, 500, "PolicyParseError", "Policy rule %s: %s", parser->name, what);
}

static enum token_kind word_kind(const char *word, size_t length)
{
    if (length == 3 && strncasecmp(word, "and", 3) == 0)
        return TOKEN_AND;
    if (length == 2 && strncasecmp(word, "or", 2) == 0)
        return TOKEN_OR;
    if (length == 3 && strncasecmp(word, "not", 3) == 0)
        return TOKEN_NOT;
    return TOKEN_CHECK;
}

/* Words are separated by blanks; '(' before and ')' behind a word are tokens of their own, as in oslo.policy. */
static void advance(struct parser *parser)
{
    size_t length;

    if (parser->closes > 0) {
        parser->closes--;
        parser->kind = TOKEN_CLOSE;
        return;
    }
    parser->at += strspn(parser->at, " \t\r\n");
    if (*parser->at == '\0') {
        parser->kind = TOKEN_END;
        return;
    }
    if (*parser->at == '(') {
        parser->at++;
        parser->kind = TOKEN_OPEN;
        return;
    }
    parser->word = parser->at;
    length = strcspn(parser->at, " \t\r\n");
    parser->at += length;
    while (length > 0 && parser->word[length - 1] == ')') {
        length--;
        parser->closes++;
    }
    parser->length = length;
    if (length == 0) {
        parser->closes--;
        parser->kind = TOKEN_CLOSE;
        return;
    }
    parser->kind = word_kind(parser->word, length);
}

/* Cuts "a%(b)sc%%" into parts. */
static struct fault *parse_value(struct parser *parser, const char *text, struct part **ret)
{
    struct part **tail = ret;

    do {
        size_t length = strcspn(text, "%");
        struct part *part = ARENA_NEW(parser->arena, struct part);

        part->text = text;
        part->length = length;
        text += length;
        if (text[0] == '%' && text[1] == '%') {
            part->length++;
            text += 2;
        } else if (text[0] == '%') {
            const char *close = text[1] == '(' ? strchr(text, ')') : NULL;

            if (close == NULL || close[1] != 's' || close == text + 2)
                return wrong(parser, "expected %(name)s after a percent sign");
            part->member = arena_strndup(parser->arena, text + 2, (size_t)(close - text - 2));
            text = close + 2;
        }
        *tail = part;
        tail = &part->next;
    } while (*text != '\0');
    return NULL;
}

/* The text of a Python literal as str() prints it, or NULL. */
static const char *literal_of(struct arena *arena, const char *key)
{
    size_t length = strlen(key);
    bool quoted = length >= 2 && (*key == '\'' || *key == '"') && key[length - 1] == *key;

    if (quoted)
        return arena_strndup(arena, key + 1, length - 2);
    if (strcmp(key, "True") == 0 || strcmp(key, "False") == 0 || strcmp(key, "None") == 0)
        return key;
    return length > 0 && strspn(key, "0123456789") == length ? key : NULL;
}

static struct fault *parse_field(struct parser *parser, struct check *check, const char *text)
{
    const char *colon = strchr(text, ':');
    const char *equals = colon == NULL ? NULL : strchr(colon, '=');

    if (equals == NULL)
        return wrong(parser, "expected field:RESOURCE:NAME=VALUE");
    check->kind = CHECK_FIELD;
    check->key = arena_strndup(parser->arena, colon + 1, (size_t)(equals - colon - 1));
    if (equals[1] == '~') { /* as neutron: a regular expression, matched from the begin */
        check->pattern = arena_printf(parser->arena, "^(?:%s)", equals + 2);
        return NULL;
    }
    return parse_value(parser, equals + 1, &check->value);
}

static struct fault *parse_word(struct parser *parser, struct check **ret)
{
    const char *word = arena_strndup(parser->arena, parser->word, parser->length);
    struct check *check = ARENA_NEW(parser->arena, struct check);
    const char *colon = strchr(word, ':');
    const char *key, *literal;

    *ret = check;
    if (strcmp(word, "@") == 0 || strcmp(word, "!") == 0) {
        check->kind = *word == '@' ? CHECK_TRUE : CHECK_FALSE;
        return NULL;
    }
    if (colon == NULL || colon == word)
        return wrong(parser, arena_printf(parser->arena, "'%.80s' is not of the form KIND:MATCH", word));
    key = arena_strndup(parser->arena, word, (size_t)(colon - word));
    check->key = key;
    if (strcmp(key, "field") == 0)
        return parse_field(parser, check, colon + 1);
    if (strcmp(key, "rule") == 0) {
        check->kind = CHECK_RULE;
        check->key = colon + 1;
        return NULL;
    }
    if (strcmp(key, "http") == 0 || strcmp(key, "https") == 0) {
        check->kind = CHECK_HTTP;
        return parse_value(parser, word, &check->value);
    }
    literal = literal_of(parser->arena, key);
    check->kind = strcmp(key, "role") == 0 ? CHECK_ROLE : literal != NULL ? CHECK_LITERAL : CHECK_CREDENTIAL;
    if (literal != NULL)
        check->key = literal;
    return parse_value(parser, colon + 1, &check->value);
}

static struct fault *parse_or(struct parser *parser, struct check **ret);

static struct fault *parse_unary(struct parser *parser, struct check **ret)
{
    if (++parser->depth > DEPTH_LIMIT)
        return wrong(parser, "nested too deeply");
    if (parser->kind == TOKEN_NOT) {
        struct check *inner = NULL;

        advance(parser);
        TRY(parse_unary(parser, &inner));
        *ret = ARENA_NEW(parser->arena, struct check);
        (*ret)->kind = CHECK_NOT;
        (*ret)->first = inner;
    } else if (parser->kind == TOKEN_OPEN) {
        advance(parser);
        TRY(parse_or(parser, ret));
        if (parser->kind != TOKEN_CLOSE)
            return wrong(parser, "a parenthesis is not closed");
        advance(parser);
    } else if (parser->kind == TOKEN_CHECK) {
        TRY(parse_word(parser, ret));
        advance(parser);
    } else {
        return wrong(parser, "a check is missing");
    }
    parser->depth--;
    return NULL;
}

struct check *policy_join(struct arena *arena, enum check_kind kind, struct check *left, struct check *right)
{
    struct check *join;
    struct check **tail;

    if (left == NULL || right == NULL)
        return left == NULL ? right : left;
    join = left;
    if (left->kind != kind || left->next != NULL) {
        join = ARENA_NEW(arena, struct check);
        join->kind = kind;
        join->first = left;
    }
    for (tail = &join->first; *tail != NULL; tail = &(*tail)->next)
        ;
    *tail = right;
    return join;
}

static struct fault *parse_and(struct parser *parser, struct check **ret)
{
    struct check *all = NULL;
    struct check *next = NULL;

    TRY(parse_unary(parser, &all));
    while (parser->kind == TOKEN_AND) {
        advance(parser);
        TRY(parse_unary(parser, &next));
        all = policy_join(parser->arena, CHECK_AND, all, next);
    }
    *ret = all;
    return NULL;
}

static struct fault *parse_or(struct parser *parser, struct check **ret)
{
    struct check *any = NULL;
    struct check *next = NULL;

    TRY(parse_and(parser, &any));
    while (parser->kind == TOKEN_OR) {
        advance(parser);
        TRY(parse_and(parser, &next));
        any = policy_join(parser->arena, CHECK_OR, any, next);
    }
    *ret = any;
    return NULL;
}

struct fault *policy_parse(struct arena *arena, const char *name, const char *text, struct check **ret)
{
    struct parser parser = { .arena = arena, .name = name, .at = arena_strdup(arena, text) };

    if (strlen(text) > TEXT_LIMIT)
        return wrong(&parser, "the check is too long");
    advance(&parser);
    if (parser.kind == TOKEN_END) {
        *ret = ARENA_NEW(arena, struct check);
        (*ret)->kind = CHECK_TRUE;
        return NULL;
    }
    TRY(parse_or(&parser, ret));
    if (parser.kind != TOKEN_END)
        return wrong(&parser, "expected and, or, or the end after a check");
    return NULL;
}
