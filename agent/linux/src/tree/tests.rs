use super::*;
use crate::problem::Problem;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::fs;
use std::os::unix::fs::symlink;

struct Answers(i32);

impl Read for Answers {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(self.0))
    }
}

struct Interrupted(bool);

impl Read for Interrupted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !std::mem::replace(&mut self.0, true) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        buffer[0] = b'x';
        Ok(1)
    }
}

fn tree() -> (tempfile::TempDir, Tree) {
    let dir = tempfile::tempdir().unwrap();
    let tree = Tree::open(dir.path()).unwrap();
    (dir, tree)
}

fn problem(tree: &Tree, path: &str) -> Problem {
    let mut buffer = vec![0; MAX_FILE_BYTES + 1];
    tree.text(path, &mut buffer).unwrap_err()
}

fn errno(problem: Problem) -> Option<i32> {
    match problem {
        Problem::Io(error) => error.raw_os_error(),
        _ => None,
    }
}

#[test]
fn a_root_that_is_no_directory_is_named() {
    let error = Tree::open("/nowhere/at/all").unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    assert!(Tree::open("/dev/null").is_err());
}

#[test]
fn a_drivers_error_is_passed_on() {
    for code in [Errno::ENODATA, Errno::EAGAIN, Errno::EIO] {
        let error = read_once(Answers(code as i32), &mut [0; 8]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(code as i32));
    }
}

#[test]
fn an_interrupted_read_is_repeated() {
    assert_eq!(read_once(Interrupted(false), &mut [0; 8]).unwrap(), 1);
}

#[test]
fn the_kernels_own_io_error_comes_through() {
    // Page 0 is never mapped, so that reading one's own memory at offset 0 fails with EIO.
    let tree = Tree::open("/proc/self").unwrap();
    assert_eq!(errno(problem(&tree, "/mem")), Some(Errno::EIO as i32));
}

#[test]
fn a_fifo_does_not_hang_the_reader() {
    let (dir, tree) = tree();
    let path = dir.path().join("fifo");
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    let mut buffer = [0; 8];
    assert_eq!(tree.text("/fifo", &mut buffer).unwrap(), "", "without a writer");

    let _writer = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    assert_eq!(
        errno(problem(&tree, "/fifo")),
        Some(Errno::EAGAIN as i32),
        "with a silent writer"
    );
}

#[test]
fn a_directory_and_a_loop_are_errors() {
    let (dir, tree) = tree();
    fs::create_dir(dir.path().join("d")).unwrap();
    symlink("loop", dir.path().join("loop")).unwrap();
    assert_eq!(errno(problem(&tree, "/d")), Some(Errno::EISDIR as i32));
    assert_eq!(errno(problem(&tree, "/loop")), Some(Errno::ELOOP as i32));
    assert!(matches!(problem(&tree, "/absent"), Problem::Missing));
}

#[test]
fn an_unreadable_file_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, tree) = tree();
    let path = dir.path().join("secret");
    fs::write(&path, "1").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // Capabilities are a thread's own: only this one loses the right to read everything.
    let code = std::thread::spawn(move || {
        caps::clear(None, caps::CapSet::Effective).unwrap();
        errno(problem(&tree, "/secret"))
    });
    assert_eq!(code.join().unwrap(), Some(Errno::EACCES as i32));
}

#[test]
fn no_link_leads_out_of_the_tree() {
    let (dir, tree) = tree();
    let (inside, outside) = (dir.path().join("root"), dir.path().join("outside"));
    fs::create_dir(&inside).unwrap();
    fs::write(&outside, "outside").unwrap();
    fs::write(inside.join("outside"), "inside").unwrap();
    symlink("../outside", inside.join("relative")).unwrap();
    symlink("/outside", inside.join("absolute")).unwrap();
    symlink(&outside, inside.join("full")).unwrap();
    drop(tree);

    let tree = Tree::open(&inside).unwrap();
    let mut buffer = [0; 16];
    for path in ["/relative", "/absolute", "/../outside", "/outside"] {
        assert_eq!(tree.text(path, &mut buffer).unwrap(), "inside", "{path}");
    }
    assert!(matches!(problem(&tree, "/full"), Problem::Missing));
}

#[test]
fn a_file_may_be_just_so_long() {
    let (dir, tree) = tree();
    fs::write(dir.path().join("fits"), vec![b'1'; MAX_FILE_BYTES]).unwrap();
    fs::write(dir.path().join("long"), vec![b'1'; MAX_FILE_BYTES + 1]).unwrap();
    let mut buffer = vec![0; MAX_FILE_BYTES + 1];
    assert_eq!(tree.text("/fits", &mut buffer).unwrap().len(), MAX_FILE_BYTES);
    assert!(matches!(
        problem(&tree, "/long"),
        Problem::TooLong(MAX_FILE_BYTES)
    ));
    symlink("/dev/zero", dir.path().join("endless")).unwrap();
    assert!(
        matches!(problem(&tree, "/endless"), Problem::Missing),
        "not this machine's"
    );
}

#[test]
fn the_head_of_a_long_file_ends_with_a_line() {
    let (dir, tree) = tree();
    fs::write(dir.path().join("long"), "ab\u{e9}\n".repeat(MAX_FILE_BYTES)).unwrap();
    let mut buffer = vec![0; 13];
    assert_eq!(tree.head("/long", &mut buffer).unwrap(), "ab\u{e9}\nab\u{e9}\n");
}

#[test]
fn what_is_not_utf8_is_refused() {
    let (dir, tree) = tree();
    fs::write(dir.path().join("binary"), [0xff, 0xfe, 0]).unwrap();
    assert!(matches!(problem(&tree, "/binary"), Problem::NotText));
}

#[test]
fn names_come_sorted_and_their_number_is_limited() {
    let (dir, tree) = tree();
    for name in ["b", "a", "c"] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    assert_eq!(tree.list("/").unwrap(), ["a", "b", "c"]);
    for number in 0..MAX_ENTRIES {
        fs::write(dir.path().join(number.to_string()), "").unwrap();
    }
    assert!(matches!(tree.list("/"), Err(Problem::TooManyEntries(_))));
    assert!(matches!(tree.list("/absent"), Err(Problem::Missing)));
    assert_eq!(errno(tree.list("/a").unwrap_err()), Some(Errno::ENOTDIR as i32));
}
