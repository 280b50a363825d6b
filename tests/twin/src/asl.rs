//! The machine's ACPI table, in ASL for `iasl`.
//!
//! It adds to QEMU's `q35`: P-states, a thermal zone with a fan, a mains adapter, a battery, and a Generic Event Device
//! by which the host tells that something has changed. Everything that changes lies in the shared page
//! ([`crate::registers`]); a temperature that was never told reads as [`SENTINEL`].

use std::fmt::Write as _;

use crate::description::Description;
use crate::registers::{EVENT_INTERRUPT, Event, PCI_SLOT, PSTATE_PORT, Register};

/// What the zone shows while the guest cannot reach the shared page: 17.3 °C, in tenths of a kelvin.
pub const SENTINEL: u32 = 2905;

/// The whole table.
pub fn table(machine: &Description) -> String {
    let mut text = String::from("DefinitionBlock (\"\", \"SSDT\", 2, \"HEARTH\", \"TWIN\", 1)\n{\n");
    text += "External (\\_SB.PCI0, DeviceObj)\n";
    for processor in 0..machine.processors {
        text += &format!("External ({}, ProcessorObj)\n", path(processor));
    }
    text += &shared_page();
    text += &pstates(machine);
    text += &fan(machine);
    text += &supplies();
    text += &events(machine);
    text += &zone(machine);
    text + "}\n"
}

/// The processor's object as QEMU names it.
fn path(processor: u32) -> String {
    format!("\\_SB.CPUS.C{processor:03X}")
}

/// `\_SB.SRD (offset, default)` and `\_SB.SWR (offset, value)`.
///
/// QEMU's DSDT has 32-bit integers, so the memory must lie below 4 GiB.
fn shared_page() -> String {
    format!(
        r"
Scope (\_SB.PCI0)
{{
    Device (TWIN)
    {{
        Name (_ADR, 0x{PCI_SLOT:04X}0000)
        OperationRegion (PCFG, PCI_Config, Zero, 0x40)
        Field (PCFG, DWordAcc, NoLock, Preserve)
        {{
            VDID, 32, PCMD, 16,
            Offset (0x18), BAR2, 32, BAR3, 32
        }}
        Method (BASE, 0, Serialized)
        {{
            If (VDID != 0x11101AF4) {{ Return (Zero) }}
            If (BAR3 != Zero) {{ Return (Zero) }}
            If ((PCMD & 2) == Zero) {{ PCMD = (PCMD | 2) }}
            Return (BAR2 & 0xFFFFFFF0)
        }}
    }}
}}
Scope (\_SB)
{{
    Method (SRD, 2, Serialized)
    {{
        Local0 = \_SB.PCI0.TWIN.BASE ()
        If (Local0 == Zero) {{ Return (Arg1) }}
        OperationRegion (PAGE, SystemMemory, (Local0 + Arg0), 4)
        Field (PAGE, DWordAcc, NoLock, Preserve) {{ WORD, 32 }}
        Return (WORD)
    }}
    Method (SWR, 2, Serialized)
    {{
        Local0 = \_SB.PCI0.TWIN.BASE ()
        If (Local0 == Zero) {{ Return (Zero) }}
        OperationRegion (PAGE, SystemMemory, (Local0 + Arg0), 4)
        Field (PAGE, DWordAcc, NoLock, Preserve) {{ WORD, 32 }}
        WORD = Arg1
        Return (One)
    }}
}}
"
    )
}

/// A call that reads a word.
fn read(register: Register, default: u32) -> String {
    format!("\\_SB.SRD (0x{:02X}, {default})", register.offset())
}

fn pstates(machine: &Description) -> String {
    let states: Vec<String> = machine
        .pstates
        .iter()
        .map(|state| {
            let control = state.control();
            format!(
                "    Package () {{ {}, {}, 10, 10, {control}, {control} }}",
                state.megahertz, state.milliwatts
            )
        })
        .collect();
    let mut text = format!(
        "Scope (\\_SB)\n{{\nName (PSSD, Package ()\n{{\n{}\n}})\n}}\n",
        states.join(",\n")
    );
    let limit = read(Register::PERFORMANCE_LIMIT, 0);
    for processor in 0..machine.processors {
        let register = format!(
            "ResourceTemplate () {{ Register (SystemIO, 8, 0, 0x{:X}, 1) }}",
            PSTATE_PORT + processor
        );
        let _infallible = write!(
            text,
            r"Scope ({})
{{
    Name (_PCT, Package () {{ {register}, {register} }})
    Method (_PSS, 0) {{ Return (\_SB.PSSD) }}
    Method (_PPC, 0) {{ Return ({limit}) }}
    Name (_PSD, Package () {{ Package () {{ 5, 0, {processor}, 0xFC, 1 }} }})
}}
",
            path(processor)
        );
    }
    text
}

fn fan(machine: &Description) -> String {
    let levels: Vec<String> = machine
        .fan_rpm
        .iter()
        .enumerate()
        .map(|(level, rpm)| {
            format!("        Package () {{ {level}, 0xFFFFFFFF, {rpm}, {level}, {level}00 }}")
        })
        .collect();
    format!(
        r#"Device (\_SB.FAN0)
{{
    Name (_HID, EisaId ("PNP0C0B"))
    Name (_UID, Zero)
    Name (_FIF, Package () {{ 0, 0, 1, 0 }})
    Name (_FPS, Package ()
    {{
        0,
{}
    }})
    Method (_FSL, 1, Serialized) {{ \_SB.SWR (0x{:02X}, Arg0) }}
    Method (_FST, 0, Serialized)
    {{
        Name (STAT, Package () {{ 0, 0, 0 }})
        STAT [1] = {}
        STAT [2] = {}
        Return (STAT)
    }}
}}
"#,
        levels.join(",\n"),
        Register::FAN_LEVEL.offset(),
        read(Register::FAN_LEVEL, 0),
        read(Register::FAN_RPM, 0),
    )
}

