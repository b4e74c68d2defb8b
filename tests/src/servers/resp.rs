//! Commands to a Redis server, over a new connection each time.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// A server's reply, with arrays as lines; or its error message.
pub(super) type CliReply = Result<String, String>;

/// The longest time of a reply. No command of the tests takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends the commands one after the other, and returns the last reply.
pub(super) fn call(port: u16, commands: &[&[&str]]) -> io::Result<CliReply> {
    let mut stream =
        BufReader::new(TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?);
    stream.get_ref().set_read_timeout(Some(PATIENCE))?;
    let mut last = Ok(String::new());
    for command in commands {
        let arguments = command.iter().map(|argument| format!("${}\r\n{argument}\r\n", argument.len()));
        let request = format!("*{}\r\n{}", command.len(), arguments.collect::<String>());
        stream.get_mut().write_all(request.as_bytes())?;
        last = read(&mut stream)?;
    }
    Ok(last)
}

fn read(stream: &mut impl BufRead) -> io::Result<CliReply> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let line = line.strip_suffix("\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let (kind, rest) = line.split_at_checked(1).ok_or(io::ErrorKind::InvalidData)?;
    Ok(match kind {
        "+" | ":" => Ok(rest.to_owned()),
        "-" => Err(rest.to_owned()),
        "$" => match length(rest)? {
            None => Ok(String::new()),
            Some(length) => {
                let mut bytes = vec![0; length + 2];
                stream.read_exact(&mut bytes)?;
                bytes.truncate(length);
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
        },
        "*" => {
            let mut lines = Vec::new();
            for _ in 0..length(rest)?.unwrap_or(0) {
                lines.push(read(stream)?.unwrap_or_else(|error| error));
            }
            Ok(lines.join("\n"))
        }
        _ => return Err(io::ErrorKind::InvalidData.into()),
    })
}

/// Reads a length. Returns `None` for nil.
fn length(text: &str) -> io::Result<Option<usize>> {
    if text == "-1" { Ok(None) } else { text.parse().map(Some).map_err(io::Error::other) }
}
