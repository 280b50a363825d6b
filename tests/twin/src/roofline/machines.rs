//! Three machines. Each number says where it was published, or that it is an assumption; a figure that was read off a
//! plug is split by assumption. Pages were read in November 2026, some of them in excerpts; of O'Connor's paper only the
//! abstract was, its figures are from memory and bound an assumption.

use super::{Machine, Power, Speed};

/// A mini PC with Intel's N100: one memory channel, four small cores.
///
/// Why these numbers:
/// - Clocks 0.8–3.4 GHz, four cores: notebookcheck.com, "Intel Processor N100"; wikimili, "Gracemont". Its floor of
///   0.7 GHz is the microarchitecture's (ibid.). All cores together reach 2.9 GHz: **assumption**; of its sibling N150
///   2.2 GHz was seen under constant load (geerlingguy/ai-benchmarks #12).
/// - Bandwidth: Llama 3.1 8B `Q4_K_M` (4.92 GB) generates 3.01 tokens/s (brand-o/normiebench #38): 14.8 GB/s of
///   weights; the N150 3.55 tokens/s (geerlingguy/ai-benchmarks #12): 17.5 GB/s. The first is used.
/// - Arithmetic: the same N100 reads prompts at 6.53 tokens/s (normiebench #38), 105 Gop/s; over 4 cores at 2.9 GHz 9.0
///   operations per cycle and core.
/// - Bandwidth's slope: between none (Haswell-EP) and almost half (Sandy Bridge-EP) at the lowest clock in
///   hofmann.id, "Memory Bandwidth on Haswell-EP"; 5 to 40 % in Schöne, Hackenberg and Molka, "Memory Performance at
///   Reduced CPU Clock Speeds" (2012). Of this processor nobody published it: 10 %, **assumption**.
/// - Power: HPL draws 26 W on average at the plug of a LattePanda Mu (geerlingguy/top500-benchmark #30), generation
///   26.4 W at that of an N150 box (ai-benchmarks #12). Idle about 5 to 6 W at the plug (AnandTech 21085, Alder
///   Lake-N boxes beside Intel's own). Of the 20 W between, 15 % are the supply's and the regulators' loss
///   (**assumption**), 17 W the package's: 1.5 uncore and 2 memory (**assumption**), 13.5 for four cores, 3.4 each at
///   2.9 GHz and 0.95 V. Split: leakage 0.3, the rest switching.
/// - Voltage: nobody published a curve; 0.65 V at the floor to 1.05 V at 3.4 GHz is an **assumption** from Intel 7's
///   other small cores.
/// - `sustained`: makers set PL1 to 6 to 15 W and PL2 to 15 to 25 W (forum.level1techs.com, thread 217362): 15 W.
/// - `idle`, `stalled`, `memory_picojoules_per_bit`, `overlap`, `overhead_cycles`: **assumptions**. For the memory,
///   O'Connor et al., "Fine-Grained DRAM" (MICRO-50, 2017) has stacked memory near 4 pJ/bit and GDDR5 near 14.
pub fn n100() -> Machine {
    Machine {
        name: "Intel N100",
        cores: 4,
        clock_min: 0.7,
        clock_max: 3.4,
        clock_all_cores: 2.9,
        table: &[],
        driver: "intel_pstate",
        metered: true,
        speed: Speed {
            bandwidth: 14.8,
            bandwidth_slope: 0.10,
            operations_per_cycle: 9.0,
            overlap: 0.95,
            overhead_cycles: 3.0e6,
        },
        power: Power {
            idle: 1.2,
            uncore: 1.5,
            memory_picojoules_per_bit: 14.0,
            capacitance: 1.19,
            leakage: 0.3,
            voltage: &[(0.7, 0.65), (1.6, 0.72), (2.4, 0.85), (2.9, 0.95), (3.4, 1.05)],
            stalled: 0.6,
            sustained: 15.0,
            board: 5.0,
        },
    }
}

