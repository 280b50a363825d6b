//! What an administrator has set of models: `settings.toml` beside those that were added.
//!
//! The import service alone writes it, for it alone may write there; the engine reads it for each request. A key that
//! nobody knows or a value that cannot be used is told and passed over: a slip must not take all models away.
//!
//! ```toml
//! default = "coder"          # loaded when the engine is started and nobody asks
//!
//! [models.coder]
//! keep_alive = "30m"         # how long it stays after an answer, as a request's `keep_alive`
//! pin = true                 # it is never parked for want of requests
//! context = 8192             # most tokens of a conversation
//! ```

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{fmt, fs, io};

use api::models::{ModelChange, ModelSettings};
use api::openai::KeepAlive as Told;
use toml::{Table, Value};

use crate::life::{KeepAlive, NoKeepAlive};

/// The file's name.
pub(crate) const FILE: &str = "settings.toml";
/// Tokens of a conversation that may be wanted, as of `--context`.
pub(crate) const CONTEXT: RangeInclusive<i64> = 64..=1_048_576;

const DEFAULT: &str = "default";
const MODELS: &str = "models";
const KEEP_ALIVE: &str = "keep_alive";
const PIN: &str = "pin";
const CONTEXT_KEY: &str = "context";

/// What is set, and what of the file cannot be used.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Settings {
    /// The model that is loaded when the engine is started and nobody asks.
    default: Option<String>,
    models: BTreeMap<String, Own>,
    /// A line each, with the key and the way out.
    pub(crate) problems: Vec<String>,
}

/// What is set of one model.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Own {
    /// How long it stays after an answer.
    pub(crate) keep_alive: Option<KeepAlive>,
    /// The same as it was written.
    told: Option<Told>,
    /// Whether it is never parked for want of requests.
    pub(crate) pin: bool,
    /// Most tokens of a conversation.
    pub(crate) context: Option<u32>,
}

impl Settings {
    /// The model that is to be loaded when the engine is started and nobody asks.
    pub(crate) fn default_model(&self) -> Option<&str> {
        self.default.as_deref()
    }

    /// What is set of a model.
    pub(crate) fn of(&self, model: &str) -> Own {
        self.models.get(model).cloned().unwrap_or_default()
    }

    /// The same for those who ask which models there are.
    pub(crate) fn told(&self, model: &str) -> ModelSettings {
        let own = self.of(model);
        ModelSettings {
            keep_alive: own.told,
            pin: own.pin,
            context: own.context,
            default: self.default_model() == Some(model),
        }
    }

    fn parse(text: &str) -> Self {
        let mut settings = Self::default();
        match text.parse::<Table>() {
            Ok(table) => table.iter().for_each(|(key, value)| settings.take(key, value)),
            Err(error) => settings
                .problems
                .push(format!("it is no TOML: {}", error.message())),
        }
        settings
    }

    fn take(&mut self, key: &str, value: &Value) {
        match (key, value) {
            (DEFAULT, Value::String(model)) => self.default = Some(model.clone()),
            (MODELS, Value::Table(models)) => models.iter().for_each(|(id, own)| self.take_model(id, own)),
            (DEFAULT, _) => self.problem("`default` is no text: it is the name of a model"),
            (MODELS, _) => {
                self.problem("`models` is no table: there is one for each model, as [models.NAME]")
            }
            (key, _) => self.problem(format!("`{key}` sets nothing; there are default and models")),
        }
    }

    fn take_model(&mut self, id: &str, own: &Value) {
        let Value::Table(own) = own else {
            return self.problem(format!("`models.{id}` is no table"));
        };
        let mut taken = Own::default();
        for (key, value) in own {
            if let Err(problem) = taken.take(key, value) {
                self.problem(format!("`models.{id}.{key}` is passed over: {problem}"));
            }
        }
        self.models.insert(id.to_owned(), taken);
    }

    fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }
}

