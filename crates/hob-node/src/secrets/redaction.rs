//! What takes the values of a space's secrets out of everything that is kept of its functions.

use arc_swap::ArcSwapOption;
use hob_core::fact::Fact;
use hob_core::fault::Fault;
use hob_core::port::{LogRecord, LogSink};
use hob_core::secret::redact::Redactor;
use hob_core::wire::Story;
use std::borrow::Cow;
use std::sync::Arc;

/// The values to look for at this moment, read without a lock; none: everything is passed on as it is.
#[derive(Debug, Default)]
pub(crate) struct Redaction(ArcSwapOption<Redactor>);

impl Redaction {
    /// Looks for these values from now on.
    pub(crate) fn set(&self, redactor: Option<Redactor>) {
        self.0.store(redactor.map(Arc::new));
    }

    /// A fact without them.
    pub(crate) fn fact(&self, fact: Fact) -> Fact {
        match &*self.0.load() {
            Some(redactor) => redactor.fact(fact),
            None => fact,
        }
    }

    /// A story without them.
    pub(crate) fn story(&self, story: Story) -> Story {
        match &*self.0.load() {
            Some(redactor) => redactor.story(story),
            None => story,
        }
    }

    /// A text without them.
    pub(crate) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &*self.0.load() {
            Some(redactor) => Cow::Owned(redactor.text(text).into_owned()),
            None => Cow::Borrowed(text),
        }
    }

    /// A fault without them.
    pub(crate) fn fault(&self, fault: Fault) -> Fault {
        match &*self.0.load() {
            Some(redactor) => fault.map_texts(|text| redactor.text(text).into_owned()),
            None => fault,
        }
    }
}

/// Passes log records on without the values.
pub(crate) struct Redacting {
    pub(crate) redaction: Arc<Redaction>,
    pub(crate) next: Arc<dyn LogSink>,
}

impl LogSink for Redacting {
    fn record(&self, mut record: LogRecord) {
        if let Some(redactor) = &*self.redaction.0.load() {
            let without = |text: String| {
                let redacted = match redactor.text(&text) {
                    Cow::Owned(redacted) => Some(redacted),
                    Cow::Borrowed(_) => None,
                };
                redacted.unwrap_or(text)
            };
            record.text = without(record.text);
            record.fields =
                record.fields.into_iter().map(|(key, value)| (without(key), without(value))).collect();
        }
        self.next.record(record);
    }
}
