//! `/api/v1/uploads`: model files that come in parts.

use super::{jobs, models, power::who, read};
use crate::{
    app::App,
    import::Conversation,
    intake::Intake,
    jobs::Running,
    openapi::{OfAbsence, OfImport, OfRoom, OfState},
    refusal::{Kind, Refusal},
    uploads::{Broken, Part},
};
use api::{
    import::{NewFile, NewModel, Reply, Request as Wanted},
    uploads::{LARGEST_PART, NewUpload, Upload},
};
use axum::{
    Json,
    extract::{Path, Request, State, rejection::PathRejection},
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use std::sync::Arc;

const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const NEW: &str = r#"{"name": "…", "file": "….gguf", "size": bytes, "identity": "what tells it from another of this name and size"}"#;

type Id = Result<Path<String>, PathRejection>;

/// Begins an upload, or goes on with one of the same name, file, size and identity.
#[utoipa::path(
    post,
    path = "/api/v1/uploads",
    tag = "uploads",
    request_body = NewUpload,
    responses(
        (status = 200, description = "What has come of the same file before", body = Upload),
        (status = 201, description = "A new upload", body = Upload, headers(("Location" = String))),
        OfImport, OfRoom, OfState
    )
)]
pub(crate) async fn begin(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Response {
    let who = who(&app, request.extensions());
    match open(&app, request, &who).await {
        Ok((status, upload)) => {
            let location = [(header::LOCATION, format!("{}/{}", uri.path(), upload.id))];
            (status, location, Json(upload)).into_response()
        }
        Err(refusal) => refusal.response(uri.path()),
    }
}

async fn open(app: &App, request: Request, who: &str) -> Result<(StatusCode, Upload), Refusal> {
    let new: NewUpload = read(request, NEW).await?;
    if new.size == 0 {
        return Err(Refusal::new(Kind::Unacceptable, "size: no model has 0 bytes"));
    }
    if let Some(same) = app.uploads.same(&new) {
        let (id, offset) = (same.id.clone(), same.offset());
        return Ok((StatusCode::OK, Upload { id, offset }));
    }
    let file = NewFile {
        name: new.file.clone(),
        bytes: Some(new.size),
    };
    let wanted = Wanted::Add(NewModel {
        name: new.name.clone(),
        files: vec![file],
    });
    let mut conversation = app.import.ask(&wanted).await?;
    match conversation.next().await? {
        Reply::Ready => (),
        reply => return Err(beside(app, models::unexpected(reply))),
    }
    let upload = app.uploads.begin(new, conversation)?;
    let (id, model) = (upload.id.clone(), &upload.new.name);
    tracing::info!(
        who,
        upload = id,
        model,
        "upload {id} of model {model} begun by {who}"
    );
    Ok((StatusCode::CREATED, Upload { id, offset: 0 }))
}

/// The service takes one model at a time: who comes second is told what is in the way.
fn beside(app: &App, refusal: Refusal) -> Refusal {
    match app.uploads.any().filter(|_| refusal.kind == Kind::Conflict) {
        None => refusal,
        Some(open) => Refusal {
            detail: format!(
                "{}; the upload {} of {} is under way, or was broken off: it goes on when the same file is sent again, and \
                 \"hearth model give-up {}\" throws it away",
                refusal.detail, open.id, open.new.name, open.id
            ),
            ..refusal
        },
    }
}

/// Sends a part: at most 8 MiB, from the offset on that the upload has reached. After the last byte a job adds the model;
/// where none can begin (409), an empty part at the end tries again.
#[utoipa::path(
    patch,
    path = "/api/v1/uploads/{id}",
    tag = "uploads",
    params(
        ("id" = String, Path, description = "The id of the upload"),
        ("Upload-Offset" = u64, Header, description = "Where the part begins, in bytes")
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The part"),
    responses(
        (status = 204, description = "It was taken; after the last, Location has the job", headers(("Upload-Offset" = u64), ("Location" = String))),
        OfImport, OfRoom, OfState
    )
)]
pub(crate) async fn part(State(app): State<Arc<App>>, id: Id, uri: Uri, request: Request) -> Response {
    take(&app, id, request)
        .await
        .unwrap_or_else(|refusal| refusal.response(uri.path()))
}

