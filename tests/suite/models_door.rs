//! Models that are added while the daemons run: by the command, over REST, and by clients that leave off.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use api::models::{Place, RemovedModel, StoredModel, StoredModels, Verification};
use api::openai::ModelList;
use api::rest::{CreatedToken, NewToken, Problem, Role};
use bytes::Bytes;
use engine::tiny::{self, bad};
use nix::sys::signal::Signal;
use store::metadata::Value;
use tests::client::{greedy, said};
use tests::host::HostStack;
use tests::process::{output, send};
use tests::wait;

use crate::models::{TINY, with_tiny};

/// How long the import service may take to end.
const ENDING: Duration = Duration::from_secs(20);

fn local(stack: &HostStack) -> Result<Command> {
    let mut hearth = stack.hearth()?;
    hearth.arg("--socket").arg(stack.local_socket());
    Ok(hearth)
}

fn remote(stack: &HostStack) -> Result<Command> {
    let mut hearth = stack.hearth()?;
    hearth
        .args(["--host", &stack.url()])
        .env("HEARTH_TOKEN", stack.token());
    Ok(hearth)
}

/// What a command that must fail says.
fn failure(command: &mut Command) -> Result<String> {
    let Output { status, stderr, .. } = command.output()?;
    let words = String::from_utf8_lossy(&stderr).into_owned();
    ensure!(status.code() == Some(1), "{status}: {words}");
    Ok(words)
}

/// A made-up model's file in the stack's folder.
fn tiny_file(stack: &HostStack, name: &str) -> Result<PathBuf> {
    let path = stack.folder().join(name);
    tiny::write(&path, 128)?;
    Ok(path)
}

fn listed(stack: &HostStack) -> Result<Vec<StoredModel>> {
    let list = output(local(stack)?.args(["model", "list", "--json"]))?;
    Ok(serde_json::from_str::<StoredModels>(&list)?.models)
}

/// Files of the store that are empty, and stay: who holds one has the store, the import, the models' settings.
const LOCKS: [&str; 3] = ["lock", "turn", "settings.turn"];

/// Files of the store, but for its locks.
fn files(stack: &HostStack) -> Result<Vec<PathBuf>> {
    let mut folders = vec![stack.store()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if !LOCKS.iter().any(|lock| path.ends_with(lock)) {
                files.push(path);
            }
        }
    }
    Ok(files)
}

#[test]
fn a_model_is_added_asked_verified_and_removed() -> Result<()> {
    with_tiny(128, 4, |stack| {
        let file = tiny_file(stack, "New.Model.gguf")?;
        let before = stack.admin().chat(&greedy(TINY, "hello", 20))?;
        let added = output(local(stack)?.args(["model", "add", "--json"]).arg(&file))?;
        let added: StoredModel = serde_json::from_str(&added)?;
        ensure!(
            added.id == "new.model" && added.place == Place::Added,
            "{added:?}"
        );
        stands_in_the_lists(stack, &added)?;
        let answer = stack.admin().chat(&greedy("new.model", "hello", 20))?;
        ensure!(
            said(&answer)? == said(&before)?,
            "the same model says something else"
        );
        ensure!(stack.inferd_starts() == 1, "the engine was started again");
        is_verified_until_a_byte_flips(stack)?;
        is_removed_and_let_go_of(stack, &added)?;
        let words = failure(local(stack)?.args(["model", "remove", TINY]))?;
        ensure!(words.contains("409") && words.contains("image"), "{words}");
        Ok(())
    })
}

