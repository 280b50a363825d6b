//! The processor's name and instruction sets, from `/proc/cpuinfo`.

use crate::problem::Problem;
use crate::reader::Reader;
use machine::CpuFeatures;

const FILE: &str = "/proc/cpuinfo";

/// The instruction sets that decide how inference runs, by the kernel's names (`arch/x86/include/asm/cpufeatures.h`,
/// `arch/arm64/kernel/cpuinfo.c`), sorted.
const INFERENCE: &[&str] = &[
    "amx_bf16",
    "amx_complex",
    "amx_fp16",
    "amx_int8",
    "amx_tile",
    "asimd",
    "asimddp",
    "asimdhp",
    "avx",
    "avx2",
    "avx512_bf16",
    "avx512_fp16",
    "avx512_vnni",
    "avx512bw",
    "avx512cd",
    "avx512dq",
    "avx512f",
    "avx512vbmi",
    "avx512vl",
    "avx_vnni",
    "bf16",
    "bmi2",
    "f16c",
    "fma",
    "i8mm",
    "sse4_1",
    "sse4_2",
    "ssse3",
    "sve",
    "sve2",
];

pub(crate) fn discover(reader: &mut Reader<'_>) -> CpuFeatures {
    reader.head(FILE, parse).unwrap_or_default()
}

/// Takes the first processor's block; an appliance's processors are of one make, and hybrid ones share their flags.
fn parse(text: &str) -> Result<CpuFeatures, Problem> {
    let mut features = CpuFeatures::default();
    let mut flags = "";
    for line in text.lines().take_while(|line| !line.trim().is_empty()) {
        let Some((key, value)) = line.split_once(':') else {
            return Err(Problem::malformed(line, "a field and its value"));
        };
        match key.trim() {
            "model name" => features.model_name = crate::parse::maybe_name(value)?,
            "vendor_id" => features.vendor_id = crate::parse::maybe_name(value)?,
            "flags" | "Features" => flags = value,
            _ => {}
        }
    }
    features.flags = known(flags);
    if features == CpuFeatures::default() {
        Err(Problem::NoField("model name"))
    } else {
        Ok(features)
    }
}

fn known(flags: &str) -> Vec<String> {
    let has = |name: &&&str| flags.split_whitespace().any(|flag| flag == **name);
    INFERENCE
        .iter()
        .filter(has)
        .map(|name| (*name).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_first_processor_counts() {
        let text = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) N100\nflags\t\t: fpu avx_vnni avx2 avx fma\n\n\
                    processor\t: 1\nmodel name\t: other\n";
        let features = parse(text).unwrap();
        assert_eq!(features.model_name.as_deref(), Some("Intel(R) N100"));
        assert_eq!(features.vendor_id.as_deref(), Some("GenuineIntel"));
        assert_eq!(features.flags, ["avx", "avx2", "avx_vnni", "fma"]);
    }

    #[test]
    fn arm_calls_them_features() {
        let text = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n";
        assert_eq!(parse(text).unwrap().flags, ["asimd", "asimddp", "i8mm"]);
    }

    #[test]
    fn a_text_that_tells_nothing_is_a_fault() {
        assert!(parse("").is_err());
        assert!(parse("processor : 0\n").is_err());
        assert!(parse("garbage\n").is_err());
    }

    #[test]
    fn the_names_looked_for_are_sorted() {
        assert!(INFERENCE.is_sorted());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn no_table_panics(text in "((model name|flags|vendor_id|é)?\t?:? ?[a-zé2 ]{0,9}\n?){0,8}") {
            let _ = parse(&text);
        }
    }
}