async fn take(app: &Arc<App>, id: Id, request: Request) -> Result<Response, Refusal> {
    let who = who(app, request.extensions());
    let upload = app.uploads.find(&text(id)?)?;
    let offset = offset(request.headers())?;
    let body = Intake::new(request.into_body(), LARGEST_PART)?;
    let begin = || app.jobs.begin("model.add", &upload.new.name);
    let (conversation, running) = match upload.take(offset, body, begin).await {
        Ok(Part::Taken(offset)) => return Ok((StatusCode::NO_CONTENT, at(offset)).into_response()),
        Ok(Part::Last(conversation, running)) => (conversation, running),
        Err(Broken::Part(refusal)) => return Err(refusal),
        Err(Broken::Whole(refusal)) => {
            app.uploads.forget(&upload.id);
            return Err(refusal);
        }
    };
    let job = running.job().clone();
    upload.became(jobs::place(&job));
    tokio::spawn(pack(app.clone(), running, conversation, who));
    Ok((StatusCode::NO_CONTENT, at(upload.offset()), jobs::location(&job)).into_response())
}

/// Has the service make a model of a file that has come whole.
async fn pack(app: Arc<App>, running: Running, mut conversation: Conversation, who: String) {
    // Where the service takes no more, its next word says why.
    let finished = conversation.finish();
    if running.cancelled().run_until_cancelled(finished).await.is_some() {
        models::carry(app, running, conversation, who).await;
    }
}

fn at(offset: u64) -> [(HeaderName, HeaderValue); 1] {
    [(OFFSET, HeaderValue::from(offset))]
}

fn offset(headers: &HeaderMap) -> Result<u64, Refusal> {
    let told = headers.get(OFFSET).and_then(|value| value.to_str().ok());
    // A number's digits alone: what others read as another number must not be one here.
    let digits = told.filter(|told| told.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
        let detail = "the header Upload-Offset is wanted: where the part begins, in bytes";
        Refusal::new(Kind::Invalid, detail)
    })
}

/// How far an upload is.
#[utoipa::path(
    head,
    path = "/api/v1/uploads/{id}",
    tag = "uploads",
    params(("id" = String, Path, description = "The id of the upload")),
    responses((status = 204, description = "So far; for an hour after the last part, Location has the job", headers(("Upload-Offset" = u64), ("Location" = String))))
)]
pub(crate) async fn tell(State(app): State<Arc<App>>, id: Id, uri: Uri) -> Response {
    match text(id).and_then(|id| app.uploads.find(&id)) {
        Ok(upload) => {
            let job = upload.job().map(|job| [(header::LOCATION, job.to_owned())]);
            (StatusCode::NO_CONTENT, job, at(upload.offset())).into_response()
        }
        Err(refusal) => refusal.response(uri.path()),
    }
}

/// Gives an upload up; what has come of it is thrown away.
#[utoipa::path(
    delete,
    path = "/api/v1/uploads/{id}",
    tag = "uploads",
    params(("id" = String, Path, description = "The id of the upload")),
    responses((status = 204, description = "It is gone"), OfAbsence)
)]
pub(crate) async fn give_up(
    State(app): State<Arc<App>>,
    id: Id,
    uri: Uri,
    extensions: Extensions,
) -> Response {
    match text(id).and_then(|id| app.uploads.find(&id)) {
        Ok(upload) => {
            app.uploads.forget(&upload.id);
            let (who, id, model) = (who(&app, &extensions), &upload.id, &upload.new.name);
            tracing::info!(
                who,
                upload = id,
                model,
                "upload {id} of model {model} given up by {who}"
            );
            StatusCode::NO_CONTENT.into_response()
        }
        Err(refusal) => refusal.response(uri.path()),
    }
}

fn text(id: Id) -> Result<String, Refusal> {
    let Path(id) = id.map_err(|error| Refusal::new(Kind::Invalid, error.body_text()))?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_that_are_nearly_right() {
        let words: [&[u8]; 6] = [b"0", b"9", b"+", b"-", b"0x", b"18446744073709551616"];
        let campaign = fuzz::Campaign {
            name: "offset",
            seeds: vec![
                b"0".to_vec(),
                b"8388608".to_vec(),
                u64::MAX.to_string().into_bytes(),
            ],
            executions: 50_000,
            change: &|input, others, noise| fuzz::mutate::bytes(input, others, &words, noise),
        };
        let report = campaign.run(&std::env::temp_dir(), |input| {
            let value = HeaderValue::from_bytes(input).map_err(|_| "no header")?;
            let offset =
                offset(&HeaderMap::from_iter([(OFFSET, value)])).map_err(|refusal| refusal.detail)?;
            let digits = String::from_utf8_lossy(input).into_owned();
            assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{digits}");
            assert_eq!(format!("{offset:0>width$}", width = digits.len()), digits);
            Ok("an offset".to_owned())
        });
        report.show();
        assert!(report.taken > 1000 && report.outcomes >= 3, "{report}");
    }
}
