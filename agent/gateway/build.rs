//! Writes the table of the page's files, as `npm run build` in `dashboard` has left them. Without them the gateway is built
//! without its page, and says so where that would be.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let dist = manifest.join("dashboard/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut files = Vec::new();
    collect(&dist, &mut files)?;
    files.sort();
    let rows: String = files.iter().map(|file| row(&dist, file)).collect();
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("page_files.rs"), format!("&[{rows}]"))
}

/// All compressed files; none where there is no folder.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "gz") {
            files.push(path);
        }
    }
    Ok(())
}

fn row(dist: &Path, file: &Path) -> String {
    let name = file.strip_prefix(dist).unwrap_or(file).with_extension("");
    format!(
        "File {{ path: {:?}, bytes: include_bytes!({file:?}) }},",
        format!("/{}", name.display())
    )
}
