//! What is known of this kind of machine.

use crate::profile::{Catalogue, FOLDERS};
use machine::{Capabilities, Tuning};
use std::path::PathBuf;
use tracing::warn;

/// Looks a machine up in these folders of firmware profiles; without any, in the appliance's. They are read anew each
/// time, which is seldom: when hearthd starts and when a device comes or goes.
pub(crate) fn tuning_for(found: &Capabilities, folders: &[PathBuf]) -> Tuning {
    let (catalogue, problems) = match folders {
        [] => Catalogue::load(&FOLDERS.map(PathBuf::from)),
        folders => Catalogue::load(folders),
    };
    for problem in problems {
        warn!("a firmware profile is left out: {problem}");
    }
    catalogue.matching(found).0
}
