//! One connection through a proxy: a thread for requests, a thread for replies.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use super::{Cut, ProxyShared, ProxyState};

/// The state of a connection that its two threads share.
struct ProxyConnection {
    number: u64,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// True if the client has sent something after the last reply.
    is_asking: bool,
    asked: usize,
    answered: usize,
    /// The number of the reply that is not to arrive.
    cut_at: Option<usize>,
}

/// Connects a client to the server, if that listens.
pub(super) fn open(shared: &Arc<ProxyShared>, client: TcpStream) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, shared.server)) else { return };
    let both = || Some([client.try_clone().ok()?, server.try_clone().ok()?]);
    let (Some(kept), Some([to_client, to_server])) = (both(), both()) else { return };
    for end in &kept {
        end.set_nodelay(true).expect("a TCP socket");
    }
    let mut state = shared.lock();
    state.opened += 1;
    let connection = Arc::new(ProxyConnection { number: state.opened, progress: Mutex::default() });
    state.connections.insert(connection.number, kept);
    drop(state);
    run(shared, &connection, client, to_server, ProxyConnection::requests);
    run(shared, &connection, server, to_client, ProxyConnection::replies);
}

/// Decides which of the messages that came together are passed on: all, or this many before the connection ends.
type Pass = fn(&ProxyConnection, &ProxyShared, &mut [Vec<u8>]) -> Result<(), usize>;

/// Reads messages at one end and has them passed on to the other, until either end is closed.
fn run(
    shared: &Arc<ProxyShared>,
    connection: &Arc<ProxyConnection>,
    mut from: TcpStream,
    mut to: TcpStream,
    pass: Pass,
) {
    let (shared, connection) = (Arc::clone(shared), Arc::clone(connection));
    thread::spawn(move || {
        let (mut waiting, mut buffer) = (Vec::new(), [0; 16 * 1024]);
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if connection.number <= shared.lock().swallowed {
                continue;
            }
            waiting.extend_from_slice(&buffer[..count]);
            let mut messages = Vec::new();
            while let Some(length) = (shared.protocol.message)(&waiting) {
                messages.push(waiting.drain(..length).collect());
            }
            let passed = pass(&connection, &shared, &mut messages);
            messages.truncate(passed.err().unwrap_or(messages.len()));
            if to.write_all(&messages.concat()).is_err() || passed.is_err() {
                break;
            }
        }
        if let Some(ends) = shared.lock().connections.remove(&connection.number) {
            // It ends the other thread too.
            for end in ends {
                let _ = end.shutdown(Shutdown::Both);
            }
        }
    });
}

impl ProxyConnection {
    fn requests(&self, shared: &ProxyShared, messages: &mut [Vec<u8>]) -> Result<(), usize> {
        let mut state = shared.lock();
        let mut progress = self.progress();
        let ProxyState { traffic, rule, scripts, cuts, held, .. } = &mut *state;
        if !messages.is_empty() && !progress.is_asking {
            progress.is_asking = true;
            traffic.round_trips += 1;
        }
        for (index, message) in messages.iter().enumerate() {
            traffic.requests.push((shared.protocol.name)(message));
            traffic.bytes_out += message.len();
            let runs_script = (shared.protocol.runs_script)(message);
            let cut = rule.as_ref().filter(|_| runs_script).map_or(Cut::Nothing, |rule| rule(*scripts));
            *scripts += usize::from(runs_script);
            match cut {
                Cut::Request => {
                    cuts[0] += 1;
                    return Err(index);
                }
                Cut::Reply if progress.cut_at.is_none() => {
                    cuts[1] += 1;
                    progress.cut_at = Some(progress.asked);
                }
                Cut::Hold => *held = Some(self.number),
                // If an earlier reply ends the connection, a later one is ignored.
                Cut::Reply | Cut::Nothing => {}
            }
            progress.asked += 1;
        }
        drop(progress);
        while state.held == Some(self.number) {
            state = shared.resumed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    fn replies(&self, shared: &ProxyShared, messages: &mut [Vec<u8>]) -> Result<(), usize> {
        let mut state = shared.lock();
        while state.is_stalled {
            state = shared.resumed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let mut progress = self.progress();
        for (index, message) in messages.iter_mut().enumerate() {
            if let Some(change) = &state.reply_change {
                change(message);
            }
            if progress.cut_at == Some(progress.answered) {
                return Err(index);
            }
            state.traffic.bytes_in += message.len();
            progress.is_asking = false;
            progress.answered += 1;
        }
        Ok(())
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
