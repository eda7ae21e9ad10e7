//! A line that can be cut.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Forwards TCP connections to a port of this machine, until it is cut.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    line: Arc<Mutex<Line>>,
}

#[derive(Debug, Default)]
struct Line {
    cut: bool,
    open: Vec<TcpStream>,
}

impl Proxy {
    /// A proxy in front of a port.
    ///
    /// # Panics
    /// If there is no port left to listen on.
    pub fn before(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (address, line) = (listener.local_addr().unwrap(), Arc::<Mutex<Line>>::default());
        let shared = line.clone();
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let mut line = shared.lock().unwrap_or_else(PoisonError::into_inner);
                if !line.cut
                    && let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                {
                    join(&mut line, &near, &far).unwrap();
                }
            }
        });
        Self { address, line }
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Ends all connections, and every new one at once.
    pub fn cut(&self) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.cut = true;
        for stream in line.open.drain(..) {
            // The other end may have closed it.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).cut = false;
    }
}

fn join(line: &mut Line, near: &TcpStream, far: &TcpStream) -> io::Result<()> {
    for (from, to) in [(near, far), (far, near)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        to.set_nodelay(true)?;
        line.open.push(from.try_clone()?);
        thread::spawn(move || {
            // It ends with an error when the line is cut, and with none when one side is done.
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}
