//! Dead letters that died of the same thing, together.
//!
//! **Why.** A thousand letters are seldom a thousand problems. Whoever has mended one cause wants to
//! deliver again what died of it, and nothing else.
//!
//! **How.** Letters belong together when subscription, reason, code, status and the beginning of the last
//! answer are the same; numbers and ids in the answer do not count, since they differ from event to event.

use hob_core::wire::DeadLetter;

/// Characters of an answer that tell causes apart.
const ANSWER_CHARACTERS: usize = 160;

/// Letters with one cause.
#[derive(Clone, Debug)]
pub(in crate::dashboard) struct Group<'a> {
    /// The subscription that gave them up.
    pub(in crate::dashboard) subscription: &'a str,
    /// The cause in words.
    pub(in crate::dashboard) cause: String,
    /// The letters, in their order.
    pub(in crate::dashboard) letters: Vec<&'a DeadLetter>,
}

/// The groups of these letters, the largest first.
pub(in crate::dashboard) fn groups(letters: &[DeadLetter]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for letter in letters {
        let (subscription, cause) = (letter.subscription.as_str(), cause(letter));
        match groups.iter_mut().find(|group| group.subscription == subscription && group.cause == cause) {
            Some(group) => group.letters.push(letter),
            None => groups.push(Group { subscription, cause, letters: vec![letter] }),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.letters.len()));
    groups
}

/// Why a letter died, in words that are the same for others that died of it.
fn cause(letter: &DeadLetter) -> String {
    let reason = match letter.reason.as_str() {
        "attempts" => "every attempt failed",
        "age" => "it grew too old",
        "rejected" => "the function rejected it",
        "expired" => "it expired",
        "loop" => "events caused each other too many times",
        "crashes" => "the node ended in its deliveries",
        other => other,
    };
    let mut words = vec![reason.to_owned()];
    match (&letter.code, letter.status) {
        (Some(code), _) => words.push(code.clone()),
        (None, Some(status)) => words.push(format!("status {status}")),
        (None, None) => {}
    }
    let answer = letter.answer.as_deref().unwrap_or_default();
    let line = answer.lines().map(str::trim).find(|line| !line.is_empty());
    let code = letter.code.as_deref().unwrap_or_default();
    words.extend(line.map(|line| {
        let rest = line.strip_prefix(code).and_then(|rest| rest.strip_prefix(": "));
        without_numbers(rest.unwrap_or(line))
    }));
    words.join(" · ")
}

/// The text with every run of hexadecimal digits that has a decimal one replaced by `#`.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().take(ANSWER_CHARACTERS).chain([' ']) {
        if c.is_ascii_alphanumeric() {
            word.push(c);
            continue;
        }
        let number = word.chars().any(|c| c.is_ascii_digit()) && word.chars().all(|c| c.is_ascii_hexdigit());
        out.push_str(if number { "#" } else { &word });
        word.clear();
        out.push(c);
    }
    out.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{groups, without_numbers};
    use hob_core::wire::DeadLetter;

    fn letter(sequence: u64, reason: &str, status: u16, answer: &str) -> DeadLetter {
        serde_json::from_value(serde_json::json!({
            "topic": "t.dead", "sequence": sequence, "dead_ms": 1, "subscription": "desk/notes", "from_topic": "t",
            "from_sequence": sequence, "reason": reason, "attempts": 3, "status": status, "answer": answer, "event": {},
        }))
        .unwrap()
    }

    #[test]
    fn letters_with_one_cause_are_one_group() {
        let letters = [
            letter(1, "attempts", 500, "no row 17 for 0198ab-77\nmore"),
            letter(2, "rejected", 400, "bad"),
            letter(3, "attempts", 500, "no row 4 for 0198ac-12"),
            letter(4, "attempts", 503, "no row 4 for 0198ac-12"),
        ];
        let found: Vec<(String, Vec<u64>)> = groups(&letters)
            .iter()
            .map(|group| (group.cause.clone(), group.letters.iter().map(|letter| letter.sequence).collect()))
            .collect();
        assert_eq!(
            found,
            [
                ("every attempt failed · status 500 · no row # for #-#".to_owned(), vec![1, 3]),
                ("the function rejected it · status 400 · bad".to_owned(), vec![2]),
                ("every attempt failed · status 503 · no row # for #-#".to_owned(), vec![4]),
            ]
        );
        assert_eq!(without_numbers("face 4ace v2 x9z"), "face # v2 x9z");
    }
}
