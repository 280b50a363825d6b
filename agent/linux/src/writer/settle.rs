//! Making files hold what they shall, one after the other.

use super::attribute::{Attribute, PolicyFile};
use super::hold::{Found, Hold, Next};
use super::offer::{self, offered};
use super::{Applied, Change, Target, Writer, found, warning};
use crate::cpufreq;
use crate::problem::Problem;
use crate::reader::Reader;
use crate::tree::Tree;
use machine::Warning;
use std::collections::BTreeMap;

type Targets = BTreeMap<Attribute, Target>;

impl Writer {
    pub(super) fn settle_all(&mut self, targets: &Targets, applied: &mut Applied) {
        for attribute in in_order(&self.tree, targets) {
            self.settle(attribute, &targets[attribute], applied);
        }
        // Both limits of a policy can fail for the same reason.
        applied.problems.dedup();
    }

    fn settle(&mut self, attribute: &Attribute, target: &Target, applied: &mut Applied) {
        let hold = self.holds.entry(attribute.clone()).or_default();
        let found = match found(&self.tree, attribute) {
            Ok(found) => found,
            Err(problem) => {
                // A processor that went offline took its policy along. Its first-seen values wait for it.
                hold.lose();
                if target.wished {
                    applied.problem(attribute, problem);
                }
                return;
            }
        };
        if !self.first_seen.0.contains_key(attribute) {
            applied.problem(attribute, Problem::NotRestorable(found.value));
            return;
        }
        if !target.wished && !hold.was_written() {
            hold.returned = true;
            return;
        }
        if found.value != target.value && is_kept_by_governor(&self.tree, attribute, &target.value) {
            hold.lose();
            if target.wished {
                applied.problem(attribute, Problem::FixedPreference);
            }
            return;
        }
        let next = hold.judge(&target.value, &found);
        if next == Next::Rest {
            applied.problems.extend(hold.problem.clone());
            return;
        }
        match carry_out(&self.tree, attribute, target, hold, &found) {
            Ok(done) => self.settled(attribute, target, next, &found, done, applied),
            Err(problem) => {
                hold.fail(&found.value, problem.clone());
                applied.problems.push(problem);
            }
        }
    }

    fn settled(
        &mut self,
        attribute: &Attribute,
        target: &Target,
        next: Next,
        found: &Found,
        done: Done,
        applied: &mut Applied,
    ) {
        let Some(hold) = self.holds.get_mut(attribute) else {
            return;
        };
        let written = done.written.then_some(done.value.as_str());
        let foreign = hold.settle(next, written, &found.value, &done.after);
        hold.returned = !target.wished;
        if let Some(problem) = refusal(attribute, &done) {
            hold.fail(&done.after, problem.clone());
            applied.problems.push(problem);
        }
        if foreign && self.told.insert(attribute.clone()) {
            let (found, wanted) = (found.value.clone(), done.value.clone());
            let problem = Problem::Foreign { found, wanted };
            applied.foreign.push(warning(attribute, problem));
        }
        applied.changes.extend(change(attribute, next, found, done));
    }
}

/// A name that was written and does not stand there. Numbers are the kernel's to round and firmware's to limit.
fn refusal(attribute: &Attribute, done: &Done) -> Option<Warning> {
    if attribute.is_number() || done.after == done.value {
        return None;
    }
    let (wanted, after) = (done.value.clone(), done.after.clone());
    Some(warning(attribute, Problem::NotAccepted { wanted, after }))
}

/// The line for the journal. What firmware limits is written anew for nothing, and is no news.
fn change(attribute: &Attribute, next: Next, found: &Found, done: Done) -> Option<Change> {
    let before = found.value.clone();
    let news = done.after != before || (next == Next::Begin && done.value != before);
    news.then(|| Change {
        path: attribute.to_string(),
        before,
        wanted: done.value,
        after: done.after,
    })
}

/// What was done about a file.
struct Done {
    /// What it shall hold, after clamping.
    value: String,
    /// Whether that had to be written.
    written: bool,
    /// What it holds now.
    after: String,
}

fn carry_out(
    tree: &Tree,
    attribute: &Attribute,
    target: &Target,
    hold: &Hold,
    before: &Found,
) -> Result<Done, Warning> {
    let mut reader = Reader::new(tree);
    let Some(value) = offered(&mut reader, attribute, &target.value) else {
        let reason = reader.into_warnings().pop();
        return Err(reason.unwrap_or_else(|| warning(attribute, "is not offered")));
    };
    if !hold.lacks(&value, before) {
        let after = before.value.clone();
        return Ok(Done {
            value,
            written: false,
            after,
        });
    }
    let path = attribute.to_string();
    tree.write(&path, &value)
        .map_err(|error| warning(attribute, Problem::NotWritten(value.clone(), error)))?;
    let after = read_back(tree, attribute, &before.value).map_err(|problem| warning(attribute, problem))?;
    Ok(Done {
        value,
        written: true,
        after,
    })
}

/// How often a file is read again that shows no change yet.
const READ_BACKS: u32 = 4;

/// What a file holds that was just written. cpufreq takes limits over in a worker of the kernel's
/// (`cpufreq_notifier_max` in `drivers/cpufreq/cpufreq.c`), which may need a moment; what is read too early is put right
/// at the next look.
fn read_back(tree: &Tree, attribute: &Attribute, before: &str) -> Result<String, Problem> {
    for _ in 1..READ_BACKS {
        let after = found(tree, attribute)?.value;
        if after != before {
            return Ok(after);
        }
        std::thread::yield_now();
    }
    Ok(found(tree, attribute)?.value)
}

/// Whether the governor in force holds a preference: it takes no other one until the governor is another, and then at
/// once. To return to its first-seen value only then is no fault.
pub(super) fn is_kept_by_governor(tree: &Tree, attribute: &Attribute, value: &str) -> bool {
    match attribute {
        Attribute::Policy {
            id,
            file: PolicyFile::Preference,
        } if value != offer::PERFORMANCE => {
            offer::is_fixed(&mut Reader::new(tree), &format!("{}/policy{id}", cpufreq::DIR))
        }
        _ => false,
    }
}

/// Files in the order in which they are written. Of a policy's limits the maximum goes first where it rises, and the
/// minimum where it falls, so that at no time one crosses the other.
fn in_order<'t>(tree: &Tree, targets: &'t Targets) -> Vec<&'t Attribute> {
    let mut order: Vec<_> = targets.keys().collect();
    for at in 1..order.len() {
        if let (
            Attribute::Policy {
                id: one,
                file: PolicyFile::MinFreq,
            },
            Attribute::Policy {
                id: other,
                file: PolicyFile::MaxFreq,
            },
        ) = (order[at - 1], order[at])
            && one == other
            && rises(tree, order[at], &targets[order[at]])
        {
            order.swap(at - 1, at);
        }
    }
    order
}

fn rises(tree: &Tree, maximum: &Attribute, target: &Target) -> bool {
    let now: Option<u64> = found(tree, maximum).ok().and_then(|now| now.value.parse().ok());
    target.value.parse().ok() > now
}
