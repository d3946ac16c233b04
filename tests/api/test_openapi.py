"""The OpenAPI documents and their pages: spec 10 §16."""

import copy
import html.parser
import json
import os
import re
import shutil
import urllib.parse

import jsonschema
import pytest

import browser
import harness

DOCUMENTS = {
    "/openapi.json": ("SINAS Runtime API", "/", "Runtime API"),
    "/api/v1/openapi.json": ("SINAS Management API", "/api/v1", "Management API"),
    "/adapters/openai/openapi.json": ("SINAS OpenAI Adapter", "/adapters/openai", "OpenAI Adapter"),
}
SWAGGER = {"/docs": "/openapi.json", "/api/v1/docs": "/api/v1/openapi.json",
           "/adapters/openai/docs": "/adapters/openai/openapi.json"}
REDOC = {"/api/v1/redoc": "/api/v1/openapi.json", "/adapters/openai/redoc": "/adapters/openai/openapi.json"}
PAGES = {**SWAGGER, **REDOC}
METHODS = {"get", "put", "post", "delete", "patch"}
ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css",
          "redoc.standalone.js": "text/javascript", "docs.js": "text/javascript"}
PARAMETER = re.compile(r"{([^{}]+)}")


def need(condition, what):
    """What a developer may lack and CI may not."""
    if not condition and os.environ.get("ALLOW_SKIP") == "1":
        pytest.skip(f"{what} is missing")
    assert condition, f"{what} is missing"


def operations(document):
    for path, item in document["paths"].items():
        for method in METHODS & set(item):
            yield path, method, item[method]


def mounted(document, path):
    return document["servers"][0]["url"].rstrip("/") + path


def filled(path):
    """A path with something for each parameter."""
    return PARAMETER.sub("00000000-0000-4000-8000-000000000000", path)


def resolve(document, reference):
    """What a reference points to; KeyError when that is nothing."""
    assert reference.startswith("#/")
    value = document
    for part in urllib.parse.unquote(reference[2:]).split("/"):
        part = part.replace("~1", "/").replace("~0", "~")
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def followed(document, value):
    return resolve(document, value["$ref"]) if "$ref" in value else value


def walk(value):
    yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(item)


def parameters(document, path, operation):
    return document["paths"][path].get("parameters", []) + operation.get("parameters", [])


def body_schema(document, operation):
    """The body that an operation asks for, or None."""
    body = operation.get("requestBody")
    return followed(document, body["content"]["application/json"]["schema"]) if body else None


@pytest.fixture(scope="module", params=DOCUMENTS)
def address(request):
    return request.param


@pytest.fixture(scope="module")
def document(sinas, address):
    answer = sinas.client().get(address)
    assert answer.status == 200, answer
    return answer.json()


# ---- the documents are what OpenAPI 3.1 says ----


def test_head(document, address):
    title, server, description = DOCUMENTS[address]
    assert document["openapi"] == "3.1.0"
    assert document["info"] == {"title": title, "version": "1.0.0"}
    assert document["servers"] == [{"url": server, "description": description}]
    assert set(document) == {"openapi", "info", "servers", "security", "tags", "components", "paths"}
    schemes = document["components"]["securitySchemes"]
    assert (schemes["BearerAuth"]["type"], schemes["BearerAuth"]["scheme"]) == ("http", "bearer")
    assert {key: schemes["ApiKeyAuth"][key] for key in ("type", "in", "name")} == \
        {"type": "apiKey", "in": "header", "name": "X-API-Key"}
    assert document["security"] == [{"BearerAuth": []}, {"ApiKeyAuth": []}]


def test_references_lead_somewhere(document):
    for value in walk(document):
        if isinstance(value, dict) and isinstance(value.get("$ref"), str):
            resolve(document, value["$ref"])


def test_paths_and_their_parameters(document):
    templates = [PARAMETER.sub("{}", path) for path in document["paths"]]
    assert len(templates) == len(set(templates)), "paths that differ in names of parameters only are one path"
    for path, _, operation in operations(document):
        assert path.startswith("/")
        declared = parameters(document, path, operation)
        assert [p["name"] for p in declared if p["in"] == "path"] == PARAMETER.findall(path)
        assert all(p["required"] is True for p in declared if p["in"] == "path")
        assert len({(p["in"], p["name"]) for p in declared}) == len(declared)
        assert all(p["in"] in ("path", "query") and "schema" in p for p in declared)


