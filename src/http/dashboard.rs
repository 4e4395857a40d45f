//! The dashboard: a single-page app that uses this API. Its sources are in `ui/`.

use std::sync::LazyLock;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::OriginalUri;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// The path of the dashboard below the base path of the API.
const PATH: &str = "/ui";

/// The app loads nothing from elsewhere, and no text becomes code or markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

/// The headers of every file.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    // The browser asks each time whether its copy is still current.
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

/// A file of the app.
struct File {
    name: &'static str,
    content_type: &'static str,
    content: &'static [u8],
}

static FILES: [File; 3] = [
    File {
        name: "index.html",
        content_type: "text/html; charset=utf-8",
        content: include_bytes!("../../ui/dist/index.html"),
    },
    File {
        name: "app.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_bytes!("../../ui/dist/app.js"),
    },
    File {
        name: "app.css",
        content_type: "text/css; charset=utf-8",
        content: include_bytes!("../../ui/dist/app.css"),
    },
];

/// Tells the files of this build from those of others.
static TAG: LazyLock<HeaderValue> = LazyLock::new(|| {
    let mut hash = crc32fast::Hasher::new();
    for file in &FILES {
        hash.update(file.content);
    }
    HeaderValue::try_from(format!("\"{:08x}\"", hash.finalize())).unwrap_or(HeaderValue::from_static("\"0\""))
});

/// Returns the routes of the dashboard. They contain no data, so they need no token. The app asks for one.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let mut router = Router::new().route(PATH, get(to_index));
    for file in &FILES {
        let serve = move |headers: HeaderMap| async move { file.answer(&headers) };
        router = router.route(&format!("{PATH}/{}", file.name), get(serve));
    }
    router
}

/// Redirects to the page. The target is relative, because a reverse proxy may have removed a prefix of the path.
async fn to_index(OriginalUri(uri): OriginalUri) -> Response {
    redirect(match uri.path().ends_with('/') {
        true => "index.html",
        false => "ui/index.html",
    })
}

/// Redirects from the root of a server to the dashboard.
pub(super) async fn from_root() -> Response {
    redirect("runtime/webhooks/durabletask/ui/index.html")
}

fn redirect(target: &'static str) -> Response {
    let target = HeaderValue::from_static(target);
    (StatusCode::TEMPORARY_REDIRECT, HEADERS, [(header::LOCATION, target)]).into_response()
}

impl File {
    fn answer(&self, headers: &HeaderMap) -> Response {
        let tag = [(header::ETAG, TAG.clone())];
        if headers.get(header::IF_NONE_MATCH) == Some(&*TAG) {
            return (StatusCode::NOT_MODIFIED, HEADERS, tag).into_response();
        }
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type))];
        (HEADERS, tag, content_type, Body::from(Bytes::from_static(self.content))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::BASE_PATH;

    /// The root leads to the dashboard below the base path.
    #[tokio::test]
    async fn the_root_leads_to_the_dashboard() {
        let target = from_root().await.headers()[header::LOCATION]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(format!("/{target}"), format!("{BASE_PATH}{PATH}/index.html"));
    }
}
