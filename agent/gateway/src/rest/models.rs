//! `/api/v1/models`: the models on the disk. No file of a model is looked at here: all that is passed on to the import
//! service, and its word passed back.

use super::{answer, power::who, read};
use crate::{
    agent,
    app::App,
    import::{Conversation, ImportError},
    intake::Intake,
    openapi::{OfImport, OfRoom, OfState},
    refusal::{Kind, Refusal},
};
use api::{
    import::{NewFile, NewModel, Refused, RefusedKind, Reply, Request as Wanted, SetModel},
    models::{ModelChange, RemovedModel, Step, StoredModel, StoredModels},
};
use axum::{
    body::Body,
    extract::{
        Path, Query, Request, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{Extensions, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

const QUERY: &str =
    "wanted are file=NAME and bytes=SIZE, both for each part of a split model, in their order";
const CHANGE: &str = "some of {\"keep_alive\": \"30m\", a number of seconds or null, \"pin\": true or false, \
    \"context\": a number of tokens or null, \"default\": true or false}";
/// When to ask again of a service that is busy or gone.
const PAUSE: Duration = Duration::from_secs(10);

type Name = Result<Path<String>, PathRejection>;
type Files = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// All models.
#[utoipa::path(
    get,
    path = "/api/v1/models",
    tag = "models",
    responses((status = 200, description = "The models", body = StoredModels), OfImport)
)]
pub(crate) async fn models(State(app): State<Arc<App>>, uri: Uri) -> Response {
    answer(&uri, all(&app).await)
}

async fn all(app: &App) -> Result<StoredModels, Refusal> {
    match app.import.ask(&Wanted::List).await?.next().await? {
        Reply::Models(models) => Ok(StoredModels { models }),
        reply => Err(unexpected(reply)),
    }
}

/// Removes a model.
#[utoipa::path(
    delete,
    path = "/api/v1/models/{name}",
    tag = "models",
    params(("name" = String, Path, description = "The name of the model")),
    responses((status = 200, description = "What is gone", body = RemovedModel), OfImport, OfState)
)]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    name: Name,
    uri: Uri,
    extensions: Extensions,
) -> Response {
    answer(&uri, forget(&app, name, &extensions).await)
}

async fn forget(app: &App, name: Name, extensions: &Extensions) -> Result<RemovedModel, Refusal> {
    let name = text(name)?;
    let removed = match app.import.ask(&Wanted::Remove(name)).await?.next().await? {
        Reply::Removed(removed) => removed,
        reply => return Err(unexpected(reply)),
    };
    let who = who(app, extensions);
    tracing::info!(who, model = removed.id, "model {} removed by {who}", removed.id);
    if let Err(error) = agent::forget_model(&app.bus, &removed.id).await {
        tracing::warn!(
            "hearthd does not know that model {} was removed: {error}",
            removed.id
        );
    }
    Ok(removed)
}

/// Changes what is set of a model.
#[utoipa::path(
    patch,
    path = "/api/v1/models/{name}",
    tag = "models",
    params(("name" = String, Path, description = "The name of the model")),
    request_body = ModelChange,
    responses((status = 200, description = "The model as it is now", body = StoredModel), OfImport, OfState, OfRoom)
)]
pub(crate) async fn set(State(app): State<Arc<App>>, name: Name, uri: Uri, request: Request) -> Response {
    answer(&uri, change(&app, name, request).await)
}

async fn change(app: &App, name: Name, request: Request) -> Result<StoredModel, Refusal> {
    let (name, who) = (text(name)?, who(app, request.extensions()));
    let change: ModelChange = read(request, CHANGE).await?;
    let wanted = Wanted::Set(SetModel { name, change });
    let model = match app.import.ask(&wanted).await?.next().await? {
        Reply::Set(model) => *model,
        reply => return Err(unexpected(reply)),
    };
    let settings = &model.settings;
    tracing::info!(
        who,
        model = model.id,
        ?settings,
        "settings of model {} changed by {who}",
        model.id
    );
    Ok(model)
}

/// Reads all blocks of a model; the answer is a [`Step`] a line.
#[utoipa::path(
    post,
    path = "/api/v1/models/{name}/verify",
    tag = "models",
    params(("name" = String, Path, description = "The name of the model")),
    responses((status = 200, description = "A step a line; the last is not progress", body = Step, content_type = "application/x-ndjson"), OfImport)
)]
pub(crate) async fn verify(State(app): State<Arc<App>>, name: Name, uri: Uri) -> Response {
    let begun = async {
        let mut conversation = app.import.ask(&Wanted::Verify(text(name)?)).await?;
        Ok((first(&mut conversation).await?, conversation))
    };
    match begun.await {
        Ok((step, conversation)) => stream(step, conversation, |_| ()),
        Err(error) => Refusal::response(error, uri.path()),
    }
}

