//! Resolution of the header `Location`.
//!
//! It is implemented here because histories depend on it: a replay compares the URL of each poll with the recorded one,
//! so the result must not change with a dependency.

/// The parts of an absolute URL, without its fragment.
struct Parts<'a> {
    scheme: &'a str,
    authority: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest) = without_fragment(url).split_once("://")?;
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path, query) = path_and_query(rest);
        Some(Self {
            scheme,
            authority,
            path,
            query,
        })
    }

    /// Returns scheme, host and port, in a normalized spelling.
    fn origin(&self) -> (String, String) {
        let scheme = self.scheme.to_ascii_lowercase();
        let host = self
            .authority
            .rsplit('@')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let usual_port = if scheme == "https" { ":443" } else { ":80" };
        let host = host.strip_suffix(usual_port).unwrap_or(&host).to_owned();
        (scheme, host)
    }
}

/// Returns whether two URLs have the same scheme, host and port.
pub(crate) fn same_origin(one: &str, other: &str) -> bool {
    match (Parts::of(one), Parts::of(other)) {
        (Some(one), Some(other)) => one.origin() == other.origin(),
        _ => false,
    }
}

/// Resolves a `reference` in a response of `base`. Source: RFC 3986, section 5.2.
pub(crate) fn resolve(base: &str, reference: &str) -> String {
    let reference = without_fragment(reference.trim());
    let Some(base) = Parts::of(base).filter(|_| !has_scheme(reference)) else {
        return reference.to_owned();
    };
    let Parts { scheme, authority, .. } = base;
    if reference.starts_with("//") {
        return format!("{scheme}:{reference}");
    }
    let (path, query) = path_and_query(reference);
    let merged = match path {
        "" => base.path.to_owned(),
        _ if path.starts_with('/') => without_dots(path),
        _ => {
            let folder = base.path.rfind('/').map_or("/", |slash| &base.path[..=slash]);
            without_dots(&format!("{folder}{path}"))
        }
    };
    let query = match path {
        "" => query.or(base.query),
        _ => query,
    };
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{authority}{merged}{query}")
}

fn without_fragment(url: &str) -> &str {
    url.split('#').next().unwrap_or_default()
}

fn path_and_query(text: &str) -> (&str, Option<&str>) {
    match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    }
}

/// Returns whether the reference begins with a scheme such as `https:`, and is not a path that contains a colon.
fn has_scheme(reference: &str) -> bool {
    let Some((scheme, _)) = reference.split_once(':') else {
        return false;
    };
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// Removes `.` and `..` from a path that begins with a slash.
fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
        // A path that ends in dots names a directory.
        if segments.peek().is_none() && matches!(segment, "." | "..") {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}
