//! Element types by ggml's numbers
//! (<https://github.com/ggml-org/ggml/blob/master/include/ggml.h>, `enum ggml_type`).

use kernels::kind::Kind;

/// The kind of a number, or why there is none.
pub(super) fn kind(number: u32) -> Result<Kind, String> {
    Kind::from_ggml(number).ok_or_else(|| {
        let supported = Kind::ALL.map(Kind::name).join(", ");
        match name(number) {
            Some(name) => format!("is of type {name}, which has no kernels; supported are {supported}"),
            None => format!("is of the unknown type {number}; supported are {supported}"),
        }
    })
}

/// Names of the types that have no kernels.
fn name(number: u32) -> Option<&'static str> {
    let name = match number {
        7 => "Q5_1",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        _ => return None,
    };
    Some(name)
}
