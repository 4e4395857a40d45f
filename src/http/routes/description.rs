//! Parts of the API description that all routes have in common.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, InfoBuilder, OpenApi, Ref, Response, ResponseBuilder};

/// Responses of all routes that need a token.
const GUARDED: [(&str, &str); 2] = [
    ("401", "The request has no valid token."),
    (
        "403",
        "The token allows only reads, or a page of another site sent the request.",
    ),
];

/// Responses of all routes.
const COMMON: [(&str, &str); 2] = [
    ("503", "The hub is closed or overloaded."),
    ("default", "The request is invalid, too large or too slow."),
];

/// Names of the authentication schemes.
const SCHEMES: [&str; 3] = ["bearer", "key", "code"];

/// Completes the description of the routes with the parts that they have in common.
pub(super) fn complete(guarded: OpenApi, open: OpenApi) -> OpenApi {
    let mut document = guarded;
    for operation in operations(&mut document) {
        add(operation, &GUARDED);
        operation.security = Some(SCHEMES.map(|name| SecurityRequirement::new(name, NO_SCOPES)).to_vec());
    }
    document.merge(open);
    for operation in operations(&mut document) {
        add(operation, &COMMON);
    }
    document.info = InfoBuilder::new()
        .title("Abide management API")
        .description(Some(
            "The management API of Azure Durable Functions, served by an Abide hub, with extensions. A server with \
             tokens requires one. Names of query parameters are case-insensitive. `taskHub`, `connection` and \
             `connectionName` are accepted everywhere and repeated in links. Trailing slashes of paths are ignored.",
        ))
        .version(env!("CARGO_PKG_VERSION"))
        .build();
    let schemes = &mut document.components.get_or_insert_default().security_schemes;
    let in_header = ApiKey::Header(ApiKeyValue::new("x-functions-key"));
    let in_query = ApiKey::Query(ApiKeyValue::new("code"));
    for (name, scheme) in SCHEMES.into_iter().zip([
        SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        SecurityScheme::ApiKey(in_header),
        SecurityScheme::ApiKey(in_query),
    ]) {
        schemes.insert(name.to_owned(), scheme.into());
    }
    document
}

/// Scopes of OAuth, which the tokens of a server do not have. The method of a request determines the access that it
/// needs.
const NO_SCOPES: [&str; 0] = [];

fn operations(document: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    document.paths.paths.values_mut().flat_map(|item| {
        [&mut item.get, &mut item.post, &mut item.put, &mut item.delete]
            .into_iter()
            .flatten()
    })
}

/// Adds responses to a route, unless it describes them itself.
fn add(operation: &mut Operation, answers: &[(&str, &str)]) {
    for (status, description) in answers {
        let known = &mut operation.responses.responses;
        known
            .entry((*status).to_owned())
            .or_insert_with(|| error(description).into());
    }
}

fn error(description: &str) -> Response {
    let schema = Ref::from_schema_name("ErrorDocument");
    ResponseBuilder::new()
        .description(description)
        .content("application/json", ContentBuilder::new().schema(Some(schema)).build())
        .build()
}
