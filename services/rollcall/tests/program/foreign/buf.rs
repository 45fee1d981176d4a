//! Runs `buf curl`.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};

use crate::program::{Program, Ran};

/// Names the program.
const VARIABLE: &str = "ROLLCALL_TEST_BUF";
/// How long a message may take to come on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A real `buf`, without any schema of ours.
pub(super) struct Buf {
    program: PathBuf,
    /// Its home, so that it finds no module and no settings.
    home: TempDir,
}

impl Buf {
    /// The one that `cargo xtask test` has installed.
    pub(super) fn of_environment() -> Self {
        let Some(program) = std::env::var_os(VARIABLE) else {
            panic!(
                "this test calls a real `buf`: run it through `cargo xtask test`, which installs \
                 one, or name one in {VARIABLE}"
            );
        };
        Self {
            program: program.into(),
            home: TempDir::new().unwrap(),
        }
    }

    /// Calls a method with the operator's token.
    pub(super) async fn call(&self, program: &Program, method: &str, request: &Value) -> Ran {
        let authorization = operator(program);
        let url = &program.handshake.grpc_url;
        self.call_as(Some(&authorization), url, method, request)
            .await
    }

    /// Calls a method with any credential.
    pub(super) async fn call_as(
        &self,
        authorization: Option<&str>,
        url: &str,
        method: &str,
        request: &Value,
    ) -> Ran {
        let mut curl = self.curl(authorization, url, method, request);
        Ran::from(curl.output().await.unwrap())
    }

    /// Follows the users of `acme`.
    pub(super) fn watch(&self, program: &Program) -> Watch {
        let request = json!({
            "accountId": "acme",
            "kinds": ["RESOURCE_KIND_USER"],
            "consumer": "foreign",
        });
        let method = "rollcall.provisioning.v1.FeedService/Watch";
        let authorization = operator(program);
        let url = &program.handshake.grpc_url;
        let mut child = self
            .curl(Some(&authorization), url, method, &request)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Watch {
            out: child.stdout.take().unwrap(),
            read: Vec::new(),
            _child: child,
        }
    }

    fn curl(
        &self,
        authorization: Option<&str>,
        url: &str,
        method: &str,
        request: &Value,
    ) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["curl", "--protocol", "grpc", "--http2-prior-knowledge"])
            .args(["--data", &request.to_string()])
            .arg(format!("{url}/{method}"))
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .env("BUF_CACHE_DIR", self.home.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some(authorization) = authorization {
            command.args(["--header", &format!("authorization: {authorization}")]);
        }
        command
    }
}

fn operator(program: &Program) -> String {
    format!("Bearer {}", program.handshake.grpc_token)
}

/// A stream of messages; the client ends when this is dropped.
pub(super) struct Watch {
    out: ChildStdout,
    read: Vec<u8>,
    _child: Child,
}

impl Watch {
    /// The messages up to the next that says this.
    pub(super) async fn until(&mut self, mark: &str) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            let message = self.message().await;
            messages.push(message);
            if messages.last().is_some_and(|last| last.get(mark).is_some()) {
                return messages;
            }
        }
    }

    async fn message(&mut self) -> Value {
        loop {
            let mut values = serde_json::Deserializer::from_slice(&self.read).into_iter();
            if let Some(Ok(message)) = values.next() {
                let length = values.byte_offset();
                self.read.drain(..length);
                return message;
            }
            let mut more = [0; 4096];
            let came = tokio::time::timeout(PATIENCE, self.out.read(&mut more)).await;
            let length = came.expect("no message comes").unwrap();
            assert!(length > 0, "the stream has ended");
            self.read.extend_from_slice(&more[..length]);
        }
    }
}
