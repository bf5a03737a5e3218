//! Who may ask: whoever signs a request with one of the node's keys.
//!
//! **How.** What can be judged by the headers is judged before the body is read, so that a stranger costs no memory;
//! the signature covers the body, so it comes after. Until then bodies are held in a room of their own: whoever knows no
//! more than a key's id keeps nobody from publishing.

use super::answer::{Answered, Refusal};
use super::{Ask, Lambda, Operation};
use crate::aside::Peer;
use crate::clock::now_ms;
use crate::gateway::body::incoming;
use crate::identity::{self, same_secret};
use bytes::Bytes;
use hob_core::aws::error::Exception;
use hob_core::aws::signature::{Claim, Content, Wrong};
use hob_core::code::Code;
use hob_core::fault::Fault;
use hob_core::limit::AWS_BODY_TIMEOUT;
use hob_core::share::door::Client;
use http::Request;
use hyper::body::Incoming;
use tokio::time::timeout;

impl Lambda {
    /// Reads a request, and takes it if it is signed as it should be.
    pub(super) async fn admit(
        &self,
        operation: &Operation,
        path: Vec<String>,
        request: Request<Incoming>,
    ) -> Answered<Ask> {
        let from = Peer::of(&request);
        let (head, body) = request.into_parts();
        let claim = Claim::read(&head.headers).map_err(refuse)?;
        claim.check(&head.headers, now_ms()).map_err(refuse)?;
        if claim.is_unsigned() && !self.private {
            let what = "a body has to be signed where others could change it";
            return Err(refuse(Wrong::Incomplete(what.to_owned())));
        }
        let key = self.keys.get(&claim.key).map_err(|_| unknown())?;
        let client = Client::of(from.0);
        let collected = self.room.collect(incoming(body), operation.body_bytes_max, Some(client));
        let (body, room) =
            timeout(AWS_BODY_TIMEOUT, collected).await.map_err(|_| late())?.map_err(too_large)?;
        let content = Content {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
        };
        let made = claim.signature(&key.secret, &head.headers, content, &body).map_err(refuse)?;
        if !same_secret(claim.given().as_bytes(), made.as_bytes()) {
            let what = "the signature is not the one that the secret access key makes for this request";
            return Err(refuse(Wrong::Invalid(what.to_owned())));
        }
        drop(room);
        self.control.bus.allowance().take(1)?;
        Ok(Ask { id: identity::invocation(), key: claim.key, head, path, body, region: claim.region })
    }
}

fn unknown() -> Refusal {
    let fault = Fault::new(Code::AwsSignature, "the access key of the request is not one of this node's");
    Refusal::new(Exception::UnrecognizedClient, fault.hint("`hob key env` prints one for the shell"))
}

fn late() -> Refusal {
    Fault::new(Code::RequestTimeout, "the request did not arrive in time").into()
}

fn too_large(fault: Fault) -> Refusal {
    match fault.code() {
        Code::EventTooLarge => Fault::new(Code::BodyTooLarge, fault.message().to_owned()).into(),
        _ => fault.into(),
    }
}

fn refuse(wrong: Wrong) -> Refusal {
    let (exception, what) = match wrong {
        Wrong::Missing => (
            Exception::MissingAuthenticationToken,
            "the request is not signed (AWS Signature Version 4)".to_owned(),
        ),
        Wrong::Incomplete(what) => (Exception::IncompleteSignature, what),
        Wrong::Invalid(what) => (Exception::InvalidSignature, what),
    };
    let fault = Fault::new(Code::AwsSignature, what);
    Refusal::new(exception, fault.hint("check the access key, its secret and the clock"))
}

/// A body without bytes, for requests that need none.
pub(super) fn is_blank(body: &Bytes) -> bool {
    body.iter().all(u8::is_ascii_whitespace)
}
