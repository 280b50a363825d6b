//! GGUF files as the source of a model: one file, or all the parts of a split one.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::gguf::{self, Entries, Head, TensorInfo};
use crate::metadata::{Metadata, Value};
use crate::part::Part;

/// Most files that a split model may have.
pub const MAX_FILES: usize = 1_000;

/// A model's GGUF files, their heads checked.
#[derive(Debug)]
pub struct Source {
    files: Vec<SourceFile>,
    metadata: Metadata,
    entries: Entries,
    tensors: Vec<Place>,
}

/// One of the files.
#[derive(Debug)]
struct SourceFile {
    path: PathBuf,
    file: File,
    bytes: u64,
}

/// Where a tensor is.
#[derive(Debug)]
struct Place {
    info: TensorInfo,
    file: usize,
    /// Where it begins in the file.
    start: u64,
}

impl Source {
    /// Opens a file; if it is one part of a split model (`name-00001-of-00003.gguf`), all its parts.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let paths = siblings(path).unwrap_or_else(|| vec![path.to_owned()]);
        let open = |path: PathBuf| match File::open(&path) {
            Ok(file) => Ok((path, file)),
            Err(error) => Err(Error::io("open", &path)(error)),
        };
        Self::from_files(paths.into_iter().map(open).collect::<Result<_, _>>()?)
    }

    /// Takes files that are open already, the parts of a split model in their order. The paths are for messages.
    pub fn from_files(files: Vec<(PathBuf, File)>) -> Result<Self, Error> {
        let mut source = Self {
            files: Vec::new(),
            metadata: Metadata::new(),
            entries: Entries::default(),
            tensors: Vec::new(),
        };
        let count = files.len();
        if count == 0 {
            return Err(Error::Split {
                path: PathBuf::new(),
                problem: "no file was given".to_owned(),
            });
        }
        for (index, (path, file)) in files.into_iter().enumerate() {
            let (file, head) = read_head(path, file)?;
            check_part(&file.path, &head, index, count)?;
            source.add(file, head);
        }
        source.check()?;
        Ok(source)
    }

    fn add(&mut self, file: SourceFile, head: Head) {
        let place = |info: TensorInfo| Place {
            file: self.files.len(),
            start: head.data_offset + info.offset,
            info,
        };
        self.tensors.extend(head.tensors.into_iter().map(place));
        if self.files.is_empty() {
            (self.metadata, self.entries) = (head.metadata, head.entries);
        }
        self.files.push(file);
    }

    /// All parts together have as many tensors as they say, each once.
    fn check(&self) -> Result<(), Error> {
        let mut seen = HashSet::new();
        if let Some(place) = self.tensors.iter().find(|place| !seen.insert(&place.info.name)) {
            let problem = "is in an earlier part of the split model, too".to_owned();
            return Err(Error::Tensor {
                path: self.files[place.file].path.clone(),
                tensor: place.info.name.clone(),
                problem,
            });
        }
        let found = self.tensors.len() as i128;
        match self.metadata.get("split.tensors.count") {
            Some(&Value::Integer(count)) if count != found => Err(Error::Split {
                path: self.path().to_owned(),
                problem: format!(
                    "`split.tensors.count` is {count}, but all parts together have {found} tensors"
                ),
            }),
            _ => Ok(()),
        }
    }

    /// The first file, for messages.
    pub fn path(&self) -> &Path {
        &self.files[0].path
    }

    /// Names and sizes in bytes of all files.
    pub fn files(&self) -> impl Iterator<Item = (&Path, u64)> {
        self.files.iter().map(|file| (file.path.as_path(), file.bytes))
    }

    /// Keys and values of the first file.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The same, as they stand in the file.
    pub fn entries(&self) -> &Entries {
        &self.entries
    }

    /// All tensors in the files' order.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = &TensorInfo> {
        self.tensors.iter().map(|place| &place.info)
    }

    /// Where the files tell of a key or a tensor, for messages: the file, and the byte of it.
    pub fn place(&self, name: &str) -> Option<(&Path, u64)> {
        self.files.iter().find_map(|file| {
            let mut reader = &file.file;
            reader.seek(SeekFrom::Start(0)).ok()?;
            let at = gguf::place(BufReader::new(reader), name)?;
            Some((file.path.as_path(), at))
        })
    }

    /// Reads a tensor's bytes from `offset` on.
    pub(crate) fn read(&self, tensor: usize, offset: u64, bytes: &mut [u8]) -> Result<(), Error> {
        let place = &self.tensors[tensor];
        let file = &self.files[place.file];
        file.file
            .read_exact_at(bytes, place.start + offset)
            .map_err(Error::io("read", &file.path))
    }
}

fn read_head(path: PathBuf, file: File) -> Result<(SourceFile, Head), Error> {
    let bytes = file.metadata().map_err(Error::io("read", &path))?.len();
    match gguf::read(BufReader::new(&file), bytes) {
        Ok(head) => Ok((SourceFile { path, file, bytes }, head)),
        Err(error) => Err(Error::Head { path, error }),
    }
}

/// The paths of all parts, if that name is the name of one.
fn siblings(path: &Path) -> Option<Vec<PathBuf>> {
    let Part { name, count, .. } = Part::of(path).filter(|part| part.count <= MAX_FILES)?;
    let part = |index| path.with_file_name(format!("{name}-{index:05}-of-{count:05}.gguf"));
    Some((1..=count).map(part).collect())
}

/// What the file says of its place in a split model must be its place among the files.
fn check_part(path: &Path, head: &Head, index: usize, count: usize) -> Result<(), Error> {
    let says = |key, default| match head.metadata.get(key) {
        None => Ok(default),
        Some(&Value::Integer(number)) => Ok(number),
        Some(other) => Err(format!("`{key}` is {}, not a whole number", other.type_name())),
    };
    let check = || {
        let (no, of) = (says("split.no", 0)?, says("split.count", 1)?);
        // gguf-split writes a count of 0 into what it has merged.
        if of.max(1) != count as i128 {
            return Err(format!(
                "`split.count` is {of}, but {count} files are there; parts lie in one folder and are called NAME-00001-of-{of:05}.gguf and so on"
            ));
        }
        if no != index as i128 {
            return Err(format!(
                "`split.no` is {no}, but it is part {index} by its name or order"
            ));
        }
        Ok(())
    };
    check().map_err(|problem| Error::Split {
        path: path.to_owned(),
        problem,
    })
}
