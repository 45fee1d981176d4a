//! A wire between a test and its database, on which everything that is really sent is read: each
//! statement with the plan by which the server ran it. It can lose an answer.
//!
//! Knows as much of PostgreSQL's protocol (its documentation, chapter "Frontend/Backend Protocol")
//! as that takes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::ConnectionTrait;
use sea_orm::sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};

/// The folder in a test's folder in which the wire begins.
const FOLDER: &str = "tap";

/// A statement as the server got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its text.
    pub sql: String,
    /// How the server ran it, with what it read (`auto_explain`); empty for what has no plan.
    pub plan: String,
}

#[derive(Debug, Default)]
struct State {
    /// Each statement with its number.
    sent: Vec<(u64, Sent)>,
    /// The number of the last one.
    last: u64,
    /// A part of the statement whose answer is lost.
    lose: Option<String>,
}

/// One connection on the wire.
#[derive(Debug, Default)]
struct Wire {
    /// The number of the statement that runs.
    statement: AtomicU64,
    /// Whether its answer is to be lost.
    loses: AtomicBool,
}

/// The wire of one test. Its connections end with it.
#[derive(Clone, Debug, Default)]
pub struct Tap(Arc<Mutex<State>>);

impl Tap {
    /// Puts itself between the test that has this folder and its database, for whoever connects
    /// from now on. `None` where tests use files.
    ///
    /// # Panics
    /// When the server can't be used.
    pub async fn new(folder: &Path) -> Option<Self> {
        let url = super::url(folder).await?;
        let tap = Self::default();
        #[expect(clippy::expect_used, reason = "a test stops where its server is away")]
        tap.begin(folder, rollcall_types::ExposeSecret::expose_secret(&url))
            .await
            .expect("a wire to the database of the test");
        Some(tap)
    }

