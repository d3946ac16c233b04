#include "handlers/docs.h"

#include "assets.h"
#include "base/log.h"
#include "handlers/app.h"
#include "handlers/openapi_doc.h"

enum asset_index { ASSET_SWAGGER_JS, ASSET_SWAGGER_CSS, ASSET_REDOC_JS, ASSET_DOCS_JS, ASSETS };

static const struct asset asset_list[ASSETS] = {
    [ASSET_SWAGGER_JS] = {"swagger-ui-bundle.js", "text/javascript; charset=utf-8"},
    [ASSET_SWAGGER_CSS] = {"swagger-ui.css", "text/css; charset=utf-8"},
    [ASSET_REDOC_JS] = {"redoc.standalone.js", "text/javascript; charset=utf-8"},
    [ASSET_DOCS_JS] = {"docs.js", "text/javascript; charset=utf-8"},
};

/* From the program's directory: installed, or in the tree where it was built. */
static const char *const directories[] = {"../share/sinas/docs", "../docs"};

struct docs {
    struct arena arena;
    struct asset assets[ASSETS];
};

struct docs *docs_open(void)
{
    struct docs *docs = mem_zalloc(sizeof(*docs));
    size_t missing;

    arena_init(&docs->arena);
    memcpy(docs->assets, asset_list, sizeof(asset_list));
    missing = assets_load(&docs->arena, docs->assets, ASSETS, directories, nelem(directories));
    if (missing != 0)
        log_info("docs",
                 "%zu files are missing, the documentation pages will say so; etc/docs-assets fetches them",
                 missing);
    return docs;
}

void docs_close(struct docs *docs)
{
    arena_fini(&docs->arena);
    free(docs);
}

/* ---- pages ---- */

/* A page's own policy: nothing from elsewhere, no script but the files of this module. */
#define POLICY(styles, more)                                                                                 \
    "default-src 'none'; script-src 'self'; style-src " styles "; img-src 'self' data:; "                    \
    "font-src data:; connect-src 'self'; " more                                                              \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

/* What a page loads; ASSETS ends the list. */
struct viewer {
    const char *name;
    enum asset_index files[ASSETS];
    size_t files_count;
    struct str policy;
};

static const struct viewer swagger = {
    .name = "Swagger UI",
    .files = {ASSET_SWAGGER_CSS, ASSET_SWAGGER_JS, ASSET_DOCS_JS},
    .files_count = 3,
    .policy = STR_INIT(POLICY("'self'", "")),
};
/* Redoc writes its styles into the page and searches in a worker that it makes from a blob. */
static const struct viewer redoc = {
    .name = "Redoc",
    .files = {ASSET_REDOC_JS, ASSET_DOCS_JS},
    .files_count = 2,
    .policy = STR_INIT(POLICY("'self' 'unsafe-inline'", "worker-src blob:; ")),
};

static void page_add_file(struct buf *out, const struct asset *asset)
{
    if (strcmp(strrchr(asset->name, '.'), ".css") == 0)
        buf_addf(out, "<link rel=\"stylesheet\" href=\"/docs/assets/%s?v=" STR_FMT "\">\n", asset->name,
                 STR_ARG(asset->version));
    else
        buf_addf(out, "<script src=\"/docs/assets/%s?v=" STR_FMT "\" defer></script>\n", asset->name,
                 STR_ARG(asset->version));
}

static void page_add_missing(struct buf *out, const struct docs *docs, const struct viewer *v,
                             const char *document)
{
    buf_addf(out, "<p>%s is not installed here. Missing:</p>\n<ul>\n", v->name);
    for (size_t i = 0; i < v->files_count; i++) {
        if (str_is_none(docs->assets[v->files[i]].bytes))
            buf_addf(out, "<li>%s</li>\n", docs->assets[v->files[i]].name);
    }
    buf_addf(out,
             "</ul>\n<p><code>make docs-assets</code> in the source tree fetches them. "
             "The document itself: <a href=\"%s\">%s</a></p>\n",
             document, document);
}

static bool viewer_is_complete(const struct docs *docs, const struct viewer *v)
{
    for (size_t i = 0; i < v->files_count; i++) {
        if (str_is_none(docs->assets[v->files[i]].bytes))
            return false;
    }
    return true;
}

static void page_write(struct buf *out, const struct docs *docs, const struct viewer *v, enum openapi_doc doc)
{
    char document[64];
    bool is_complete = viewer_is_complete(docs, v);

    (void)snprintf(document, sizeof(document), "%s/openapi.json", openapi_mount(doc));
    buf_addf(out,
             "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<title>%s</title>\n<link rel=\"icon\" href=\"data:,\">\n",
             openapi_title(doc));
    for (size_t i = 0; is_complete && i < v->files_count; i++)
        page_add_file(out, &docs->assets[v->files[i]]);
    buf_addf(out, "</head>\n<body data-document=\"%s\">\n<div id=\"docs\"></div>\n", document);
    if (!is_complete)
        page_add_missing(out, docs, v, document);
    buf_add(out, STR("</body>\n</html>\n"));
}

static int page_reply(struct req *r, const struct viewer *v)
{
    struct buf out;

    buf_init_arena(&out, &r->arena);
    page_write(&out, r->server->app->docs, v, openapi_doc_of(r->route));
    reply_header(r, "Content-Security-Policy", v->policy);
    reply_header(r, "Cache-Control", STR("no-cache"));
    return reply_text(r, 200, "text/html; charset=utf-8", buf_str(&out));
}

int docs_swagger(struct req *r)
{
    return page_reply(r, &swagger);
}

int docs_redoc(struct req *r)
{
    return page_reply(r, &redoc);
}

/* ---- files ---- */

int docs_asset(struct req *r)
{
    const struct docs *docs = r->server->app->docs;
    const struct asset *asset = assets_find(docs->assets, ASSETS, param(r, "file"));

    if (asset == NULL || str_is_none(asset->bytes))
        return fail(r, 404, "Not Found");
    /* Only an address that names this version may be kept for good. */
    if (str_eq(query(r, "v"), asset->version))
        reply_header(r, "Cache-Control", STR("public, max-age=31536000, immutable"));
    else
        reply_header(r, "Cache-Control", STR("no-cache"));
    return asset_reply(r, asset->content_type, asset->bytes, asset->version);
}
