//! A vendor on loopback that records what it is sent and answers as scripted, down to raw bytes and broken connections.
//!
//! A request chooses its script with the header `x-case`; without one it gets a well-formed answer of its dialect.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    /// After transfer decoding.
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What becomes of the connection.
pub(crate) enum Next {
    Keep,
    Close,
    Reset,
}

type Script = Arc<dyn Fn(&Seen, &mut TcpStream) -> io::Result<Next> + Send + Sync>;

/// The vendor; its threads end with the test process.
pub(crate) struct Vendor {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    scripts: Mutex<BTreeMap<String, Script>>,
}

impl Vendor {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = serving.clone();
                std::thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        Vendor { address, shared }
    }

    /// Adds a script.
    pub(crate) fn on(
        &self,
        case: &str,
        script: impl Fn(&Seen, &mut TcpStream) -> io::Result<Next> + Send + Sync + 'static,
    ) {
        self.shared.scripts.lock().expect("lock").insert(case.to_owned(), Arc::new(script));
    }

    /// Adds a script of raw bytes; the connection is closed after them.
    pub(crate) fn answers(&self, case: &str, bytes: impl Into<Vec<u8>>) {
        let bytes = bytes.into();
        self.on(case, move |_, wire| {
            wire.write_all(&bytes)?;
            Ok(Next::Close)
        });
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("lock").clone()
    }

    pub(crate) fn calls(&self) -> usize {
        self.shared.seen.lock().expect("lock").len()
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("the vendor was called")
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut wire = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(seen) = read(&mut reader)? {
        let script = seen.header("x-case").and_then(|case| shared.scripts.lock().expect("lock").get(case).cloned());
        shared.seen.lock().expect("lock").push(seen.clone());
        let next = match script {
            Some(script) => script(&seen, &mut wire)?,
            None => usual(&seen, &mut wire)?,
        };
        match next {
            Next::Keep => {}
            Next::Close => return wire.shutdown(std::net::Shutdown::Both),
            Next::Reset => {
                socket2::SockRef::from(&wire).set_linger(Some(std::time::Duration::ZERO))?;
                return Ok(());
            }
        }
    }
    Ok(())
}

fn read(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Seen>> {
    let Some(first) = line(reader)? else { return Ok(None) };
    let mut words = first.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    while let Some(line) = line(reader)?.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').expect("a header");
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut seen = Seen { method, target, headers, body: Vec::new() };
    if seen.header("transfer-encoding").is_some() {
        loop {
            let size = usize::from_str_radix(&line(reader)?.unwrap_or_default(), 16).map_err(io::Error::other)?;
            let mut piece = vec![0; size];
            reader.read_exact(&mut piece)?;
            line(reader)?;
            if size == 0 {
                break;
            }
            seen.body.extend_from_slice(&piece);
        }
    } else if let Some(length) = seen.header("content-length") {
        seen.body = vec![0; length.parse().map_err(io::Error::other)?];
        reader.read_exact(&mut seen.body)?;
    }
    Ok(Some(seen))
}

fn line(reader: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut line = String::new();
    Ok((reader.read_line(&mut line)? > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// A well-formed answer in the shape of the path, streamed where the body asks for it.
fn usual(seen: &Seen, wire: &mut TcpStream) -> io::Result<Next> {
    let streamed = super::find(&seen.body, b"\"stream\":true").is_some();
    let answer = match (seen.target.split('?').next().unwrap_or_default(), streamed) {
        (path, false) if path.ends_with("/chat/completions") => json_answer(OPENAI),
        (path, true) if path.ends_with("/chat/completions") => sse_answer(&openai_events(&["All", " is", " well."])),
        (path, false) if path.ends_with("/messages") => json_answer(ANTHROPIC),
        (path, _) if path.ends_with("/models") => json_answer(r#"{"object":"list","data":[]}"#),
        _ => b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(),
    };
    wire.write_all(&answer)?;
    Ok(Next::Keep)
}

/// A whole JSON answer with its length.
pub(crate) fn json_answer(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// A whole event stream in one chunk.
pub(crate) fn sse_answer(events: &str) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    format!("{head}{:x}\r\n{events}\r\n0\r\n\r\n", events.len()).into_bytes()
}

/// An OpenAI stream of these content deltas, ended in order.
pub(crate) fn openai_events(deltas: &[&str]) -> String {
    let chunk = |delta: serde_json::Value, finish: Option<&str>| {
        let choice = serde_json::json!({"index": 0, "delta": delta, "finish_reason": finish});
        let chunk = serde_json::json!({"id": "c1", "object": "chat.completion.chunk", "created": 1,
            "model": "gpt-4o-mini", "choices": [choice]});
        format!("data: {chunk}\n\n")
    };
    let first = chunk(serde_json::json!({"role": "assistant", "content": ""}), None);
    let middle = deltas.iter().map(|text| chunk(serde_json::json!({ "content": text }), None));
    let last = chunk(serde_json::json!({}), Some("stop")) + "data: [DONE]\n\n";
    std::iter::once(first).chain(middle).chain([last]).collect()
}

const OPENAI: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"All is well."},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#;
const ANTHROPIC: &str = r#"{"id":"m1","type":"message","role":"assistant","model":"claude-sonnet-4","content":[{"type":"text","text":"All is well."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":4}}"#;
