//! What the program wrote to the console.

use anyhow::{Context, Result, bail, ensure};
use kernels::kind::Kind;
use kernels::path::Instructions;

/// Lines that are no product: the processor, what it offers, what was chosen.
pub(crate) fn remarks(console: &str) -> impl Iterator<Item = &str> {
    let starts = ["processor: ", "HEARTH_CPU=", "chosen: ", "amx: "];
    console
        .lines()
        .map(str::trim_end)
        .filter(move |line| starts.iter().any(|start| line.starts_with(start)))
}

/// What came of each path.
pub(crate) fn of(console: &str) -> impl Iterator<Item = (Instructions, Result<String>)> {
    Instructions::ALL
        .into_iter()
        .map(move |path| (path, of_path(console, path)))
}

/// How many elements of the output were compared, if all were equal and no kind is missing.
fn of_path(console: &str, path: Instructions) -> Result<String> {
    let mut elements = 0;
    for kind in Kind::ALL {
        let name = kind.name();
        let start = format!("product: {path} {name} ");
        let line = console
            .lines()
            .find_map(|line| line.trim_end().strip_prefix(&start));
        let line = line.with_context(|| format!("no product of {name}"))?;
        let (compared, different) = counts(line).with_context(|| format!("`{start}{line}`"))?;
        ensure!(compared > 0, "nothing of {name} was compared");
        if different > 0 {
            bail!("{different} of {compared} elements of {name} differ");
        }
        elements += compared;
    }
    Ok(format!("{elements} elements of {} kinds", Kind::ALL.len()))
}

/// The numbers in `3696 elements, 0 differ`.
fn counts(line: &str) -> Option<(usize, usize)> {
    let (elements, rest) = line.split_once(" elements, ")?;
    Some((
        elements.parse().ok()?,
        rest.strip_suffix(" differ")?.parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(path: &str, differ: usize) -> String {
        let line = |kind: Kind| format!("product: {path} {} 10 elements, {differ} differ\r\n", kind.name());
        Kind::ALL.into_iter().map(line).collect()
    }

    #[test]
    fn a_path_whose_products_are_equal_passes() {
        let text = console("amx", 0);
        assert_eq!(
            of_path(&text, Instructions::Amx).unwrap(),
            "100 elements of 10 kinds"
        );
        let error = of_path(&text, Instructions::AvxVnni).unwrap_err();
        assert_eq!(error.to_string(), "no product of F32");
    }

    #[test]
    fn what_differs_or_was_cut_off_does_not_pass() {
        let error = of_path(&console("amx", 3), Instructions::Amx).unwrap_err();
        assert_eq!(error.to_string(), "3 of 10 elements of F32 differ");
        let cut = console("amx", 0).replace("Q6_K 10 elements, 0 differ", "Q6_K 10 elements,");
        assert!(of_path(&cut, Instructions::Amx).is_err());
        let none = console("amx", 0).replace("Q8_0 10", "Q8_0 0");
        assert!(of_path(&none, Instructions::Amx).is_err());
    }
}
