//! The dashboard in a real browser, over a running desk with failures in it and a guest that wants to be
//! more than text.
//!
//! **How.** One node, one window, one story: sign in, walk every page in light and dark, use it by
//! keyboard, act by its buttons, and look after each step that the browser has nothing to complain about.
//! The attacks come from a page that the guest serves and from bare requests. Every page is judged by
//! axe-core (npm). Pictures of the pages go to `target/screenshots`; with `UPDATE=1` the chosen ones go
//! to `docs/images` too. What the machine lacks is skipped by name.
//!
//! **Not here:** what pages know (the control API's tests), each rule of the guard (its own tests).

use super::examples::{examples, on_path};
use super::skip::skip;
use super::support::{INSTALLED, Node, PATIENCE, Serving, answer, eventually, finish, write};
use super::webdriver::Browser;
use serde_json::Value;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The version of axe-core that judges pages.
const AXE: &str = "axe-core@4.11.1";
/// What is wrong enough.
const IMPACTS: [&str; 2] = ["serious", "critical"];
/// What a hostile guest writes everywhere.
const MARKUP: &str = "<script>document.title='owned'</script>";
/// The title that its script would set.
const OWNED: &str = "owned";

const GUEST: &[(&str, &[u8])] = &[
    ("guest/hostile.py", include_bytes!("../browser/hostile.py")),
    ("guest/attack.html", include_bytes!("../browser/attack.html")),
    ("guest/hob.toml", include_bytes!("../browser/hob.toml")),
    ("fonts.conf", include_bytes!("../browser/fonts.conf")),
];

/// Pages that are pictured, each with the name of its picture in `docs/images` if it is shown there.
const PICTURES: &[(&str, &str, bool)] = &[
    ("overview", "/", true),
    ("app", "/apps/desk", true),
    ("compare", "/apps/desk/compare?from=2&to=1", false),
    ("function", "/apps/desk/functions/notes", true),
    ("requests", "/requests", false),
    ("logs", "/logs", false),
    ("why", "/why?ask=POST+http%3A%2F%2Fdesk.localhost%2Fgithu", false),
    ("topic", "/topics/github", true),
    ("event", "/topics/github/3", true),
    ("subscriptions", "/subscriptions", false),
    ("schedules", "/schedules", false),
    ("letters", "/dead-letters/github.dead", true),
    ("node", "/node", false),
    ("top", "/top", false),
];

/// A node with a desk and a guest, and a browser that is signed in.
struct Stage {
    node: Node,
    browser: Browser,
    /// Address of the dashboard.
    board: String,
    axe: Option<String>,
}

#[test]
fn the_dashboard_in_a_browser() {
    let needed = ["chromium", "chromedriver", "python3"];
    if let Some(missing) = needed.into_iter().find(|program| !on_path(program)) {
        skip("the dashboard in a browser", format_args!("this machine has no `{missing}`"));
        return;
    }
    let stage = Stage::set();
    stage.a_link_signs_in_once();
    stage.every_page_is_whole_in_light_and_dark();
    stage.a_guest_is_only_text();
    stage.the_keyboard_is_enough();
    stage.a_new_event_appears_by_itself();
    stage.what_runs_now_is_seen();
    stage.a_function_is_tried();
    stage.an_event_is_replayed();
    stage.the_app_is_rolled_back_and_letters_are_redriven();
    stage.nobody_else_sends_its_forms();
    stage.it_works_without_script_and_with_other_colours();
    stage.signing_out_ends_it();
}

/// Sends a form to a dashboard, as its own page would; the status.
fn send_form(board: &str, path: &str, form: &str) -> u16 {
    let address = board.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\norigin: {board}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        form.len()
    );
    stream.write_all(format!("{head}{form}").as_bytes()).unwrap();
    answer(&mut stream).0
}

