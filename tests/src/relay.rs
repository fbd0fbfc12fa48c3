//! A TCP relay that can be cut: what stands between an agent and the bus when the network fails.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Relays connections from a port of its own to a target, until it is cut.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    open: Arc<watch::Sender<bool>>,
    accept: JoinHandle<()>,
}

impl Relay {
    /// Listens on a free loopback port and relays to `target`.
    ///
    /// # Errors
    /// When no port can be had.
    #[expect(
        clippy::disallowed_methods,
        reason = "the tasks end with the relay, which aborts or cuts them"
    )]
    pub async fn start(target: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (open, is_open) = watch::channel(true);
        let accept = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // While cut, a connection is refused by closing it at once.
                if *is_open.borrow() {
                    tokio::spawn(relay(client, target, is_open.clone()));
                }
            }
        });
        Ok(Self {
            address,
            open: Arc::new(open),
            accept,
        })
    }

    /// Where to connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks every connection and lets none through.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut();
        self.accept.abort();
    }
}

async fn relay(mut client: TcpStream, target: SocketAddr, mut open: watch::Receiver<bool>) {
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    tokio::select! {
        // Either side's end is the other's; how it ended does not matter to a wire.
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        _ = open.wait_for(|open| !open) => {}
    }
}
