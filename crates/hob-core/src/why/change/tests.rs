//! What is said of revisions that surprise, and of apps, in a table.

use super::{AppEvidence, absent, app, surprise};
use crate::fact::{Change, Changed, Fact, Failure, What};
use crate::name::RevisionNumber;
use crate::why::Cause;
use crate::why::sample::{self, check, check_story, fact, failure};
use crate::wire::Verdict::{Bad, Good, Skipped};

fn changed(change: Change, from: Option<u32>, to: Option<u32>, failure: Option<Failure>) -> Fact {
    let number = |number: Option<u32>| number.map(RevisionNumber);
    let changed = Changed {
        id: None,
        app: sample::app("shop"),
        function: None,
        change,
        from: number(from),
        to: number(to),
        failure,
        took_ms: 1,
    };
    fact(1000, What::Changed(Box::new(changed)))
}

#[test]
fn a_revision_that_surprises_says_why_it_answers() {
    let missing = Failure {
        hint: Some("run it by hand; it printed:\nKeyError: 'API_KEY'".to_owned()),
        ..failure("HOB-0308", "`page` ended with exit code 1 before it was ready")
    };
    let rolled = changed(Change::Rollback, Some(2), Some(1), None);
    let broken = changed(Change::Deploy, Some(1), Some(1), Some(missing.clone()));
    let deployed = changed(Change::Deploy, Some(1), Some(2), None);
    let one = RevisionNumber(1);
    let told = surprise(std::slice::from_ref(&rolled), one, 1000).unwrap();
    check(
        "rollback",
        &told,
        (Good, &["revision 1", "rolled back from revision 2"], &["hob rollback shop --to 2"]),
    );
    let told = surprise(std::slice::from_ref(&broken), one, 1000).unwrap();
    check(
        "failed",
        &told,
        (Good, &["revision 1", "deploy", "failed", "`API_KEY`"], &["[functions.page]", "hob deploy"]),
    );
    let optimised = changed(Change::Optimise, Some(1), Some(1), None);
    let told = surprise(&[rolled.clone(), optimised.clone()], one, 1000).unwrap();
    check("better code is no other revision", &told, (Good, &["rolled back"], &["--to 2"]));
    let late = fact(9000, rolled.what.clone());
    for (name, changes, answering) in [
        ("an ordinary deploy", vec![deployed.clone()], RevisionNumber(2)),
        ("another revision", vec![rolled.clone()], RevisionNumber(2)),
        ("undone since", vec![rolled.clone(), deployed], one),
        ("later than the call", vec![late], one),
        ("nothing is known", vec![], one),
    ] {
        assert_eq!(surprise(&changes, answering, 1000), None, "{name}");
    }
    let first = changed(Change::Deploy, None, None, Some(missing));
    check(
        "first",
        &absent(&sample::app("shop"), &[first]).unwrap(),
        (Bad, &["no app `shop`", "`API_KEY`"], &["hob deploy"]),
    );
    let removed = changed(Change::Remove, Some(1), None, None);
    check(
        "gone",
        &absent(&sample::app("shop"), &[removed]).unwrap(),
        (Skipped, &["was removed"], &["hob deploy"]),
    );
    assert_eq!(absent(&sample::app("shop"), &[]), None);
}

#[test]
fn an_app_says_how_it_is() {
    let shop = sample::app("shop");
    let changes =
        [changed(Change::Deploy, None, Some(1), None), changed(Change::Optimise, Some(1), Some(1), None)];
    let evidence = AppEvidence {
        current: Some(RevisionNumber(1)),
        changes: &changes,
        calls: 3,
        now_ms: 2000,
        failed: None,
    };
    let told = app(&shop, &evidence).unwrap();
    check_story("well", &told, (Good, &["revision 1", "3 calls", "deployed"], &[]));
    assert_eq!(told.path[1].text, "optimised code of shop took the place of quick code, in revision 1");
    let failed = Some(Cause::new(Bad, "`f` answered 500").fix("mend `f`"));
    let told = app(&shop, &AppEvidence { failed, ..evidence.clone() }).unwrap();
    check_story("failing", &told, (Bad, &["answered 500", "3 calls"], &["mend `f`"]));
    assert_eq!(app(&shop, &AppEvidence { current: None, changes: &[], ..evidence }), None);
}
