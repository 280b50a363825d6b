//! Paths: which instructions an operator is computed with.

mod amx;
mod choice;

use std::fmt;
use std::str::FromStr;

pub use choice::{Choice, Measured, NoChoice, choose};

/// A set of instructions that there is code for, slowest first on real machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Instructions {
    /// Plain code for any x86-64, its integers kept free of vectors, which emulators are slow at.
    Scalar,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX2 and the 8-bit dot products of AVX-VNNI.
    AvxVnni,
    /// AVX-512 F, BW, VL and VNNI.
    Avx512,
    /// AVX-512, and AMX's tiles of 8-bit products where many rows are multiplied at once.
    Amx,
}

impl Instructions {
    /// All of them, slowest first.
    pub const ALL: [Self; 5] = [Self::Scalar, Self::Avx2, Self::AvxVnni, Self::Avx512, Self::Amx];

    /// The name that `HEARTH_CPU` knows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::AvxVnni => "avxvnni",
            Self::Avx512 => "avx512",
            Self::Amx => "amx",
        }
    }
}

impl fmt::Display for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is none of the known ones.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no set of instructions; there are: scalar, avx2, avxvnni, avx512, amx")]
pub struct UnknownInstructions(String);

impl FromStr for Instructions {
    type Err = UnknownInstructions;

    fn from_str(name: &str) -> Result<Self, UnknownInstructions> {
        Self::ALL
            .into_iter()
            .find(|instructions| instructions.name() == name)
            .ok_or_else(|| UnknownInstructions(name.to_owned()))
    }
}

/// Why `HEARTH_CPU` names no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No such set of instructions.
    #[error("HEARTH_CPU: {0}")]
    Unknown(#[from] UnknownInstructions),
    /// This processor lacks it, or its operating system does not let it be used.
    #[error(
        "HEARTH_CPU={instructions}: this processor does not offer it; it offers: {}",
        names(offered)
    )]
    NotOffered {
        /// What was asked for.
        instructions: Instructions,
        /// What there is.
        offered: Vec<Path>,
    },
}

fn names(paths: &[Path]) -> String {
    let names: Vec<_> = paths.iter().map(|path| path.0.name()).collect();
    names.join(", ")
}

/// A set of instructions that this processor has: only [`Path::new`] makes one, so that whoever holds it may run them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path(Instructions);

impl Path {
    /// The path that every processor has.
    pub const SCALAR: Self = Self(Instructions::Scalar);

    /// The path of that name, if this processor and its operating system have it.
    pub fn new(instructions: Instructions) -> Option<Self> {
        offered(instructions).then_some(Self(instructions))
    }

    /// The path that `HEARTH_CPU` names.
    pub fn from_environment(name: &str) -> Result<Self, PathError> {
        let instructions = name.parse()?;
        Self::new(instructions).ok_or_else(|| PathError::NotOffered {
            instructions,
            offered: Self::offered(),
        })
    }

    /// All paths that this processor has, slowest first.
    pub fn offered() -> Vec<Self> {
        Instructions::ALL.into_iter().filter_map(Self::new).collect()
    }

    /// Its instructions.
    pub fn instructions(self) -> Instructions {
        self.0
    }
}

fn offered(instructions: Instructions) -> bool {
    let avx2 = || {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
    };
    let avx512 = || {
        avx2()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
    };
    match instructions {
        Instructions::Scalar => true,
        Instructions::Avx2 => avx2(),
        Instructions::AvxVnni => avx2() && is_x86_feature_detected!("avxvnni"),
        Instructions::Avx512 => avx512(),
        Instructions::Amx => avx512() && amx::permitted(),
    }
}

/// Defines a function that runs one body compiled for each path: `body` is an `#[inline(always)]` function of the
/// same arguments, in plain Rust, which the compiler turns into the vectors of each path. Rust neither reorders nor
/// contracts floating-point operations, so the bits are the same.
macro_rules! on_each_path {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? = $body:path) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, reason = "as the body has")]
        $visibility fn $name(path: $crate::path::Path, $($argument: $type),*) $(-> $result)? {
            #[target_feature(enable = "avx2,fma,f16c")]
            #[allow(clippy::too_many_arguments, reason = "as the body has")]
            fn avx2($($argument: $type),*) $(-> $result)? {
                $body($($argument),*)
            }
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,fma,f16c")]
            #[allow(clippy::too_many_arguments, reason = "as the body has")]
            fn avx512($($argument: $type),*) $(-> $result)? {
                $body($($argument),*)
            }
            use $crate::path::Instructions;
            match path.instructions() {
                Instructions::Scalar => $body($($argument),*),
                #[allow(unsafe_code, reason = "the processor was asked")]
                // SAFETY: there is such a `Path` only where the processor has these instructions.
                Instructions::Avx2 | Instructions::AvxVnni => unsafe { avx2($($argument),*) },
                #[allow(unsafe_code, reason = "the processor was asked")]
                // SAFETY: there is such a `Path` only where the processor has these instructions.
                Instructions::Avx512 | Instructions::Amx => unsafe { avx512($($argument),*) },
            }
        }
    };
}
pub(crate) use on_each_path;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_that_is_offered_is_known_by_its_name() {
        for path in Path::offered() {
            assert_eq!(Path::from_environment(path.instructions().name()), Ok(path));
        }
        assert_eq!(Path::offered()[0], Path::SCALAR);
    }

    #[test]
    fn what_is_not_offered_is_told_with_what_is() {
        let error = Path::from_environment("sse2").unwrap_err().to_string();
        assert_eq!(
            error,
            "HEARTH_CPU: `sse2` is no set of instructions; there are: scalar, avx2, avxvnni, avx512, amx"
        );
        let lacking = PathError::NotOffered {
            instructions: Instructions::Amx,
            offered: vec![Path::SCALAR],
        };
        let told = "HEARTH_CPU=amx: this processor does not offer it; it offers: scalar";
        assert_eq!(lacking.to_string(), told);
        for instructions in Instructions::ALL {
            let named = Path::from_environment(instructions.name());
            assert_eq!(named.ok(), Path::new(instructions));
        }
    }
}
