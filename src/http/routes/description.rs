//! What the description of the API says of all routes alike.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, InfoBuilder, OpenApi, Ref, Response, ResponseBuilder};

/// What any request may be answered that needs a token.
const GUARDED: [(&str, &str); 2] = [
    ("401", "The request shows no token that the server knows."),
    ("403", "The token allows to look only, or a page of another site asks."),
];

/// What any request may be answered.
const COMMON: [(&str, &str); 2] = [
    ("503", "The hub is closed, or there is no room for the request now."),
    ("default", "The request itself is wrong, too large or too slow."),
];

/// The names of the ways to show a token.
const SCHEMES: [&str; 3] = ["bearer", "key", "code"];

/// Adds to the description of the routes what holds for all of them.
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
            "The management API of Azure Durable Functions, served by an Abide hub, and what that API lacks. A server with \
             tokens asks for one; names of arguments do not depend on case; `taskHub`, `connection` and `connectionName` are \
             accepted everywhere and stand in links again; a slash at the end of a path means nothing.",
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
        schemes.insert(name.to_owned(), scheme);
    }
    document
}

/// The tokens of a server have no finer scopes than its verbs.
const NO_SCOPES: [&str; 0] = [];

fn operations(document: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    document
        .paths
        .paths
        .values_mut()
        .flat_map(|item| [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten())
}

/// Says what a route may answer besides, unless it says more itself.
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
