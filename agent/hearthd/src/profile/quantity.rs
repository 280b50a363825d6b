//! Numbers of a profile: each with its unit in the key and with where it comes from.

use schemars::JsonSchema;
use serde::Deserialize;
use std::ops::RangeInclusive;

/// What every number of a profile has in common.
pub(crate) trait Quantity {
    /// How the unit is written behind the number.
    const UNIT: &'static str;
    /// What can be meant at all.
    const RANGE: RangeInclusive<f64>;
    /// The number itself.
    fn number(&self) -> f64;
    /// The name of the entry in `[sources]` that published it.
    fn source(&self) -> Option<&str>;
    /// In words why it is so.
    fn why(&self) -> Option<&str>;
}

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident { $key:ident, $unit:literal, $start:literal, $end:literal }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            /// The number, in the unit that the key names.
            #[schemars(range(min = $start, max = $end))]
            pub(crate) $key: f64,
            /// The entry of `[sources]` that published the number.
            #[serde(default)]
            pub(crate) source: Option<String>,
            /// Why it is so. Needed where there is no source, which only `generic/` and `local/` profiles may do without.
            #[serde(default)]
            pub(crate) why: Option<String>,
        }

        impl Quantity for $name {
            const UNIT: &'static str = $unit;
            const RANGE: RangeInclusive<f64> = $start..=$end;

            fn number(&self) -> f64 {
                self.$key
            }

            fn source(&self) -> Option<&str> {
                self.source.as_deref()
            }

            fn why(&self) -> Option<&str> {
                self.why.as_deref()
            }
        }
    };
}

quantity! {
    /// A temperature.
    Celsius { celsius, "°C", 40.0, 125.0 }
}
quantity! {
    /// A difference of temperatures.
    Kelvin { kelvin, "K", 3.0, 60.0 }
}
quantity! {
    /// Electrical power of the processor's package.
    Watts { watts, "W", 0.5, 300.0 }
}
quantity! {
    /// A share.
    Percent { percent, "%", 0.0, 20.0 }
}
