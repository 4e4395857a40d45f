//! A connection to PostgreSQL that is made again when it breaks.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Socket, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::settings;
use crate::error::{Error, ErrorKind, Result};
use crate::random;
use crate::time::Stopwatch;

/// Time that the connection to one server may take, of those that the URL names.
const SERVER: Duration = Duration::from_secs(3);

/// Maximum time that one attempt may take. After it, the connection counts as broken, and whether the attempt had an effect
/// is unknown. If the caller has less patience, it is less, but not below the second value.
const ATTEMPT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(3));

/// The first and the longest pause between two attempts to connect.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// The function of PostgreSQL that warns when a wait for a standby was canceled. Unlike the text, it is in no language.
const NOT_REPLICATED: &str = "SyncRepWaitForLSN";

/// The address of a database, with everything that a connection needs.
#[derive(Clone)]
pub(crate) struct Address {
    config: Config,
    tls: MakeRustlsConnect,
    /// Refuses a server without a synchronous standby.
    pub(crate) requires_standby: bool,
}

impl Address {
    /// Reads a URL such as `postgres://user:password@host:5432/database`.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Configuration`] if it is no such URL.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        // The URL may have a password, so it is not part of the error.
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            let text = format!(
                "the URL of the database is not valid: {error}; it has the form postgres://user:password@host:port/database"
            );
            // No source: its text may quote a part of the URL.
            Error::new(ErrorKind::Configuration, text)
        })?;
        // As parameters of the connection, and not as statements: a pooler that shares connections refuses them.
        let options = "-c synchronous_commit=on -c statement_timeout=0 -c lock_timeout=0 \
                       -c idle_in_transaction_session_timeout=0 -c client_min_messages=warning \
                       -c client_connection_check_interval=2000 \
                       -c default_transaction_isolation=read\\ committed";
        let options = config
            .get_options()
            .map_or_else(|| options.to_owned(), |given| format!("{given} {options}"));
        config
            .options(options)
            .application_name("abide")
            .connect_timeout(SERVER)
            .keepalives_idle(Duration::from_secs(5))
            // A replica may become the primary server during a failover, so it is worth another attempt.
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        let is_local =
            config.get_hosts().iter().all(is_local) && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback);
        if config.get_ssl_mode() == SslMode::Prefer {
            config.ssl_mode(if is_local { SslMode::Disable } else { SslMode::Require });
        }
        Ok(Self {
            config,
            tls: tls()?,
            requires_standby: false,
        })
    }

    /// Returns host, port and database, for messages.
    pub(crate) fn name(&self) -> String {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".to_owned(),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        format!("{host}:{port}/{database}")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.name()).finish()
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(host) => host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()),
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// Returns a connector that trusts the certificates of the operating system.
fn tls() -> Result<MakeRustlsConnect> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs {
        // One that rustls does not understand authenticates no server.
        let _ = roots.add(certificate);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(ErrorKind::Configuration, format!("TLS is not available: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// A connection, and the thread-local runtime that drives it during a call. All calls block their thread.
pub(crate) struct Session {
    address: Address,
    inner: Mutex<Inner>,
}

struct Inner {
    /// `None` only while this is dropped.
    runtime: Option<Runtime>,
    connected: Option<Connected>,
}

impl Drop for Inner {
    /// A hub may be dropped on a thread of the program's runtime, which must not wait for another runtime.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A live connection.
pub(super) struct Connected {
    pub(super) client: Client,
    /// Moves bytes and messages. It ends when the connection breaks.
    driver: Pin<Box<dyn Future<Output = ()> + Send>>,
    statements: Mutex<HashMap<&'static str, Statement>>,
    /// Set by the warning that a commit may not be on the standby.
    is_unreplicated: Arc<AtomicBool>,
}

impl Connected {
    /// Returns a statement, which is prepared once for each connection.
    pub(super) async fn statement(&self, text: &'static str) -> Result<Statement, tokio_postgres::Error> {
        let known = self.statements().get(text).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(text).await?;
        self.statements().insert(text, statement.clone());
        Ok(statement)
    }

    fn statements(&self) -> std::sync::MutexGuard<'_, HashMap<&'static str, Statement>> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reason why an attempt failed.
enum Failed {
    /// The connection is broken, or the server is not ready. Another attempt may succeed.
    Broken(String),
    Final(Error),
}

impl Session {
    pub(crate) fn new(address: Address) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| {
            Error::new(ErrorKind::Io, format!("cannot prepare for the database: {error}")).with_source(error)
        })?;
        Ok(Self {
            address,
            inner: Mutex::new(Inner {
                runtime: Some(runtime),
                connected: None,
            }),
        })
    }

    /// Runs statements, and runs them again after each loss of the connection, for at most `patience`. A commit that may
    /// not have reached the standby counts as such a loss.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Io`] if the server cannot be reached in this time,
    /// [`ErrorKind::Configuration`] if it refuses the connection or has settings that lose data, or any error of a
    /// statement.
    pub(super) fn run<R>(
        &self,
        patience: Duration,
        job: impl AsyncFn(&Connected) -> Result<R, tokio_postgres::Error>,
    ) -> Result<R> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { runtime, connected } = &mut *inner;
        let runtime = runtime.as_ref().expect("a session has its runtime until it is dropped");
        let watch = Stopwatch::start();
        let limit = patience.clamp(ATTEMPT.1, ATTEMPT.0);
        let mut pause = PAUSES.0;
        runtime.block_on(async {
            loop {
                let reason = match self.attempt(connected, &job, limit).await {
                    Ok(done) => return Ok(done),
                    Err(Failed::Final(error)) => return Err(error),
                    Err(Failed::Broken(reason)) => reason,
                };
                *connected = None;
                if watch.elapsed() + pause > patience {
                    return Err(Error::new(
                        ErrorKind::Io,
                        format!("the database at {} cannot be reached: {reason}", self.address.name()),
                    ));
                }
                tracing::warn!(
                    database = self.address.name(),
                    reason,
                    "the database cannot be reached; trying again"
                );
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        })
    }

    /// Closes the connection. The next call opens another one.
    pub(super) fn disconnect(&self) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.connected = None;
    }

    async fn attempt<R>(
        &self,
        connected: &mut Option<Connected>,
        job: &impl AsyncFn(&Connected) -> Result<R, tokio_postgres::Error>,
        limit: Duration,
    ) -> Result<R, Failed> {
        let connected = match connected {
            Some(connected) => connected,
            None => connected.insert(self.connect(limit).await?),
        };
        let mut driver = std::mem::replace(&mut connected.driver, Box::pin(std::future::pending()));
        let done = tokio::select! {
            biased;
            done = tokio::time::timeout(limit, job(connected)) => done,
            () = &mut driver => return Err(Failed::Broken("the connection is closed".to_owned())),
        };
        connected.driver = driver;
        let done = done.map_err(|_| no_answer(limit))?;
        let done = done.map_err(|error| self.failed(error))?;
        if connected.is_unreplicated.load(Ordering::Relaxed) {
            let reason = "a wait for the synchronous standby was canceled";
            return Err(Failed::Broken(reason.to_owned()));
        }
        Ok(done)
    }

    async fn connect(&self, limit: Duration) -> Result<Connected, Failed> {
        let mut config = self.address.config.clone();
        // A pooler drops this, or gives this session what another one has set.
        let session = random::uuid().to_string();
        let options = config.get_options().unwrap_or_default();
        config.options(format!("{options} -c {}={session}", settings::SESSION));
        let connected = if config.get_ssl_mode() == SslMode::Disable {
            self.connect_over(&config, NoTls, limit).await
        } else {
            self.connect_over(&config, self.address.tls.clone(), limit).await
        };
        let mut connected = connected?;
        let mut driver = std::mem::replace(&mut connected.driver, Box::pin(std::future::pending()));
        let checked = tokio::select! {
            biased;
            checked = tokio::time::timeout(limit, settings::read(&connected.client)) => checked,
            () = &mut driver => return Err(Failed::Broken("the connection is closed".to_owned())),
        };
        connected.driver = driver;
        let settings = checked.map_err(|_| no_answer(limit))?;
        let settings = settings.map_err(|error| self.failed(error))?;
        settings
            .check(&self.address.name(), &session, self.address.requires_standby)
            .map_err(Failed::Final)?;
        Ok(connected)
    }

    async fn connect_over<T>(&self, config: &Config, tls: T, limit: Duration) -> Result<Connected, Failed>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as tokio_postgres::tls::TlsConnect<Socket>>::Future: Send,
    {
        // The first servers may not answer at all.
        let servers = config.get_hosts().len().max(1) as u32;
        let connecting = tokio::time::timeout(limit + SERVER * servers, config.connect(tls)).await;
        let connecting = connecting.map_err(|_| no_answer(limit))?;
        let (client, mut connection) = connecting.map_err(|error| self.failed(error))?;
        let is_unreplicated = Arc::new(AtomicBool::new(false));
        let warned = Arc::clone(&is_unreplicated);
        let driver = async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notice(notice) = message
                    && notice.routine() == Some(NOT_REPLICATED)
                {
                    // Before the answer to the statement, which follows in the same stream.
                    warned.store(true, Ordering::Relaxed);
                }
            }
        };
        Ok(Connected {
            client,
            driver: Box::pin(driver),
            statements: Mutex::default(),
            is_unreplicated,
        })
    }

    /// Tells a broken connection from an error that another attempt would not change.
    fn failed(&self, error: tokio_postgres::Error) -> Failed {
        let name = self.address.name();
        let Some(database) = error.as_db_error() else {
            let text = chain(&error);
            let is_broken = error.is_closed()
                || std::error::Error::source(&error).is_some_and(|cause| cause.is::<std::io::Error>());
            if is_broken {
                return Failed::Broken(text);
            }
            let text = format!("the connection to the database at {name} failed: {text}");
            return Failed::Final(Error::new(ErrorKind::Io, text).with_source(error));
        };
        let (code, message) = (database.code().code(), database.message().to_owned());
        let advice = match code {
            // Its code is one of broken connections.
            _ if message.contains("startup parameter") => settings::POOLER,
            // A shutdown, a recovery, too many connections, a full disk, a deadlock, a replica.
            _ if ["08", "53", "57", "58"].contains(&&code[..2]) || ["25006", "40001", "40P01"].contains(&code) => {
                return Failed::Broken(message);
            }
            "28P01" | "28000" => "check user and password in the URL",
            "3D000" => "create the database, or correct its name in the URL",
            "42501" => "grant the user the right to use the schema `abide`, or CREATE on the database",
            _ => "",
        };
        let separator = if advice.is_empty() { "" } else { "; " };
        Failed::Final(
            Error::new(
                ErrorKind::Configuration,
                format!("the database at {name} refused: {message}{separator}{advice}"),
            )
            .with_source(error),
        )
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Session").field(&self.address.name()).finish()
    }
}

fn no_answer(limit: Duration) -> Failed {
    Failed::Broken(format!("no answer within {} s", limit.as_secs()))
}

/// Returns the texts of an error and of its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
