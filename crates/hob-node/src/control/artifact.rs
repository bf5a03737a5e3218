//! Operations on artifacts: what is missing, and uploads.

use super::{Ask, Control, Handled, Operation, Payload, json, nothing};
use hob_core::access::{Need, Scope};
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::Fault;
use hob_core::limit::ARTIFACT_BYTES_MAX;
use hob_core::wire::{MissingReply, MissingRequest};
use http::StatusCode;
use http_body_util::BodyExt;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "artifacts.missing",
        method: Some("POST"),
        path: "/v1/artifacts/missing",
        summary: "Says which of some artifacts have to be uploaded.",
        needs: Need::Space(Scope::Deploy),
        query: None,
        request: Payload::Json(|schemas| schemas.subschema_for::<MissingRequest>()),
        response: Payload::Json(|schemas| schemas.subschema_for::<MissingReply>()),
        status: 200,
        handle: missing,
    },
    Operation {
        id: "artifacts.put",
        method: Some("PUT"),
        path: "/v1/artifacts/{digest}",
        summary: "Uploads an artifact under its digest.",
        needs: Need::Space(Scope::Deploy),
        query: None,
        request: Payload::Bytes,
        response: Payload::None,
        status: 204,
        handle: put,
    },
];

fn missing(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let MissingRequest { digests } = ask.json().await?;
        let missing = control.apps.missing(&digests).await?;
        json(StatusCode::OK, &MissingReply { missing })
    })
}

fn put(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let digest = ask.part::<Digest>(0)?;
        let mut body = ask.request.into_body();
        let announced = http_body::Body::size_hint(&body).exact();
        if let Some(bytes) = announced.filter(|bytes| *bytes > ARTIFACT_BYTES_MAX) {
            let what = format!("the artifact has {bytes} bytes, the limit is {ARTIFACT_BYTES_MAX}");
            return Err(Fault::new(Code::ArtifactTooLarge, what).hint("leave files out with `files`"));
        }
        let mut upload = control.apps.upload().await?;
        let mut received = 0u64;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| truncated(received, announced).detail(error))?;
            if let Ok(bytes) = frame.into_data() {
                received += bytes.len() as u64;
                control.bus.allowance().keep(bytes.len() as u64).await?;
                upload.write(&bytes).await?;
            }
        }
        control.apps.publish(upload, digest).await?;
        Ok(nothing())
    })
}

fn truncated(received: u64, announced: Option<u64>) -> Fault {
    let of = announced.map_or_else(String::new, |bytes| format!(" of {bytes}"));
    Fault::new(Code::UploadTruncated, format!("the upload ended after {received}{of} bytes"))
        .hint("send it again")
}
