//! Multiplies weights of every kind on every path that this processor has, and compares each bit with the definition.
//!
//! As the first process of a virtual machine it turns the machine off at its end: `cargo run -p tests --bin bochs` runs
//! it so on an emulated processor that has AVX-VNNI and AMX.

mod case;
mod signs;

use std::convert::Infallible;
use std::io::{self, Write};
use std::process::ExitCode;

use kernels::cpu;
use kernels::kind::Kind;
use kernels::path::{Instructions, Path, choose};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::termios::tcdrain;

use crate::case::{Case, Random};
use crate::signs::{Quants, quants_of_tiles};

/// Rows, blocks of columns and rows of activations: tiles that are full and not, more blocks than one turn of them,
/// fewer rows than tiles take, as many, some few more, and so many more that a tile begins earlier.
const SHAPES: [(usize, usize, usize); 7] = [
    (16, 1, 1),
    (40, 9, 3),
    (16, 8, 16),
    (33, 3, 18),
    (16, 17, 23),
    (48, 2, 32),
    (64, 1, 8),
];

fn main() -> ExitCode {
    let outcome = run(&mut io::stdout());
    match &outcome {
        Ok(true) => println!("paths: all bits are equal"),
        Ok(false) => println!("paths: bits differ"),
        Err(error) => println!("paths: cannot write: {error}"),
    }
    if std::process::id() == 1 {
        let Err(error) = power_off();
        println!("paths: cannot turn the machine off: {error}");
    }
    if matches!(outcome, Ok(true)) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Turns the machine off once its console has sent everything.
fn power_off() -> nix::Result<Infallible> {
    tcdrain(io::stdout())?;
    reboot(RebootMode::RB_POWER_OFF)
}

/// Whether all bits are equal.
fn run(out: &mut impl Write) -> io::Result<bool> {
    writeln!(out, "processor: {}", cpu::identity())?;
    for instructions in Instructions::ALL {
        match Path::from_environment(instructions.name()) {
            Ok(_) => writeln!(out, "HEARTH_CPU={instructions}: offered")?,
            Err(error) => writeln!(out, "{error}")?,
        }
    }
    writeln!(out, "chosen: {}", choose())?;
    let mut equal = true;
    for path in Path::offered() {
        let Some(quants) = quants_of_tiles(path) else {
            writeln!(out, "{}: a product of ones is wrong", path.instructions())?;
            equal = false;
            continue;
        };
        if quants == Quants::NotNegative {
            writeln!(
                out,
                "{}: this processor takes signed bytes of tiles for unsigned, so none are negative",
                path.instructions()
            )?;
        }
        for kind in Kind::ALL {
            equal &= compare(path, kind, quants, out)?;
        }
    }
    Ok(equal)
}

/// Multiplies all shapes of one kind on one path and tells what came of it.
fn compare(path: Path, kind: Kind, quants: Quants, out: &mut impl Write) -> io::Result<bool> {
    let mut random = Random::new();
    let (mut elements, mut different) = (0, 0);
    for shape in SHAPES {
        let case = Case::new(kind, shape, quants, &mut random);
        let (found, expected) = (case.product(path), case.by_definition());
        elements += expected.len();
        let pairs = found.iter().zip(&expected);
        different += pairs.filter(|(a, b)| a.to_bits() != b.to_bits()).count();
    }
    let name = path.instructions();
    let kind = kind.name();
    writeln!(
        out,
        "product: {name} {kind} {elements} elements, {different} differ"
    )?;
    Ok(different == 0)
}
