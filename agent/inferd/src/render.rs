//! `inferd render`: one conversation through a model's chat template, in a process of its own. The template is code out
//! of a model file; what it may take, the kernel is told first.

use engine::template::renderer::{Renderer, answer};

/// What such a process is told.
pub(crate) const COMMAND: &str = "render";

/// How daemons have templates run: by this program, begun anew for each conversation.
pub(crate) const IN_A_PROCESS: Renderer = Renderer::Process {
    program: "/proc/self/exe",
    argument: COMMAND,
};

/// Does the job that is on standard input.
pub(crate) fn run() -> anyhow::Result<()> {
    Ok(answer()?)
}
