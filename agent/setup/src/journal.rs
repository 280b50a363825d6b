//! Lines for the journal, with the priority that systemd reads from what they begin with (sd-daemon(3)).

use std::io::{self, Write};

/// What was done.
pub(crate) fn info(message: &str) {
    line(6, message);
}

/// What somebody should look at.
pub(crate) fn warn(message: &str) {
    line(4, message);
}

/// Why this program ends.
pub(crate) fn error(message: &str) {
    line(3, message);
}

fn line(priority: u8, message: &str) {
    let prefix = match std::env::var_os("JOURNAL_STREAM") {
        Some(_) => format!("<{priority}>"),
        None => String::new(),
    };
    // Nobody is there to be told that nothing can be told.
    drop(writeln!(io::stderr(), "{prefix}{}", message.replace('\n', " ")));
}