/// Adds a model, whose files are the body. Until all have come nothing is answered but a refusal; then a [`Step`] a
/// line.
#[utoipa::path(
    put,
    path = "/api/v1/models/{name}",
    tag = "models",
    params(("name" = String, Path, description = "The name of the model"), ("file" = Option<Vec<String>>, Query, description = "The names of its files, in their order"), ("bytes" = Option<Vec<u64>>, Query, description = "Their sizes")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The files, one after the other"),
    responses((status = 200, description = "A step a line; the last is not progress", body = Step, content_type = "application/x-ndjson"), OfImport, OfState, OfRoom)
)]
pub(crate) async fn add(
    State(app): State<Arc<App>>,
    name: Name,
    files: Files,
    uri: Uri,
    request: Request,
) -> Response {
    let who = who(&app, request.extensions());
    match begin(&app, name, files, request).await {
        Ok((step, conversation)) => stream(step, conversation, move |step| log(step, &who)),
        Err(refusal) => refusal.response(uri.path()),
    }
}

async fn begin(
    app: &App,
    name: Name,
    files: Files,
    request: Request,
) -> Result<(Step, Conversation), Refusal> {
    let name = text(name)?;
    let Query(query) = files.map_err(|error| Refusal::new(Kind::Invalid, error.body_text()))?;
    let body = Intake::new(request.into_body(), u64::MAX)?;
    let files = described(&name, &query, body.size_hint().exact())
        .map_err(|problem| Refusal::new(Kind::Invalid, problem))?;
    let new = Wanted::Add(NewModel { name, files });
    let mut conversation = app.import.ask(&new).await?;
    match conversation.next().await? {
        Reply::Ready => (),
        reply => return Err(unexpected(reply)),
    }
    pass_on(body, &mut conversation).await?;
    Ok((first(&mut conversation).await?, conversation))
}

/// The files that a query describes, of a body of that length.
fn described(name: &str, query: &[(String, String)], length: Option<u64>) -> Result<Vec<NewFile>, String> {
    let (mut names, mut sizes) = (Vec::new(), Vec::new());
    for (key, value) in query {
        match key.as_str() {
            "file" => names.push(value.clone()),
            "bytes" => {
                let size = value
                    .parse::<u64>()
                    .map_err(|_| format!("bytes={value:?} is no size; {QUERY}"))?;
                sizes.push(size);
            }
            _ => return Err(format!("{key:?} is not known; {QUERY}")),
        }
    }
    if names.is_empty() {
        names.push(format!("{name}.gguf"));
    }
    if let ([name], []) = (names.as_slice(), sizes.as_slice()) {
        return Ok(vec![NewFile {
            name: name.clone(),
            bytes: length,
        }]);
    }
    if names.len() != sizes.len() {
        return Err(format!(
            "{} names and {} sizes; {QUERY}",
            names.len(),
            sizes.len()
        ));
    }
    let sum = sizes.iter().try_fold(0_u64, |sum, &size| sum.checked_add(size));
    if length.is_some() && length != sum {
        return Err(format!("the body's length is not the sum of all sizes; {QUERY}"));
    }
    let file = |(name, bytes)| NewFile {
        name,
        bytes: Some(bytes),
    };
    Ok(names.into_iter().zip(sizes).map(file).collect())
}

/// Hands the body on as it comes. Where the service takes no more of it, its next reply says why.
async fn pass_on(mut body: Intake, conversation: &mut Conversation) -> Result<(), Refusal> {
    while let Some(frame) = body.frame().await {
        let data = frame?.into_data().unwrap_or_default();
        if conversation.send(&data).await.is_err() {
            return Ok(());
        }
    }
    // As above.
    conversation.finish().await.ok();
    Ok(())
}

/// The first word after the request or its files: where that is a refusal, it is the answer.
async fn first(conversation: &mut Conversation) -> Result<Step, Refusal> {
    match conversation.next().await? {
        Reply::Refused(refused) => Err(refused.into()),
        reply => Ok(step(reply)),
    }
}

fn text(name: Name) -> Result<String, Refusal> {
    let Path(name) = name.map_err(|error| Refusal::new(Kind::Invalid, error.body_text()))?;
    Ok(name)
}

fn unexpected(reply: Reply) -> Refusal {
    match reply {
        Reply::Refused(refused) => refused.into(),
        _ => Refusal::new(
            Kind::Internal,
            "the import service answered something else than was asked",
        ),
    }
}

