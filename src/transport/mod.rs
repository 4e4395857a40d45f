//! Connections between the nodes of a hub.
//!
//! A [`Listener`] accepts the connections of other nodes and passes their requests to a [`Service`]. A [`Peer`] sends
//! requests to one other node. Requests and answers are bytes. They travel over HTTP/2 and TLS 1.3.
//!
//! Each node has an [`Identity`], a key with a self-signed certificate. Both ends of a connection must prove that they
//! hold the key of a certificate, and compare its [`Fingerprint`] with the one they know. Names, dates and issuers of
//! certificates have no meaning here.

mod answer;
mod body;
mod client;
mod connect;
mod connection;
mod error;
mod failure;
mod fingerprint;
mod identity;
mod limits;
mod server;
mod service;
mod tasks;
mod tls;
mod turns;

#[cfg(test)]
mod tests;

pub(crate) use client::Peer;
pub(crate) use error::{SendError, TransportError};
pub(crate) use fingerprint::Fingerprint;
pub(crate) use identity::Identity;
#[cfg(test)]
pub(crate) use limits::MAX_BODY_BYTES;
pub(crate) use limits::MAX_PAYLOAD_BYTES;
pub(crate) use server::Listener;
pub(crate) use service::{BoxFuture, Service};
