//! A site (configuration and data in a temporary folder) and the real binary running on it.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

use super::{Answer, Call, Connection, Log, Vendor};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_sealgate");

/// A folder with `sealgate.toml`, `vendor-key` and `data/`.
pub(crate) struct Site {
    folder: tempfile::TempDir,
}

/// What a finished command said.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Site {
    /// A site with this configuration.
    pub(crate) fn with(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("sealgate.toml"), config).expect("config");
        fs::write(folder.path().join("vendor-key"), "vendor-credential-of-the-test\n").expect("key");
        Site { folder }
    }

    /// Routes `/openai` and `/anthropic` to the test vendor, `/down` to a closed port, `/other` of another tenant;
    /// `tables` goes before the vendors.
    pub(crate) fn before(vendor: &Vendor, tables: &str) -> Self {
        let url = format!("http://{}", vendor.address);
        let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
        Site::with(&format!(
            r#"{tables}
[[vendor]]
id = "openai"
dialect = "openai"
url = "{url}"
credential = "file:vendor-key"
[[vendor]]
id = "anthropic"
dialect = "anthropic"
url = "{url}"
credential = "file:vendor-key"
[[vendor]]
id = "mistral"
dialect = "openai"
url = "http://{closed}"
[[route]]
vendor = "openai"
[[route]]
vendor = "anthropic"
[[route]]
name = "down"
vendor = "mistral"
[[route]]
name = "other"
vendor = "openai"
tenant = "other"
"#
        ))
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn log(&self) -> Log {
        Log::read(&self.data())
    }

    /// All that gateways wrote to stderr here.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    fn command(&self, program: &str, before: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(before).args(arguments).current_dir(self.folder.path());
        command.arg("--config").arg(self.folder.path().join("sealgate.toml")).arg("--data").arg(self.data());
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let ran = self.command(BINARY, &[], arguments).output().expect("runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran { code: ran.status.code().unwrap_or(-1), out: text(&ran.stdout), err: text(&ran.stderr) }
    }

    /// `records verify`, which has to be OK.
    pub(crate) fn verify(&self) {
        let ran = self.run(&["records", "verify"]);
        assert!(ran.code == 0 && ran.out.starts_with("OK"), "{}{}", ran.out, ran.err);
    }

    /// A new token.
    pub(crate) fn token(&self, arguments: &[&str]) -> String {
        let ran = self.run(&[&["token", "new", "--role", "developer"], arguments].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.out.trim().to_owned()
    }

    /// Starts the gateway and waits until it says where it listens.
    pub(crate) fn start(&self) -> Gateway<'_> {
        self.start_under(&[])
    }

    /// The same under another program such as `strace`, which has to leave the process itself as our child.
    pub(crate) fn start_under(&self, wrapper: &[&str]) -> Gateway<'_> {
        self.try_start(wrapper).unwrap_or_else(|ran| panic!("no start ({}): {}{}", ran.code, ran.out, ran.err))
    }

    /// Starts, or gives what a gateway that did not start said.
    pub(crate) fn try_start(&self, wrapper: &[&str]) -> Result<Gateway<'_>, Ran> {
        let stderr = OpenOptions::new().create(true).append(true).open(self.folder.path().join("stderr"));
        let serve = ["serve", "--gateway", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let (program, before) = match wrapper {
            [] => (BINARY, Vec::new()),
            [program, rest @ ..] => (*program, [rest, &[BINARY]].concat()),
        };
        let mut command = self.command(program, &before, &serve);
        let mut child = command.stdout(Stdio::piped()).stderr(stderr.expect("stderr")).spawn().expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut said = String::new();
        for line in lines.by_ref().map_while(Result::ok) {
            let last = line.starts_with("Log key for verifiers:");
            said += &format!("{line}\n");
            if last {
                break;
            }
        }
        let address = |mark: &str| {
            let after = said.split_once(mark)?.1.split(['/', ' ', '\n']).next()?;
            after.parse::<SocketAddr>().ok()
        };
        let gateway = address("listening on http://").or_else(|| address("listening on https://"));
        let (Some(gateway), Some(admin)) = (gateway, admin(&said)) else {
            let code = child.wait().expect("ends").code().unwrap_or(-1);
            return Err(Ran { code, out: said, err: self.stderr() });
        };
        let out = Arc::new(Mutex::new(said));
        let more = out.clone();
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                *more.lock().expect("lock") += &format!("{line}\n");
            }
        });
        let token = fs::read_to_string(self.data().join("dev-token")).expect("dev-token").trim().to_owned();
        Ok(Gateway { site: self, child, gateway, admin, out, reader: Some(reader), token })
    }
}

fn admin(said: &str) -> Option<SocketAddr> {
    let line = said.lines().find(|line| line.ends_with("/metrics"))?;
    line.split_once("http://")?.1.strip_suffix("/metrics")?.parse().ok()
}

/// A running gateway; killed when dropped.
pub(crate) struct Gateway<'s> {
    pub(crate) site: &'s Site,
    child: Child,
    pub(crate) gateway: SocketAddr,
    pub(crate) admin: SocketAddr,
    out: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    /// The dev token.
    pub(crate) token: String,
}

impl Gateway<'_> {
    /// One call with the dev token, on a connection of its own.
    pub(crate) fn call(&self, call: Call) -> Answer {
        self.bare(call.token(&self.token))
    }

    /// One call as it is.
    pub(crate) fn bare(&self, call: Call) -> Answer {
        Connection::open(self.gateway).call(&call).expect("an answer")
    }

    pub(crate) fn admin(&self, path: &str) -> Answer {
        Connection::open(self.admin).call(&Call::get(path).header("connection", "close")).expect("an answer")
    }

    /// All it said on stdout.
    pub(crate) fn out(&self) -> String {
        self.out.lock().expect("lock").clone()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("pid")).expect("pid");
        kill_process(pid, signal).expect("signal");
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits for the end; what it printed in all.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("ends");
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        (status, self.out())
    }

    /// SIGTERM, and the end has to be in order.
    pub(crate) fn stop(self) -> String {
        self.terminate();
        let site = self.site;
        let (status, out) = self.ended();
        assert!(status.success(), "{status}: {out}{}", site.stderr());
        out
    }

    /// kill -9.
    pub(crate) fn kill(self) {
        self.signal(Signal::KILL);
        self.ended();
    }
}

impl Drop for Gateway<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