fn step(reply: Reply) -> Step {
    match reply {
        Reply::Progress(progress) => Step::Progress(progress),
        Reply::Added(model) => Step::Added(model),
        Reply::Verified(verification) => Step::Verified(verification),
        reply => Step::Problem(unexpected(reply).problem()),
    }
}

fn log(step: &Step, who: &str) {
    if let Step::Added(model) = step {
        let (id, stored) = (&model.id, model.stored);
        let root = model.root.as_deref().unwrap_or_default();
        tracing::info!(
            who,
            model = id,
            root,
            "model {id} added by {who}: {stored} bytes, {root}"
        );
    }
}

/// The answer that is made as the service speaks. `seen` is called with the last step.
fn stream(first: Step, conversation: Conversation, seen: impl Fn(&Step) + Send + 'static) -> Response {
    let (lines, receiver) = channel(1);
    tokio::spawn(relay(first, conversation, lines, seen));
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (kind, Body::new(Lines(receiver))).into_response()
}

/// Passes steps on until the last one. A client that goes away is noticed at once, and the service by that.
async fn relay(first: Step, mut conversation: Conversation, lines: Sender<Bytes>, seen: impl Fn(&Step)) {
    let mut step_now = first;
    loop {
        let is_last = !matches!(step_now, Step::Progress(_));
        if is_last {
            seen(&step_now);
        }
        if lines.send(line(&step_now)).await.is_err() || is_last {
            return;
        }
        step_now = tokio::select! {
            reply = conversation.next() => match reply {
                Ok(reply) => step(reply),
                Err(error) => Step::Problem(Refusal::from(error).problem()),
            },
            () = lines.closed() => return,
        };
    }
}

fn line(step: &Step) -> Bytes {
    // Strings and numbers always become JSON.
    let mut line = serde_json::to_vec(step).unwrap_or_default();
    line.push(b'\n');
    line.into()
}

/// A body of lines.
struct Lines(Receiver<Bytes>);

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(cx)
            .map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}

impl From<ImportError> for Refusal {
    fn from(error: ImportError) -> Self {
        let kind = match error {
            ImportError::Connect { .. } => Kind::ImportUnavailable,
            ImportError::Lost(_) | ImportError::Silent | ImportError::Answer(_) => Kind::ImportLost,
        };
        Self::new(kind, error.to_string()).retry_after(PAUSE)
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let kind = match refused.kind {
            RefusedKind::Invalid => Kind::Invalid,
            RefusedKind::Unusable => Kind::Unacceptable,
            RefusedKind::NoSpace => Kind::NoSpace,
            RefusedKind::Taken | RefusedKind::Fixed => Kind::Conflict,
            RefusedKind::Unknown => Kind::NotFound,
            RefusedKind::Busy => return Self::new(Kind::Conflict, refused.message).retry_after(PAUSE),
            RefusedKind::Failed => Kind::Internal,
        };
        Self::new(kind, refused.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(query: &str, length: Option<u64>) -> Result<Vec<(String, Option<u64>)>, String> {
        let uri: Uri = format!("http://h/x?{query}").parse().unwrap();
        let Query(query) = Query::<Vec<(String, String)>>::try_from_uri(&uri).unwrap();
        let files = described("m", &query, length)?;
        Ok(files.into_iter().map(|file| (file.name, file.bytes)).collect())
    }

    #[test]
    fn files_are_described_by_the_query_and_the_length() {
        let one = |name: &str, bytes| Ok(vec![(name.to_owned(), bytes)]);
        assert_eq!(files("", Some(7)), one("m.gguf", Some(7)));
        assert_eq!(files("", None), one("m.gguf", None));
        assert_eq!(files("file=a%20b.gguf", Some(7)), one("a b.gguf", Some(7)));
        assert_eq!(files("file=a&bytes=7", None), one("a", Some(7)));
        let two = Ok(vec![("a".to_owned(), Some(3)), ("b".to_owned(), Some(4))]);
        assert_eq!(files("file=a&bytes=3&file=b&bytes=4", Some(7)), two);
        for (query, length) in [
            ("file=a&file=b", Some(7)),
            ("file=a&file=b&bytes=3", None),
            ("file=a&bytes=3&file=b&bytes=4", Some(8)),
            ("file=a&bytes=-1", None),
            ("file=a&bytes=18446744073709551615&file=b&bytes=1", Some(0)),
            ("name=a", None),
        ] {
            assert!(files(query, length).is_err(), "{query}");
        }
    }
}