def test_operations(document):
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    tags = [tag["name"] for tag in document["tags"]]
    assert len(ids) == len(set(ids))
    assert len(tags) == len(set(tags))
    for _, _, operation in operations(document):
        assert len(operation["tags"]) == 1 and operation["tags"][0] in tags
        assert all(followed(document, response)["description"] for response in operation["responses"].values())
        assert any(status.startswith("2") for status in operation["responses"])
        assert "default" in operation["responses"]


def test_schemas_are_schemas(document):
    schemas = [*document["components"]["schemas"].values()]
    schemas += [p["schema"] for path, _, operation in operations(document) for p in parameters(document, path, operation)]
    for schema in schemas:
        jsonschema.Draft202012Validator.check_schema(schema)
        for part in walk(schema):
            if isinstance(part, dict) and isinstance(part.get("pattern"), str):
                re.compile(part["pattern"])


def test_defaults_fit_their_schemas(document):
    for schema in walk(document):
        if isinstance(schema, dict) and "default" in schema and ("type" in schema or "$ref" in schema):
            inside = {**copy.deepcopy(schema), "components": document["components"]}
            jsonschema.Draft202012Validator(inside).validate(schema["default"])


# ---- they say what the server does ----


def documented_methods(document, path):
    """Those of every template that a path is a case of."""
    return {method for template, item in document["paths"].items() for method in METHODS & set(item)
            if re.fullmatch(PARAMETER.sub("[^/]+", re.escape(template).replace(r"\{", "{").replace(r"\}", "}")), path)}


def test_the_server_has_the_documented_methods_and_no_others(http, document):
    for path in map(filled, document["paths"]):
        answer = http.request("OPTIONS", mounted(document, path))
        assert answer.status == 204, path
        allowed = {word.strip().lower() for word in answer.headers["Allow"].split(",")}
        assert allowed - {"head", "options"} == documented_methods(document, path), path


def test_what_needs_a_credential_says_so(http, document):
    for path, method, operation in operations(document):
        is_public = operation.get("security") == []
        assert ("401" in operation["responses"]) != is_public
        if not is_public:
            answer = http.request(method.upper(), filled(mounted(document, path)), json={} if method != "get" else None)
            assert answer.status == 401, (method, path, answer)


def test_required_fields_are_those_that_are_missed(admin, document):
    for path, method, operation in operations(document):
        schema = body_schema(document, operation)
        if schema is None or not schema.get("required") or parameters(document, path, operation):
            continue
        answer = admin.request(method.upper(), mounted(document, path), json={})
        assert answer.status == 422, (method, path, answer)
        missed = [error["loc"][1] for error in answer.detail if error["type"] == "missing"]
        assert missed == schema["required"], (method, path)
        assert "422" in operation["responses"]


def test_bounds_of_queries_are_kept(admin, document):
    for path, method, operation in operations(document):
        for parameter in operation.get("parameters", []):
            least = parameter["schema"].get("minimum")
            if least is None or PARAMETER.search(path):
                continue
            answer = admin.request(method.upper(), mounted(document, path) + f"?{parameter['name']}={least - 1}")
            assert answer.status == 422, (method, path, parameter["name"], answer)
            assert [error["loc"] for error in answer.detail] == [["query", parameter["name"]]]


# One body each that their create takes, without the namespace and the name.
KINDS = {"agents": ("Agent", {}), "skills": ("Skill", {"description": "d", "content": "c"}),
         "llm-providers": ("LLMProvider", {"provider_type": "openai", "api_key": "sk-test"})}


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_as_documented(admin, unique, kind):
    noun, fields = KINDS[kind]
    components = admin.get("/api/v1/openapi.json").json()["components"]
    schema = components["schemas"][noun]
    answer = admin.post(f"/api/v1/{kind}", {"name": f"openapi-{unique}", **fields})
    assert answer.status == 201, answer
    jsonschema.Draft202012Validator({**schema, "components": components}).validate(answer.json())
    assert set(answer.json()) == set(schema["properties"])
    listed = admin.get(f"/api/v1/{kind}")
    jsonschema.Draft202012Validator({"type": "array", "items": schema, "components": components}).validate(listed.json())


# ---- what only some callers see ----

