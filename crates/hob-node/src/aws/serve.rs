//! The API's listener and the way of one request.

use super::answer::{Answered, Refusal, identify, refuse};
use super::records::Records;
use super::{Lambda, Parts, find_operation};
use crate::aside::{Aside, Peer};
use crate::audit::Action;
use crate::caller::{self, Caller, LAMBDA};
use crate::clock::now_ms;
use crate::control::Control;
use crate::identity;
use crate::keys::Keys;
use crate::listener::Listener;
use crate::per_space::PerSpace;
use crate::room::Room;
use crate::telemetry::Budget;
use hob_core::access::audit::{Act, Book};
use hob_core::aws::signature::Claim;
use hob_core::fact::{Failure, Refused, What};
use hob_core::fault::Result;
use hob_core::id::InvocationId;
use hob_core::limit::{
    AWS_ARCHIVE_BYTES_MAX, AWS_INGRESS_BYTES_MAX, FACTS_REFUSED_PER_SECOND, H2_STREAMS_MAX,
};
use hob_core::name::SpaceName;
use hob_core::port::State;
use hob_runtime::body::Body;
use http::header::HOST;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// The API of all spaces, behind one listener.
pub(crate) struct Lambdas {
    each: Arc<PerSpace<Lambda>>,
    room: Arc<Room>,
    tls: Option<TlsAcceptor>,
    private: bool,
}

impl Lambdas {
    /// That of `default`.
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let Parts { control, state, keys, tls, loopback } = parts;
        let private = loopback || tls.is_some();
        let room = Arc::new(Room::of_strangers(AWS_INGRESS_BYTES_MAX, AWS_ARCHIVE_BYTES_MAX));
        let default = Lambda::new(control, state, keys, (&room, private));
        Arc::new(Self { each: PerSpace::new(default), room, tls, private })
    }

    /// From now on a space has the API, over its own objects and state; `None`: it has it no more.
    pub(crate) fn show(&self, space: &SpaceName, parts: Option<(Arc<Control>, Arc<dyn State>)>) {
        let made = parts.and_then(|(control, state)| {
            let (keys, _) = control.lambda.clone()?;
            Some(Lambda::new(control, state, keys, (&self.room, self.private)))
        });
        self.each.show(space, made);
    }

    /// The space whose key a request is signed with. Whether it is signed with it, that space finds out.
    fn of(&self, request: &Request<Incoming>) -> Arc<Lambda> {
        match Claim::read(request.headers()) {
            Ok(claim) if !self.each.is_alone() => {
                self.each.meant(|lambda| lambda.keys.get(&claim.key).is_ok())
            }
            _ => Arc::clone(self.each.default()),
        }
    }
}

/// Begins to serve one listener until `closing`.
pub(crate) fn serve(lambdas: &Arc<Lambdas>, listener: Listener, closing: CancellationToken) {
    let (tls, tasks) = (lambdas.tls.clone(), Arc::clone(&lambdas.each.default().control.tasks));
    let aside = Aside { name: "Lambda API", tls, streams: H2_STREAMS_MAX, tasks, closing };
    let lambdas = Arc::clone(lambdas);
    aside.serve(listener, move |request, good| {
        let lambda = lambdas.of(&request);
        async move { answer(&lambda, request, good).await }
    });
}

/// Answers one request, whatever it is.
async fn answer(lambda: &Arc<Lambda>, request: Request<Incoming>, good: Result<()>) -> Response<Body> {
    let id = identity::invocation();
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let asked = (request.method().clone(), request.uri().path().to_owned(), host.to_owned());
    let answered = match good {
        Ok(()) => handle(lambda, id, request).await,
        Err(fault) => Err(fault.into()),
    };
    let mut response = match answered {
        Ok(response) => response,
        Err(refusal) => {
            lambda.tell_refused(&refusal, id, asked);
            refuse(&refusal)
        }
    };
    identify(&mut response, id);
    response
}

async fn handle(lambda: &Arc<Lambda>, id: InvocationId, request: Request<Incoming>) -> Answered {
    let (operation, path) = find_operation(request.method().as_str(), request.uri().path())?;
    let from = Peer::of(&request).to_string();
    let on = path.first().cloned();
    let ask = match lambda.admit(operation, path, request).await {
        Ok(ask) => ask,
        Err(refusal) => {
            let act = caller::stranger(from, LAMBDA, operation.name, on, lambda.control.space());
            let act = Act { outcome: refusal.fault.code().text().to_owned(), ..act };
            lambda.control.audit.count(act, Some(id.to_string()));
            return Err(refusal);
        }
    };
    tracing::debug!(%id, operation = operation.name, "a request to the Lambda API");
    let caller = Caller::operator(&format!("key {}", ask.key), from, LAMBDA);
    let space = lambda.control.space();
    let book = if space.is_default() { Book::Tokens } else { Book::Guests };
    let act = Act { book, ..caller.act(operation.name, on, space) };
    let action = Action::begin(&lambda.control.audit, act, id.to_string(), operation.weight()).await?;
    let handled = (operation.handle)(Arc::clone(lambda), super::Ask { id, ..ask });
    action.run(handled, |refusal: &Refusal| &refusal.fault).await
}

impl Lambda {
    fn new(
        control: Arc<Control>,
        state: Arc<dyn State>,
        keys: Arc<Keys>,
        (room, private): (&Arc<Room>, bool),
    ) -> Arc<Self> {
        let (records, refused) = (Records::new(state), Budget::new(FACTS_REFUSED_PER_SECOND));
        let versions = Arc::clone(&control.why.rules.versions);
        Arc::new(Self { control, keys, records, room: Arc::clone(room), versions, private, refused })
    }

    /// That a request was not granted, so that its id can be asked for.
    fn tell_refused(&self, refusal: &Refusal, id: InvocationId, asked: (Method, String, String)) {
        // Strangers can cause as many as they like.
        if !self.refused.spend(now_ms()) {
            return;
        }
        let (method, path, host) = asked;
        let refused = Refused {
            id,
            control: true,
            app: None,
            method: method.to_string(),
            path,
            host,
            failure: Failure::from(&refusal.fault),
        };
        self.control.telemetry.now(None, What::Refused(Box::new(refused)));
    }
}
