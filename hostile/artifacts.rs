//! The threat of artifacts that are not what they say: when they are uploaded, and where they lie.
//!
//! **Not here:** the same for every byte of one artifact (`hob-node/src/package/tests.rs`).

use crate::arena::{Arena, Outcome, judge};
use crate::canary_bird::files;
use crate::stage::{Stage, eventually};
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Uploads an artifact with one bit turned, again and again.
const TURNED: &str = r#"
import hashlib, http.client, random, socket, sys
control, count = sys.argv[2], int(sys.argv[3])
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(control)
pick, refused = random.Random(7), 0
whole = bytes(pick.randrange(256) for _ in range(20000))
digest = hashlib.sha256(whole).hexdigest()
for _ in range(count):
    turned = bytearray(whole)
    turned[pick.randrange(len(turned))] ^= 1 << pick.randrange(8)
    c = Unix("localhost")
    c.request("PUT", "/v1/artifacts/sha256:" + digest, bytes(turned))
    refused += 400 <= c.getresponse().status < 500
c = Unix("localhost")
c.request("PUT", "/v1/artifacts/sha256:" + digest, whole)
print(refused, c.getresponse().status)
"#;

/// Functions of each of two apps whose files are altered while no node runs.
const FUNCTIONS: usize = 10;

/// An app whose functions answer with its name.
fn deploy(stage: &Stage, app: &str) {
    let (mut manifest, mut files) = (String::new(), Vec::new());
    for number in 0..FUNCTIONS {
        let _ = write!(
            manifest,
            "[functions.f{number}]\nrun = [\"sh\", \"f{number}.sh\"]\ncontract = \"stdio\"\nroute = \"/{number}\"\n"
        );
        let text = format!("printf 'Content-Type: text/plain\\r\\n\\r\\nwhole {app} {number}'\n");
        files.push((format!("f{number}.sh"), text));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    stage.deploy(app, &manifest, &files);
}

/// Alters the app's files below a folder so that they would still run; how many.
fn alter(folder: &Path, app: &str) -> usize {
    let alter = |file: &Path| {
        let text = std::fs::read_to_string(file).ok()?;
        let altered = text.replace(&format!("whole {app}"), &format!("alter {app}"));
        let mode = file.metadata().unwrap().permissions();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::write(file, &altered).unwrap();
        std::fs::set_permissions(file, mode).unwrap();
        (altered != text).then_some(())
    };
    files(folder).iter().filter_map(|file| alter(file)).count()
}

/// Alters packages of one app, and packages and artifacts of another, while the node is down; how many functions of the first
/// say what they should afterwards, and how many of the second are refused.
fn loaded() -> (usize, usize) {
    let mut stage = Stage::start_with(&["--dashboard", "none"]);
    for app in ["mended", "damaged"] {
        deploy(&stage, app);
        stage.seen(app, "GET /0", 200);
    }
    stage.kill();
    for (folder, app) in [("packages", "mended"), ("packages", "damaged"), ("artifacts", "damaged")] {
        assert_eq!(alter(&stage.path("data").join(folder), app), FUNCTIONS, "{folder} of {app} are found");
    }
    stage.serve();
    let ask = |app: &str, number: usize| {
        stage.request(&format!("GET /{number}"), &format!("{app}.localhost"), &[], "")
    };
    // They are read beside the first calls, so that the first may still meet what is there.
    eventually("what was altered is found", || {
        let altered = |app: &str| (0..FUNCTIONS).any(|number| ask(app, number).body.contains("alter"));
        (!altered("mended") && !altered("damaged")).then_some(())
    });
    let count = |right: &dyn Fn(usize) -> bool| (0..FUNCTIONS).filter(|number| right(*number)).count();
    let mended = count(&|number| ask("mended", number).body.contains(&format!("whole mended {number}")));
    let refused = count(&|number| {
        let answer = ask("damaged", number);
        answer.status >= 500 && answer.header("hob-error").is_some_and(|code| code.starts_with("HOB-"))
    });
    (mended, refused)
}

/// T30: an artifact that is not what it says is taken neither at deploy nor at load.
pub(crate) fn turned(arena: &Arena) -> Outcome {
    let control = arena.stage.path("data/control.sock").display().to_string();
    let said = arena.python(TURNED, &[&control, "100"]);
    let (mended, refused) = loaded();
    let right = said == "100 204" && mended == FUNCTIONS && refused == FUNCTIONS;
    judge(
        right,
        format!(
            "of 100 uploads with a bit turned refused, then the whole one: {said}; altered on disk: {mended}/{FUNCTIONS} \
             packages made anew, {refused}/{FUNCTIONS} without a whole artifact refused"
        ),
    )
}