/// A mini PC with AMD's Ryzen 7 5825U: two memory channels, eight large cores, 15 W.
///
/// Why these numbers:
/// - The silicon is Cezanne's (Zen 3; the 5825U is its second issue). 4.5 GHz is the product's boost clock; the floor of 0.4 GHz is what
///   `amd-pstate` tells of such processors (**assumption**); all cores together reach 4.0 GHz (**assumption**).
/// - Bandwidth: a 5700G (Cezanne) makes a token of LLaMA 7B at 4 bit (4.2 GB) in 100.43 ms with its best number of
///   threads (ggml-org/llama.cpp #39): 41.8 GB/s.
/// - Arithmetic: no prompt speed of this processor was found. A six-core i5-9500, AVX2 as well, reads Llama 3.1 8B at
///   35.43 tokens/s (normiebench #34): 569 Gop/s, 24 operations per cycle and core at 4 GHz; Zen 3 is taken to do as
///   much (**assumption**).
/// - Bandwidth's slope: as for the N100, **assumption** (its memory fabric has a clock of its own).
/// - Power of a core: 2.85 W at 3.2 GHz and 1.059 V, all eight busy, 58 to 67 °C (kevinlekiller/amdctl #40, a 5800H of
///   the same silicon). Split: leakage 0.35 at the highest voltage (**assumption**), the rest switching: 0.72 nF.
/// - Voltage: that point; "1.5 V in certain scenarios" at the top (ComputerBase 77324, Cezanne); 0.70 V at the floor
///   and 1.30 V at 4.5 GHz are **assumptions**.
/// - `sustained`: the steady state of its predecessor 4800U in a mini PC is about 15 W of package, 10.45 W at the plug
///   at rest (AnandTech 16236, ASRock 4X4 BOX-4800U).
/// - `idle`, `uncore`, `stalled`, `memory_picojoules_per_bit`, `overlap`, `overhead_cycles`: **assumptions**.
pub fn ryzen_5825u() -> Machine {
    Machine {
        name: "Ryzen 7 5825U",
        cores: 8,
        clock_min: 0.4,
        clock_max: 4.5,
        clock_all_cores: 4.0,
        table: &[],
        driver: "amd-pstate-epp",
        metered: true,
        speed: Speed {
            bandwidth: 41.8,
            bandwidth_slope: 0.10,
            operations_per_cycle: 24.0,
            overlap: 0.95,
            overhead_cycles: 3.0e6,
        },
        power: Power {
            idle: 1.5,
            uncore: 3.0,
            memory_picojoules_per_bit: 14.0,
            capacitance: 0.72,
            leakage: 0.35,
            voltage: &[(0.4, 0.70), (1.6, 0.78), (2.4, 0.90), (3.2, 1.059), (4.5, 1.30)],
            stalled: 0.6,
            sustained: 15.0,
            board: 8.5,
        },
    }
}

/// A Raspberry Pi 5: four Cortex-A76, whose lowest clock is high.
///
/// Why these numbers:
/// - 2.4 GHz, four cores: emergentmind.com, "Raspberry Pi Model 5". The firmware's table goes from 1.5 to 2.4 GHz by
///   0.1 (**assumption** of this list, from the board's documentation as remembered).
/// - Bandwidth: Llama 3.1 8B (4.92 GB) at 2.17 tokens/s, Llama 3.2 3B (2.02 GB) at 4.88 (geerlingguy/sbc-reviews #21):
///   10.7 and 9.9 GB/s. The first is used.
/// - Arithmetic: 16 operations per cycle and core, **assumption**: its dot-product instructions do 32 at most.
/// - Power: generation draws 11.6 to 11.9 W, HPL 12.0 W (sbc-reviews #21); rest about 3 W (u-labs.de, "So verbraucht
///   der Raspberry Pi 5 …"). Of the 9 W between, 10 % regulators' loss (**assumption**), 8.1 W: 1.0 uncore, 1.0
///   memory, 6.1 for four cores, 1.5 each at 2.4 GHz and 0.90 V (the processor's rail as documented for `pmic_read_adc`,
///   pitop.hongjunwu.com).
/// - Voltage at 1.5 GHz 0.75 V, and everything that the N100's list calls so: **assumptions**.
pub fn raspberry_pi_5() -> Machine {
    Machine {
        name: "Raspberry Pi 5",
        cores: 4,
        clock_min: 1.5,
        clock_max: 2.4,
        clock_all_cores: 2.4,
        table: &[1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.1, 2.2, 2.3, 2.4],
        driver: "cpufreq-dt",
        metered: false,
        speed: Speed {
            bandwidth: 10.7,
            bandwidth_slope: 0.10,
            operations_per_cycle: 16.0,
            overlap: 0.95,
            overhead_cycles: 3.0e6,
        },
        power: Power {
            idle: 1.5,
            uncore: 1.0,
            memory_picojoules_per_bit: 10.0,
            capacitance: 0.69,
            leakage: 0.15,
            voltage: &[(1.5, 0.75), (2.4, 0.90)],
            stalled: 0.6,
            sustained: 20.0,
            board: 1.5,
        },
    }
}

/// The three.
pub fn all() -> [Machine; 3] {
    [n100(), ryzen_5825u(), raspberry_pi_5()]
}
