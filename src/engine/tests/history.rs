//! The limits of a history.

use std::sync::Arc;

use super::counting::Stage;
use crate::engine::Limits;

/// A history that has grown to a fifth of its limit is reported once.
#[test]
fn a_growing_history_is_reported_once() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let writer = Arc::new(log.reopen().unwrap());
    let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish();
    tracing::subscriber::with_default(subscriber, || {
        let mut stage = Stage::new(Limits {
            history_events: 50,
            ..Limits::default()
        });
        stage.start("o", 20, None).unwrap();
        for number in 0..12 {
            stage.raise("o", number, 0, None).unwrap();
        }
    });
    let log = std::fs::read_to_string(log.path()).unwrap();
    assert_eq!(log.matches("a fifth of its limit").count(), 1, "{log}");
}
