//! Resources of CloudFormation, as far as SAM and the Serverless Framework share them.
//!
//! **How.** Functions of the template are answered first ([`intrinsic`]); queues, topics and buses then become
//! topics of Hob. Resources that Hob has not are warned about.

mod intrinsic;

pub(super) use intrinsic::Resolver;

use super::fields::{Fields, Reason, met, warn};
use super::lambda;
use super::naming;
use super::note::Notes;
use super::tree::Node;
use crate::fault::Result;
use crate::manifest::{Manifest, Topic, Written};
use crate::name::TopicName;
use std::collections::BTreeMap;
use std::time::Duration;

/// What all resources say besides `Type` and `Properties`.
const RESOURCE: &[Reason] = &[
    met("Metadata"),
    met("DeletionPolicy"),
    met("UpdateReplacePolicy"),
    met("DependsOn"),
    met("Connectors"),
];

/// What queues have that topics have not.
const QUEUE: &[Reason] = &[
    warn("VisibilityTimeout", "an event is delivered again when the call fails or is over its `timeout`"),
    warn("DelaySeconds", "events are delivered at once"),
    met("ContentBasedDeduplication"),
    met("FifoQueue"),
    met("SqsManagedSseEnabled"),
    met("DisplayName"),
    met("FifoTopic"),
    warn("Tags", "Hob has no tags"),
];

/// Kinds of resource that become topics, and the property that names them.
const TOPICS: &[(&str, &str)] =
    &[("AWS::SQS::Queue", "QueueName"), ("AWS::SNS::Topic", "TopicName"), ("AWS::Events::EventBus", "Name")];

/// One resource, with its functions answered.
pub(super) struct Resource {
    pub(super) id: String,
    pub(super) line: usize,
    pub(super) kind: String,
    pub(super) properties: Node,
}

impl Resource {
    /// Whether it becomes a topic.
    pub(super) fn is_topic(&self) -> bool {
        TOPICS.iter().any(|(kind, _)| *kind == self.kind)
    }
}

/// After how many attempts an event of a queue is given up, and where it goes then.
type Redrive = (Option<Written<u32>>, Option<Written<TopicName>>);

/// Topics by the resource that they come from.
#[derive(Default)]
pub(super) struct Topics {
    names: BTreeMap<String, TopicName>,
    /// By queue: attempts until the dead letter, and its topic.
    redrive: BTreeMap<String, Redrive>,
    ordered: Vec<String>,
}

/// The resources whose condition holds.
pub(super) fn resources(
    fields: &mut Fields<'_>,
    resolver: &mut Resolver<'_>,
    notes: &mut Notes,
) -> Result<Vec<Resource>> {
    let mut all = Vec::new();
    let Some(mut resources) = fields.fields("Resources", notes) else { return Ok(all) };
    for entry in resources.others() {
        let path = format!("Resources.{}", entry.key);
        let mut own = Fields::of(&entry.value, &path, notes);
        if let Some(condition) = own.text("Condition", notes) {
            match resolver.condition(&condition.value, 0) {
                Some(false) => continue,
                Some(true) => {}
                None => {
                    let why = format!("condition `{}` is not known", condition.value);
                    notes.refuse(condition.line, &format!("{path}.Condition"), why);
                }
            }
        }
        let kind = own.text("Type", notes).map(|kind| kind.value).unwrap_or_default();
        let none = Node::map_at(entry.line, Vec::new());
        let properties = resolver.resolve(own.take("Properties").map_or(&none, |entry| &entry.value))?;
        own.end(&[RESOURCE], notes);
        all.push(Resource { id: entry.key.clone(), line: entry.line, kind, properties });
    }
    Ok(all)
}

impl Topics {
    /// The topics of a template; how long they keep events goes into the manifest.
    pub(super) fn of(resources: &[Resource], manifest: &mut Manifest, notes: &mut Notes) -> Self {
        let mut topics = Self::default();
        for Resource { id, kind, properties, .. } in resources {
            let Some((_, key)) = TOPICS.iter().find(|(known, _)| known == kind) else { continue };
            let named = properties.get(key).and_then(Node::text).unwrap_or(id);
            topics.names.insert(id.clone(), naming::topic(named));
            if properties.get("FifoQueue").and_then(Node::boolean) == Some(true) {
                topics.ordered.push(id.clone());
            }
        }
        for resource in resources.iter().filter(|resource| resource.is_topic()) {
            topics.settings(resource, manifest, notes);
        }
        topics
    }

    /// The topic that a value means: an ARN, a name, or a resource.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn named(&self, node: &Node) -> Result<TopicName, String> {
        lambda::topic(node, |id| self.names.get(id).cloned())
    }

    /// What a queue says of its deliveries: attempts, dead letter, order.
    pub(super) fn deliver(&self, node: &Node, line: usize, on: &mut crate::manifest::On) {
        let Some(resource) = node.unknown().and_then(|unknown| unknown.resource.as_ref()) else { return };
        if let Some((attempts, dead)) = self.redrive.get(resource) {
            on.retry.attempts.clone_from(attempts);
            on.retry.dead_letter.clone_from(dead);
        }
        if self.ordered.contains(resource) {
            on.order_by = Some(Written { value: "partitionkey".to_owned(), line });
        }
    }

    fn settings(&mut self, resource: &Resource, manifest: &mut Manifest, notes: &mut Notes) {
        let path = format!("Resources.{}.Properties", resource.id);
        let mut fields = Fields::of(&resource.properties, &path, notes);
        fields.take_any(&["QueueName", "TopicName", "Name"]);
        if let Some(kept) = fields.number("MessageRetentionPeriod", notes)
            && let Some(name) = self.names.get(&resource.id)
        {
            let age = Some(Written { value: Duration::from_secs(kept.value.into()), line: kept.line });
            manifest.topics.push(Topic {
                name: name.clone(),
                line: kept.line,
                age,
                size: None,
                count: None,
                dedup: None,
            });
        }
        if let Some(mut redrive) = fields.fields("RedrivePolicy", notes) {
            let attempts = redrive.number("maxReceiveCount", notes);
            let dead = redrive.take("deadLetterTargetArn").and_then(|entry| {
                let found = self.named(&entry.value);
                found
                    .map(|value| Written { value, line: entry.line })
                    .map_err(|why| notes.refuse(entry.line, &path, why))
                    .ok()
            });
            redrive.end(&[], notes);
            self.redrive.insert(resource.id.clone(), (attempts, dead));
        }
        fields.end(&[QUEUE], notes);
    }
}
