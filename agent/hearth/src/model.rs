//! `hearth model`: the models on the appliance's disk.

use crate::{
    cli::{self, Change, ModelCommand, Tokens},
    client::{Client, Reply},
    job,
    progress::Bar,
    resumable,
    screen::{self, BAD, WARN, line},
    upload::{Part, Upload, total},
};
use anyhow::{Context, anyhow, bail};
use api::engine::Engine;
use api::models::{
    LONGEST_TARGET, ModelChange, ModelSettings, Phase, Place, Progress, RemovedModel, Step, StoredModel,
    StoredModels, Verification, name_from_file,
};
use api::openai::KeepAlive;
use http_body_util::BodyExt;
use serde::Serialize;

const MODELS: &str = "/api/v1/models";
/// What is not set.
const USUAL: &str = "usual";
/// Longer than any line of an answer.
const LONGEST_LINE: usize = 16 << 20;

/// Opens what is to be added. This may wait for a pipe's other end, so it is done before signals are a runtime's.
pub(crate) fn open(command: &ModelCommand) -> anyhow::Result<Vec<Part>> {
    match command {
        ModelCommand::Add { files, name, .. } => Part::open_all(files, name.as_deref()),
        _ => Ok(Vec::new()),
    }
}

/// Adds the parts that were opened, lists, verifies or removes.
pub(crate) async fn model(client: &Client, command: ModelCommand, parts: Vec<Part>) -> anyhow::Result<()> {
    match command {
        ModelCommand::Add { name, json, .. } => add(client, parts, name, json).await,
        ModelCommand::List { json } => list(client, json).await,
        ModelCommand::Show { name, json } => show(client, &name, json).await,
        ModelCommand::Verify {
            name: Some(name),
            json,
        } => {
            let verified = verify_one(client, &name).await?;
            report(&[Outcome::Verified(verified)], json)
        }
        ModelCommand::Verify { name: None, json } => verify_all(client, json).await,
        ModelCommand::Release { name, json } => release(client, &name, json).await,
        ModelCommand::Set { name, change, json } => set(client, &name, &change, json).await,
        ModelCommand::GiveUp { id, json } => resumable::give_up(client, &id, json).await,
        ModelCommand::Remove { name, json } => remove(client, &name, json).await,
    }
}

async fn add(client: &Client, parts: Vec<Part>, name: Option<String>, json: bool) -> anyhow::Result<()> {
    let name = match name {
        Some(name) => name,
        None => {
            let found = name_from_file(&parts.first().context("no file was given")?.name);
            let told = |problem| anyhow!("{found:?} cannot be its name: {problem}; give one with --name");
            cli::model_name(&found).map_err(told)?
        }
    };
    let place = path_of(&name);
    if let (true, [part]) = (client.is_afar(), parts.as_slice())
        && let Some(size) = part.bytes
    {
        let job = resumable::send(client, part, name, size).await?;
        let job = job::ended(client, &job, None).await?;
        let model = serde_json::from_value(job.result.unwrap_or_default());
        let model: StoredModel = model.context("the job does not tell what has come of it")?;
        return there(&model, json);
    }
    let path = format!("{place}?{}", query(&parts));
    if path.len() > LONGEST_TARGET {
        bail!(
            "the names of all files make {} bytes of a request, and {LONGEST_TARGET} are the most; shorten them, or join files",
            path.len()
        );
    }
    let bar = Bar::new(total(&parts), "sending");
    let sent = bar.counter();
    let upload = Upload::begin(parts, move |bytes| sent.inc(bytes));
    let outcome = match client.upload(&path, upload).await {
        Ok(reply) => last_step(client, &path, reply, &bar).await,
        Err(error) => Err(error.into()),
    };
    drop(bar);
    match outcome? {
        Step::Added(model) => there(&model, json),
        step => Err(client.unexpected(&path, format!("it ends with {step:?}")).into()),
    }
}

fn there(model: &StoredModel, json: bool) -> anyhow::Result<()> {
    if json {
        return screen::json(model);
    }
    Ok(screen::print(&added(model))?)
}

fn added(model: &StoredModel) -> String {
    let id = screen::one_line(&model.id);
    let saved = model.bytes.saturating_sub(model.stored);
    let saving = match saved {
        0 => String::new(),
        saved => format!(", {} saved by compression", size(saved)),
    };
    format!(
        "{id} is there: {} on disk{saving}\nroot  {}\nask   hearth ask --model {id} \"…\"\n",
        size(model.stored),
        screen::one_line(model.root.as_deref().unwrap_or("none")),
    )
}

