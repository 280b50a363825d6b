//! Explanations and lists for people.

use super::catalogue::Catalogue;
use super::explain::{Explanation, Fit, Value};
use std::io::{self, Write};

/// What stands for a value that nobody has published.
const UNKNOWN: &str = "—";

pub(super) fn explanation(out: &mut dyn Write, told: &Explanation) -> io::Result<()> {
    writeln!(out, "This machine says:")?;
    for name in &told.machine {
        let value = name.value.as_deref().map_or(UNKNOWN, str::trim);
        let note = if name.filler {
            "  (filler: fits nothing)"
        } else {
            ""
        };
        writeln!(out, "  {:<13} {}{note}", name.field, printable(value))?;
    }
    match &told.fit {
        Some(fit) => chosen(out, told, fit)?,
        None => writeln!(out, "\nNo profile fits. The built-in values count.")?,
    }
    writeln!(out, "\nValues:")?;
    for value in &told.values {
        self::value(out, value)?;
    }
    others(out, told)
}

fn chosen(out: &mut dyn Write, told: &Explanation, fit: &Fit) -> io::Result<()> {
    writeln!(out, "\nProfile: {} ({})", told.profile, fit.name)?;
    writeln!(out, "  file     {}", fit.path.display())?;
    writeln!(out, "  fits by  {}", fit.level.words())?;
    for comparison in &fit.comparisons {
        writeln!(
            out,
            "           {} fits {:?}",
            comparison.field, comparison.pattern
        )?;
    }
    if let Some(source) = &fit.source {
        writeln!(out, "           names seen in {}", source.title)?;
        writeln!(out, "           {}", source.url)?;
    }
    writeln!(out, "  extends  {}", told.chain.join(" → "))
}

fn value(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    let shown = value.value.as_deref().unwrap_or(UNKNOWN);
    let from = value.profile.as_deref().map(|profile| format!("from {profile}"));
    let why = value.why.as_deref();
    let words = [from.as_deref(), why].into_iter().flatten().collect::<Vec<_>>();
    writeln!(out, "  {:<16} {shown:<9} {}", value.key, words.join(": "))?;
    let Some(source) = &value.source else {
        return Ok(());
    };
    let page = source.page.as_deref().map(|page| format!(", {page}"));
    let (title, page) = (&source.title, page.unwrap_or_default());
    writeln!(out, "{:29}{title}{page}, seen {}", "", source.seen)?;
    writeln!(out, "{:29}{}", "", source.url)
}

fn others(out: &mut dyn Write, told: &Explanation) -> io::Result<()> {
    let (near, far): (Vec<_>, Vec<_>) = told.others.iter().partition(|other| other.near);
    if !near.is_empty() {
        writeln!(out, "\nNot chosen:")?;
    }
    for other in &near {
        writeln!(out, "  {:<30} {}", other.profile, printable(&other.why_not))?;
    }
    if far.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n{} others have nothing in common with it (--json lists them).",
        far.len()
    )
}

pub(super) fn list(out: &mut dyn Write, catalogue: &Catalogue) -> io::Result<()> {
    for (id, profile) in catalogue.iter() {
        writeln!(out, "{id:<34} {}", profile.fragment.name)?;
    }
    Ok(())
}

/// Firmware may put escape sequences into its strings; a terminal is not to obey them.
fn printable(text: &str) -> String {
    let shown = |character: char| if character.is_control() { '·' } else { character };
    text.chars().map(shown).collect()
}
