//! Dead letters: events that were given up, with the reason, until a person has dealt with them.
//!
//! **How.** A dead letter is the event as it was with attributes added: Knative's (`knativeerrordest`,
//! `knativeerrorcode`, `knativeerrordata`; Knative eventing, delivery contract) and Hob's own. A topic of
//! them is a topic like any other; which letters are dealt with is kept beside it, since a log only grows.

use super::position::{self, Key};
use super::{Bus, Placed};
use bytes::Bytes;
use hob_core::code::Code;
use hob_core::event::Event;
use hob_core::event::record::{self, Only, Stored};
use hob_core::fault::{Fault, Result};
use hob_core::limit::{DEAD_LETTER_ANSWER_BYTES_MAX, LETTERS_DEALT_MAX, LETTERS_LISTED_BYTES_MAX};
use hob_core::name::{AppName, TopicName, TriggerName};
use hob_core::port::{Durability, NewRecord, ReadLimit};
use hob_core::subscription::Ranges;
use hob_core::wire::{DeadLetter, DeadLetterTopicInfo};
use serde::{Deserialize, Serialize};

// The attributes that are added. They are taken away again when an event is redriven.
const SUBSCRIPTION: &str = "hobsubscription";
const TOPIC: &str = "hobtopic";
const SEQUENCE: &str = "hobsequence";
const REASON: &str = "hobreason";
const ATTEMPTS: &str = "hobattempts";
const ERROR: &str = "hoberror";
const INVOCATION: &str = "hobinvocation";
const KNATIVE_DESTINATION: &str = "knativeerrordest";
const KNATIVE_CODE: &str = "knativeerrorcode";
const KNATIVE_DATA: &str = "knativeerrordata";
const ADDED: [&str; 10] = [
    SUBSCRIPTION,
    TOPIC,
    SEQUENCE,
    REASON,
    ATTEMPTS,
    ERROR,
    INVOCATION,
    KNATIVE_DESTINATION,
    KNATIVE_CODE,
    KNATIVE_DATA,
];

/// Letters that are read at a time.
const PAGE: ReadLimit = ReadLimit { records: 256, bytes: 4 << 20 };

/// Why an event is given up.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    /// Who gave it up; `None`: nobody, it was never published.
    pub(crate) subscription: Option<Key>,
    /// The topic that it came from.
    pub(crate) topic: TopicName,
    /// Its number there; 0: none.
    pub(crate) sequence: u64,
    /// In which run of the subscription through the topic: a seek back begins another.
    pub(crate) generation: u32,
    /// One word.
    pub(crate) reason: &'static str,
    /// Attempts that were made.
    pub(crate) attempts: u32,
    /// How the last attempt failed.
    pub(crate) failure: Failure,
}

/// How an attempt failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failure {
    /// The code, when it was Hob that said no.
    pub(crate) code: Option<String>,
    /// HTTP status of the answer.
    pub(crate) status: Option<u16>,
    /// The beginning of the answer.
    pub(crate) answer: Option<String>,
    /// The invocation.
    pub(crate) invocation: Option<String>,
    /// Where it was sent.
    pub(crate) destination: Option<String>,
}

impl Failure {
    /// That Hob said no.
    pub(crate) fn of(fault: &Fault) -> Self {
        Self {
            code: Some(fault.code().text().to_owned()),
            status: Some(fault.status()),
            answer: Some(fault.message().to_owned()),
            ..Self::default()
        }
    }

    /// The same with what callers are not told: for whoever runs the node.
    pub(crate) fn in_full(fault: &Fault) -> Self {
        let detail = fault.detail_text().map(|detail| format!(": {detail}")).unwrap_or_default();
        Self { answer: Some(format!("{}{detail}", fault.message())), ..Self::of(fault) }
    }

    /// One line for people.
    pub(crate) fn text(&self) -> String {
        let answer = self.answer.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        match (&self.code, self.status) {
            (Some(code), _) if answer.starts_with(code.as_str()) => answer.to_owned(),
            (Some(code), _) => format!("{code} {answer}"),
            (None, Some(status)) => format!("status {status} {answer}"),
            (None, None) => answer.to_owned(),
        }
        .trim_end()
        .to_owned()
    }
}