INPUT = {"type": "object", "properties": {"city": {"$ref": "#/$defs/place"}}, "required": ["city"],
         "$defs": {"place": {"type": "string", "minLength": 2}}}


def make_agent(sinas, space, name, description=None, input_schema={}, is_active=True):
    description = f"'{description}'" if description else "null"
    sinas.psql("insert into agents (namespace, name, description, input_schema, is_active) values "
               f"('{space}', '{name}', {description}, '{json.dumps(input_schema)}', {is_active})")


def agent_paths(client, space):
    answer = client.get("/openapi.json")
    assert answer.status == 200
    return [path for path in answer.json()["paths"] if path.startswith(f"/agents/{space}")]


@pytest.fixture
def space(unique):
    return f"openapi-{unique}"


def test_agents_of_the_caller(sinas, admin, http, space):
    make_agent(sinas, space, "weather (new)", description="Tells the weather.", input_schema=INPUT)
    make_agent(sinas, space, "other")
    make_agent(sinas, space, "gone", is_active=False)
    weather, other = f"/agents/{space}/weather%20%28new%29/chats", f"/agents/{space}/other/chats"
    assert agent_paths(admin, space) == [other, weather]
    one = sinas.client(sinas.new_key(f"sinas.agents/{space}/weather (new).chat:own"))
    assert agent_paths(one, space) == [weather]
    none = sinas.client(sinas.new_key("sinas.skills.read:own"))
    assert agent_paths(none, space) == []
    assert agent_paths(http, space) == []
    assert agent_paths(sinas.client("not-a-key"), space) == []


def test_agent_operation(sinas, admin, space):
    make_agent(sinas, space, "weather", description="Tells the weather.", input_schema=INPUT)
    document = admin.get("/openapi.json").json()
    operation = document["paths"][f"/agents/{space}/weather/chats"]["post"]
    assert (operation["summary"], operation["description"]) == (f"Chat with {space}/weather", "Tells the weather.")
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert {"input", "title"} <= set(schema["properties"])
    assert schema["properties"]["input"]["required"] == ["city"]
    place = schema["properties"]["input"]["properties"]["city"]["$ref"]
    assert resolve(document, place) == {"type": "string", "minLength": 2}
    ids = [each["operationId"] for _, _, each in operations(document)]
    assert len(ids) == len(set(ids))
    assert admin.post(f"/agents/{space}/weather/chats", {"input": {"city": "Ulm"}}).status == 200


def test_anonymous_document_is_what_a_bad_credential_gets(sinas, http):
    anonymous = http.get("/openapi.json")
    assert sinas.client("not-a-key").get("/openapi.json").body == anonymous.body
    assert sinas.client().with_headers(**{"X-API-Key": "not-a-key"}).get("/openapi.json").body == anonymous.body


# ---- caches ----


def test_document_is_kept_by_version(http, address):
    first = http.get(address)
    assert first.headers["Content-Type"] == "application/json"
    assert first.headers["Cache-Control"] == "no-cache"
    again = http.with_headers(**{"If-None-Match": first.headers["ETag"]}).get(address)
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", first.headers["ETag"])


def test_the_callers_document_is_nobody_elses(admin, http):
    for client in (admin, http):
        assert "Authorization, X-API-Key" in client.get("/openapi.json").headers.get_all("Vary")
    assert admin.get("/openapi.json").headers["Cache-Control"] == "private, no-cache"
    assert admin.get("/openapi.json").headers["ETag"] is None


# ---- pages ----


