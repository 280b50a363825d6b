//! `/api/v1/jobs`: long work.

use super::{
    answer,
    page::{AnyPage, Page, page},
    power::who,
};
use crate::{
    app::App,
    openapi::{OfQuery, OfState},
    refusal::{Kind, Refusal},
};
use api::jobs::{Job, JobList};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{Extensions, HeaderName, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use std::sync::Arc;

type Id = Result<Path<String>, PathRejection>;

/// The answer to a request that has begun a job.
pub(crate) fn begun(job: &Job) -> Response {
    (StatusCode::ACCEPTED, location(job), Json(job)).into_response()
}

/// Where a job is found.
pub(crate) fn location(job: &Job) -> [(HeaderName, String); 1] {
    [(header::LOCATION, place(job))]
}

/// The path of a job.
pub(crate) fn place(job: &Job) -> String {
    format!("/api/v1/jobs/{}", job.id)
}

/// The jobs that go on, and those that have ended lately.
#[utoipa::path(
    get,
    path = "/api/v1/jobs",
    tag = "jobs",
    params(Page),
    responses((status = 200, description = "The jobs", body = JobList), OfQuery)
)]
pub(crate) async fn jobs(State(app): State<Arc<App>>, uri: Uri, wanted: AnyPage) -> Response {
    let page = page(app.jobs.list(), wanted, |job| &job.id);
    answer(&uri, page.map(|(jobs, next)| JobList { jobs, next }))
}

/// One job.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}",
    tag = "jobs",
    params(("id" = String, Path, description = "The id of the job")),
    responses((status = 200, description = "The job", body = Job))
)]
pub(crate) async fn job(State(app): State<Arc<App>>, id: Id, uri: Uri) -> Response {
    answer(&uri, text(id).and_then(|id| app.jobs.find(&id)))
}

/// Ends a job before its time. What has come of a model that is being added is thrown away; one that the engine has begun
/// to load, or to let go of, it may load or let go of all the same.
#[utoipa::path(
    delete,
    path = "/api/v1/jobs/{id}",
    tag = "jobs",
    params(("id" = String, Path, description = "The id of the job")),
    responses((status = 200, description = "The job that is cancelled", body = Job), OfState)
)]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    id: Id,
    uri: Uri,
    extensions: Extensions,
) -> Response {
    let cancelled = text(id).and_then(|id| app.jobs.cancel(&id));
    if let Ok(job) = &cancelled {
        let who = who(&app, &extensions);
        let subject = job.subject.as_deref().unwrap_or_default();
        tracing::info!(
            who,
            job = job.id,
            "job {} ({} {subject}) cancelled by {who}",
            job.id,
            job.kind
        );
    }
    answer(&uri, cancelled)
}

fn text(id: Id) -> Result<String, Refusal> {
    let Path(id) = id.map_err(|error| Refusal::new(Kind::Invalid, error.body_text()))?;
    Ok(id)
}
