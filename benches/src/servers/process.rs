//! A server process that cannot outlive this one.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// The server's parent. It tells the server's process id and then waits for the
/// end of its own input, which comes when this process ends, however it does.
/// Ctrl-C reaches it too, and must not stop it before that.
const KEEPER: &str = r#"
trap '' HUP INT TERM PIPE
cd "$1" || exit
shift
"$@" </dev/null >>log 2>&1 &
echo $!
read -r _
kill -KILL $!
wait
"#;

pub struct Process {
    keeper: Child,
    pid: Pid,
}

impl Process {
    /// Runs a program in `dir`; what it prints goes into the file `log` there.
    pub fn start(dir: &Path, program: &str, arguments: &[String]) -> Result<Self> {
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(dir)
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start sh")?;
        let mut line = String::new();
        let output = keeper.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line)?;
        let pid = line.trim().parse().context("sh tells no process id")?;
        Ok(Process { keeper, pid: Pid::from_raw(pid) })
    }

    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// User and system time that all its threads have used so far.
    pub fn cpu_used(&self) -> Result<Duration> {
        // In nanoseconds; what /proc/<pid>/stat tells is in hundredths of a second.
        let clock = ClockId::pid_cpu_clock_id(self.pid).context("a server has ended")?;
        Ok(clock_gettime(clock)?.into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // The server is dead after this, so that its folder can go.
        let _ = self.keeper.wait();
    }
}
