//! Reading with a memory for what went wrong.

use crate::parse;
use crate::problem::Problem;
use crate::tree::{MAX_FILE_BYTES, Tree};
use machine::Warning;

/// Reads and parses files of a tree; keeps a warning for each that failed, and gives `None` for it.
pub(crate) struct Reader<'t> {
    tree: &'t Tree,
    buffer: Vec<u8>,
    warnings: Vec<Warning>,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(tree: &'t Tree) -> Self {
        // One byte more than is allowed tells a file that is too long from one that just fits.
        let buffer = vec![0; MAX_FILE_BYTES + 1];
        Self {
            tree,
            buffer,
            warnings: Vec::new(),
        }
    }

    /// The warnings so far, in the order in which files were read.
    pub(crate) fn into_warnings(self) -> Vec<Warning> {
        self.warnings
    }

    /// An entry of a class: a directory whose files are read by name.
    pub(crate) fn entry(&mut self, path: String) -> Entry<'_, 't> {
        Entry { reader: self, path }
    }

    /// A file that has to be there.
    pub(crate) fn required<T>(
        &mut self,
        path: &str,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        let read = self.tree.text(path, &mut self.buffer).and_then(parse);
        self.settle(path, read)
    }

    /// A file that may be missing.
    pub(crate) fn optional<T>(
        &mut self,
        path: &str,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        match self.tree.text(path, &mut self.buffer).and_then(parse) {
            Err(Problem::Missing) => None,
            read => self.settle(path, read),
        }
    }

    /// A file that some drivers have and still do not tell: they answer with an error, or a value that means none.
    pub(crate) fn told<T>(
        &mut self,
        path: &str,
        parse: impl FnOnce(&str) -> Result<Option<T>, Problem>,
    ) -> Option<T> {
        match self.tree.text(path, &mut self.buffer).and_then(parse) {
            Err(Problem::Missing | Problem::Io(_)) => None,
            read => self.settle(path, read).flatten(),
        }
    }

    /// Whether a file belongs to a cpufreq policy that has no processor online.
    pub(crate) fn is_busy(&mut self, path: &str) -> bool {
        let read = self.tree.text(path, &mut self.buffer);
        read.is_err_and(|problem| problem.is_busy())
    }

    /// The beginning of a file that has to be there and may be long.
    pub(crate) fn head<T>(
        &mut self,
        path: &str,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        let read = self.tree.head(path, &mut self.buffer).and_then(parse);
        self.settle(path, read)
    }

    /// A file that has to be there and may be long.
    pub(crate) fn long<T>(
        &mut self,
        path: &str,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        let read = self.tree.long_text(path).and_then(|text| parse(&text));
        self.settle(path, read)
    }

    /// The names in a directory, sorted; none if it is missing.
    pub(crate) fn list(&mut self, path: &str) -> Vec<String> {
        match self.tree.list(path) {
            Err(Problem::Missing) => Vec::new(),
            listed => self.settle(path, listed).unwrap_or_default(),
        }
    }

    /// The numbers of a directory's entries that are called `<prefix>N<suffix>`, sorted.
    pub(crate) fn numbered(&mut self, path: &str, prefix: &str, suffix: &str) -> Vec<u32> {
        let names = self.list(path);
        let mut numbers: Vec<u32> = names
            .iter()
            .filter_map(|name| parse::index(name, prefix, suffix))
            .collect();
        numbers.sort_unstable();
        numbers
    }

    fn settle<T>(&mut self, path: &str, read: Result<T, Problem>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(problem) => {
                self.warn(path, &problem);
                None
            }
        }
    }

    /// Keeps a warning.
    pub(crate) fn warn(&mut self, path: &str, problem: &Problem) {
        self.warnings.push(Warning {
            path: path.to_owned(),
            problem: problem.to_string(),
        });
    }
}

/// A directory of attributes, such as a thermal zone.
pub(crate) struct Entry<'r, 't> {
    reader: &'r mut Reader<'t>,
    path: String,
}

impl Entry<'_, '_> {
    /// An attribute that every such entry has.
    pub(crate) fn required<T>(
        &mut self,
        file: &str,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        self.reader.required(&format!("{}/{file}", self.path), parse)
    }

    /// An attribute that some such entries have.
    pub(crate) fn optional<T>(
        &mut self,
        file: &str,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        self.reader.optional(&format!("{}/{file}", self.path), parse)
    }

    /// An attribute that some drivers have and still do not tell.
    pub(crate) fn told<T>(
        &mut self,
        file: &str,
        parse: impl FnOnce(&str) -> Result<Option<T>, Problem>,
    ) -> Option<T> {
        self.reader.told(&format!("{}/{file}", self.path), parse)
    }

    /// The numbers of the attributes called `<prefix>N<suffix>`, sorted.
    pub(crate) fn numbered(&mut self, prefix: &str, suffix: &str) -> Vec<u32> {
        self.reader.numbered(&self.path, prefix, suffix)
    }

    /// Whether there is an attribute of this name.
    pub(crate) fn has(&mut self, file: &str) -> bool {
        self.reader.list(&self.path).iter().any(|name| name == file)
    }
}
