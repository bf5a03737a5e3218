//! `hob dev`: a change is served, a change that fails is not.

use super::support::{Serving, eventually, write};

#[test]
fn a_change_is_served_and_a_broken_one_is_not() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("app");
    // The build copies, so that a source that is broken breaks the build.
    let manifest: &[u8] =
        b"[functions.main]\nbuild = \"sh -n main.txt && cp main.txt main.sh && chmod +x main.sh\"\nrun = \"main.sh\"\ncontract = \"stdio\"\n";
    let script = |text: &str| format!("#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n{text}'\n");
    write(&dir, &[("hob.toml", manifest), ("main.txt", script("one").as_bytes())]);
    let serving = Serving::start(home.path(), &["dev", "app"]);
    assert_eq!(serving.get("/"), (200, "one".to_owned()));
    write(&dir, &[("main.txt", script("two").as_bytes())]);
    eventually("the change is served", || (serving.get("/").1 == "two").then_some(()));

    let log = || std::fs::read_to_string(home.path().join("stderr.log")).unwrap();
    write(&dir, &[("main.txt", b"#!/bin/sh\nif\n")]);
    eventually("the error is shown", || log().contains("error[HOB-0206]").then_some(()));
    assert_eq!(serving.get("/"), (200, "two".to_owned()));
    write(&dir, &[("main.txt", script("three").as_bytes())]);
    eventually("the mended file is served", || (serving.get("/").1 == "three").then_some(()));
}
