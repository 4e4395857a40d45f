//! The sentences for failures of a client.

use std::io;

use hyper::StatusCode;
use rustls::CertificateError;

use super::body::ReadError;
use super::error::{TransportError, reason};
use super::limits::{HANDSHAKE, MAX_BODY_BYTES};

/// The TCP connection could not be established.
pub(super) fn unreachable(address: &str, error: io::Error) -> TransportError {
    let message = format!(
        "cannot connect to the node at {address}: {}; check that its `listen` address can be reached from here",
        reason(&error)
    );
    TransportError::with_source(message, error)
}

/// The node did not complete the handshake and the admission in time.
pub(super) fn slow(address: &str) -> TransportError {
    TransportError::new(format!(
        "cannot connect to the node at {address}: not ready within {} seconds; check that the node is not overloaded",
        HANDSHAKE.as_secs()
    ))
}

/// The TLS handshake failed.
pub(super) fn no_handshake(address: &str, error: io::Error) -> TransportError {
    let message = if is_other_certificate(&error) {
        format!(
            "the node at {address} has another certificate than expected; \
             look up its current certificate, which changes at each start, and check that no other program listens there"
        )
    } else {
        format!(
            "cannot connect to the node at {address}: the TLS handshake failed: {}; check that a node listens there",
            reason(&error)
        )
    };
    TransportError::with_source(message, error)
}

fn is_other_certificate(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    let mismatch = rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
    error == Some(&mismatch)
}

/// The node closed the connection instead of answering the first request.
pub(super) fn not_admitted(address: &str, error: hyper::Error) -> TransportError {
    let message = format!(
        "the node at {address} refused the connection: {}; \
         check that the certificate of this node is registered in the hub",
        reason(&error)
    );
    TransportError::with_source(message, error)
}

/// The request exceeds the limit.
pub(super) fn request_too_large(address: &str) -> TransportError {
    TransportError::new(format!(
        "the request to the node at {address} is larger than {} MiB; split it",
        MAX_BODY_BYTES >> 20
    ))
}

/// The connection closed before the request was written.
pub(super) fn closed(address: &str, error: hyper::Error) -> TransportError {
    let message = format!(
        "the connection to the node at {address} closed before the request was sent: {}; send it again",
        reason(&error)
    );
    TransportError::with_source(message, error)
}

/// The connection or the stream ended after the request may have been written.
pub(super) fn broken(address: &str, error: hyper::Error) -> TransportError {
    let reason = reason(&error);
    TransportError::with_source(interrupted(address, &reason), error)
}

/// The answer could not be read.
pub(super) fn no_answer(address: &str, error: ReadError) -> TransportError {
    match error {
        ReadError::TooLarge => TransportError::new(format!(
            "the answer of the node at {address} is larger than {} MiB; request less at once",
            MAX_BODY_BYTES >> 20
        )),
        ReadError::Broken(error) => {
            let reason = reason(&*error);
            TransportError::with_source(interrupted(address, &reason), error)
        }
    }
}

fn interrupted(address: &str, reason: &str) -> String {
    format!(
        "the connection to the node at {address} broke before the answer was complete: {reason}; \
         check if the request took effect before sending it again"
    )
}

/// The node answered with a status other than 200.
pub(super) fn status(address: &str, status: StatusCode) -> TransportError {
    let reason = match status {
        StatusCode::INTERNAL_SERVER_ERROR => "the request panicked there; see its log",
        StatusCode::PAYLOAD_TOO_LARGE => "the request is too large; split it",
        StatusCode::HTTP_VERSION_NOT_SUPPORTED => {
            "its version of the protocol differs; run the same version of the library on all nodes"
        }
        _ => "its version may differ; check that all nodes run the same version",
    };
    TransportError::new(format!(
        "the node at {address} answered with HTTP status {}: {reason}",
        status.as_u16()
    ))
}
