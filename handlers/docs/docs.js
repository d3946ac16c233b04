/*
 * Starts the documentation page: Swagger UI or Redoc, whichever the page has
 * loaded, on the document that its body names.
 */
"use strict";

const documentUrl = document.body.dataset.document;

document.body.style.margin = "0"; // the policy of the page allows no style of its own in the markup

/*
 * The document lists more for those who may see more. So it is fetched again, with the
 * credentials, when somebody signs in or out on the page.
 */
function startSwagger() {
    let credentials = {};

    function addCredentials(request) {
        if (request.loadSpec) {
            Object.assign(request.headers, credentials);
        }
        return request;
    }

    function headersOf(authorized) {
        const headers = {};
        const bearer = authorized.getIn(["BearerAuth", "value"]);
        const key = authorized.getIn(["ApiKeyAuth", "value"]);

        if (bearer) {
            headers.Authorization = "Bearer " + bearer;
        }
        if (key) {
            headers["X-API-Key"] = key;
        }
        return headers;
    }

    function thenReload(original, system) {
        return function (...parameters) {
            const result = original(...parameters);

            credentials = headersOf(system.authSelectors.authorized());
            system.specActions.download(documentUrl);
            return result;
        };
    }

    const reloadOnSignIn = {
        statePlugins: {
            auth: { wrapActions: { authorize: thenReload, logout: thenReload } },
        },
    };

    SwaggerUIBundle({
        url: documentUrl,
        dom_id: "#docs",
        deepLinking: true,
        validatorUrl: null,
        requestInterceptor: addCredentials,
        plugins: [reloadOnSignIn],
    });
}

if (window.SwaggerUIBundle) {
    startSwagger();
} else if (window.Redoc) {
    Redoc.init(documentUrl, {}, document.getElementById("docs"));
}