class References(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.inline = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.found += [attributes[name] for name in ("src", "href") if name in attributes]
        self.inline += [name for name in attributes if name.startswith("on") or name == "style"]
        self.inline += [tag for tag in [tag] if tag in ("script", "style") and "src" not in attributes]


@pytest.mark.parametrize("page", PAGES)
def test_page(http, page):
    answer = http.get(page)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert (policy["default-src"], policy["script-src"], policy["connect-src"]) == ("'none'", "'self'", "'self'")
    assert (policy["base-uri"], policy["form-action"], policy["frame-ancestors"]) == ("'none'", "'none'", "'self'")
    assert f'data-document="{PAGES[page]}"' in answer.text
    references = References(answer.text)
    assert references.inline == []
    for reference in references.found:
        assert reference == "data:," or reference.startswith(("/docs/assets/", "/"))
        assert not reference.startswith("//")


def test_files(http):
    need((harness.ROOT / "build/docs/complete").exists(), "build/docs (make docs-assets)")
    for name, content_type in ASSETS.items():
        answer = http.get(f"/docs/assets/{name}")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == f"{content_type}; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.body == (harness.ROOT / "build/docs" / name).read_bytes()
        version = answer.headers["ETag"].strip('"')
        kept = http.get(f"/docs/assets/{name}?v={version}")
        assert kept.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert http.get(f"/docs/assets/{name}?v=x").headers["Cache-Control"] == "no-cache"
        assert http.with_headers(**{"If-None-Match": f'"{version}"'}).get(f"/docs/assets/{name}").status == 304


@pytest.mark.parametrize("name", ["complete", "redoc.LICENSE", "..%2fcomplete", "%2e%2e%2f%2e%2e%2fMakefile",
                                  "..%2f..%2f..%2f..%2f..%2fetc%2fpasswd", "docs.js%20", "DOCS.JS", "docs.js/x"])
def test_only_listed_files_are_served(http, name):
    assert http.get(f"/docs/assets/{name}").status == 404


def test_pages_say_what_is_missing(new_sinas, tmp_path, monkeypatch):
    """A program that was put somewhere without its files."""
    (tmp_path / "bin").mkdir(mode=0o755)
    shutil.copy(harness.SINAS, tmp_path / "bin/sinas")
    monkeypatch.setattr(harness, "SINAS", tmp_path / "bin/sinas")
    client = new_sinas().client()
    page = client.get("/docs")
    assert page.status == 200
    assert "swagger-ui-bundle.js" in page.text and "<script" not in page.text
    assert 'href="/openapi.json"' in page.text
    assert "redoc.standalone.js" in client.get("/api/v1/redoc").text
    assert client.get("/docs/assets/swagger-ui-bundle.js").status == 404
    assert client.get("/openapi.json").status == 200


# ---- in a browser ----


@pytest.fixture(scope="module")
def page():
    need(browser.PROGRAM is not None, "chromium")
    need((harness.ROOT / "build/docs/complete").exists(), "build/docs (make docs-assets)")
    started = browser.Browser()
    yield started
    started.close()


def check_page(sinas, page):
    page.wait_for("document.readyState === 'complete' && [...document.images].every(image => image.complete)")
    assert page.complaints == []
    assert {urllib.parse.urlsplit(url).netloc or "in the page" for url in page.requests} <= \
        {urllib.parse.urlsplit(sinas.url).netloc, "in the page"}


def count_of_operations(sinas, address):
    return len(list(operations(sinas.client().get(address).json())))


@pytest.mark.parametrize("path", SWAGGER)
def test_swagger_lists_every_operation(sinas, page, path):
    page.visit(sinas.url + path)
    wanted = count_of_operations(sinas, SWAGGER[path])
    page.wait_for(f"document.querySelectorAll('.opblock').length === {wanted}")
    assert page.run("document.querySelectorAll('.errors-wrapper').length") == 0
    check_page(sinas, page)


@pytest.mark.parametrize("path", REDOC)
def test_redoc_lists_every_operation(sinas, page, path):
    page.visit(sinas.url + path)
    wanted = count_of_operations(sinas, REDOC[path])
    page.wait_for(f"document.querySelectorAll('[data-section-id*=\"operation/\"] h2').length >= {wanted}")
    check_page(sinas, page)


SIGN_IN = """(() => {
    const box = [...document.querySelectorAll('.auth-container')].find(each => each.innerText.includes('ApiKeyAuth'));
    const field = box.querySelector('input');
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(field, '%s');
    field.dispatchEvent(new Event('input', {bubbles: true}));
    box.querySelector('button.authorize').click();
})()"""


def test_signing_in_shows_the_callers_agents(sinas, page, space):
    make_agent(sinas, space, "weather")
    page.visit(sinas.url + "/docs")
    page.wait_for("document.querySelectorAll('.opblock').length > 0")
    assert space not in page.run("document.body.innerText")
    page.run("document.querySelector('.btn.authorize').click()")
    page.wait_for("document.querySelectorAll('.auth-container').length > 0")
    page.run(SIGN_IN % sinas.new_key(f"sinas.agents/{space}/*.chat:own"))
    page.wait_for(f"document.body.innerText.includes('{space}/weather')")
    check_page(sinas, page)