#[test]
fn the_token_signs_in_too_and_a_node_without_a_dashboard_says_so() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), &[("token", b"a long secret\n")]);
    let arguments = ["serve", "--data", "data", "--control", "127.0.0.1:0", "--token-file", "token"];
    let serving = Serving::start(home.path(), &[&arguments[..], &["--dashboard", "127.0.0.1:0"]].concat());
    let notes = std::fs::read_to_string(home.path().join("stderr.log")).unwrap();
    let board = notes.split("dashboard at ").nth(1).unwrap().split(';').next().unwrap().to_owned();
    for (token, status) in [("a+long+secret", 200), ("a+long+secre", 401), ("", 401)] {
        assert_eq!(send_form(&board, "/sign-in", &format!("token={token}")), status, "{token}");
    }
    drop(serving);

    let node = Node {
        serving: Serving::start(home.path(), &["serve", "--data", "data", "--dashboard", "none"]),
        home,
    };
    let outcome = node.hob(&["dashboard"]);
    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("HOB-0706"), "{}", outcome.stderr);
}

impl Stage {
    fn set() -> Self {
        let home = tempfile::tempdir().unwrap();
        write(home.path(), GUEST);
        let arguments = ["serve", "--data", "data", "--default-app", "guest", "--dashboard", "127.0.0.1:0"];
        let node = Node { serving: Serving::start(home.path(), &arguments), home };
        node.ok(&["deploy", examples().join("desk").to_str().unwrap()]);
        deploy_decided(&node);
        node.ok(&["rollback", "desk"]);
        node.ok(&["deploy", "guest"]);
        provoke(&node);
        let link = node.ok(&["dashboard"]);
        let board = link.split("/sign-in").next().unwrap().to_owned();
        let browser = Browser::start(&node.home.path().join("fonts.conf"));
        browser.go(link.trim());
        let stage = Self { node, browser, board, axe: axe() };
        stage.browser.wait("the overview", "return document.querySelector('h1')?.innerText === 'Overview'");
        // Anew, so that no log remembers the way in.
        stage.calm("signing in");
        stage
    }

    /// Goes to a page and waits until its live parts, if it has some, are there.
    fn open(&self, path: &str) {
        self.browser.go(&format!("{}{path}", self.board));
        let ready = "return document.querySelector('main') !== null \
                     && (!document.body.dataset.at || document.body.dataset.live === 'yes')";
        self.browser.wait(path, ready);
    }

    /// The browser has nothing to complain about, and nothing of a guest has run.
    fn calm(&self, what: &str) {
        let complaints = self.browser.complaints();
        assert!(complaints.is_empty(), "{what}: {complaints:#?}");
        let title = self.browser.run("return document.title");
        assert_ne!(title, OWNED, "{what}: a guest's script has run");
    }

    /// Waits for what a page says after an action.
    fn told(&self, text: &str) {
        let script = format!("return document.querySelector('.notice')?.innerText.includes({text:?})");
        self.browser.wait(text, &script);
    }

