//! HTTP requests of orchestrations: an activity for each exchange, and durable timers between them.

mod body;
mod call;
mod error;
mod exchange;
mod request;
mod response;
mod url;

#[cfg(feature = "fuzzing")]
pub(crate) use url::{resolve, same_origin};

pub use call::HttpCall;
pub use error::HttpError;
pub(crate) use exchange::http_exchange;
pub use request::HttpRequest;
pub use response::HttpResponse;