    async fn begin(&self, folder: &Path, url: &str) -> Result<(), Box<dyn std::error::Error>> {
        let options: PgConnectOptions = url.parse()?;
        let connection = sea_orm::Database::connect(url).await?;
        let database = options.get_database().unwrap_or_default();
        for setting in [
            "session_preload_libraries = 'auto_explain'",
            "auto_explain.log_min_duration = 0",
            "auto_explain.log_analyze = on",
            "auto_explain.log_buffers = on",
            "auto_explain.log_timing = off",
            "client_min_messages = log",
        ] {
            let sql = format!("ALTER DATABASE {database} SET {setting}");
            connection.execute_unprepared(&sql).await?;
        }
        connection.close().await?;
        let (server, port) = (server(&options), options.get_port());
        let here = folder.join(FOLDER);
        std::fs::create_dir(&here)?;
        let listener = UnixListener::bind(here.join(format!(".s.PGSQL.{port}")))?;
        let tap = self.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (tap, server) = (tap.clone(), server.clone());
                tokio::spawn(async move { tap.join(client, server).await });
            }
        });
        Ok(())
    }

    /// Forgets what was sent.
    pub fn clear(&self) {
        self.with(|state| state.sent.clear());
    }

    /// What was sent since, but for what a connection says of itself.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.with(|state| state.sent.iter().map(|(_, sent)| sent.clone()).collect())
    }

    /// Loses the answer to the next statement that has `part` in it: it is run, and the connection
    /// ends.
    pub fn lose_answer_to(&self, part: &str) {
        self.with(|state| state.lose = Some(part.to_owned()));
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn join(self, client: UnixStream, server: Server) {
        let (from_client, to_client) = client.into_split();
        let wire = Wire::default();
        // Whatever ends one way ends the other.
        match server {
            Server::Socket(path) => {
                let Ok(server) = UnixStream::connect(path).await else {
                    return;
                };
                let (from_server, to_server) = server.into_split();
                tokio::select! {
                    _ = self.ask(from_client, to_server, &wire) => {}
                    _ = self.answer(from_server, to_client, &wire) => {}
                }
            }
            Server::Port(host, port) => {
                let Ok(server) = TcpStream::connect((host, port)).await else {
                    return;
                };
                let (from_server, to_server) = server.into_split();
                tokio::select! {
                    _ = self.ask(from_client, to_server, &wire) => {}
                    _ = self.answer(from_server, to_client, &wire) => {}
                }
            }
        }
    }

    /// Passes on what the client sends.
    async fn ask(
        &self,
        mut client: impl AsyncRead + Unpin,
        mut server: impl AsyncWrite + Unpin,
        wire: &Wire,
    ) -> std::io::Result<()> {
        // The first message has no type.
        let start = message(&mut client, None).await?;
        server.write_all(&start).await?;
        let mut prepared: HashMap<String, String> = HashMap::new();
        loop {
            let kind = client.read_u8().await?;
            let message = message(&mut client, Some(kind)).await?;
            let mut words = texts(message.get(5..).unwrap_or_default());
            let mut word = || words.next().unwrap_or_default();
            let sql = match kind {
                b'P' => {
                    let (name, sql) = (word(), word());
                    prepared.insert(name, sql);
                    None
                }
                b'B' => {
                    word();
                    prepared.get(&word()).cloned()
                }
                b'Q' => Some(word()),
                _ => None,
            };
            if let Some(sql) = sql {
                self.with(|state| {
                    if state.lose.as_ref().is_some_and(|part| sql.contains(part)) {
                        state.lose = None;
                        wire.loses.store(true, Ordering::SeqCst);
                    }
                    state.last += 1;
                    wire.statement.store(state.last, Ordering::SeqCst);
                    let plan = String::new();
                    state.sent.push((state.last, Sent { sql, plan }));
                });
            }
            server.write_all(&message).await?;
        }
    }

    /// Passes on what the server answers, up to an answer that is to be lost.
    async fn answer(
        &self,
        mut server: impl AsyncRead + Unpin,
        mut client: impl AsyncWrite + Unpin,
        wire: &Wire,
    ) -> std::io::Result<()> {
        loop {
            let kind = server.read_u8().await?;
            let message = message(&mut server, Some(kind)).await?;
            let is_lost = wire.loses.load(Ordering::SeqCst);
            if kind == b'N' {
                let notice = String::from_utf8_lossy(&message).into_owned();
                if let Some((_, plan)) = notice.split_once("plan:\n") {
                    let plan = plan.split('\0').next().unwrap_or_default();
                    let number = wire.statement.load(Ordering::SeqCst);
                    self.with(|state| {
                        let own = state.sent.iter_mut().find(|(of, _)| *of == number);
                        if let Some((_, sent)) = own {
                            plan.clone_into(&mut sent.plan);
                        }
                    });
                }
            }
            // ReadyForQuery: what was asked is done, and committed if it commits by itself.
            if is_lost && kind == b'Z' {
                return Ok(());
            }
            if !is_lost {
                client.write_all(&message).await?;
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Server {
    Socket(PathBuf),
    Port(String, u16),
}

fn server(options: &PgConnectOptions) -> Server {
    let (host, port) = (options.get_host(), options.get_port());
    match options.get_socket() {
        Some(folder) => Server::Socket(folder.join(format!(".s.PGSQL.{port}"))),
        None if host.starts_with('/') => {
            Server::Socket(Path::new(host).join(format!(".s.PGSQL.{port}")))
        }
        None => Server::Port(host.to_owned(), port),
    }
}

/// The folder of the wire of a test, if it has one.
pub(super) fn folder(folder: &Path) -> Option<PathBuf> {
    Some(folder.join(FOLDER)).filter(|tap| tap.is_dir())
}

/// One message, whole: its type if it has one, its length, its content.
async fn message(
    from: &mut (impl AsyncRead + Unpin),
    kind: Option<u8>,
) -> std::io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let mut message: Vec<u8> = kind.into_iter().collect();
    message.extend(length.to_be_bytes());
    let begin = message.len();
    let rest = usize::try_from(length)
        .unwrap_or_default()
        .saturating_sub(4);
    message.resize(begin + rest, 0);
    if let Some(content) = message.get_mut(begin..) {
        from.read_exact(content).await?;
    }
    Ok(message)
}

/// The texts of a message, each of which ends with a zero.
fn texts(content: &[u8]) -> impl Iterator<Item = String> {
    content
        .split(|byte| *byte == 0)
        .map(|text| String::from_utf8_lossy(text).into_owned())
}
