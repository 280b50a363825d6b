//! `/api/v1/models`: the models on the disk. No file of a model is looked at here: all that is passed on to the import
//! service, and its word passed back.

use super::{
    Lines, Said, answer, answer_tagged, jobs,
    page::{AnyPage, Page, page},
    power::who,
    read,
};
use crate::{
    agent,
    app::App,
    conditions,
    import::{Conversation, ImportError},
    intake::Intake,
    jobs::Running,
    openapi::{OfCondition, OfImport, OfQuery, OfRoom, OfState},
    refusal::{Kind, Refusal},
};
use api::{
    import::{NewFile, NewModel, Refused, RefusedKind, Reply, Request as Wanted, SetModel},
    jobs::Job,
    models::{ModelChange, ModelSettings, RemovedModel, Step, StoredModel, StoredModels},
};
use axum::{
    body::Body,
    extract::{
        Path, Query, Request, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{Extensions, HeaderMap, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body as HttpBody;
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc::{Sender, channel};

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
    params(Page),
    responses((status = 200, description = "The models", body = StoredModels), OfImport, OfQuery)
)]
pub(crate) async fn models(State(app): State<Arc<App>>, uri: Uri, wanted: AnyPage) -> Response {
    let listed = all(&app).await.and_then(|models| {
        let (models, next) = page(models, wanted, |model| &model.id)?;
        Ok(StoredModels { models, next })
    });
    answer(&uri, listed)
}

async fn all(app: &App) -> Result<Vec<StoredModel>, Refusal> {
    match app.import.ask(&Wanted::List).await?.next().await? {
        Reply::Models(models) => Ok(models),
        reply => Err(unexpected(reply)),
    }
}

/// One model.
#[utoipa::path(
    get,
    path = "/api/v1/models/{name}",
    tag = "models",
    params(("name" = String, Path, description = "The name of the model")),
    responses((status = 200, description = "The model", body = StoredModel, headers(("ETag" = String))), OfImport)
)]
pub(crate) async fn model(State(app): State<Arc<App>>, name: Name, uri: Uri) -> Response {
    let found = match text(name) {
        Ok(name) => one(&app, &name).await,
        Err(refusal) => Err(refusal),
    };
    answer_tagged(&uri, found, state)
}

async fn one(app: &App, name: &str) -> Result<StoredModel, Refusal> {
    let found = all(app).await?.into_iter().find(|model| model.id == name);
    found.ok_or_else(|| Refusal::new(Kind::NotFound, format!("there is no model {name:?}")))
}

/// What of a model can be changed, its being the one that it is among it.
fn state(model: &StoredModel) -> (Option<String>, ModelSettings) {
    (model.root.clone(), model.settings.clone())
}

async fn unchanged(app: &App, name: &str, headers: &HeaderMap) -> Result<(), Refusal> {
    conditions::unchanged(headers, async { Ok(state(&one(app, name).await?)) }).await
}

/// Removes a model.
#[utoipa::path(
    delete,
    path = "/api/v1/models/{name}",
    tag = "models",
    params(("name" = String, Path, description = "The name of the model")),
    responses((status = 200, description = "What is gone", body = RemovedModel), OfImport, OfState, OfCondition)
)]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    name: Name,
    uri: Uri,
    headers: HeaderMap,
    extensions: Extensions,
) -> Response {
    answer(&uri, forget(&app, name, &headers, &extensions).await)
}

async fn forget(
    app: &App,
    name: Name,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<RemovedModel, Refusal> {
    let name = text(name)?;
    let _turn = app.changing.models.lock().await;
    unchanged(app, &name, headers).await?;
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
    changed(app);
    Ok(removed)
}

/// Changes what is set of a model.
#[utoipa::path(
    patch,
    path = "/api/v1/models/{name}",
    tag = "models",
    params(("name" = String, Path, description = "The name of the model")),
    request_body = ModelChange,
    responses((status = 200, description = "The model as it is now", body = StoredModel, headers(("ETag" = String))), OfImport, OfState, OfRoom, OfCondition)
)]
pub(crate) async fn set(State(app): State<Arc<App>>, name: Name, uri: Uri, request: Request) -> Response {
    answer_tagged(&uri, change(&app, name, request).await, state)
}