impl Own {
    fn take(&mut self, key: &str, value: &Value) -> Result<(), String> {
        match (key, value) {
            (KEEP_ALIVE, value) => {
                let told = told(value).ok_or_else(|| NoKeepAlive.to_string())?;
                self.keep_alive = Some(keep_alive(&told).map_err(|error| error.to_string())?);
                self.told = Some(told);
            }
            (PIN, Value::Boolean(pin)) => self.pin = *pin,
            (PIN, _) => return Err("it is true or false".to_owned()),
            (CONTEXT_KEY, Value::Integer(tokens)) if CONTEXT.contains(tokens) => {
                self.context = u32::try_from(*tokens).ok();
            }
            (CONTEXT_KEY, _) => return Err(no_context()),
            _ => return Err(format!("there are {KEEP_ALIVE}, {PIN} and {CONTEXT_KEY}")),
        }
        Ok(())
    }
}

fn told(value: &Value) -> Option<Told> {
    match value {
        Value::String(text) => Some(Told::Text(text.clone())),
        Value::Integer(seconds) => Some(Told::Seconds(*seconds as f64)),
        Value::Float(seconds) => Some(Told::Seconds(*seconds)),
        _ => None,
    }
}

/// What a setting means: beside what a request may say, a text of whole seconds.
fn keep_alive(told: &Told) -> Result<KeepAlive, NoKeepAlive> {
    match told {
        Told::Seconds(seconds) => KeepAlive::seconds(*seconds),
        Told::Text(text) => text.parse(),
    }
}

fn no_context() -> String {
    format!(
        "it is a number of tokens from {} to {}",
        CONTEXT.start(),
        CONTEXT.end()
    )
}

/// The file of a folder; where it cannot be read it sets nothing, and that is a problem unless there is none.
pub(crate) fn read(folder: &Path) -> Settings {
    match text(folder) {
        Ok(text) => Settings::parse(&text),
        Err(error) => Settings {
            problems: vec![format!("it cannot be read: {error}")],
            ..Settings::default()
        },
    }
}

fn text(folder: &Path) -> io::Result<String> {
    match fs::read_to_string(folder.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        text => text,
    }
}

/// The file of the last folder of models that has one, and what was told of it.
#[derive(Debug)]
pub(crate) struct Reader {
    folders: Vec<PathBuf>,
    told: Mutex<Vec<String>>,
}

impl Reader {
    /// Looks into these folders.
    pub(crate) fn new(folders: &[PathBuf]) -> Self {
        Self {
            folders: folders.to_vec(),
            told: Mutex::default(),
        }
    }

    /// Reads it. What is wrong with it is told to the journal when it is first seen.
    pub(crate) fn read(&self) -> Settings {
        let mut folders = self.folders.iter().rev();
        let Some(folder) = folders.find(|folder| folder.join(FILE).exists()) else {
            return Settings::default();
        };
        let settings = read(folder);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != settings.problems {
            for problem in &settings.problems {
                tracing::warn!("{}: {problem}", folder.join(FILE).display());
            }
            told.clone_from(&settings.problems);
        }
        settings
    }
}

/// Why nothing was changed, in one line.
#[derive(Debug)]
pub(crate) enum ChangeError {
    /// What was asked for cannot be set, or what is in the file must be mended first.
    Wrong(String),
    /// The file cannot be read or written.
    File(String),
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Wrong(reason) | Self::File(reason)) = self;
        f.write_str(reason)
    }
}

/// Changes what is set of a model, and leaves the rest of the file as it says, but for comments, which are lost.
///
/// # Errors
/// Nothing is changed then.
pub(crate) fn change(folder: &Path, id: &str, change: &ModelChange) -> Result<(), ChangeError> {
    edit(folder, |file| apply(file, id, change))
}

/// Forgets what was set of a model.
///
/// # Errors
/// Nothing is changed then.
pub(crate) fn forget(folder: &Path, id: &str) -> Result<(), ChangeError> {
    if !folder.join(FILE).exists() {
        return Ok(());
    }
    edit(folder, |file| {
        models(file)?.remove(id);
        if file.get(DEFAULT).and_then(Value::as_str) == Some(id) {
            file.remove(DEFAULT);
        }
        Ok(())
    })
}

