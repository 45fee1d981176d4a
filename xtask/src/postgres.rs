//! A PostgreSQL server for one run of the tests: on a folder of its own, reached by a socket in
//! it, thrown away at the end.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::{command, debian};

/// How long a server may take to answer.
const START: Duration = Duration::from_secs(30);
/// What to do where it can't be had.
const REMEDY: &str = "install PostgreSQL 15 or newer (Debian: apt-get install postgresql)";

/// A running server.
pub(crate) struct Server {
    process: Child,
    folder: PathBuf,
}

/// Where the programs are, installing them first if need be. Debian keeps them off PATH.
///
/// # Errors
/// When they are not there and can't be installed.
pub(crate) fn programs() -> Result<PathBuf, Failure> {
    if let Some(folder) = find() {
        return Ok(folder);
    }
    // Else the package starts a server of its own on the usual port.
    if Path::new("/etc/debian_version").exists() {
        let keep_quiet = "mkdir -p /etc/postgresql-common && echo 'create_main_cluster = false' \
                          >> /etc/postgresql-common/createcluster.conf";
        debian::as_root(&["sh", "-c", keep_quiet])?;
    }
    debian::install("postgresql", REMEDY)?;
    find().ok_or_else(|| Failure::new("the package postgresql has no initdb", REMEDY))
}

/// Where the programs are, if they are.
pub(crate) fn find() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let debian = versions.flatten().filter_map(|version| {
        let number: u32 = version.file_name().to_str()?.parse().ok()?;
        Some((number, version.path().join("bin")))
    });
    let newest = debian.max().map(|(_, folder)| folder);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(|folder| folder.join("initdb").is_file());
    newest
        .filter(|folder| folder.join("initdb").is_file())
        .or(on_path)
}

impl Server {
    /// Starts a server.
    ///
    /// # Errors
    /// When it can't be made or does not answer.
    pub(crate) fn start(programs: &Path) -> Result<Self, Failure> {
        // In the short folder for such things: a socket's path has 107 bytes at most.
        let name = format!("rollcall-postgres-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let unusable = |error: std::io::Error| {
            let what = format!("{}: {error}", folder.display());
            Failure::new(what, "make the folder for temporary files writable")
        };
        std::fs::create_dir_all(&folder).map_err(unusable)?;
        let is_root = debian::is_root()?;
        if is_root {
            command::output(command::program("chown").arg("postgres:").arg(&folder))?;
        }
        let data = folder.join("data");
        let mut make = ours(programs, "initdb", is_root, &folder);
        make.arg("--pgdata").arg(&data).args([
            "--username=app",
            "--auth=trust",
            "--no-sync",
            "--no-instructions",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]);
        command::output(&mut make)?;
        let mut serve = ours(programs, "postgres", is_root, &folder);
        serve.arg("-D").arg(&data).arg("-k").arg(&folder);
        // A test kills processes, not the machine: nothing is lost without fsync.
        for setting in [
            "listen_addresses=",
            "fsync=off",
            "full_page_writes=off",
            "max_connections=400",
        ] {
            serve.arg("-c").arg(setting);
        }
        let log = std::fs::File::create(folder.join("log")).map_err(unusable)?;
        serve.stdout(Stdio::null()).stderr(log);
        let process = serve
            .spawn()
            .map_err(|error| command::not_started(&serve, &error))?;
        let server = Self { process, folder };
        server.wait(programs)?;
        Ok(server)
    }

    fn wait(&self, programs: &Path) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut ready = command::program(programs.join("pg_isready"));
        ready.arg("--quiet").arg("--host").arg(&self.folder);
        while command::output(&mut ready).is_err() {
            if begun.elapsed() > START {
                let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                let last = log.lines().last().unwrap_or("it says nothing");
                let what = format!("PostgreSQL does not answer: {last}");
                return Err(Failure::new(what, REMEDY));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// The URL of the server, without a database.
    pub(crate) fn url(&self) -> String {
        format!("postgres://app@localhost?host={}", self.folder.display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Best effort: its processes end with it, and the folder is one for temporary files.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A program of PostgreSQL, which refuses to work for root.
fn ours(programs: &Path, name: &str, is_root: bool, folder: &Path) -> Command {
    let program = programs.join(name);
    let mut command = if is_root {
        let mut other = command::program("setpriv");
        other.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
        other.arg(program);
        other
    } else {
        command::program(program)
    };
    command.current_dir(folder);
    command
}
