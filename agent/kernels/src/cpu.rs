//! The processor that this process runs on.

use std::arch::x86_64::{__cpuid, __cpuid_count};

use crate::path::Path;

/// What tells this processor from others as far as speed goes, in one line: vendor, brand, signature (family, model
/// and stepping), features, the hypervisor or emulator below, and the paths that the operating system lets it run.
pub fn identity() -> String {
    let brand = text((0x8000_0002..=0x8000_0004).flat_map(leaf));
    let vendor = text([leaf(0)[1], leaf(0)[3], leaf(0)[2]]);
    // Not the second word of leaf 1: it has the number of the core that answers.
    let [signature, _, features @ ..] = leaf(1);
    let features = features.into_iter().chain(extended_features());
    let features: Vec<_> = features.map(|word| format!("{word:08x}")).collect();
    let offered: Vec<_> = Path::offered()
        .iter()
        .map(|path| path.instructions().name())
        .collect();
    format!(
        "{vendor} {brand}, signature {signature:08x}, features {}, hypervisor {}, paths {}",
        features.join(" "),
        hypervisor().unwrap_or_else(|| "none".to_owned()),
        offered.join(" "),
    )
}

/// Leaf 7, where there is one: else processors answer with another.
fn extended_features() -> impl Iterator<Item = u32> {
    let leaves = if leaf(0)[0] >= 7 { 0..2 } else { 0..0 };
    leaves.flat_map(|index| {
        let leaf = __cpuid_count(7, index);
        [leaf.ebx, leaf.ecx, leaf.edx, leaf.eax]
    })
}

/// The name that a hypervisor or an emulator gives itself, `TCGTCGTCGTCG` for QEMU's emulator; none on bare metal.
fn hypervisor() -> Option<String> {
    const PRESENT: u32 = 1 << 31;
    let below = __cpuid(1).ecx & PRESENT != 0;
    below.then(|| text(leaf(0x4000_0000).into_iter().skip(1)))
}

fn leaf(number: u32) -> [u32; 4] {
    let leaf = __cpuid(number);
    [leaf.eax, leaf.ebx, leaf.ecx, leaf.edx]
}

/// The characters in registers, as far as they can be printed.
fn text(words: impl IntoIterator<Item = u32>) -> String {
    let bytes = words.into_iter().flat_map(u32::to_le_bytes);
    let characters: String = bytes
        .map(char::from)
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .collect();
    characters.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_the_same_from_call_to_call_and_on_each_core() {
        let here = identity();
        assert_eq!(here.lines().count(), 1);
        let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(identity)).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), here);
        }
    }

    #[test]
    fn text_is_read_out_of_registers() {
        let words = [*b"Genu", *b"ineI", *b"ntel"].map(u32::from_le_bytes);
        assert_eq!(text(words), "GenuineIntel");
        assert_eq!(
            text([u32::from_le_bytes(*b" a\0\0"), u32::from_le_bytes(*b"  b ")]),
            "a b"
        );
    }
}
