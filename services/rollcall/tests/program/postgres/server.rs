//! A PostgreSQL server of one test, which may do with it what others would suffer from.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// How long a server may take to answer.
const START: Duration = Duration::from_secs(60);

/// A running server; it ends when this is dropped.
pub(crate) struct Server {
    programs: PathBuf,
    folder: TempDir,
    process: Child,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let programs = programs().expect(
            "this test needs PostgreSQL: run it through `cargo xtask test`, which installs it",
        );
        // In the short folder for such things: a socket's path has 107 bytes at most.
        let folder = tempfile::Builder::new()
            .prefix("rollcall-pg")
            .tempdir()
            .unwrap();
        if is_root() {
            let mut own = Command::new("chown");
            assert!(
                own.arg("postgres:")
                    .arg(folder.path())
                    .status()
                    .await
                    .unwrap()
                    .success()
            );
        }
        let mut make = ours(&programs, "initdb", folder.path());
        make.arg("--pgdata").arg(folder.path().join("data")).args([
            "--username=app",
            "--auth=trust",
            "--no-sync",
            "--no-instructions",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]);
        let made = make.output().await.unwrap();
        assert!(made.status.success(), "{made:?}");
        let process = serve(&programs, folder.path());
        let server = Self {
            programs,
            folder,
            process,
        };
        server.until_ready().await;
        let connection = server.connect("postgres").await;
        let make = "CREATE DATABASE rollcall";
        connection.execute_unprepared(make).await.unwrap();
        connection.close().await.unwrap();
        server
    }

    /// The URL of the database for the test.
    pub(crate) fn url(&self) -> String {
        self.url_of("rollcall")
    }

    fn url_of(&self, database: &str) -> String {
        let folder = self.folder.path().display();
        format!("postgres://app@localhost/{database}?host={folder}")
    }

    /// A connection, past every store.
    pub(crate) async fn connect(&self, database: &str) -> DatabaseConnection {
        let mut options = ConnectOptions::new(self.url_of(database));
        options.max_connections(1).sqlx_logging(false);
        sea_orm::Database::connect(options).await.unwrap()
    }

    /// Stops it as its operator does in a hurry: every transaction is rolled back, every connection
    /// ends. Then it starts again.
    pub(crate) async fn restart(&mut self) {
        self.signal("INT").await;
        self.again().await;
    }

    /// Kills it, as the end of its machine would: it recovers from its log.
    pub(crate) async fn crash(&mut self) {
        self.signal("QUIT").await;
        self.again().await;
    }

    async fn signal(&self, signal: &str) {
        let pid = self.process.id().unwrap().to_string();
        let mut kill = Command::new("sh");
        kill.args(["-c", &format!("kill -{signal} \"$0\""), &pid]);
        assert!(kill.status().await.unwrap().success());
    }

    async fn again(&mut self) {
        let ended = tokio::time::timeout(START, self.process.wait()).await;
        ended.expect("it stops").unwrap();
        self.process = serve(&self.programs, self.folder.path());
        self.until_ready().await;
    }

    async fn until_ready(&self) {
        let begun = Instant::now();
        loop {
            let mut ready = Command::new(self.programs.join("pg_isready"));
            ready.arg("--quiet").arg("--host").arg(self.folder.path());
            if ready.status().await.unwrap().success() {
                return;
            }
            assert!(begun.elapsed() < START, "PostgreSQL does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn serve(programs: &Path, folder: &Path) -> Child {
    let mut serve = ours(programs, "postgres", folder);
    serve
        .arg("-D")
        .arg(folder.join("data"))
        .arg("-k")
        .arg(folder)
        .args(["-c", "listen_addresses=", "-c", "max_connections=200"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    serve.spawn().unwrap()
}

/// A program of PostgreSQL, which refuses to work for root.
fn ours(programs: &Path, name: &str, folder: &Path) -> Command {
    let program = programs.join(name);
    let mut command = if is_root() {
        let mut other = Command::new("setpriv");
        other.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
        other.arg(program);
        other
    } else {
        Command::new(program)
    };
    command.current_dir(folder);
    command
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Where the programs are. Debian keeps them off PATH.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let debian = versions.flatten().filter_map(|version| {
        let number: u32 = version.file_name().to_str()?.parse().ok()?;
        Some((number, version.path().join("bin")))
    });
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(|folder| folder.join("initdb").is_file());
    debian.max().map(|(_, folder)| folder).or(on_path)
}