impl Letter {
    /// For an event that was never published, since it was too deep in a chain.
    pub(super) fn of_loop(topic: &TopicName, fault: &Fault) -> Self {
        let failure = Failure::of(fault);
        let (subscription, topic) = (None, topic.clone());
        Self { subscription, topic, sequence: 0, generation: 0, reason: "loop", attempts: 0, failure }
    }

    /// What tells the letter from others: a kill may come between it and its memory, so that it is
    /// written once more.
    fn key(&self) -> Option<Bytes> {
        let subscription = self.subscription.as_ref()?;
        Some(format!("{subscription} {} {} {}", self.topic, self.sequence, self.generation).into())
    }

    fn add_to(&self, event: &mut Event) {
        let failure = &self.failure;
        let subscription = self.subscription.as_ref().map(ToString::to_string);
        let texts = [
            (SUBSCRIPTION, subscription),
            (TOPIC, Some(self.topic.to_string())),
            (SEQUENCE, Some(self.sequence.to_string())),
            (REASON, Some(self.reason.to_owned())),
            (ERROR, failure.code.clone()),
            (INVOCATION, failure.invocation.clone()),
            (KNATIVE_DESTINATION, failure.destination.clone()),
            (KNATIVE_DATA, failure.answer.as_deref().map(harmless).filter(|text| !text.is_empty())),
        ];
        for name in ADDED {
            event.extensions.remove(name);
        }
        for (name, text) in texts {
            if let Some(text) = text {
                event.set_extension(name, text);
            }
        }
        event.set_extension(ATTEMPTS, i32::try_from(self.attempts).unwrap_or(i32::MAX));
        if let Some(status) = failure.status {
            event.set_extension(KNATIVE_CODE, i32::from(status));
        }
    }
}