/// The model `new.model` beside the image's own: for programs, on the screen, and to clients of OpenAI's.
fn stands_in_the_lists(stack: &HostStack, added: &StoredModel) -> Result<()> {
    let all = listed(stack)?;
    let places: Vec<_> = all.iter().map(|model| (model.id.as_str(), model.place)).collect();
    ensure!(
        places == [(TINY, Place::Image), ("new.model", Place::Added)],
        "{places:?}"
    );
    ensure!(all[1] == *added, "{all:?}");
    let screen = output(local(stack)?.args(["model", "list"]))?;
    ensure!(
        screen.contains("new.model") && screen.contains("llama"),
        "{screen}"
    );
    let models: ModelList = stack.admin().get("/v1/models")?.expect(200)?.json()?;
    ensure!(
        models.data.iter().any(|model| model.id == "new.model"),
        "{models:?}"
    );
    Ok(())
}

fn is_verified_until_a_byte_flips(stack: &HostStack) -> Result<()> {
    let verified = output(local(stack)?.args(["model", "verify", "--json"]))?;
    let verified: Vec<Verification> = serde_json::from_str(&verified)?;
    ensure!(
        verified.len() == 2 && verified.iter().all(|model| model.damaged.is_empty()),
        "{verified:?}"
    );
    flip_a_byte(&stack.store().join("blocks"))?;
    let damaged = local(stack)?.args(["model", "verify", "new.model"]).output()?;
    let told = String::from_utf8_lossy(&damaged.stdout);
    ensure!(
        damaged.status.code() == Some(1) && told.contains("  block "),
        "{damaged:?}"
    );
    Ok(())
}

/// `new.model` is loaded when it is removed.
fn is_removed_and_let_go_of(stack: &HostStack, added: &StoredModel) -> Result<()> {
    let removed = output(local(stack)?.args(["model", "remove", "new.model", "--json"]))?;
    let removed: RemovedModel = serde_json::from_str(&removed)?;
    ensure!(removed.freed == added.stored, "{removed:?}");
    let models: ModelList = stack.admin().get("/v1/models")?.expect(200)?.json()?;
    ensure!(models.data.len() == 1, "{models:?}");
    stack
        .admin()
        .post("/v1/chat/completions", &greedy("new.model", "hello", 1))?
        .expect(404)?;
    ensure!(files(stack)?.is_empty(), "{:?}", files(stack)?);
    let words = failure(local(stack)?.args(["model", "remove", "new.model"]))?;
    ensure!(words.contains("404"), "{words}");
    Ok(())
}

fn flip_a_byte(blocks: &Path) -> Result<()> {
    let home = fs::read_dir(blocks)?.next().context("no block")??.path();
    let block = fs::read_dir(home)?.next().context("no block")??.path();
    let mut bytes = fs::read(&block)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::set_permissions(&block, fs::Permissions::from_mode(0o644))?;
    Ok(fs::write(&block, bytes)?)
}

#[test]
fn a_file_comes_by_a_pipe_and_from_afar() -> Result<()> {
    with_tiny(128, 4, |stack| {
        let file = tiny_file(stack, "x.gguf")?;
        for (name, mut command) in [("piped", local(stack)?), ("afar", remote(stack)?)] {
            command.args(["model", "add", "-", "--name", name]);
            let words = output(command.stdin(File::open(&file)?))?;
            ensure!(words.contains(name) && words.contains("root"), "{words}");
        }
        let all = listed(stack)?;
        ensure!(all.len() == 3, "{all:?}");
        let words = failure(
            local(stack)?
                .args(["model", "add", "-"])
                .stdin(File::open(&file)?),
        )?;
        ensure!(words.contains("--name"), "{words}");
        Ok(())
    })
}

/// From afar a file comes in parts and its job is waited for, and what is no model is refused by the job.
#[test]
fn a_file_from_afar_is_a_job() -> Result<()> {
    with_tiny(128, 4, |stack| {
        let file = tiny_file(stack, "far.gguf")?;
        let added = output(remote(stack)?.args(["model", "add", "--json"]).arg(&file))?;
        let added: StoredModel = serde_json::from_str(&added)?;
        ensure!(added.id == "far" && listed(stack)?.contains(&added), "{added:?}");
        let jobs = output(remote(stack)?.args(["job", "list"]))?;
        ensure!(jobs.contains("model.add") && jobs.contains("done"), "{jobs}");
        let cut = stack.folder().join("cut.gguf");
        fs::write(&cut, &fs::read(&file)?[..1000])?;
        let words = failure(remote(stack)?.args(["model", "add"]).arg(&cut))?;
        ensure!(words.contains("cut.gguf"), "{words}");
        let kept = listed(stack)?.len();
        ensure!(kept == 2, "{kept} models");
        Ok(())
    })
}

