//! The settings of a server on which the promises of a hub rest.

use tokio_postgres::{Client, Error as PostgresError};

use crate::error::{Error, ErrorKind, Result};

/// The oldest supported version of PostgreSQL.
const OLDEST: i32 = 140_000;

/// A setting of the connection that names the session.
pub(super) const SESSION: &str = "abide.session";

/// What to do about a pooler.
pub(super) const POOLER: &str = "a pooler that shares connections is in between; connect to the server itself";

/// The settings of a server.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    is_replica: bool,
    is_read_only: bool,
    version: i32,
    /// By name, the settings without which PostgreSQL loses data after a crash.
    safe: [(&'static str, bool); 3],
    has_standby: bool,
    /// The name of the session, if the server has received it.
    session: Option<String>,
}

pub(super) async fn read(client: &Client) -> Result<Settings, PostgresError> {
    let text = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', \
                current_setting('server_version_num')::int, current_setting('fsync') = 'on', \
                current_setting('full_page_writes') = 'on', \
                current_setting('synchronous_commit') IN ('on', 'remote_apply'), \
                current_setting('synchronous_standby_names') <> '', current_setting($1, true)";
    let row = client.query_one(text, &[&SESSION]).await?;
    Ok(Settings {
        is_replica: row.get(0),
        is_read_only: row.get(1),
        version: row.get(2),
        safe: [
            ("fsync", row.get(3)),
            ("full_page_writes", row.get(4)),
            ("synchronous_commit", row.get(5)),
        ],
        has_standby: row.get(6),
        session: row.get(7),
    })
}

impl Settings {
    /// Checks that the server keeps what it has acknowledged, and that it has received the settings of this `session`.
    pub(super) fn check(&self, name: &str, session: &str, requires_standby: bool) -> Result<()> {
        let refuse = |why: &str| {
            Err(Error::new(
                ErrorKind::Configuration,
                format!("the database at {name} {why}"),
            ))
        };
        if self.session.as_deref() != Some(session) {
            return refuse(&format!("has not received the settings of the connection: {POOLER}"));
        }
        if self.is_replica || self.is_read_only {
            return refuse("is a read-only replica; connect to the primary server");
        }
        if self.version < OLDEST {
            let version = self.version / 10_000;
            return refuse(&format!("is PostgreSQL {version}; a hub needs version 14 or newer"));
        }
        if let Some((setting, _)) = self.safe.iter().find(|(_, is_safe)| !is_safe) {
            return refuse(&format!(
                "has `{setting}` switched off, so it may lose what it has acknowledged; switch it on"
            ));
        }
        if requires_standby && !self.has_standby {
            return refuse(
                "has no synchronous standby, which `require_synchronous_standby` demands; \
                 set `synchronous_standby_names`",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Settings {
        Settings {
            is_replica: false,
            is_read_only: false,
            version: 150_018,
            safe: [
                ("fsync", true),
                ("full_page_writes", true),
                ("synchronous_commit", true),
            ],
            has_standby: false,
            session: Some("mine".to_owned()),
        }
    }

    fn refused(settings: &Settings, standby: bool) -> String {
        settings.check("db:5432/app", "mine", standby).unwrap_err().to_string()
    }

    #[test]
    fn a_server_that_may_lose_data_is_refused() {
        assert!(good().check("db", "mine", false).is_ok());
        for index in 0..good().safe.len() {
            let mut settings = good();
            settings.safe[index].1 = false;
            let text = refused(&settings, false);
            assert!(
                text.contains(settings.safe[index].0) && text.contains("db:5432/app"),
                "{text}"
            );
        }
        let replica = Settings {
            is_replica: true,
            ..good()
        };
        assert!(refused(&replica, false).contains("primary"));
        let old = Settings {
            version: 130_004,
            ..good()
        };
        assert!(refused(&old, false).contains("PostgreSQL 13"));
        assert!(refused(&good(), true).contains("synchronous_standby_names"));
    }

    /// A pooler drops the settings of a connection, or shares them between connections.
    #[test]
    fn a_session_with_the_settings_of_another_is_refused() {
        for session in [None, Some("another's".to_owned())] {
            let settings = Settings { session, ..good() };
            assert!(refused(&settings, false).contains("pooler"));
        }
    }
}
