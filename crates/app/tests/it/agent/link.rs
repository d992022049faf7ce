//! What stands between an agent and its hub: it lets things through, or does what networks and servers do.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What the link does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// Lets all through.
    Through,
    /// Lets requests through, and cuts the connection before the answer.
    LosesAnswers,
    /// Takes requests, and says nothing.
    Hangs,
    /// Cuts every connection at once.
    Refuses,
    /// Answers this.
    Answers(&'static str),
}

pub(super) struct Link {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    mode: Mutex<Mode>,
    to: Mutex<SocketAddr>,
    open: Mutex<Vec<TcpStream>>,
}

impl Link {
    pub(super) fn new(to: SocketAddr) -> Self {
        Self::at("127.0.0.1", to)
    }

    /// One that others reach at this address of the machine.
    pub(super) fn at(address: &str, to: SocketAddr) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared =
            Arc::new(Shared { mode: Mutex::new(Mode::Through), to: Mutex::new(to), open: Mutex::default() });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&serving);
                thread::spawn(move || shared.serve(socket));
            }
        });
        Self { port, shared }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// From now on; connections that are open are cut.
    pub(super) fn set(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap() = mode;
        for socket in self.shared.open.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn lead_to(&self, to: SocketAddr) {
        *self.shared.to.lock().unwrap() = to;
        self.set(Mode::Through);
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) {
        let mode = *self.mode.lock().unwrap();
        self.open.lock().unwrap().push(client.try_clone().unwrap());
        match mode {
            Mode::Refuses => drop(client),
            Mode::Hangs => {
                let mut bytes = [0; 4_096];
                while client.read(&mut bytes).is_ok_and(|read| read > 0) {}
            }
            Mode::Answers(text) => {
                // All of the request first: who is cut off while sending does not look at answers.
                let _ = client.set_read_timeout(Some(std::time::Duration::from_millis(300)));
                let mut bytes = [0; 65_536];
                while client.read(&mut bytes).is_ok_and(|read| read > 0) {}
                let _ = client.write_all(text.as_bytes());
            }
            Mode::Through | Mode::LosesAnswers => {
                let to = *self.to.lock().unwrap();
                let Ok(mut server) = TcpStream::connect(to) else { return };
                self.open.lock().unwrap().push(server.try_clone().unwrap());
                let (mut from, mut into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut into);
                    let _ = into.shutdown(Shutdown::Both);
                });
                if mode == Mode::LosesAnswers {
                    // It was taken, and nobody learns it.
                    let _ = server.read(&mut [0; 1]);
                    let _ = client.shutdown(Shutdown::Both);
                    return;
                }
                let _ = std::io::copy(&mut server, &mut client);
                let _ = client.shutdown(Shutdown::Both);
            }
        }
    }
}