/// The beginning of an answer as an attribute may hold it (CloudEvents 1.0.2, section 3.1).
fn harmless(answer: &str) -> String {
    let end = answer.floor_char_boundary(DEAD_LETTER_ANSWER_BYTES_MAX);
    answer[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

/// Which letters of a topic are dealt with.
#[derive(Default, Serialize, Deserialize)]
struct Dealt {
    letters: Ranges,
}

/// What is to be done with letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deal {
    /// They go back to the subscription that gave them up.
    Redrive,
    /// They are forgotten.
    Drop,
}

impl Bus {
    /// Puts an event among the dead letters; it is on disk when this returns.
    ///
    /// # Errors
    /// Those of [`hob_core::port::Log::append`].
    pub(crate) async fn bury(&self, into: &TopicName, stored: &Stored, letter: &Letter) -> Result<()> {
        let mut stored = stored.clone();
        letter.add_to(&mut stored.event);
        stored.only = None;
        let record = NewRecord { payload: record::encode(&stored), key: letter.key() };
        self.append(into, vec![record], Durability::Disk).await.map(drop)
    }

    /// Topics that hold dead letters, by name.
    ///
    /// # Errors
    /// Those of the log and the store.
    pub(crate) async fn letter_topics(&self) -> Result<Vec<DeadLetterTopicInfo>> {
        let mut found = Vec::new();
        for (topic, state) in self.log.topics().await? {
            if state.first == state.next || !self.holds_letters(&topic, state.next).await? {
                continue;
            }
            let mut dealt = self.dealt(&topic).await?.0.letters;
            dealt.cut_before(state.first);
            let letters = (state.next - state.first).saturating_sub(dealt.count());
            found.push(DeadLetterTopicInfo { topic, letters, newest_ms: state.newest_ms });
        }
        Ok(found)
    }

    /// Whether the newest event of a topic is a dead letter.
    async fn holds_letters(&self, topic: &TopicName, next: u64) -> Result<bool> {
        let newest = self.event(topic, next - 1).await?;
        Ok(newest.is_some_and(|placed| placed.stored.event.extensions.contains_key(REASON)))
    }

    /// Letters of a topic from a sequence on that are not dealt with: some, where together they are large. There are no
    /// more where there are none.
    ///
    /// # Errors
    /// Those of the log and the store.
    pub(crate) async fn letters(&self, topic: &TopicName, from: u64, most: usize) -> Result<Vec<DeadLetter>> {
        let (dealt, mut found, mut bytes) = (self.dealt(topic).await?.0, Vec::new(), 0);
        let more = |letter: DeadLetter| {
            bytes += shown_bytes(&letter);
            found.push(letter);
            found.len() < most && bytes < LETTERS_LISTED_BYTES_MAX
        };
        self.open_letters(topic, &dealt, from, more).await?;
        Ok(found)
    }

    /// Shows the letters from a sequence on that are not dealt with, as long as `more` are wanted.
    async fn open_letters(
        &self,
        topic: &TopicName,
        dealt: &Dealt,
        mut from: u64,
        mut more: impl FnMut(DeadLetter) -> bool,
    ) -> Result<()> {
        loop {
            let page = self.read(topic, from, PAGE).await?;
            if page.is_end(from) {
                return Ok(());
            }
            from = page.next;
            let open = page.events.into_iter().filter(|placed| !dealt.letters.contains(placed.sequence));
            for letter in open.filter_map(|placed| shown(topic, &placed)) {
                if !more(letter) {
                    return Ok(());
                }
            }
        }
    }

    /// One letter, dealt with or not.
    ///
    /// # Errors
    /// `HOB-0811` when it is not there.
    pub(crate) async fn letter(&self, topic: &TopicName, sequence: u64) -> Result<DeadLetter> {
        let placed = self.event(topic, sequence).await?;
        placed.and_then(|placed| shown(topic, &placed)).ok_or_else(|| not_found(topic, sequence))
    }

    /// Redrives or drops letters: these, each once, or all that are there. Returns how many.
    ///
    /// # Errors
    /// `HOB-0811` for a sequence that is no letter or dealt with already, and `HOB-0704` for too many of them; nothing is
    /// done then. `HOB-0712` and `HOB-0713` where the space may not have so much more, and those of the log: what was
    /// redriven before stays redriven.
    pub(crate) async fn deal(&self, topic: &TopicName, sequences: &[u64], deal: Deal) -> Result<u64> {
        if sequences.len() > LETTERS_DEALT_MAX {
            let what =
                format!("{} dead letters are named, the limit is {LETTERS_DEALT_MAX}", sequences.len());
            let hint = "name fewer at once, or none, which means all of them";
            return Err(Fault::new(Code::ControlRequest, what).hint(hint));
        }
        let _one_at_a_time = self.letters.lock().await;
        let (mut dealt, mut version) = self.dealt(topic).await?;
        let mut chosen = sequences.to_vec();
        chosen.sort_unstable();
        chosen.dedup();
        for sequence in &chosen {
            if dealt.letters.contains(*sequence) || self.letter(topic, *sequence).await.is_err() {
                return Err(not_found(topic, *sequence));
            }
        }
        if chosen.is_empty() {
            let more = |letter: DeadLetter| {
                chosen.push(letter.sequence);
                true
            };
            self.open_letters(topic, &dealt, 0, more).await?;
        }
        let (mut count, mut failed) = (0, None);
        for group in chosen.chunks(PAGE.records) {
            let before = count;
            for sequence in group {
                if deal == Deal::Redrive {
                    failed = self.redrive(topic, *sequence).await.err();
                }
                if failed.is_some() {
                    break;
                }
                dealt.letters.insert(*sequence, *sequence);
                count += 1;
            }
            // Also where one has failed: those before it are not to be redriven once more.
            if count > before {
                let write = position::write(position::letters(topic), &dealt, version)?;
                self.state.commit(vec![write]).await?;
                version = Some(version.unwrap_or(0) + 1);
            }
            if failed.is_some() {
                break;
            }
        }
        self.trim_letters(topic, &dealt).await?;
        failed.map_or(Ok(count), |fault| Err(after(fault, count)))
    }

    /// Publishes the event once more, for the subscription that gave it up alone. It is delivered by
    /// the current revision: the one that failed may be why it is here. The space may have it or not, as if somebody
    /// published it.
    async fn redrive(&self, topic: &TopicName, sequence: u64) -> Result<()> {
        let placed = self.event(topic, sequence).await?.ok_or_else(|| not_found(topic, sequence))?;
        let letter = shown(topic, &placed).ok_or_else(|| not_found(topic, sequence))?;
        let mut event = placed.stored.event;
        ADDED.iter().for_each(|name| drop(event.extensions.remove(*name)));
        let only = key_of(&letter.subscription).map(|key| Only { app: key.app, trigger: key.name });
        let hops = if only.is_some() { placed.stored.hops } else { 0 };
        let stored = Stored { event, hops, cause: None, only, trace: placed.stored.trace };
        let record = NewRecord { payload: record::encode(&stored), key: None };
        self.allowance.take(1)?;
        let published = self.keep_and_append(&letter.from_topic, vec![record], Durability::Disk).await?;
        for place in published {
            self.tell_redriven(&letter.from_topic, place.sequence, &stored);
        }
        Ok(())
    }

    /// Removes letters that are dealt with from the front of the log.
    async fn trim_letters(&self, topic: &TopicName, dealt: &Dealt) -> Result<()> {
        let Some(state) = self.log.topic(topic).await? else { return Ok(()) };
        let open = dealt.letters.after(state.first);
        if open > state.first {
            self.log.trim(topic, open.min(state.next)).await?;
        }
        Ok(())
    }

    async fn dealt(&self, topic: &TopicName) -> Result<(Dealt, Option<u64>)> {
        let stored = position::load::<Dealt>(&*self.state, &position::letters(topic)).await?;
        Ok(stored.map_or_else(Default::default, |(dealt, version)| (dealt, Some(version))))
    }
}

fn not_found(topic: &TopicName, sequence: u64) -> Fault {
    Fault::new(Code::DeadLetterNotFound, format!("topic `{topic}` has no open dead letter {sequence}"))
        .hint(format!("hob dlq ls {topic}"))
}

/// The fault that ended it after so many letters.
fn after(fault: Fault, count: u64) -> Fault {
    if count == 0 {
        return fault;
    }
    let hint = fault.hint_text().map(|hint| format!("{hint}; ")).unwrap_or_default();
    fault.hint(format!("{hint}{count} letter(s) before are redriven and stay so"))
}

/// What a letter takes of an answer.
fn shown_bytes(letter: &DeadLetter) -> usize {
    serde_json::to_vec(letter).map_or(LETTERS_LISTED_BYTES_MAX, |text| text.len())
}

fn key_of(text: &str) -> Option<Key> {
    let (app, name) = text.split_once('/')?;
    Some(Key { app: AppName::new(app).ok()?, name: TriggerName::new(name).ok()? })
}

/// A letter as it is shown; `None` for an event that is none.
fn shown(topic: &TopicName, placed: &Placed) -> Option<DeadLetter> {
    let mut event = placed.stored.event.clone();
    let text = |name: &str| event.text(name).map(std::borrow::Cow::into_owned);
    let reason = text(REASON)?;
    let letter = DeadLetter {
        topic: topic.clone(),
        sequence: placed.sequence,
        dead_ms: placed.published_ms,
        subscription: text(SUBSCRIPTION).unwrap_or_default(),
        from_topic: TopicName::new(&text(TOPIC)?).ok()?,
        from_sequence: text(SEQUENCE)?.parse().ok()?,
        reason,
        attempts: text(ATTEMPTS)?.parse().ok()?,
        code: text(ERROR),
        status: text(KNATIVE_CODE).and_then(|code| code.parse().ok()),
        answer: text(KNATIVE_DATA),
        invocation: text(INVOCATION),
        event: serde_json::Value::Null,
    };
    ADDED.iter().for_each(|name| drop(event.extensions.remove(*name)));
    Some(DeadLetter { event: hob_core::event::json::to_value(&event), ..letter })
}
