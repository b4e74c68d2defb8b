//! A server process that can be killed, stalled and restarted. It ends with its owner, however the owner ends.

use std::{
    fmt, fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{port::Port, until};

/// The script of the server's parent process. It obeys words on its standard input: `start`, or a signal for the
/// server. The input ends with the test process, however that ends. Then the script kills the server and removes its
/// folder.
///
/// It ignores signals for three reasons. The kernel sends SIGHUP when the test process leaves a stopped server
/// behind. A user may press Ctrl-C. And there may be no reader for its output any more.
const WRAPPER: &str = r#"
trap '' HUP INT TERM PIPE
cd "$1" || exit
shift
server=
while read -r word; do
    case $word in
        start) "$@" </dev/null >>log 2>&1 & server=$! ;;
        *) kill -"$word" "$server" ;;
    esac
    echo "$server"
    if [ "$word" = KILL ]; then wait "$server"; server=; echo; fi
done
if [ "$server" ]; then kill -KILL "$server"; wait "$server"; fi
rm -rf "$PWD"
"#;

/// Returns the folder of the servers' folders. `tests/run` sets one in memory.
fn parent_folder() -> PathBuf {
    std::env::var_os("SERVERS_FOLDER").map_or_else(std::env::temp_dir, PathBuf::from)
}

/// Returns true if the server on this port answers.
type Answers = dyn Fn(u16) -> bool + Send + Sync;

/// A server process with a port, a configuration file and a folder.
pub struct ServerProcess {
    folder: PathBuf,
    port: Port,
    /// A port that some servers need besides, for TLS or for the bus of a cluster.
    second_port: Port,
    answers: Box<Answers>,
    wrapper: Mutex<Wrapper>,
}

struct Wrapper {
    child: Child,
    /// The standard input of the script. `None` closes it.
    words: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
    /// The id of the server process, until it is killed.
    pid: Option<u32>,
}

impl ServerProcess {
    /// Starts `program CONFIG` and waits until the server answers. `config` returns the text of the file CONFIG for
    /// these ports and this folder.
    pub fn start(
        program: &str,
        config: impl Fn(u16, u16, &Path) -> String,
        answers: impl Fn(u16) -> bool + Send + Sync + 'static,
    ) -> Self {
        let mut answers: Box<Answers> = Box::new(answers);
        for _ in 0..5 {
            let process = Self::new(program, &config, answers);
            process.wrapper().say("start");
            match process.wait() {
                Ok(()) => return process,
                // Another process took the port in between.
                Err(log) if log.contains("Address already in use") => answers = process.into_answers(),
                Err(log) => panic!("{program} did not start:\n{log}"),
            }
        }
        panic!("{program} found its port in use, again and again");
    }

    fn new(program: &str, config: impl Fn(u16, u16, &Path) -> String, answers: Box<Answers>) -> Self {
        let folder = tempfile::Builder::new().prefix("sessions-servers.").tempdir_in(parent_folder());
        let folder = folder.expect("a folder").keep();
        let (port, second_port) = (Port::take(), Port::take());
        let file = folder.join("config");
        fs::write(&file, config(port.number(), second_port.number(), &folder)).expect("the configuration");
        let wrapper = Mutex::new(Wrapper::new(program, &file, &folder));
        Self { folder, port, second_port, answers, wrapper }
    }

    /// Kills the server (SIGKILL), stalled or not, and starts it on the same port and folder.
    pub fn restart(&self) {
        self.kill();
        self.wrapper().say("start");
        if let Err(log) = self.wait() {
            panic!("the server did not start again:\n{log}");
        }
    }

    /// Kills the server (SIGKILL), stalled or not. It has ended when this returns; its folder stays.
    pub fn kill(&self) {
        let mut wrapper = self.wrapper();
        if wrapper.pid.is_some() {
            wrapper.say("KILL");
            wrapper.pid = None;
            wrapper.read_line();
        }
    }

    /// Stops the server (SIGSTOP). Connections stay open and new ones are accepted, but nothing is answered.
    pub fn stall(&self) {
        let mut wrapper = self.wrapper();
        wrapper.say("STOP");
        let pid = wrapper.pid.expect("a server");
        until("the server to stop", || self.log(), || states(pid).iter().all(|state| *state == 'T'));
    }

    /// Resumes a stalled server (SIGCONT).
    pub fn resume(&self) {
        self.wrapper().say("CONT");
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Returns the second port, which some servers need for TLS or for the bus of a cluster.
    pub fn second_port(&self) -> u16 {
        self.second_port.number()
    }

    /// Returns the folder in which the server runs. It is removed with the server.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the id of the server process.
    pub fn pid(&self) -> Option<u32> {
        self.wrapper().pid
    }

    /// Returns all that the server has logged.
    pub fn log(&self) -> String {
        fs::read(self.folder.join("log"))
            .map_or_else(|error| error.to_string(), |log| String::from_utf8_lossy(&log).into_owned())
    }

    /// Waits until the server answers. Returns the log if it ends instead.
    fn wait(&self) -> Result<(), String> {
        let pid = self.pid().expect("a server");
        let mut ended = false;
        let answers = || {
            ended = states(pid) == ['Z'];
            ended || (self.answers)(self.port())
        };
        until("the server to answer", || self.log(), answers);
        if ended { Err(self.log()) } else { Ok(()) }
    }

    fn wrapper(&self) -> MutexGuard<'_, Wrapper> {
        self.wrapper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn into_answers(self) -> Box<Answers> {
        self.answers
    }
}

impl fmt::Debug for ServerProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerProcess")
            .field("folder", &self.folder)
            .field("port", &self.port())
            .finish_non_exhaustive()
    }
}

impl Wrapper {
    fn new(program: &str, config: &Path, folder: &Path) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", WRAPPER, "sh"])
            .arg(folder)
            .arg(program)
            .arg(config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A signal to the process group of the test must not reach the server directly.
            .process_group(0)
            .spawn()
            .expect("a shell");
        let words = child.stdin.take();
        let replies = BufReader::new(child.stdout.take().expect("its output is piped"));
        Self { child, words, replies, pid: None }
    }

    /// Says a word and waits until it is obeyed.
    fn say(&mut self, word: &str) {
        assert!(word == "start" || self.pid.is_some(), "the server was killed");
        let words = self.words.as_mut().expect("open until dropped");
        writeln!(words, "{word}").expect("the wrapper listens");
        self.pid = self.read_line().parse().ok();
    }

    fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.replies.read_line(&mut line).expect("the wrapper answers");
        line.trim_end().to_owned()
    }
}

impl Drop for Wrapper {
    fn drop(&mut self) {
        drop(self.words.take());
        // An error could only mean that it has ended.
        let _ = self.child.wait();
    }
}

/// Returns the states of a process's threads, as in proc(5). There are none if it is gone, or without `/proc`.
fn states(pid: u32) -> Vec<char> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok())
        // The name in parentheses may contain any character.
        .filter_map(|stat| stat.rsplit_once(") ")?.1.chars().next())
        .collect()
}