    /// A request without a browser; its status, head and body.
    fn bare(&self, method: &str, path: &str, headers: &[&str], body: &str) -> (u16, String) {
        let address = self.board.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let host = if headers.iter().any(|line| line.starts_with("host:")) {
            String::new()
        } else {
            format!("host: {address}\r\n")
        };
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let head = format!(
            "{method} {path} HTTP/1.1\r\n{host}{lines}connection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        answer(&mut stream)
    }

    /// The cookie of a new session and its form token.
    fn session(&self) -> (String, String) {
        let link = self.node.ok(&["dashboard"]);
        let path = link.trim().strip_prefix(&self.board).unwrap().to_owned();
        let address = self.board.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .write_all(
                format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes(),
            )
            .unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
        let cookie = text.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        for flag in ["HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(cookie.contains(flag), "{cookie}");
        }
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let (status, page) = self.bare("GET", "/", &[&format!("cookie: {cookie}")], "");
        assert_eq!(status, 200, "{page}");
        let token = page.split("name=\"_token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        (cookie, token.to_owned())
    }

    fn a_link_signs_in_once(&self) {
        let link = self.node.ok(&["dashboard"]);
        let path = link.trim().strip_prefix(&self.board).unwrap();
        assert_eq!(self.bare("HEAD", path, &[], "").0, 401, "looking does not use it up");
        let (first, page) = self.bare("GET", path, &[], "");
        assert_eq!(first, 200, "{page}");
        let (second, page) = self.bare("GET", path, &[], "");
        assert_eq!(second, 401, "{page}");
        for path in ["/", "/apps", "/logs", "/live?at=/"] {
            assert_eq!(self.bare("GET", path, &["accept: text/html"], "").0, 401, "{path}");
        }
    }

    /// Every page of the navigation, and every page that those link to once.
    fn pages(&self) -> Vec<String> {
        let links = "return [...document.querySelectorAll('nav.side a, main a')] \
                     .map((a) => a.getAttribute('href')).filter((href) => href.startsWith('/'))";
        self.open("/");
        let listed = strings(&self.browser.run(links));
        let mut pages: Vec<String> = Vec::new();
        for path in listed.iter().chain([&"/why?topic=github&type=nothing".to_owned()]) {
            self.open(path);
            for found in [path.clone()].into_iter().chain(strings(&self.browser.run(links))) {
                // One page of each kind: more would show the same twice.
                if !pages.iter().any(|known| kind(known) == kind(&found)) {
                    pages.push(found);
                }
            }
        }
        pages
    }

    fn every_page_is_whole_in_light_and_dark(&self) {
        let pages = self.pages();
        for wanted in
            ["/top", "/apps/", "/requests/", "/traces/", "/topics/", "/subscriptions/", "/dead-letters/"]
        {
            assert!(pages.iter().any(|path| path.starts_with(wanted)), "no page at {wanted}: {pages:?}");
        }
        let mut problems = Vec::new();
        for colours in ["light", "dark"] {
            self.browser.colours(colours);
            for path in &pages {
                self.open(path);
                let shape = "const h = document.querySelectorAll('h1'); \
                    const ground = getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g); \
                    return [h.length, document.querySelectorAll('main').length, \
                    document.querySelector('.story.bad .reason')?.innerText ?? '', \
                    ground[0] < 128 ? 'dark' : 'light', \
                    document.documentElement.scrollWidth <= innerWidth];";
                let shape = self.browser.run(shape);
                if shape[0] != 1 || shape[1] != 1 || shape[3] != colours || shape[4] != true {
                    problems.push(format!("{colours} {path}: {shape}"));
                }
                if shape[2].as_str().is_some_and(|text| text.contains("there is no page")) {
                    problems.push(format!("{path} leads nowhere"));
                }
                problems.extend(self.judged(path).into_iter().map(|found| format!("{colours} {found}")));
                self.calm(path);
            }
        }
        assert!(problems.is_empty(), "{problems:#?}");
        self.take_pictures();
        self.browser.colours("light");
    }

    /// What axe-core finds on the page that is open.
    fn judged(&self, path: &str) -> Vec<String> {
        let Some(axe) = &self.axe else { return Vec::new() };
        self.browser.run(axe);
        let found = self.browser.run_async(
            "axe.run(document, { resultTypes: ['violations'] }).then((r) => done(r.violations.map((v) => \
             [v.impact, v.id, v.nodes.slice(0, 3).map((n) => `${n.target} ${n.failureSummary}`).join(' | ')])));",
        );
        let all = found.as_array().unwrap().iter();
        let bad = all.filter(|one| one[0].as_str().is_some_and(|impact| IMPACTS.contains(&impact)));
        bad.map(|one| format!("{path}: {} {}", one[1], one[2])).collect()
    }

    fn take_pictures(&self) {
        let target = Path::new(env!("CARGO_BIN_EXE_hob")).ancestors().nth(2).unwrap().join("screenshots");
        std::fs::create_dir_all(&target).unwrap();
        let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/images");
        for colours in ["light", "dark"] {
            self.browser.colours(colours);
            for (name, path, shown) in PICTURES {
                self.open(path);
                let picture = self.browser.picture();
                std::fs::write(target.join(format!("{name}-{colours}.png")), &picture).unwrap();
                let chosen = *shown && (colours == "light" || *name == "overview");
                if chosen && std::env::var_os("UPDATE").is_some() {
                    std::fs::create_dir_all(&documents).unwrap();
                    let ending = if colours == "light" { "webp" } else { "dark.webp" };
                    let file = documents.join(format!("{name}.{ending}"));
                    std::fs::write(file, self.browser.small_picture()).unwrap();
                }
            }
        }
    }

    /// Its log, its events, its answers and its dead letters are shown as they are, and are nothing more.
    fn a_guest_is_only_text(&self) {
        for path in ["/logs?app=guest", "/topics/evil", "/topics/evil/1", "/dead-letters/evil.dead"] {
            self.open(path);
            let script = format!("return document.querySelector('main').textContent.includes({MARKUP:?})");
            self.browser.wait(path, &script);
            let made = "return document.querySelectorAll('main script, main img, main iframe').length";
            assert_eq!(self.browser.run(made), 0, "{path}");
            self.calm(path);
        }
        self.open("/logs?app=guest");
        assert!(self.browser.text().contains("\\u{202e}"), "what turns text around is written out");
    }

    fn the_keyboard_is_enough(&self) {
        const TAB: &str = "\u{e004}";
        const ENTER: &str = "\u{e007}";
        self.open("/");
        self.browser.keys(TAB);
        assert_eq!(self.browser.run("return document.activeElement.className"), "skip");
        let seen =
            "const r = document.activeElement.getBoundingClientRect(); return r.top >= 0 && r.width > 20";
        assert_eq!(self.browser.run(seen), true, "the skip link is seen when it has the focus");
        self.browser.keys(ENTER);
        assert_eq!(self.browser.run("return document.activeElement.id"), "main");
        self.browser.keys(TAB);
        assert_eq!(self.browser.run("return document.activeElement.closest('main') !== null"), true);

        self.open("/");
        self.browser.keys(&TAB.repeat(3));
        assert_eq!(self.browser.run("return document.activeElement.id"), "ask");
        let ring = "return getComputedStyle(document.activeElement).outlineStyle";
        assert_eq!(self.browser.run(ring), "solid", "the focus is seen");
        self.browser.keys(&format!("POST http://desk.localhost/githu{ENTER}"));
        self.browser.wait("the answer", "return document.querySelector('.story .reason') !== null");
        assert!(self.browser.text().contains("POST /github"), "{}", self.browser.text());

        self.open("/subscriptions");
        self.browser.run("document.querySelector('thead button').focus()");
        self.browser.keys(&ENTER.repeat(2));
        let sorted = "return [document.querySelector('thead th').getAttribute('aria-sort'), \
                      document.querySelector('tbody th').innerText]";
        assert_eq!(self.browser.run(sorted), serde_json::json!(["descending", "guest/guest-evil"]));
        self.calm("the keyboard");
    }

    fn a_new_event_appears_by_itself(&self) {
        self.open("/topics/github");
        self.browser.wait("the list", "return document.querySelectorAll('tbody[data-rows] tr').length === 3");
        self.browser.wait("its own list", "return document.body.dataset.listed === 'yes'");
        self.browser.run("window.stayed = true");
        send(&self.node, "com.github.issues.closed", "{\"action\":\"closed\",\"marker\":\"newcomer\"}");
        let first = "return document.querySelector('tbody[data-rows] tr').innerText.includes('newcomer')";
        self.browser.wait("the new event", first);
        self.browser
            .wait("the counter", "return document.querySelector('#topic').innerText.includes('from 1 to 4')");
        assert_eq!(self.browser.run("return window.stayed"), true, "the page was not loaded again");
        let heard = "return document.querySelector('[data-news]').textContent";
        assert_eq!(self.browser.run(heard), "One new event", "who does not see it hears it");
        self.browser.write("//input[@id='q']", "newcomer");
        let left =
            "return [...document.querySelectorAll('tbody[data-rows] tr')].filter((r) => !r.hidden).length";
        self.browser.wait("the filter", &format!("{left} === 1"));
        self.open("/topics/github?q=NEWCOMER");
        assert_eq!(self.browser.run(left), 1, "the node filters, too");
        self.calm("the live stream");
    }

    fn what_runs_now_is_seen(&self) {
        self.open("/top");
        let row = "const row = [...document.querySelectorAll('#now tbody tr')] \
                   .find((row) => row.cells[0].innerText === 'guest/guest');";
        self.browser.wait("its row", &format!("{row} return row !== undefined"));
        self.browser.run("window.stayed = true");
        // Calls a second, instances, memory: measured while the page is looked at.
        let busy = format!(
            "{row} return row !== undefined && parseFloat(row.cells[2].innerText) > 0 \
             && row.cells[6].innerText === '1' && /[0-9] [KMG]iB/.test(row.cells[10].innerText)"
        );
        eventually("its calls are seen", || {
            assert_eq!(self.node.serving.get("/").0, 200);
            (self.browser.run(&busy) == true).then_some(())
        });
        assert_eq!(self.browser.run("return window.stayed"), true, "the page was not loaded again");
        for shown in ["Right now", "Calls a second", "Memory of instances", "desk/notes"] {
            assert!(self.browser.text().contains(shown), "{shown}: {}", self.browser.text());
        }
        self.calm("what runs now");
    }

    fn a_function_is_tried(&self) {
        self.open("/apps/guest/functions/guest");
        self.browser.write("//input[@id='path']", "/x?y=1");
        self.browser.write("//textarea[@id='headers']", "x-one: 1\nx-two: 2");
        self.browser.click("//form[contains(@class, 'try')]//button");
        self.browser.wait("the answer", "return document.querySelector('#result pre') !== null");
        let text = self.browser.text();
        for shown in ["200", "x-evil", MARKUP, "Whole after"] {
            assert!(text.contains(shown), "{shown}: {text}");
        }
        assert!(self.browser.url().ends_with("/apps/guest/functions/guest"), "it is answered in place");
        assert_eq!(
            self.browser.run("return document.querySelectorAll('#result script, #result img').length"),
            0
        );
        self.browser.click("//div[@id='result']//a");
        self.browser.wait("the request page", "return location.pathname.startsWith('/requests/')");
        self.calm("the test box");
    }

    fn an_event_is_replayed(&self) {
        self.open("/topics/github/1");
        self.browser.run("document.querySelector('#to').value = 'desk/stats'");
        self.browser.click("//button[text()='Replay']");
        self.browser.wait("the replay", "return document.querySelector('#result li') !== null");
        assert!(self.browser.text().contains("Delivered once more"));
        self.calm("the replay");
    }

    /// Revision 2 knows what to do with what revision 1 gave up.
    fn the_app_is_rolled_back_and_letters_are_redriven(&self) {
        self.open("/apps/desk");
        self.browser.click("//a[contains(., 'Go to it')]");
        self.browser.wait("the question", "return document.querySelector('.ask button') !== null");
        assert!(self.browser.text().contains("functions.notes.env.DELETED"), "{}", self.browser.text());
        assert!(!self.browser.text().contains("strike"), "values of the environment are not shown");
        self.browser.click("//section[@class='ask']//button");
        self.told("desk answers with revision 2; it was 1 before");
        let app: Value = serde_json::from_str(&self.node.ok(&["show", "desk", "-o", "json"])).unwrap();
        assert_eq!(app["current"], 2, "{app}");

        self.open("/dead-letters/github.dead");
        assert!(self.browser.text().contains("1 × every attempt failed"), "{}", self.browser.text());
        self.browser.click("//button[text()='Deliver this letter once more']");
        self.told("1 letter is delivered once more");
        assert!(self.browser.text().contains("No letter is left here"));
        eventually("the delivery of the letter", || {
            let (_, notes) = self
                .node
                .serving
                .send("GET /notes HTTP/1.1\r\nhost: desk.localhost\r\nconnection: close\r\n\r\n");
            notes.contains("(deleted)").then_some(())
        });

        self.open("/apps/desk");
        self.browser.click("//a[contains(., 'Roll back to it')]");
        self.browser.wait("the question", "return document.querySelector('.ask button') !== null");
        self.browser.click("//section[@class='ask']//button");
        self.told("desk answers with revision 1; it was 2 before");
        self.calm("rolling back and redriving");
    }

    /// What another site, another port, or nobody sends, changes nothing; and no guest gets the cookie.
    fn nobody_else_sends_its_forms(&self) {
        let (cookie, token) = self.session();
        let cookie = format!("cookie: {cookie}");
        let form = format!("_token={token}");
        let address = self.board.strip_prefix("http://").unwrap();
        let (own, kind) =
            (format!("origin: {}", self.board), "content-type: application/x-www-form-urlencoded");
        let path = "/subscriptions/desk/stats-github/pause";
        for (what, headers, body, status) in [
            ("another site", vec![&*cookie, "origin: http://evil.example"], &*form, 403),
            ("another port", vec![&cookie, "origin: http://127.0.0.1:1"], &form, 403),
            ("no origin", vec![&cookie], &form, 403),
            ("an origin that is hidden", vec![&cookie, "origin: null"], &form, 403),
            ("another token", vec![&cookie, &own], "_token=0", 403),
            ("no token", vec![&cookie, &own], "", 403),
            ("another host", vec![&cookie, "host: evil.example", "origin: http://evil.example"], &form, 403),
            ("no session", vec![&own], &form, 401),
            ("the page itself", vec![&cookie, &own], &form, 303),
        ] {
            let headers: Vec<&str> = headers.into_iter().chain([kind]).collect();
            let (got, page) = self.bare("POST", path, &headers, body);
            assert_eq!(got, status, "{what}: {page}");
        }
        let again = ["POST", "/subscriptions/desk/stats-github/resume"];
        assert_eq!(self.bare(again[0], again[1], &[&cookie, &own, kind], &form).0, 303);
        assert_eq!(
            self.bare("GET", "/", &[&cookie, "host: evil.example"], "").0,
            403,
            "a name that points here"
        );

        let before = self.node.ok(&["show", "desk", "-o", "json"]);
        self.browser.go(&format!("{}/attack?http://{address}", self.node.serving.url));
        self.browser.wait("the attack", "return document.body.dataset.done === 'yes'");
        self.browser.wait("the frame", "return document.body.dataset.frame ?? ''");
        let seen = "return [document.body.dataset.read, document.body.dataset.frame]";
        assert_eq!(self.browser.run(seen), serde_json::json!(["refused", "nothing"]));
        let after = self.node.ok(&["show", "desk", "-o", "json"]);
        let current = |text: &str| serde_json::from_str::<Value>(text).unwrap()["current"].clone();
        assert_eq!(current(&before), current(&after));
        // What the browser says of the attack is what it should say.
        assert!(!self.browser.complaints().is_empty());

        self.browser.go(&format!("{}/cookies", self.node.serving.url));
        let sent = self.browser.run("return document.body.innerText");
        assert!(!sent.to_string().contains("hob-dashboard"), "a guest has read {sent}");
        self.open("/");
        self.calm("after the attack");
    }

    fn it_works_without_script_and_with_other_colours(&self) {
        let (cookie, token) = self.session();
        let (own, kind) =
            (format!("origin: {}", self.board), "content-type: application/x-www-form-urlencoded");
        for (path, holds) in [("/apps", "desk"), ("/topics/github", "newcomer"), ("/logs", "nobody has said")]
        {
            let (status, page) = self.bare("GET", path, &[&format!("cookie: {cookie}")], "");
            assert!(status == 200 && page.contains(holds), "{path}: {status} {page}");
            assert!(
                !page.contains("style=") && !page.contains("<script>"),
                "{path} has styles or script inside"
            );
        }
        let body = format!("_token={token}&theme=dark&back=//evil.example");
        let (status, _) = self.bare("POST", "/theme", &[&format!("cookie: {cookie}"), &own, kind], &body);
        assert_eq!(status, 303);

        self.open("/node");
        self.browser.click("//form[@action='/theme']//button[not(contains(@class, 'when-dark'))]");
        self.browser.wait("dark", "return document.documentElement.dataset.theme === 'dark'");
        self.browser.wait(
            "the cookie",
            "return document.querySelector('[data-theme-switch] button').value === 'light'",
        );
        eventually("the choice to be kept", || {
            self.open("/node");
            (self.browser.run("return document.documentElement.dataset.theme") == "dark").then_some(())
        });
        self.calm("other colours");
    }

    fn signing_out_ends_it(&self) {
        self.open("/");
        self.browser.click("//button[text()='Sign out']");
        self.browser.wait("the door", "return document.querySelector('h1').innerText === 'Sign in'");
        self.browser.go(&format!("{}/apps", self.board));
        self.browser.wait("the door", "return document.querySelector('h1').innerText === 'Sign in'");
        let found = self.judged("/sign-in");
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// Deploys a desk that knows what becomes of the notes of a deleted release.
fn deploy_decided(node: &Node) {
    let copy = node.home.path().join("desk");
    let copied = finish(Command::new("cp").arg("-R").args([&examples().join("desk"), &copy]));
    assert_eq!(copied.code, 0, "{}", copied.stderr);
    let manifest = std::fs::read_to_string(copy.join("hob.toml")).unwrap();
    std::fs::write(copy.join("hob.toml"), manifest.replace("# env = { DELETED", "env = { DELETED")).unwrap();
    node.ok(&["deploy", copy.to_str().unwrap()]);
}

/// Events that are handled, one that is given up, hostile ones, and requests that go wrong.
fn provoke(node: &Node) {
    let release = serde_json::json!({
        "action": "deleted",
        "release": { "tag_name": "0.0.1", "name": MARKUP, "published_at": "2026-07-01T00:00:00Z",
            "html_url": "https://github.com/octo/repo/releases/0.0.1", "body": "Everything is new." },
        "repository": { "full_name": "octo/repo" },
    })
    .to_string();
    send(
        node,
        "com.github.issues.opened",
        "{\"action\":\"opened\",\"issue\":{\"number\":1,\"title\":\"It does not start\"}}",
    );
    send(node, "com.github.check_run.created", "{}");
    send(node, "com.github.release.deleted", &release);
    let data = format!("{{\"text\":{MARKUP:?}}}");
    for _ in 0..2 {
        node.ok(&["send", "evil", "--type", "com.evil", "--source", "/evil", &data]);
    }
    for path in ["/", "/counts", "/notes", "/nothing"] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: desk.localhost\r\nconnection: close\r\n\r\n");
        node.serving.send(&request);
    }
    node.ok(&["cron", "fire", "desk/nightly"]);
    for (topic, letters) in [("github.dead", 1), ("evil.dead", 2)] {
        eventually(&format!("the letters of {topic}"), || {
            let all: Value = serde_json::from_str(&node.ok(&["dlq", "ls", "-o", "json"])).unwrap();
            let here = all.as_array().unwrap().iter().find(|one| one["topic"] == topic)?;
            (here["letters"] == letters).then_some(())
        });
    }
}

fn send(node: &Node, kind: &str, data: &str) {
    let source = "https://github.com/octo/repo";
    node.ok(&["send", "github", "--type", kind, "--source", source, "--subject", "0.0.1", data]);
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

/// What two pages have in common that show the same kind of thing: the words of the path, not its names.
fn kind(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let words = path.split('/').enumerate().map(|(at, word)| match (at, word) {
        (0 | 1, word) | (_, word @ ("functions" | "compare")) => word,
        _ => "*",
    });
    let fields = query.split('&').filter_map(|pair| pair.split('=').next());
    format!("{}?{}", words.collect::<Vec<_>>().join("/"), fields.collect::<Vec<_>>().join("&"))
}

/// The script of axe-core; `None`, and said so, where it cannot be had.
fn axe() -> Option<String> {
    let kept = Path::new(INSTALLED).join(AXE);
    let script = kept.join("node_modules/axe-core/axe.min.js");
    if !script.is_file() {
        if !on_path("npm") {
            skip("axe-core", "this machine has no `npm`");
            return None;
        }
        install(&kept);
    }
    match std::fs::read_to_string(&script) {
        Ok(text) => Some(text),
        Err(error) => {
            skip("axe-core", format_args!("it cannot be installed here: {error}"));
            None
        }
    }
}

/// Installs it; what comes of that is seen by what is there afterwards.
fn install(kept: &Path) {
    std::fs::create_dir_all(kept).unwrap();
    let mut npm = Command::new("npm")
        .args(["install", "--silent", "--no-audit", "--no-fund", "--fetch-retries", "1"])
        .args(["--fetch-timeout", "15000", "--prefix"])
        .arg(kept)
        .arg(AXE)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + PATIENCE;
    while npm.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            drop(npm.kill());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