async fn change(app: &App, name: Name, request: Request) -> Result<StoredModel, Refusal> {
    let (name, who) = (text(name)?, who(app, request.extensions()));
    let headers = request.headers().clone();
    let change: ModelChange = read(request, CHANGE).await?;
    let _turn = app.changing.models.lock().await;
    unchanged(app, &name, &headers).await?;
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
    changed(app);
    Ok(model)
}

/// Reads all blocks of a model, as a job where `Prefer: respond-async` asks for one; else the answer is a step a line.
#[utoipa::path(
    post,
    path = "/api/v1/models/{name}/verify",
    tag = "models",
    params(
        ("name" = String, Path, description = "The name of the model"),
        ("Prefer" = Option<String>, Header, description = "`respond-async` for a job")
    ),
    responses(
        (status = 200, description = "A step a line; the last is not progress", body = Step, content_type = "application/x-ndjson"),
        (status = 202, description = "The job", body = Job, headers(("Location" = String))),
        OfImport, OfState
    )
)]
pub(crate) async fn verify(
    State(app): State<Arc<App>>,
    name: Name,
    uri: Uri,
    headers: HeaderMap,
    extensions: Extensions,
) -> Response {
    let begun = async {
        let name = text(name)?;
        if !is_async(&headers) {
            let mut conversation = app.import.ask(&Wanted::Verify(name)).await?;
            let step = first(&mut conversation).await?;
            return Ok(stream(step, conversation, |_| ()));
        }
        let running = app.jobs.begin("model.verify", &name)?;
        let job = running.job().clone();
        let conversation = app.import.ask(&Wanted::Verify(name)).await?;
        let who = who(&app, &extensions);
        tokio::spawn(carry(app.clone(), running, conversation, who));
        Ok(jobs::begun(&job))
    };
    begun
        .await
        .unwrap_or_else(|refusal: Refusal| refusal.response(uri.path()))
}

/// Whether a client asks for a job, RFC 7240.
fn is_async(headers: &HeaderMap) -> bool {
    let preferences = headers.get_all("prefer").into_iter();
    preferences
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"))
}

/// Carries a job out: hears the service to its last word. One that is cancelled hangs up, and the service cleans up.
pub(super) async fn carry(app: Arc<App>, mut running: Running, mut conversation: Conversation, who: String) {
    let cancelled = running.cancelled();
    loop {
        let heard = match cancelled.run_until_cancelled(conversation.next()).await {
            None => return,
            Some(Ok(reply)) => step(reply),
            Some(Err(error)) => Step::Problem(Refusal::from(error).problem()),
        };
        let outcome = match &heard {
            Step::Progress(progress) => {
                running.progress(progress.done, progress.total);
                continue;
            }
            Step::Added(model) => Ok(json!(model)),
            Step::Verified(verification) => Ok(json!(verification)),
            Step::Problem(problem) => Err(problem.clone()),
        };
        note(&app, &heard, &who);
        return running.end(outcome);
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
        Ok((step, conversation)) => stream(step, conversation, move |step| note(&app, step, &who)),
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
        if conversation.room().await.is_err() {
            return Ok(());
        }
        conversation.push(&data);
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

pub(super) fn unexpected(reply: Reply) -> Refusal {
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

/// Tells of a model that has come.
fn note(app: &App, step: &Step, who: &str) {
    if let Step::Added(model) = step {
        let (id, stored) = (&model.id, model.stored);
        let root = model.root.as_deref().unwrap_or_default();
        tracing::info!(
            who,
            model = id,
            root,
            "model {id} added by {who}: {stored} bytes, {root}"
        );
        changed(app);
    }
}

/// Tells whoever listens that the list of models is another.
fn changed(app: &App) {
    app.feed.tell("models", &json!({}));
}

/// The answer that is made as the service speaks. `seen` is called with the last step.
fn stream(first: Step, conversation: Conversation, seen: impl Fn(&Step) + Send + 'static) -> Response {
    let (lines, receiver) = channel(1);
    tokio::spawn(relay(first, conversation, lines, seen));
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (kind, Body::new(Lines(receiver))).into_response()
}

/// Passes steps on until the last one. A client that goes away is noticed at once, and the service by that.
async fn relay(first: Step, mut conversation: Conversation, lines: Sender<Said>, seen: impl Fn(&Step)) {
    let mut step_now = first;
    loop {
        let is_last = !matches!(step_now, Step::Progress(_));
        if is_last {
            seen(&step_now);
        }
        if lines.send(Ok(line(&step_now))).await.is_err() || is_last {
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