async fn release(client: &Client, name: &str, json: bool) -> anyhow::Result<()> {
    let path = format!("{}/quarantine", path_of(name));
    let engine: Engine = client.delete(&path).await?;
    if json {
        return screen::json(&engine);
    }
    let name = screen::one_line(name);
    Ok(screen::print(&format!("{name} may be loaded again\n"))?)
}

async fn list(client: &Client, json: bool) -> anyhow::Result<()> {
    let list: StoredModels = client.get(MODELS).await?;
    if json {
        return screen::json(&list);
    }
    let head = [
        "NAME",
        "FAMILY",
        "PARAMETERS",
        "TYPE",
        "ON DISK",
        "FROM",
        "ROOT",
        "SETTINGS",
    ];
    screen::print(&screen::table(head, list.models.iter().map(row)))?;
    for model in &list.models {
        if let Some(problem) = &model.problem {
            let (id, problem) = (screen::one_line(&model.id), screen::one_line(problem));
            screen::tell(format_args!("{WARN}{id} cannot be read: {problem}{WARN:#}"));
        }
    }
    Ok(())
}

async fn show(client: &Client, name: &str, json: bool) -> anyhow::Result<()> {
    let model: StoredModel = client.get(&path_of(name)).await?;
    if json {
        return screen::json(&model);
    }
    Ok(screen::print(&render(&model))?)
}

fn render(model: &StoredModel) -> String {
    let mut text = String::new();
    let told = |value: &Option<String>| screen::words([value]);
    line(&mut text, "Name", screen::one_line(&model.id));
    line(&mut text, "Maker's name", told(&model.name));
    line(&mut text, "Family", told(&model.family));
    line(
        &mut text,
        "Parameters",
        screen::known(model.parameters.map(count)),
    );
    line(&mut text, "Type", told(&model.kind));
    line(&mut text, "Context", screen::known(model.context));
    line(
        &mut text,
        "On disk",
        format!("{} of {}", size(model.stored), size(model.bytes)),
    );
    line(&mut text, "From", place(model.place));
    line(&mut text, "Root", told(&model.root));
    line(&mut text, "Settings", settings(&model.settings));
    if let Some(problem) = &model.problem {
        let problem = screen::one_line(problem);
        line(
            &mut text,
            "Problem",
            format!("{WARN}it cannot be read: {problem}{WARN:#}"),
        );
    }
    text
}

fn place(place: Place) -> &'static str {
    match place {
        Place::Image => "image",
        Place::Added => "added",
    }
}

fn row(model: &StoredModel) -> [String; 8] {
    let root = model
        .root
        .as_deref()
        .map(|root| root.chars().take(12).collect::<String>());
    [
        model.id.clone(),
        screen::known(model.family.as_ref()),
        screen::known(model.parameters.map(count)),
        screen::known(model.kind.as_ref()),
        size(model.stored),
        place(model.place).to_owned(),
        screen::known(root),
        settings(&model.settings),
    ]
}

async fn verify_all(client: &Client, json: bool) -> anyhow::Result<()> {
    let list: StoredModels = client.get(MODELS).await?;
    let mut outcomes = Vec::new();
    // A plain GGUF file has no hashes to compare.
    for model in list
        .models
        .iter()
        .filter(|model| model.root.is_some() || model.problem.is_some())
    {
        // One that cannot be verified does not keep the others from it.
        outcomes.push(match verify_one(client, &model.id).await {
            Ok(verification) => Outcome::Verified(verification),
            Err(error) => Outcome::Failed {
                id: model.id.clone(),
                problem: format!("{error:#}"),
            },
        });
    }
    report(&outcomes, json)
}

async fn verify_one(client: &Client, name: &str) -> anyhow::Result<Verification> {
    let path = format!("{}/verify", path_of(name));
    let bar = Bar::new(Some(0), "verifying");
    let reply = client.stream(&path, Vec::new()).await?;
    let outcome = last_step(client, &path, reply, &bar).await;
    drop(bar);
    match outcome? {
        Step::Verified(verification) => Ok(verification),
        step => Err(client.unexpected(&path, format!("it ends with {step:?}")).into()),
    }
}

