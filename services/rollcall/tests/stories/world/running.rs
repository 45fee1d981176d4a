//! The roles of a system, all in one process; or apart: each with a gRPC server of its own, called
//! over sockets as in production, where `ROLLCALL_TEST_APART` is set.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use rollcall::assemble::{Gates, Peers, Roles, Setting, Stores, System, assemble, operator};
use rollcall_permissions::Recomputation;
use rollcall_rpc::{Backend, Caller, CallerKind, Callers};
use rollcall_store::TokenKey;
use rollcall_types::{Clock, Entropy};
use rollcall_verification::Dns;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tower::ServiceExt;

/// What the roles are made of.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) roles: Roles,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) dns: Arc<dyn Dns>,
    pub(super) stop: CancellationToken,
}

/// The roles, running.
pub(super) struct Running {
    /// The gateway, to be served.
    pub(super) http: Router,
    /// Every gRPC service, called with the token `operator`.
    pub(super) backend: Backend,
    /// Where that is served.
    pub(super) grpc: SocketAddr,
    pub(super) gates: Gates,
    pub(super) stores: Stores,
    pub(super) recomputation: Recomputation,
}

impl Parts {
    pub(super) async fn run(self) -> Running {
        if std::env::var_os("ROLLCALL_TEST_APART").is_some() {
            self.run_apart().await
        } else {
            self.run_together().await
        }
    }

    async fn build(&self, roles: Roles, peers: Peers) -> System {
        let setting = Setting {
            roles,
            peers,
            callers: callers(),
            reflection: true,
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            token_key: Arc::new(TokenKey::new(&[7; 32], self.entropy.clone())),
            dns: Some(self.dns.clone()),
            stop: self.stop.clone(),
        };
        let mut system = assemble(setting).await.unwrap();
        for task in std::mem::take(&mut system.tasks) {
            tokio::spawn(task);
        }
        system
    }

    /// Serves gRPC on a free port, behind the layer that knows callers.
    async fn serve(&self, system: &mut System) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let mut server = tonic::transport::Server::builder().layer(system.layer.clone());
        let router = server.add_routes(system.grpc.take().unwrap());
        let stop = self.stop.clone().cancelled_owned();
        tokio::spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            router.serve_with_incoming_shutdown(incoming, stop).await
        });
        at
    }

    async fn run_together(self) -> Running {
        let mut system = self.build(self.roles.clone(), Peers::default()).await;
        let routes = system.grpc.clone().unwrap();
        let backend = Backend::in_process(routes, &system.layer, "operator");
        let grpc = self.serve(&mut system).await;
        Running {
            http: system.http.unwrap(),
            backend,
            grpc,
            gates: system.gates,
            stores: system.stores,
            recomputation: system.recomputation.unwrap(),
        }
    }

    async fn run_apart(self) -> Running {
        let Roles {
            gateway,
            provisioning,
            permissions,
            verification,
        } = self.roles.clone();
        let roles = Roles {
            verification,
            ..Roles::default()
        };
        let mut verification = self.build(roles, Peers::default()).await;
        let to_verification = channel(self.serve(&mut verification).await);

        let roles = Roles {
            provisioning,
            ..Roles::default()
        };
        let peers = Peers {
            verification: Some(Backend::peer(to_verification.clone(), "service")),
            ..Peers::default()
        };
        let mut provisioning = self.build(roles, peers).await;
        let to_provisioning = channel(self.serve(&mut provisioning).await);
        let called_by = |token| Peers {
            provisioning: Some(Backend::peer(to_provisioning.clone(), token)),
            ..Peers::default()
        };

        let roles = Roles {
            permissions,
            ..Roles::default()
        };
        let mut permissions = self.build(roles, called_by("service")).await;
        let to_permissions = channel(self.serve(&mut permissions).await);

        let roles = Roles {
            gateway,
            ..Roles::default()
        };
        let gateway = self.build(roles, called_by("gateway")).await;

        let grpc = serve_all(to_provisioning, to_permissions, to_verification).await;
        Running {
            http: gateway.http.unwrap(),
            backend: Backend::channel(channel(grpc), "operator"),
            grpc,
            gates: Gates {
                provisioning: gateway.gates.provisioning,
                verification: provisioning.gates.verification,
                permissions: permissions.gates.permissions,
            },
            stores: Stores {
                provisioning: provisioning.stores.provisioning,
                permissions: permissions.stores.permissions,
                verification: verification.stores.verification,
            },
            recomputation: permissions.recomputation.unwrap(),
        }
    }
}

/// The operator, and the roles as they call one another.
fn callers() -> Callers {
    let mut callers = operator("operator");
    for (name, kind) in [
        ("gateway", CallerKind::Gateway),
        ("service", CallerKind::Service),
    ] {
        let caller = Caller {
            name: name.into(),
            kind,
            scopes: Arc::default(),
            accounts: None,
        };
        callers.add(name, caller);
    }
    callers
}

fn channel(at: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{at}"));
    endpoint.unwrap().connect_lazy()
}

/// One address for all services, as a proxy in front of them has it.
async fn serve_all(
    provisioning: Channel,
    permissions: Channel,
    verification: Channel,
) -> SocketAddr {
    let pass = tower::service_fn(move |request: axum::extract::Request| {
        let path = request.uri().path();
        let service = if path.starts_with("/rollcall.permissions.") {
            permissions.clone()
        } else if path.starts_with("/rollcall.verification.") {
            verification.clone()
        } else {
            provisioning.clone()
        };
        async move {
            let answer = service.oneshot(request.map(Body::new)).await.unwrap();
            Ok::<_, std::convert::Infallible>(answer.map(axum::body::Body::new))
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let routes = Routes::from(Router::new().fallback_service(pass));
    let router = tonic::transport::Server::builder().add_routes(routes);
    tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
    at
}