fn supplies() -> String {
    format!(
        r#"Device (\_SB.ADP0)
{{
    Name (_HID, "ACPI0003")
    Method (_PSR, 0) {{ Return ({}) }}
    Name (_PCL, Package () {{ \_SB }})
}}
Device (\_SB.BAT0)
{{
    Name (_HID, EisaId ("PNP0C0A"))
    Name (_UID, Zero)
    Method (_STA, 0) {{ Return (0x1F) }}
    Name (_BIF, Package () {{ 0, 50000, 48000, 1, 11400, 4800, 1500, 100, 100, "TWIN", "1", "LION", "HEARTH" }})
    Method (_BST, 0, Serialized)
    {{
        Name (STAT, Package () {{ 0, 0, 0, 11400 }})
        STAT [0] = {}
        STAT [1] = {}
        STAT [2] = {}
        Return (STAT)
    }}
    Name (_PCL, Package () {{ \_SB }})
}}
"#,
        read(Register::MAINS, 1),
        read(Register::BATTERY_STATE, 0),
        read(Register::BATTERY_RATE, 0),
        read(Register::BATTERY_REMAINING, 40_000),
    )
}

/// The Generic Event Device (ACPI 6.5, 5.6.9): an interrupt from the host becomes the notifications that it asked for.
fn events(machine: &Description) -> String {
    let processors: String = (0..machine.processors)
        .map(|processor| format!("Notify ({}, 0x80) ", path(processor)))
        .collect();
    format!(
        r#"Device (\_SB.GEDV)
{{
    Name (_HID, "ACPI0013")
    Name (_UID, Zero)
    Name (_CRS, ResourceTemplate ()
    {{
        Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive,,,) {{ {EVENT_INTERRUPT} }}
    }})
    Method (_EVT, 1, Serialized)
    {{
        Local0 = {}
        If (Local0 & {}) {{ Notify (\_TZ.TZ00, 0x80) }}
        If (Local0 & {}) {{ {processors}}}
        If (Local0 & {}) {{ Notify (\_SB.ADP0, 0x80) }}
        If (Local0 & {}) {{ Notify (\_SB.BAT0, 0x80) }}
    }}
}}
"#,
        read(Register::EVENTS, 0),
        Event::Temperature as u32,
        Event::PerformanceLimit as u32,
        Event::Mains as u32,
        Event::Battery as u32,
    )
}

/// The thermal zone. `_TZP` and `_TSP` are 0.5 s: the fan answers in time for a plant whose time constants are a tenth
/// of a real one's. Linux refuses a zone whose `_TSP` is longer than its `_TZP`.
fn zone(machine: &Description) -> String {
    let kelvin = |celsius: u32| celsius * 10 + 2732;
    let trips = machine.trips;
    let processors: Vec<String> = (0..machine.processors).map(path).collect();
    format!(
        r"ThermalZone (\_TZ.TZ00)
{{
    Method (_TMP, 0, Serialized)
    {{
        \_SB.SWR (0x{reads:02X}, ({count} + One))
        Local0 = {temperature}
        // A package where a number belongs: Linux cannot read the temperature then.
        If ({fault}) {{ Local0 = Package () {{ Zero }} }}
        Return (Local0)
    }}
    Method (_CRT, 0) {{ Return ({critical}) }}
    Method (_HOT, 0) {{ Return ({hot}) }}
    Method (_PSV, 0) {{ Return ({passive}) }}
    Name (_PSL, Package () {{ {list} }})
    Name (_TC1, 1)
    Name (_TC2, 2)
    Name (_TSP, 5)
    Method (_AC0, 0) {{ Return ({active}) }}
    Name (_AL0, Package () {{ \_SB.FAN0 }})
    Name (_TZP, 5)
}}
",
        reads = Register::TEMPERATURE_READS.offset(),
        count = read(Register::TEMPERATURE_READS, 0),
        fault = read(Register::SENSOR_FAULT, 0),
        temperature = read(Register::TEMPERATURE, SENTINEL),
        critical = kelvin(trips.critical),
        hot = kelvin(trips.hot),
        passive = kelvin(trips.passive),
        list = processors.join(", "),
        active = kelvin(trips.active),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_has_a_port_of_its_own() {
        let text = table(&Description::mini_pc(3));
        for (processor, port) in [("C000", "0x5C0"), ("C001", "0x5C1"), ("C002", "0x5C2")] {
            assert!(
                text.contains(&format!("Scope (\\_SB.CPUS.{processor})")),
                "{text}"
            );
            assert!(text.contains(port), "{text}");
        }
        assert!(!text.contains("C003"));
    }

    #[test]
    fn trip_points_are_tenths_of_a_kelvin() {
        let text = table(&Description::mini_pc(1));
        assert!(text.contains("Method (_CRT, 0) { Return (3782) }"), "{text}");
    }

    #[test]
    fn braces_and_brackets_pair() {
        let text = table(&Description::mini_pc(2));
        for (open, close) in [('{', '}'), ('(', ')')] {
            assert_eq!(text.matches(open).count(), text.matches(close).count());
        }
    }
}