#[test]
fn a_split_model_is_one() -> Result<()> {
    with_tiny(128, 4, |stack| {
        let whole = tiny::Model::new(128);
        let tensors = whole.tensors.len() as i128;
        let part = |number: i128| {
            let mut part = whole.clone();
            let mut index = 0;
            part.tensors.retain(|_, _| {
                index += 1;
                (index - 1) % 2 == number
            });
            for (key, value) in [("no", number), ("count", 2), ("tensors.count", tensors)] {
                part.metadata
                    .insert(format!("split.{key}"), Value::Integer(value));
            }
            let path = stack
                .folder()
                .join(format!("two-{:05}-of-00002.gguf", number + 1));
            fs::write(&path, part.bytes())?;
            anyhow::Ok(path)
        };
        let parts = [part(0)?, part(1)?];
        let words = failure(local(stack)?.args(["model", "add"]).arg(&parts[0]))?;
        ensure!(words.contains("split.count"), "{words}");
        output(local(stack)?.args(["model", "add"]).args(&parts))?;
        let answer = stack.admin().chat(&greedy("two", "hello", 20))?;
        let expected = stack.admin().chat(&greedy(TINY, "hello", 20))?;
        ensure!(said(&answer)? == said(&expected)?, "{answer:?}");
        Ok(())
    })
}

#[test]
fn what_is_refused_is_told_why_and_leaves_nothing() -> Result<()> {
    with_tiny(128, 4, |stack| {
        let zip = stack.folder().join("zip.gguf");
        fs::write(&zip, [b"PK\x03\x04".as_slice(), &[7; 3 << 20]].concat())?;
        let words = failure(remote(stack)?.args(["model", "add"]).arg(&zip))?;
        ensure!(
            words.contains("not a GGUF file") && words.contains("zip.gguf"),
            "{words}"
        );
        let other = stack.folder().join("other.gguf");
        let mut model = tiny::Model::new(128);
        model
            .metadata
            .insert("general.architecture".to_owned(), Value::Text("mamba".to_owned()));
        fs::write(&other, model.bytes())?;
        let words = failure(local(stack)?.args(["model", "add"]).arg(&other))?;
        ensure!(
            words.contains("mamba") && words.contains("llama"),
            "the families that are supported: {words}"
        );
        let file = tiny_file(stack, "x.gguf")?;
        let words = failure(local(stack)?.args(["model", "add", "--name", TINY]).arg(&file))?;
        ensure!(words.contains("image") && words.contains("409"), "{words}");
        ensure!(files(stack)?.is_empty(), "{:?}", files(stack)?);
        // More than any disk has, told before a byte of it is sent.
        let mut client = UnixStream::connect(stack.local_socket())?;
        client.write_all(
            b"PUT /api/v1/models/huge HTTP/1.1\r\nHost: h\r\nContent-Length: 4000000000000\r\n\r\n",
        )?;
        let mut answer = [0; 12];
        client.read_exact(&mut answer)?;
        ensure!(&answer == b"HTTP/1.1 507", "{}", String::from_utf8_lossy(&answer));
        Ok(())
    })
}

