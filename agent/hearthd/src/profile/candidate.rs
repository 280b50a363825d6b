//! One profile beside one machine.

use super::catalogue::Profile;
use super::criteria::{Closeness, Comparison, Level, Name};
use super::explain::{Fit, Other};
use std::cmp::Reverse;

/// A profile's best criteria beside the machine.
pub(super) struct Candidate<'a> {
    pub(super) id: &'a str,
    profile: &'a Profile,
    closeness: Closeness,
    comparisons: Vec<Comparison>,
    source: Option<&'a str>,
}

impl<'a> Candidate<'a> {
    /// The closest criteria that fit; where none do, those with the most fields that do. `None` for a profile that is
    /// only for others to extend.
    pub(super) fn new(id: &'a str, profile: &'a Profile, machine: &[Name]) -> Option<Self> {
        let candidates = profile.fragment.criteria.iter().map(|criteria| Self {
            id,
            profile,
            closeness: criteria.closeness(),
            comparisons: criteria.compare(machine),
            source: criteria.source.as_deref(),
        });
        candidates.max_by_key(|candidate| (candidate.fits(), candidate.agreeing(), candidate.closeness))
    }

    pub(super) fn fits(&self) -> bool {
        self.comparisons.iter().all(|comparison| comparison.fits)
    }

    fn agreeing(&self) -> usize {
        if self.fits() {
            return 0;
        }
        self.comparisons
            .iter()
            .filter(|comparison| comparison.fits)
            .count()
    }

    pub(super) fn level(&self) -> Level {
        self.closeness.level
    }

    /// Ties go to the later folder, then to the earlier name.
    pub(super) fn rank(&self) -> (Closeness, usize, Reverse<&str>) {
        (self.closeness, self.profile.folder, Reverse(self.id))
    }

    pub(super) fn fit(&self) -> Fit {
        Fit {
            name: self.profile.fragment.name.clone(),
            path: self.profile.path.clone(),
            level: self.level(),
            comparisons: self.comparisons.clone(),
            source: self
                .source
                .and_then(|name| self.profile.fragment.sources.get(name).cloned()),
        }
    }

    pub(super) fn other(&self, chosen: Option<Level>) -> Other {
        let near = self.comparisons.iter().any(|comparison| comparison.fits);
        Other {
            profile: self.id.to_owned(),
            fits: self.fits(),
            near: near || self.fits(),
            why_not: match (self.fits(), chosen) {
                (true, _) if self.level() == Level::Anything => "fits any machine".to_owned(),
                (true, Some(chosen)) if chosen > self.level() => {
                    format!("fits, but only by its {}", self.level().words())
                }
                (true, _) => "fits, but the chosen one asks for more, or lies in a later folder".to_owned(),
                (false, _) => self.differences(),
            },
        }
    }

    fn differences(&self) -> String {
        let differing = self.comparisons.iter().filter(|comparison| !comparison.fits);
        let told = differing.map(|comparison| {
            let said = comparison.value.as_deref();
            let said = said.map_or("not told".to_owned(), |value| format!("{value:?}"));
            format!("{} is {said}, not {:?}", comparison.field, comparison.pattern)
        });
        told.collect::<Vec<_>>().join("; ")
    }
}