fn edit(folder: &Path, edit: impl FnOnce(&mut Table) -> Result<(), String>) -> Result<(), ChangeError> {
    let path = folder.join(FILE);
    let of_file = |error: io::Error| ChangeError::File(format!("{}: {error}", path.display()));
    let file = text(folder).map_err(of_file)?.parse::<Table>();
    let mut file = file.map_err(|error| {
        let problem = format!("it is no TOML ({}); mend or remove it", error.message());
        ChangeError::Wrong(format!("{}: {problem}", path.display()))
    })?;
    edit(&mut file).map_err(ChangeError::Wrong)?;
    write(folder, &file).map_err(of_file)
}

/// The new file takes the old one's place when it is whole.
fn write(folder: &Path, file: &Table) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let (path, incoming) = (folder.join(FILE), folder.join("settings.incoming"));
    let mut written = fs::File::create(&incoming)?;
    io::Write::write_all(&mut written, file.to_string().as_bytes())?;
    written.sync_all()?;
    fs::rename(&incoming, &path)?;
    // What is told to be set is set also after a loss of power.
    fs::File::open(folder)?.sync_all()
}

fn models(file: &mut Table) -> Result<&mut Table, String> {
    let models = file.entry(MODELS).or_insert_with(|| Table::new().into());
    models
        .as_table_mut()
        .ok_or_else(|| format!("`{MODELS}` in {FILE} is no table; mend or remove it"))
}

fn apply(file: &mut Table, id: &str, change: &ModelChange) -> Result<(), String> {
    match change.default {
        Some(true) => drop(file.insert(DEFAULT.to_owned(), id.into())),
        Some(false) if file.get(DEFAULT).and_then(Value::as_str) == Some(id) => drop(file.remove(DEFAULT)),
        _ => {}
    }
    let own = models(file)?.entry(id).or_insert_with(|| Table::new().into());
    let own = own
        .as_table_mut()
        .ok_or_else(|| format!("`{MODELS}.{id}` in {FILE} is no table; mend or remove it"))?;
    if let Some(told) = &change.keep_alive {
        set(own, KEEP_ALIVE, told.as_ref().map(checked).transpose()?);
    }
    if let Some(pin) = change.pin {
        set(own, PIN, pin.then_some(pin.into()));
    }
    if let Some(context) = change.context {
        set(own, CONTEXT_KEY, context.map(checked_context).transpose()?);
    }
    if own.is_empty() {
        models(file)?.remove(id);
    }
    Ok(())
}

/// What is set as it is by default does not stand in the file.
fn set(own: &mut Table, key: &str, value: Option<Value>) {
    match value {
        Some(value) => drop(own.insert(key.to_owned(), value)),
        None => drop(own.remove(key)),
    }
}

fn checked(told: &Told) -> Result<Value, String> {
    keep_alive(told).map_err(|error| format!("`{KEEP_ALIVE}`: {error}"))?;
    Ok(match told {
        Told::Seconds(seconds) => Value::Float(*seconds),
        Told::Text(text) => Value::String(text.clone()),
    })
}