/// What became of the verification of one model.
#[derive(Serialize)]
#[serde(untagged)]
enum Outcome {
    Verified(Verification),
    Failed { id: String, problem: String },
}

impl Outcome {
    fn shown(&self) -> String {
        match self {
            Self::Verified(verification) => verdict(verification),
            Self::Failed { id, problem } => {
                let (id, problem) = (screen::one_line(id), screen::one_line(problem));
                format!("{BAD}{id}: cannot be verified: {problem}{BAD:#}\n")
            }
        }
    }
}

/// Damage makes the command fail, so that a script hears of it, as does a model that cannot be verified.
fn report(outcomes: &[Outcome], json: bool) -> anyhow::Result<()> {
    if json {
        screen::json(&outcomes)?;
    } else {
        screen::print(&outcomes.iter().map(Outcome::shown).collect::<String>())?;
    }
    let (mut damaged, mut failed) = (0, 0);
    for outcome in outcomes {
        match outcome {
            Outcome::Verified(verification) => damaged += verification.damaged.len(),
            Outcome::Failed { .. } => failed += 1,
        }
    }
    match (damaged, failed) {
        (0, 0) => Ok(()),
        (0, 1) => bail!("1 model cannot be verified"),
        (0, failed) => bail!("{failed} models cannot be verified"),
        (1, _) => bail!("1 block is damaged; remove its model and add it again"),
        (damaged, _) => bail!("{damaged} blocks are damaged; remove their models and add them again"),
    }
}

fn verdict(verification: &Verification) -> String {
    let (id, blocks) = (screen::one_line(&verification.id), verification.blocks);
    if verification.damaged.is_empty() {
        return format!("{id}: whole, {blocks} blocks, {}\n", size(verification.stored));
    }
    let damaged = verification.damaged.iter().map(|damaged| {
        let tensors = match damaged.tensors.as_slice() {
            [] => "metadata".to_owned(),
            tensors => screen::one_line(&tensors.join(", ")),
        };
        let problem = screen::one_line(&damaged.problem);
        format!("  block {} {problem}; it holds {tensors}\n", damaged.block)
    });
    let of = verification.damaged.len();
    format!("{BAD}{id}: {of} of {blocks} blocks are damaged{BAD:#}\n") + &damaged.collect::<String>()
}

async fn remove(client: &Client, name: &str, json: bool) -> anyhow::Result<()> {
    let removed: RemovedModel = client.delete(&path_of(name)).await?;
    if json {
        return screen::json(&removed);
    }
    let id = screen::one_line(&removed.id);
    screen::print(&format!("{id} is gone, {} given back\n", size(removed.freed)))?;
    if let Some(note) = &removed.note {
        screen::tell(format_args!("{WARN}{}{WARN:#}", screen::one_line(note)));
    }
    Ok(())
}

async fn set(client: &Client, name: &str, change: &Change, json: bool) -> anyhow::Result<()> {
    let body = serde_json::to_vec(&changed(change))?;
    let model: StoredModel = client.patch(&path_of(name), body).await?;
    if json {
        return screen::json(&model);
    }
    let id = screen::one_line(&model.id);
    Ok(screen::print(&format!("{id}: {}\n", settings(&model.settings)))?)
}

fn changed(change: &Change) -> ModelChange {
    let keep_alive = |text: &String| (text != USUAL).then(|| KeepAlive::Text(text.clone()));
    let switch = |on: bool, off: bool| (on || off).then_some(on);
    ModelChange {
        keep_alive: change.keep_alive.as_ref().map(keep_alive),
        pin: switch(change.pin, change.no_pin),
        context: change.context.map(|Tokens(tokens)| tokens),
        default: switch(change.default, change.no_default),
    }
}

/// What is set, in few words.
fn settings(settings: &ModelSettings) -> String {
    let keep = settings.keep_alive.as_ref().map(|keep_alive| match keep_alive {
        KeepAlive::Text(text) => format!("keep {}", screen::one_line(text)),
        KeepAlive::Seconds(seconds) => format!("keep {seconds} s"),
    });
    let parts = [
        settings.default.then(|| "default".to_owned()),
        settings.pin.then(|| "pinned".to_owned()),
        keep,
        settings.context.map(|tokens| format!("context {tokens}")),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        USUAL.to_owned()
    } else {
        parts.join(", ")
    }
}

