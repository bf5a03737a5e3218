//! A canary: a secret that its function writes wherever a function can, a collector that keeps what a node exports, and
//! the search for it. Included by path by every suite that looks for it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A value that is nowhere by chance.
pub(crate) const CANARY: &str = "canary-7f3a/9+c1=e5";
/// Another one.
pub(crate) const SECOND: &str = "second-b28d/4+f6=a7";
/// `user:<CANARY>` in base64.
const CANARY_BASE64: &str = "dXNlcjpjYW5hcnktN2YzYS85K2MxPWU1";

/// Its app: one function has the secret, another does not.
pub(crate) const MANIFEST: &str = r#"
app = "bird"

[functions.sing]
run = ["python3", "sing.py"]
files = ["sing.py"]
route = "/*"
secrets = ["SONG"]
scale = { max = 2 }

[functions.deaf]
run = ["sh", "-c", "echo \"deaf ${SONG:-nothing}\""]
contract = "stdio"
files = ["sing.py"]
route = "/deaf"

[topics.tree]

[[on]]
name = "nest"
topic = "tree"
call = "sing"
retry = { attempts = 1 }
"#;

/// Writes its secret everywhere, in all the forms in which programs do.
pub(crate) const SING: &str = r#"
import base64, http.server, json, os, sys, urllib.parse
song = os.environ["SONG"]
print("starting with", song, flush=True)
if song.startswith("broken"):
    sys.exit("cannot sing " + song)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        print("song is", song, flush=True)
        print("quoted", urllib.parse.quote(song, safe=""), urllib.parse.quote_plus(song), flush=True)
        print("basic", base64.b64encode(("user:" + song).encode()).decode(), song.encode().hex(), flush=True)
        print(json.dumps({"level": "error", "msg": "no " + song, "key": song, song: 1}), file=sys.stderr, flush=True)
        if self.path == "/which":
            said, status = song.split("-")[0].encode(), 200
        else:
            said, status = ("I cannot sing " + song).encode(), 500
        self.send_response(status)
        self.send_header("x-song", song)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
    do_POST = do_GET
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// A collector that keeps what it is sent.
pub(crate) fn collector() -> (u16, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, kept) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
    let keeping = Arc::clone(&kept);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let keeping = Arc::clone(&keeping);
            std::thread::spawn(move || {
                let (mut request, mut piece) = (Vec::new(), [0; 64 << 10]);
                while let Ok(read) = stream.read(&mut piece) {
                    if read == 0 {
                        return;
                    }
                    keeping.lock().unwrap().extend_from_slice(&piece[..read]);
                    request.extend_from_slice(&piece[..read]);
                    let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
                    let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
                    let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
                    if request.len() >= head.len() + 4 + length {
                        request.clear();
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                    }
                }
            });
        }
    });
    (port, kept)
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

/// Whether bytes hold a canary in any form.
pub(crate) fn sings(bytes: &[u8]) -> Option<&'static str> {
    let forms = [
        CANARY,
        SECOND,
        &CANARY_BASE64[8..28],
        "canary-7f3a%2F9%2Bc1%3De5",
        "canary-7f3a%2F9+c1=e5",
        "second-b28d%2F4%2Bf6%3Da7",
        "63616e6172792d376633612f392b63313d6535",
    ];
    forms.into_iter().find(|form| bytes.windows(form.len()).any(|part| part == form.as_bytes()))
}