fn checked_context(tokens: u32) -> Result<Value, String> {
    let tokens = i64::from(tokens);
    if CONTEXT.contains(&tokens) {
        Ok(tokens.into())
    } else {
        Err(format!("`{CONTEXT_KEY}`: {}", no_context()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TEXT: &str = r#"
        default = "coder"
        [models.coder]
        keep_alive = "30m"
        pin = true
        context = 8192
        [models."smollm2-135m.q4"]
        keep_alive = -1
    "#;

    #[test]
    fn what_is_written_is_set() {
        let settings = Settings::parse(TEXT);
        assert_eq!(settings.problems, Vec::<String>::new());
        assert_eq!(settings.default_model(), Some("coder"));
        let coder = settings.of("coder");
        assert_eq!(coder.keep_alive, Some(KeepAlive::For(Duration::from_secs(1800))));
        assert_eq!((coder.pin, coder.context), (true, Some(8192)));
        let other = settings.of("smollm2-135m.q4");
        assert_eq!((other.keep_alive, other.pin), (Some(KeepAlive::Ever), false));
        assert_eq!(settings.of("none"), Own::default());
        assert!(settings.told("coder").default && !settings.told("none").default);
    }

    #[test]
    fn a_slip_is_told_by_its_key_and_the_rest_holds() {
        for (line, key) in [
            ("keep_alive = \"5 minutes\"", "models.m.keep_alive"),
            ("keep_alive = true", "models.m.keep_alive"),
            ("pin = \"yes\"", "models.m.pin"),
            ("context = 7", "models.m.context"),
            ("colour = 1", "models.m.colour"),
        ] {
            let settings = Settings::parse(&format!(
                "default = \"m\"\n[models.m]\n{line}\n[models.n]\npin = true\n"
            ));
            assert_eq!(settings.problems.len(), 1, "{line}");
            assert!(settings.problems[0].contains(key), "{settings:?}");
            assert_eq!(
                (settings.default_model(), settings.of("n").pin),
                (Some("m"), true)
            );
        }
        for text in [
            "default = 1",
            "models = 1",
            "keep = 1",
            "[models]\nm = 1",
            "default",
        ] {
            assert_eq!(Settings::parse(text).problems.len(), 1, "{text}");
        }
    }

    #[test]
    fn a_change_leaves_the_rest_and_what_is_usual_is_not_written() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        fs::write(
            folder.join(FILE),
            "later = 1\n[models.other]\npin = true\nnew = 2\n",
        )
        .unwrap();
        let all = ModelChange {
            keep_alive: Some(Some(Told::Text("1h".to_owned()))),
            pin: Some(true),
            context: Some(Some(1024)),
            default: Some(true),
        };
        change(folder, "m", &all).unwrap();
        let text = fs::read_to_string(folder.join(FILE)).unwrap();
        assert!(text.contains("later = 1") && text.contains("new = 2"), "{text}");
        let told = read(folder).told("m");
        assert_eq!(
            (told.keep_alive, told.context),
            (Some(Told::Text("1h".to_owned())), Some(1024))
        );
        assert!(told.pin && told.default);
        let usual = ModelChange {
            keep_alive: Some(None),
            pin: Some(false),
            context: Some(None),
            default: Some(false),
        };
        change(folder, "m", &usual).unwrap();
        let text = fs::read_to_string(folder.join(FILE)).unwrap();
        assert!(
            !text.contains("[models.m]") && !text.contains("default"),
            "{text}"
        );
        assert!(read(folder).of("other").pin);
    }

    #[test]
    fn what_cannot_be_set_changes_nothing() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        let bad = |keep_alive: Option<Told>, context| ModelChange {
            keep_alive: keep_alive.map(Some),
            context,
            ..ModelChange::default()
        };
        for (wrong, name) in [
            (bad(Some(Told::Text("soon".to_owned())), None), "keep_alive"),
            (bad(Some(Told::Seconds(f64::NAN)), None), "keep_alive"),
            (bad(None, Some(Some(1))), "context"),
        ] {
            let error = change(folder, "m", &wrong).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
            assert!(!folder.join(FILE).exists());
        }
        fs::write(folder.join(FILE), "broken").unwrap();
        let error = change(folder, "m", &ModelChange::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains(FILE), "{error}");
    }

    #[test]
    fn a_removed_model_is_forgotten() {
        let place = tempfile::tempdir().unwrap();
        forget(place.path(), "coder").unwrap();
        assert!(!place.path().join(FILE).exists(), "nothing was set");
        fs::write(place.path().join(FILE), TEXT).unwrap();
        forget(place.path(), "coder").unwrap();
        let settings = read(place.path());
        assert_eq!(
            (settings.default_model(), settings.of("coder").pin),
            (None, false)
        );
        assert_eq!(settings.of("smollm2-135m.q4").keep_alive, Some(KeepAlive::Ever));
    }
}