/// Where a model of a sound name is.
fn path_of(name: &str) -> String {
    format!("{MODELS}/{name}")
}

/// What the body holds.
fn query(parts: &[Part]) -> String {
    let part = |part: &Part| {
        let file = format!("file={}", escaped(&part.name));
        part.bytes
            .map_or(file.clone(), |bytes| format!("{file}&bytes={bytes}"))
    };
    parts.iter().map(part).collect::<Vec<_>>().join("&")
}

/// A text as a query may hold it (RFC 3986, section 2.1).
fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Reads steps to the last one, which must be there.
async fn last_step(client: &Client, path: &str, mut reply: Reply, bar: &Bar) -> anyhow::Result<Step> {
    let mut lines = Vec::new();
    while let Some(frame) = reply.response.body_mut().frame().await {
        let frame = frame.map_err(|source| client.broken(source))?;
        lines.extend_from_slice(&frame.into_data().unwrap_or_default());
        while let Some(end) = lines.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = lines.drain(..=end).collect();
            match serde_json::from_slice(&line).map_err(|error| client.unexpected(path, error))? {
                Step::Progress(progress) => advance(bar, progress),
                Step::Problem(problem) => bail!("{}", screen::one_line(&problem.detail)),
                step => return Ok(step),
            }
        }
        if lines.len() > LONGEST_LINE {
            return Err(client.unexpected(path, "a line without an end").into());
        }
    }
    Err(client
        .unexpected(path, "it broke off before its last line")
        .into())
}

fn advance(bar: &Bar, progress: Progress) {
    let word = match progress.phase {
        Phase::Packing => "packing",
        Phase::Verifying => "verifying",
    };
    bar.advance(word, progress.done, progress.total);
}

/// Bytes as people say them, in powers of ten as disks are sold.
fn size(bytes: u64) -> String {
    scaled(bytes, [" B", " kB", " MB", " GB", " TB"])
}

/// A number as models are called by it.
fn count(number: u64) -> String {
    scaled(number, ["", "K", "M", "B", "T"])
}

fn scaled(number: u64, units: [&str; 5]) -> String {
    let (mut value, mut unit) = (number as f64, 0);
    while value >= 999.5 && unit + 1 < units.len() {
        (value, unit) = (value / 1000.0, unit + 1);
    }
    let digits = if unit == 0 || value >= 99.95 { 0 } else { 1 };
    format!("{value:.digits$}{}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::models::DamagedBlock;

    #[test]
    fn sizes_and_counts_are_short() {
        let shown = [0, 999, 1000, 12_345, 134_515_008, 1_543_714_304].map(size);
        assert_eq!(shown, ["0 B", "999 B", "1.0 kB", "12.3 kB", "135 MB", "1.5 GB"]);
        assert_eq!([134_515_008, 7_241_732_096].map(count), ["135M", "7.2B"]);
        assert_eq!(size(u64::MAX), "18446744 TB");
    }

    #[test]
    fn settings_are_told_in_few_words() {
        assert_eq!(settings(&ModelSettings::default()), "usual");
        let all = ModelSettings {
            keep_alive: Some(KeepAlive::Text("30m".to_owned())),
            pin: true,
            context: Some(8192),
            default: true,
        };
        assert_eq!(settings(&all), "default, pinned, keep 30m, context 8192");
    }

    #[test]
    fn a_files_name_survives_the_query() {
        assert_eq!(escaped("a b&c=ü.gguf"), "a%20b%26c%3D%C3%BC.gguf");
    }

    #[test]
    fn damage_is_told_by_block() {
        let mut verification = Verification {
            id: "m".to_owned(),
            root: "ab".to_owned(),
            blocks: 3,
            stored: 10,
            damaged: vec![],
        };
        assert_eq!(verdict(&verification), "m: whole, 3 blocks, 10 B\n");
        assert!(report(&[Outcome::Verified(verification.clone())], false).is_ok());
        verification.damaged.push(DamagedBlock {
            block: 2,
            problem: "is missing".to_owned(),
            tensors: vec!["a\u{1b}".to_owned(), "b".to_owned()],
        });
        let shown = anstream::adapter::strip_str(&verdict(&verification)).to_string();
        assert_eq!(
            shown,
            "m: 1 of 3 blocks are damaged\n  block 2 is missing; it holds a\u{fffd}, b\n"
        );
        assert!(report(&[Outcome::Verified(verification)], true).is_err());
    }
}
