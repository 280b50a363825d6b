//! llama.cpp's server, asked for greedy tokens over a socket of its own.

use std::path::Path;
use std::time::Duration;

use ::tests::client::Client;
use ::tests::process::Process;
use ::tests::wait;
use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;

use crate::machine::bound;
use crate::sandbox::LlamaCpp;

/// How long a model may take to load.
const READY: Duration = Duration::from_secs(120);

/// A running server with a model. Killed when dropped.
#[derive(Debug)]
pub struct LlamaServer {
    client: Client,
    _process: Process,
    _folder: tempfile::TempDir,
}

#[derive(Deserialize)]
struct Completion {
    tokens: Vec<u32>,
}

impl LlamaServer {
    /// Starts it and waits until the model is loaded.
    pub fn start(llama_cpp: &LlamaCpp, model: &Path, flash_attention: bool) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder")?;
        // The name's ending tells llama.cpp that it is a Unix socket.
        let socket = folder.path().join("llama.sock");
        let models = model.parent().context("a model without a folder")?;
        let mut command = llama_cpp.command("llama-server", &[models], &[folder.path()]);
        command.arg("-m").arg(model).arg("--host").arg(&socket);
        command.args([
            "--ctx-size",
            "2048",
            "--parallel",
            "1",
            "--no-webui",
            "--threads",
            "2",
        ]);
        command.args(["--flash-attn", if flash_attention { "on" } else { "off" }]);
        let log = folder.path().join("log");
        let mut process = Process::start("llama-server", bound(&command), &log)?;
        let client = Client::unix(&socket);
        let ready = || {
            process.check()?;
            // Not there, or still loading: to be asked again.
            let health = client.get("/health");
            Ok(health.is_ok_and(|answer| answer.status() == 200).then_some(()))
        };
        wait::until("llama-server's model", READY, ready)?;
        Ok(Self {
            client,
            _process: process,
            _folder: folder,
        })
    }

    /// Continues a prompt by `count` tokens, the most likely one each time, ends of text included.
    pub fn greedy(&self, prompt: &[u32], count: usize) -> Result<Vec<u32>> {
        let order = json!({
            "prompt": prompt, "n_predict": count, "temperature": 0, "samplers": ["temperature"], "return_tokens": true,
            "cache_prompt": false, "ignore_eos": false, "n_probs": 0,
        });
        let completion: Completion = self.client.post("/completion", &order)?.expect(200)?.json()?;
        Ok(completion.tokens)
    }
}