/// Each by the real door, one after the other: the gateway, the import service that parses it, and the command.
#[test]
fn bad_models_are_refused_with_file_place_and_reason_and_leave_the_store_as_it_was() -> Result<()> {
    with_tiny(128, 4, |stack| {
        let good = tiny_file(stack, "good.gguf")?;
        output(local(stack)?.args(["model", "add"]).arg(&good))?;
        let before = contents(stack)?;
        for bad in [bad::heads(), bad::models(), bad::hungry()].concat() {
            let name = format!("{}.gguf", bad.name);
            let file = stack.folder().join(&name);
            fs::write(&file, &bad.bytes)?;
            let words = failure(local(stack)?.args(["model", "add"]).arg(&file))?;
            ensure!(words.contains(&name), "{name}: {words}");
            for says in &bad.says {
                ensure!(words.contains(says), "{name}: {words}\nand not: {says}");
            }
            ensure!(contents(stack)? == before, "{name} changed the store");
        }
        wait::until("the import services' end", ENDING, || {
            Ok(stack.import_pids()?.is_empty().then_some(()))
        })?;
        ensure!(listed(stack)?.len() == 2, "{:?}", listed(stack)?);
        said(&stack.admin().chat(&greedy("good", "hello", 5))?)?;
        Ok(())
    })
}

/// Files of the store and what is in them.
fn contents(stack: &HostStack) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let paths = files(stack)?.into_iter();
    paths.map(|path| Ok((path.clone(), fs::read(path)?))).collect()
}

#[test]
fn of_a_client_that_leaves_half_way_nothing_remains() -> Result<()> {
    with_tiny(128, 4, |stack| {
        let file = fs::read(tiny_file(stack, "x.gguf")?)?;
        let begin = || -> Result<UnixStream> {
            let mut client = UnixStream::connect(stack.local_socket())?;
            let head = format!(
                "PUT /api/v1/models/half HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
                file.len()
            );
            client.write_all(head.as_bytes())?;
            client.write_all(&file[..file.len() / 2])?;
            wait::until("the import service", ENDING, || {
                Ok((!stack.import_pids()?.is_empty()).then_some(()))
            })?;
            Ok(client)
        };
        let ended = || {
            wait::until("the import service's end", ENDING, || {
                Ok(stack.import_pids()?.is_empty().then_some(()))
            })
        };
        drop(begin()?);
        ended()?;
        ensure!(listed(stack)?.len() == 1, "{:?}", listed(stack)?);
        ensure!(files(stack)?.is_empty(), "{:?}", files(stack)?);
        ended()?;
        // The other end of the same: the service is killed, and its client is told.
        let mut client = begin()?;
        for pid in stack.import_pids()? {
            send(pid, Signal::SIGKILL)?;
        }
        client.write_all(&file[file.len() / 2..])?;
        let mut answer = [0; 12];
        client.read_exact(&mut answer)?;
        ensure!(&answer == b"HTTP/1.1 502", "{}", String::from_utf8_lossy(&answer));
        ended()?;
        ensure!(files(stack)?.is_empty(), "{:?}", files(stack)?);
        let whole = stack.folder().join("x.gguf");
        output(local(stack)?.args(["model", "add", "--name", "half"]).arg(whole))?;
        Ok(())
    })
}

#[test]
fn only_administrators_change_models() -> Result<()> {
    with_tiny(128, 4, |stack| {
        let new = NewToken {
            name: "wall".to_owned(),
            role: Role::Read,
        };
        let made: CreatedToken = stack.admin().post("/api/v1/tokens", &new)?.expect(201)?.json()?;
        let reader = stack.client().with_token(&made.secret);
        for (method, path) in [
            ("PUT", "/api/v1/models/x"),
            ("POST", "/api/v1/models/x/verify"),
            ("DELETE", "/api/v1/models/x"),
        ] {
            let problem: Problem = reader
                .exchange(method, path, Bytes::from_static(b"GGUF"))?
                .expect(403)?
                .json()?;
            ensure!(problem.status == 403, "{problem:?}");
        }
        ensure!(
            stack.import_pids()?.is_empty(),
            "a refused request woke the import service"
        );
        Ok(())
    })
}
