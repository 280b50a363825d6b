//! The names of split files: `NAME-00001-of-00003.gguf`.

use std::path::Path;

/// One part of a split model, by its file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The name that all parts have.
    pub name: &'a str,
    /// Which it is, from 1 on.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

impl<'a> Part<'a> {
    /// What a file's name says, if it is the name of a part.
    pub fn of(path: &'a Path) -> Option<Self> {
        let stem = path.file_name()?.to_str()?.strip_suffix(".gguf")?;
        let (numbered, count) = stem.rsplit_once("-of-")?;
        let (name, index) = numbered.rsplit_once('-')?;
        let (index, count) = (five_digits(index)?, five_digits(count)?);
        let part = Self { name, index, count };
        (1..=count).contains(&index).then_some(part)
    }
}

fn five_digits(digits: &str) -> Option<usize> {
    let five = digits.len() == 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
    five.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_known_by_two_numbers_of_five_digits() {
        let part = Part::of(Path::new("/m/qwen-00002-of-00003.gguf"));
        let (name, index, count) = ("qwen", 2, 3);
        assert_eq!(part, Some(Part { name, index, count }));
        for name in [
            "qwen.gguf",
            "the-best-of-3.gguf",
            "qwen-00004-of-00003.gguf",
            "qwen-00000-of-00003.gguf",
            "qwen-2-of-3.gguf",
            "qwen-00002-of-00003.bin",
        ] {
            assert_eq!(Part::of(Path::new(name)), None, "{name}");
        }
    }
}
