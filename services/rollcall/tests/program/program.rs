//! `rollcall dev` as a child process on a folder, on free ports of loopback.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rollcall::dev::handshake::{Account, Handshake};
use rollcall_rpc::Backend;
use rollcall_store::testing;
use rollcall_types::ExposeSecret;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tonic::transport::Endpoint;

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(60);
/// Between two looks at the handshake file.
const LOOK: Duration = Duration::from_millis(10);

/// A running `rollcall dev`; it is killed when this is dropped.
///
/// A test that fails shows what the program wrote.
pub(crate) struct Program {
    /// How to reach it.
    pub(crate) handshake: Handshake,
    folder: PathBuf,
    child: Child,
    output: Arc<Mutex<String>>,
    client: Client<HttpConnector, Full<axum::body::Bytes>>,
}

/// How a command of the program ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

impl Program {
    /// Starts it and waits until it is reached.
    pub(crate) async fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[]).await
    }

    /// The same with further arguments.
    pub(crate) async fn start_with(folder: &Path, args: &[&str]) -> Self {
        let output = Arc::new(Mutex::new(String::new()));
        let database = testing::url(folder).await;
        let database =
            database.map(|url| ("ROLLCALL_DATABASE_URL", url.expose_secret().to_owned()));
        let mut child = command(folder)
            .env_remove("ROLLCALL_DATABASE_URL")
            .envs(database)
            .args(["dev", "--listen", "127.0.0.1:0"])
            .args(["--grpc-listen", "127.0.0.1:0", "--data"])
            .arg(folder)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        keep(child.stdout.take().unwrap(), output.clone());
        keep(child.stderr.take().unwrap(), output.clone());
        let handshake = ready(&mut child, folder, &output).await;
        Self {
            handshake,
            folder: folder.to_owned(),
            child,
            output,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// `kill -9`: no chance to end anything.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Starts it again on the same folder, on other ports, once it has ended.
    pub(crate) async fn restart(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_some(), "it still runs: kill or interrupt it first");
        *self = Self::start(&self.folder).await;
    }

    /// Ctrl-C; how it ended and how long that took.
    pub(crate) async fn interrupt(&mut self) -> (ExitStatus, Duration) {
        let pid = self.child.id().expect("it runs").to_string();
        let begun = Instant::now();
        // The signal by the shell's own `kill`: an image need not have the program of that name.
        let told = Command::new("sh")
            .args(["-c", "kill -INT \"$0\"", &pid])
            .status();
        assert!(told.await.unwrap().success());
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        (
            ended.expect("Ctrl-C does not end it").unwrap(),
            begun.elapsed(),
        )
    }

    /// Where it writes how to reach it.
    pub(crate) fn handshake_file(&self) -> PathBuf {
        handshake_file(&self.folder)
    }

    /// A demo account.
    pub(crate) fn account(&self, id: &str) -> &Account {
        let mut accounts = self.handshake.accounts.iter();
        accounts.find(|account| account.id == id).unwrap()
    }

    /// Its gRPC services, called with the operator's token.
    pub(crate) async fn backend(&self) -> Backend {
        let endpoint = Endpoint::from_shared(self.handshake.grpc_url.clone()).unwrap();
        let channel = endpoint.connect().await.unwrap();
        Backend::channel(channel, &self.handshake.grpc_token)
    }

    /// Sends a SCIM request with the token of `acme`: the status and the body.
    pub(crate) async fn scim(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let token = &self.account("acme").scim_token;
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.handshake.scim_base_url))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/scim+json; charset=utf-8")
            .body(Full::from(
                body.map(|body| body.to_string()).unwrap_or_default(),
            ))
            .unwrap();
        let (head, body) = self.client.request(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        (head.status.as_u16(), body)
    }

    /// Runs another command of the program against this one.
    pub(crate) async fn run(&self, args: &[&str]) -> Ran {
        let mut command = command(&self.folder);
        command
            .args(args)
            .arg("--handshake")
            .arg(self.handshake_file());
        Ran::from(command.output().await.unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what the program wrote:\n{}", self.output.lock().unwrap());
        }
    }
}

/// The program in `folder`, free of what the caller's environment tells it.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    for name in ["ROLLCALL_GRPC_URL", "ROLLCALL_GRPC_TOKEN", "RUST_LOG"] {
        command.env_remove(name);
    }
    command
}

fn handshake_file(folder: &Path) -> PathBuf {
    folder.join("dev.json")
}

/// Waits for the handshake file of this very process: a killed one leaves its own behind.
async fn ready(child: &mut Child, folder: &Path, output: &Mutex<String>) -> Handshake {
    let begun = Instant::now();
    let pid = child.id().unwrap();
    loop {
        let file = handshake_file(folder);
        if let Ok(found) = rollcall::dev::handshake::read(&file)
            && found.pids == [pid]
        {
            return found;
        }
        let wrote = || output.lock().unwrap().clone();
        if let Some(status) = child.try_wait().unwrap() {
            panic!("it ended before it was ready, {status}:\n{}", wrote());
        }
        assert!(begun.elapsed() < START, "it is not ready:\n{}", wrote());
        tokio::time::sleep(LOOK).await;
    }
}

/// Appends what comes to `output`, until its end.
pub(crate) fn keep(mut from: impl AsyncRead + Send + Unpin + 'static, output: Arc<Mutex<String>>) {
    tokio::spawn(async move {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut bytes).await {
            let text = String::from_utf8_lossy(&bytes[..length]);
            output.lock().unwrap().push_str(&text);
        }
    });
}

/// How often something is repeated: the full count under `cargo xtask soak`.
pub(crate) fn rounds(full: usize, in_ci: usize) -> usize {
    if std::env::var_os("ROLLCALL_SOAK").is_some() {
        full
    } else {
        in_ci
    }
}
