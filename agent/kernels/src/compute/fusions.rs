//! Which operators are computed together: switches, so that what each is worth can be measured in one binary.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};
use std::str::FromStr;

/// A set of fusions. A result has the same bits with and without each.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Fusions(u8);

impl Fusions {
    /// Each operator by itself.
    pub const NONE: Self = Self(0);
    /// Several products of one input in one region: queries, keys and values.
    pub const PRODUCTS: Self = Self(1);
    /// The residual is added, and a bias, where a product's outputs are at hand.
    pub const RESIDUAL: Self = Self(2);
    /// Gate, up, `silu(gate) · up` and its rounding to 8 bits in one region.
    pub const SWIGLU: Self = Self(4);
    /// A row is rounded to 8 bits where it is normalised.
    pub const NORM: Self = Self(8);
    /// Heads are normalised, turned and kept where their rows are attended to.
    pub const ATTENTION: Self = Self(16);
    /// All of them.
    pub const ALL: Self = Self(31);

    const NAMES: [(&'static str, Self); 5] = [
        ("products", Self::PRODUCTS),
        ("residual", Self::RESIDUAL),
        ("swiglu", Self::SWIGLU),
        ("norm", Self::NORM),
        ("attention", Self::ATTENTION),
    ];

    /// Each by itself, with its name.
    pub fn each() -> impl Iterator<Item = (&'static str, Self)> {
        Self::NAMES.into_iter()
    }

    /// Whether all of `others` are in it.
    pub fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Without `others`.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }
}

impl BitOr for Fusions {
    type Output = Self;

    fn bitor(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }
}

impl BitOrAssign for Fusions {
    fn bitor_assign(&mut self, others: Self) {
        *self = *self | others;
    }
}

impl fmt::Display for Fusions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Self::each()
            .filter(|&(_, fusion)| self.contains(fusion))
            .map(|(name, _)| name)
            .collect();
        match names.len() {
            0 => f.write_str("none"),
            5 => f.write_str("all"),
            _ => f.write_str(&names.join(",")),
        }
    }
}

impl fmt::Debug for Fusions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fusions({self})")
    }
}

/// A name that is none of the known ones.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no fusion; there are: all, none, or a list of products, residual, swiglu, norm, attention")]
pub struct UnknownFusion(String);

impl FromStr for Fusions {
    type Err = UnknownFusion;

    /// `all`, `none`, or names with commas between, as `HEARTH_FUSE` has them.
    fn from_str(list: &str) -> Result<Self, UnknownFusion> {
        match list {
            "all" => Ok(Self::ALL),
            "none" => Ok(Self::NONE),
            _ => list.split(',').try_fold(Self::NONE, |set, name| {
                let known = Self::each().find(|&(known, _)| known == name);
                let (_, fusion) = known.ok_or_else(|| UnknownFusion(name.to_owned()))?;
                Ok(set | fusion)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_read_as_it_is_written() {
        for set in 0..=Fusions::ALL.0 {
            let set = Fusions(set);
            assert_eq!(set.to_string().parse(), Ok(set));
        }
    }

    #[test]
    fn all_are_each_together() {
        let together = Fusions::each().fold(Fusions::NONE, |set, (_, fusion)| set | fusion);
        assert_eq!(together, Fusions::ALL);
        assert!(!Fusions::ALL.without(Fusions::NORM).contains(Fusions::NORM));
    }

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        let error = "norm,swigloo".parse::<Fusions>().unwrap_err().to_string();
        assert!(error.contains("`swigloo`") && error.contains("swiglu"), "{error}");
    }
}
