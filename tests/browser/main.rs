//! The page in a browser, against the daemons on this host: Debian's chromium clicks through all of it. What no appliance
//! can be made to do, it sees of a made-up one. What clicks is `agent/gateway/dashboard/browser`, which says there how the
//! same is done against an appliance.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use engine::tiny::{self, Model, Shape};
use tests::host::{HostStack, Options, import, store_with, with_stack};

/// Tokens that a model looks back on.
const CONTEXT: u32 = 8192;
/// The name of the model whose answers are soon over, and of the one whose answers end with its context only.
const BRIEF: &str = "brief";
const ENDLESS: &str = "endless";
/// A model of a few megabytes: its upload has several parts.
const WIDE: Shape = Shape {
    family: "llama",
    width: 512,
    feed_forward: 2048,
    heads: 8,
    kv_heads: 4,
    head_dim: 64,
    layers: kernels::kind::Kind::Q4_1,
    embedding: kernels::kind::Kind::Q8_0,
    tied: true,
};

/// One that takes its time.
const WIDEST: Shape = Shape {
    width: 1024,
    feed_forward: 4096,
    heads: 16,
    kv_heads: 8,
    ..WIDE
};

#[test]
fn everything_on_the_page_works() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [brief, endless, sent] =
        [BRIEF, ENDLESS, "sent"].map(|name| folder.path().join(format!("{name}.gguf")));
    tiny::write(&brief, CONTEXT)?;
    std::fs::write(&endless, endless_model()?.bytes())?;
    std::fs::write(&sent, Model::of(&WIDE, CONTEXT).bytes())?;
    let store = store_with(BRIEF, &brief)?;
    import(store.path(), ENDLESS, &endless)?;
    let mut options = Options::models(store.path()).on("n100").inferd("--threads", 1);
    options.journalctl = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/journalctl"));
    with_stack(&options, |stack| click_through(stack, &sent))
}

/// A model that is so sure of each token that none of the marks, whose logits are 0, is ever drawn: nothing ends its
/// answers.
fn endless_model() -> Result<Model> {
    let mut model = Model::of(&WIDEST, CONTEXT);
    let norm = model
        .tensors
        .get_mut("output_norm.weight")
        .context("a model has a norm")?;
    let sure = norm
        .bytes
        .chunks_exact(4)
        .filter_map(|bytes| bytes.try_into().ok());
    norm.bytes = sure
        .flat_map(|bytes| (f32::from_le_bytes(bytes) * 50.0).to_le_bytes())
        .collect();
    Ok(model)
}

#[test]
fn the_page_bears_what_only_a_made_up_appliance_does() -> Result<()> {
    click(clicker()?.arg("--test-only"))
}

fn click_through(stack: &HostStack, model: &Path) -> Result<()> {
    is_built_in(stack)?;
    let mut clicker = clicker()?;
    clicker
        .env("HEARTH_URL", stack.url())
        .env("HEARTH_TOKEN", stack.token())
        .env("HEARTH_GGUF", model)
        .env("HEARTH_BRIEF", BRIEF)
        .env("HEARTH_ENDLESS", ENDLESS)
        .env("HEARTH_ON_HOST", "1");
    click(&mut clicker)
}

/// What clicks, in front of the made-up appliance until it is told of another.
fn clicker() -> Result<Command> {
    if !dashboard().join("node_modules/playwright-core").is_dir() {
        bail!(
            "there is no playwright-core in {}: run `just page`",
            dashboard().display()
        );
    }
    let browser = image::browser().context("there is no browser: install Debian's chromium, or Chrome")?;
    let mut node = Command::new("node");
    node.current_dir(dashboard())
        .arg("browser/main.mjs")
        .env_remove("HEARTH_URL")
        .env("CHROMIUM", browser);
    Ok(node)
}

fn click(clicker: &mut Command) -> Result<()> {
    let status = clicker
        .status()
        .with_context(|| format!("cannot start {clicker:?}; `just setup` installs npm, and node with it"))?;
    ensure!(status.success(), "the page fails in the browser: {status}");
    Ok(())
}

fn is_built_in(stack: &HostStack) -> Result<()> {
    let front = stack.client().get("/index.html")?;
    front
        .expect(200)
        .context("the gateway was built without its page: run `just page`, and build the gateway again")?;
    Ok(())
}

fn dashboard() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/gateway/dashboard")
}
