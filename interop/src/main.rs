//! `keyroom-interop`: serves the MLS working group's test interface.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use keyroom_awslc::AWSLC;
use keyroom_crypto::Provider;
use keyroom_interop::{Actors, Service, Setup};
use keyroom_mls::leaf_node::Grease;
use keyroom_rustcrypto::RUSTCRYPTO;
use tokio::net::TcpListener;

/// Serves the gRPC interface through which the MLS working group's runner plays test scripts.
#[derive(Debug, Parser)]
#[command(name = "keyroom-interop")]
struct Arguments {
    /// Where to listen; port 0 takes a free one, and the address is printed. Calls are not
    /// authenticated: keep to loopback.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50051")]
    listen: SocketAddr,

    /// Which library computes. Only rustcrypto has every suite.
    #[arg(long, value_enum, default_value_t = Library::Rustcrypto)]
    provider: Library,

    /// Where own key packages hold reserved values. Some peers refuse them as extensions.
    #[arg(long, value_enum, default_value_t = Reserved::Capabilities)]
    grease: Reserved,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Library {
    /// Pure Rust.
    Rustcrypto,
    /// aws-lc.
    Awslc,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Reserved {
    /// Nowhere.
    None,
    /// In the lists of what a leaf supports.
    Capabilities,
    /// There, and as extensions of leaves and key packages.
    Extensions,
}

impl Arguments {
    fn setup(&self) -> Setup {
        let provider: &'static dyn Provider = match self.provider {
            Library::Rustcrypto => &RUSTCRYPTO,
            Library::Awslc => &AWSLC,
        };
        Setup::new(provider).grease(match self.grease {
            Reserved::None => Grease::Omit,
            Reserved::Capabilities => Grease::Capabilities,
            Reserved::Extensions => Grease::Add,
        })
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(arguments.listen).await?;
        announce(listener.local_addr()?);
        Service::new(Actors::new(arguments.setup())).serve(listener).await
    })
}

#[expect(clippy::print_stdout, reason = "scripts wait for this line")]
fn announce(address: SocketAddr) {
    println!("listening on {address}");
}

#[expect(clippy::print_stderr, reason = "the terminal is where a failure is reported")]
fn report(error: &std::io::Error) {
    eprintln!("error: {error}");
}
