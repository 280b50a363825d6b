//! `hearth job`: long work.

use crate::{
    cli::JobCommand,
    client::Client,
    patience::Patience,
    progress::Bar,
    screen::{self, line},
};
use anyhow::bail;
use api::jobs::{Job, JobList, JobState};
use std::time::Duration;
use tokio::time::sleep;

const JOBS: &str = "/api/v1/jobs";
/// How often a job is asked after that is waited for.
const EVERY: Duration = Duration::from_millis(500);

/// Lists, shows, waits or ends.
pub(crate) async fn job(client: &Client, command: JobCommand) -> anyhow::Result<()> {
    match command {
        JobCommand::List { json } => list(client, json).await,
        JobCommand::Show { id, json } => show(&client.get(&path(&id)).await?, json),
        JobCommand::Wait { id, json } => {
            // Where nobody answers the first question that is told at once, as to whoever asks for anything else.
            let job = client.get(&path(&id)).await?;
            show(&ended(client, &id, Some(job)).await?, json)
        }
        JobCommand::Cancel { id, json } => show(&client.delete(&path(&id)).await?, json),
    }
}

async fn list(client: &Client, json: bool) -> anyhow::Result<()> {
    let list: JobList = client.get(JOBS).await?;
    if json {
        return screen::json(&list);
    }
    if list.jobs.is_empty() {
        return Ok(screen::print("no job goes on, and none has ended lately\n")?);
    }
    let rows = list.jobs.into_iter().map(|job| {
        let progress = screen::known(share(&job));
        let subject = job.subject.unwrap_or_default();
        [
            job.id,
            job.kind,
            subject,
            state(job.state).to_owned(),
            progress,
            job.started,
        ]
    });
    let head = ["ID", "KIND", "OF", "STATE", "PROGRESS", "STARTED"];
    Ok(screen::print(&screen::table(head, rows))?)
}

fn show(job: &Job, json: bool) -> anyhow::Result<()> {
    if json {
        return screen::json(job);
    }
    let mut text = String::new();
    let subject = job.subject.as_deref().unwrap_or_default();
    line(
        &mut text,
        "Job",
        screen::one_line(&format!("{} {subject}", job.kind)),
    );
    line(&mut text, "State", state(job.state));
    if let Some(share) = share(job) {
        line(&mut text, "Progress", share);
    }
    if let Some(problem) = &job.problem {
        line(&mut text, "Problem", screen::one_line(&problem.detail));
    }
    line(&mut text, "Started", screen::one_line(&job.started));
    if let Some(ended) = &job.ended {
        line(&mut text, "Ended", screen::one_line(ended));
    }
    Ok(screen::print(&text)?)
}

/// How far a job is, if it tells.
pub(crate) fn share(job: &Job) -> Option<String> {
    let progress = job.progress.as_ref().filter(|progress| progress.total > 0)?;
    Some(format!(
        "{:.0} %",
        100.0 * progress.done as f64 / progress.total as f64
    ))
}

/// A job's state in words.
pub(crate) fn state(state: JobState) -> &'static str {
    match state {
        JobState::Running => "goes on",
        JobState::Done => "done",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}

/// Waits for a job's end, which must be a good one, from how it was seen last. Whoever does not want to wait any more leaves
/// the job as it is, and a line that breaks does, too.
pub(crate) async fn ended(client: &Client, id: &str, mut seen: Option<Job>) -> anyhow::Result<Job> {
    let path = path(id);
    let bar = Bar::new(None, "working");
    let way_out = format!("the job goes on, and \"hearth job wait {id}\" waits for its end");
    let mut patience = Patience::default();
    loop {
        let job = match seen.take() {
            Some(job) => job,
            None => match client.get(&path).await {
                Ok(job) => job,
                Err(error) => {
                    patience.endure(error, &bar.counter(), &way_out).await?;
                    continue;
                }
            },
        };
        patience = Patience::default();
        match job.state {
            JobState::Running => bar.show(&job.progress),
            JobState::Done => return Ok(job),
            JobState::Cancelled => bail!("it was cancelled"),
            JobState::Failed => {
                let why = job.problem.map(|problem| screen::one_line(&problem.detail));
                bail!(
                    "{}",
                    why.unwrap_or_else(|| "it has failed, and does not say why".to_owned())
                );
            }
        }
        sleep(EVERY).await;
    }
}

fn path(id: &str) -> String {
    format!("{JOBS}/{id}")
}
