//! Choosing and resolving, over folders made here and over the trees in `tests/machines`; and the shipped files.
#![allow(
    clippy::unwrap_used,
    reason = "clippy lets only test functions unwrap, not what they share"
)]

use super::catalogue::Catalogue;
use super::command::schema;
use super::explain::Explanation;
use super::problem::Problem;
use super::{FOLDERS, file};
use machine::{Capabilities, Fan, MicroWatts, MilliCelsius, Tuning};
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const SOURCE: &str =
    "[sources.sheet]\ntitle = \"Sheet\"\nurl = \"https://example.org/sheet\"\nseen = \"2026-11-22\"\n";

fn repo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn shipped() -> PathBuf {
    repo().join("firmware-profiles")
}

/// A folder of profiles: `(id, text)`.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (id, text) in files {
        let path = folder.path().join(format!("{id}.toml"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn load(files: &[(&str, &str)]) -> (Catalogue, Vec<Problem>) {
    Catalogue::load(&[folder(files).path().to_owned()])
}

fn machine(sys_vendor: &str, product: &str, board: &str, cpu: &str) -> Capabilities {
    let mut machine = Capabilities::default();
    machine.dmi.sys_vendor = Some(sys_vendor.to_owned());
    machine.dmi.product_name = Some(product.to_owned());
    machine.dmi.board_name = Some(board.to_owned());
    machine.features.model_name = Some(cpu.to_owned());
    machine.features.vendor_id = Some("GenuineIntel".to_owned());
    machine
}

fn chosen(files: &[(&str, &str)], machine: &Capabilities) -> String {
    let (catalogue, problems) = load(files);
    assert_eq!(problems, []);
    catalogue.matching(machine).0.profile
}

fn captured(tree: &str) -> (Tuning, Explanation) {
    let root = repo().join("tests/machines").join(tree);
    let machine = linux::discover(&linux::Tree::open(&root).unwrap());
    let (catalogue, problems) = Catalogue::load(&[shipped()]);
    assert_eq!(problems, []);
    catalogue.matching(&machine)
}

/// One problem, its key and line.
fn only(files: &[(&str, &str)]) -> Problem {
    let (_, problems) = load(files);
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.into_iter().next().unwrap()
}

#[test]
fn the_closest_name_wins() {
    let product = format!(
        "name = \"Product\"\nmatch = [{{ sys_vendor = \"AZW\", product_name = \"MINI S\", source = \"sheet\" }}]\n{SOURCE}"
    );
    let board =
        format!("name = \"Board\"\nmatch = [{{ board_name = \"B1\", source = \"sheet\" }}]\n{SOURCE}");
    let vendor =
        format!("name = \"Vendor\"\nmatch = [{{ sys_vendor = \"AZW\", source = \"sheet\" }}]\n{SOURCE}");
    let mut files = vec![
        ("a/product", product.as_str()),
        ("b/board", &board),
        ("c/vendor", &vendor),
        (
            "d/model",
            "name = \"Model\"\nmatch = [{ cpu_model = \"Intel(R) N100\" }]",
        ),
        (
            "generic/class",
            "name = \"Class\"\nmatch = [{ cpu_model = \"Intel(R) N*\" }]",
        ),
        ("generic/unknown", "name = \"Unknown\"\nmatch = [{}]"),
    ];
    let machine = machine("AZW", "MINI S", "B1", "Intel(R) N100");
    while let Some((id, _)) = files.first().copied() {
        assert_eq!(chosen(&files, &machine), id);
        files.remove(0);
    }
}

#[test]
fn filler_fits_nothing() {
    let file = format!(
        "name = \"Any\"\nmatch = [{{ sys_vendor = \"D*\", product_name = \"De*\", source = \"sheet\" }}]\n{SOURCE}"
    );
    let filler = machine("Default string", "Default string", "Default string", "x");
    assert_eq!(chosen(&[("a/b", &file)], &filler), "generic/unknown");
    let named = machine("Dell", "Deskmini", "", "x");
    assert_eq!(chosen(&[("a/b", &file)], &named), "a/b");
}

#[test]
fn a_pattern_may_not_be_filler() {
    let file = format!(
        "name = \"Any\"\nmatch = [{{ product_name = \"Default string\", source = \"sheet\" }}]\n{SOURCE}"
    );
    let problem = only(&[("a/b", &file)]);
    assert_eq!(problem.key.as_deref(), Some("match[0].product_name"));
    assert_eq!(problem.line, Some(2));
}

#[test]
fn values_come_from_the_nearest_that_has_them() {
    let parent = format!(
        "name = \"Parent\"\ntjmax = {{ celsius = 105, source = \"sheet\" }}\n\
         sustained = {{ watts = 6, source = \"sheet\" }}\nburst = {{ watts = 25, source = \"sheet\" }}\n\
         ignored_sensors = [{{ sensor = \"acpitz\", source = \"sheet\" }}]\nextends = \"generic/class\"\n{SOURCE}"
    );
    let child = format!(
        "name = \"Child\"\nextends = \"cpu/n100\"\nmatch = [{{ product_name = \"P\", source = \"sheet\" }}]\n\
         sustained = {{ watts = 12.5, source = \"sheet\" }}\nfan = {{ present = true, tachometer = true, source = \"sheet\" }}\n{SOURCE}"
    );
    let class = "name = \"Class\"\nmargin = { kelvin = 20, why = \"a choice\" }\ndecode_loss = { percent = 2, why = \"a choice\" }";
    let files = [
        ("a/child", child.as_str()),
        ("cpu/n100", &parent),
        ("generic/class", class),
    ];
    let (catalogue, problems) = load(&files);
    assert_eq!(problems, []);
    let (tuning, explanation) = catalogue.matching(&machine("x", "P", "x", "x"));
    let expected = Tuning {
        profile: "a/child".into(),
        target: MilliCelsius(85_000),
        tdp: None,
        sustained_power: Some(MicroWatts(12_500_000)),
        burst_power: Some(MicroWatts(25_000_000)),
        fan: Fan::Tachometer,
        ignored_sensors: vec!["acpitz".into()],
        decode_loss: 0.02,
    };
    assert_eq!(tuning, expected);
    assert_eq!(explanation.chain, ["a/child", "cpu/n100", "generic/class"]);
    let from = |key| {
        let value = explanation.values.iter().find(|value| value.key == key).unwrap();
        (value.value.clone(), value.profile.clone(), value.source.is_some())
    };
    assert_eq!(
        from("sustained"),
        (Some("12.5 W".into()), Some("a/child".into()), true)
    );
    assert_eq!(
        from("margin"),
        (Some("20 K".into()), Some("generic/class".into()), false)
    );
    assert_eq!(from("tdp"), (None, None, false));
}

#[test]
fn a_target_holds_unless_what_it_follows_from_stands_nearer() {
    let base = "name = \"B\"\ntarget = { celsius = 80, why = \"w\" }";
    let class = "name = \"C\"\nextends = \"generic/base\"\nmargin = { kelvin = 10, why = \"w\" }";
    let model =
        "name = \"M\"\nextends = \"generic/class\"\nmatch = [{}]\ntjmax = { celsius = 100, why = \"w\" }";
    let own =
        "name = \"O\"\nextends = \"generic/model\"\nmatch = [{}]\ntarget = { celsius = 65, why = \"w\" }";
    let target = |files: &[(&str, &str)]| load(files).0.matching(&Capabilities::default()).0.target;
    let any = format!("{class}\nmatch = [{{}}]");
    assert_eq!(
        target(&[("generic/base", base), ("generic/class", &any)]),
        MilliCelsius(80_000)
    );
    let mut files = vec![
        ("generic/base", base),
        ("generic/class", class),
        ("generic/model", model),
    ];
    assert_eq!(target(&files), MilliCelsius(90_000));
    files.push(("generic/aa-own", own));
    assert_eq!(target(&files), MilliCelsius(65_000));
}

#[test]
fn the_administrators_file_replaces_ours_of_the_same_name_unless_it_is_wrong() {
    let ours = "name = \"Ours\"\nmatch = [{}]\ntarget = { celsius = 80, why = \"ours\" }";
    let own = "name = \"Own\"\nmatch = [{}]\ntarget = { celsius = 70, why = \"a bedroom\" }";
    let (usr, etc) = (
        folder(&[("generic/unknown", ours)]),
        folder(&[("generic/unknown", own)]),
    );
    let folders = [usr.path().to_owned(), etc.path().to_owned()];
    let (catalogue, problems) = Catalogue::load(&folders);
    assert_eq!(problems, []);
    assert_eq!(
        catalogue.matching(&Capabilities::default()).0.target,
        MilliCelsius(70_000)
    );

    fs::write(etc.path().join("generic/unknown.toml"), "name = 3").unwrap();
    let (catalogue, problems) = Catalogue::load(&folders);
    assert_eq!(problems[0].path, etc.path().join("generic/unknown.toml"));
    assert_eq!(problems[0].key.as_deref(), Some("name"));
    assert_eq!(
        catalogue.matching(&Capabilities::default()).0.target,
        MilliCelsius(80_000)
    );
}

#[test]
fn of_two_that_fit_alike_the_later_folder_wins() {
    let any = "name = \"Any\"\nmatch = [{}]";
    let (usr, etc) = (folder(&[("generic/a", any)]), folder(&[("local/z", any)]));
    let (catalogue, _) = Catalogue::load(&[usr.path().to_owned(), etc.path().to_owned()]);
    assert_eq!(catalogue.matching(&Capabilities::default()).0.profile, "local/z");
}

#[test]
fn an_unknown_key_is_told_with_file_line_and_the_known_ones() {
    let problem = only(&[("a/b", "name = \"B\"\n\n[[match]]\nproduct = \"P\"\n")]);
    assert!(problem.path.ends_with("a/b.toml"));
    assert_eq!(problem.line, Some(4));
    assert_eq!(problem.key.as_deref(), Some("match[0].product"));
    assert!(problem.problem.contains("product_name"), "{problem}");
}

#[test]
fn every_fault_of_a_file_is_told() {
    let text = "name = \" \"\nextends = \"../x\"\nmatch = [{ sys_vendor = \"*\" }, {}]\n\
                target = { celsius = 20, source = \"nowhere\" }\nsustained = { watts = 5 }\n\
                fan = { present = false, tachometer = true, why = \"w\" }\n\
                ignored_sensors = [{ sensor = \"\", why = \"w\" }]\n\
                [sources.unused]\ntitle = \"\"\nurl = \"ftp://x\"\nseen = \"yesterday\"\n";
    let (_, problems) = load(&[("a/b", text)]);
    let keys: Vec<&str> = problems
        .iter()
        .filter_map(|problem| problem.key.as_deref())
        .collect();
    let expected = [
        "name",
        "extends",
        "match[0].sys_vendor",
        "match[0]",
        "match[1]",
        "target",
        "target.source",
        "sustained",
        "fan.tachometer",
        "fan",
        "ignored_sensors[0].sensor",
        "ignored_sensors[0]",
        "sources.unused",
        "sources.unused.title",
        "sources.unused.url",
        "sources.unused.seen",
    ];
    assert_eq!(keys, expected);
    assert!(
        problems.iter().all(|problem| problem.line.is_some()),
        "{problems:?}"
    );
}

#[test]
fn only_generic_and_local_profiles_may_choose_and_must_say_why() {
    let number = "name = \"N\"\ntarget = { celsius = 80, why = \"because\" }";
    assert_eq!(load(&[("generic/a", number), ("local/b", number)]).1, []);
    assert_eq!(only(&[("acme/a", number)]).key.as_deref(), Some("target"));
    let silent = "name = \"N\"\ntarget = { celsius = 80 }";
    assert_eq!(only(&[("generic/a", silent)]).key.as_deref(), Some("target"));
    let named = "name = \"N\"\n[[match]]\nproduct_name = \"P\"";
    assert_eq!(load(&[("local/mine", named)]).1, []);
    assert_eq!(only(&[("acme/a", named)]).key.as_deref(), Some("match[0]"));
}

#[test]
fn numbers_that_contradict_each_other_are_told() {
    let text = "name = \"N\"\nextends = \"generic/a\"\nsustained = { watts = 30, why = \"w\" }";
    let parent = "name = \"A\"\nburst = { watts = 20, why = \"w\" }\ntjmax = { celsius = 90, why = \"w\" }\n\
                  target = { celsius = 89, why = \"w\" }";
    let (_, problems) = load(&[("local/n", text), ("generic/a", parent)]);
    let told: Vec<String> = problems.iter().map(|problem| problem.problem.clone()).collect();
    assert!(
        told.iter().any(|told| told.contains("sustained 30 W")),
        "{told:?}"
    );
    assert!(told.iter().any(|told| told.contains("3 K below")), "{told:?}");
}

#[test]
fn a_profile_that_contradicts_itself_fits_no_machine_but_may_be_extended() {
    let hot = "name = \"H\"\ntjmax = { celsius = 90, why = \"w\" }\ntarget = { celsius = 89, why = \"w\" }\n\
               [[match]]\ncpu_model = \"Intel(R) N100\"";
    let mended = "name = \"M\"\nextends = \"local/hot\"\ntarget = { celsius = 70, why = \"w\" }\n\
                  [[match]]\nsys_vendor = \"Acme\"\nproduct_name = \"P\"";
    let (catalogue, problems) = load(&[("local/hot", hot), ("local/mended", mended)]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    let tuning = |vendor| catalogue.matching(&machine(vendor, "P", "B", "Intel(R) N100")).0;
    assert_eq!(tuning("Else").target, Tuning::default().target);
    assert_eq!(tuning("Acme").target, MilliCelsius(70_000));
}

#[test]
fn a_chain_that_leads_nowhere_or_in_a_circle_is_left_out() {
    let files = [
        ("a/lost", "name = \"L\"\nextends = \"a/none\""),
        ("a/one", "name = \"1\"\nextends = \"a/two\""),
        ("a/two", "name = \"2\"\nextends = \"a/one\""),
        ("a/three", "name = \"3\"\nextends = \"a/one\""),
    ];
    let (catalogue, problems) = load(&files);
    assert_eq!(catalogue.iter().count(), 0);
    assert_eq!(problems.len(), 4);
    assert!(
        problems.iter().all(|problem| problem.line == Some(2)),
        "{problems:?}"
    );
}

#[test]
fn names_of_files_are_plain() {
    let (_, problems) = load(&[("a/B C", "name = \"x\""), ("Ä/b", "name = \"x\"")]);
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn without_any_file_the_defaults_count() {
    let (catalogue, problems) =
        Catalogue::load(&FOLDERS.map(|folder| PathBuf::from("/no/such").join(&folder[1..])));
    assert_eq!(problems, []);
    let (tuning, explanation) = catalogue.matching(&Capabilities::default());
    assert_eq!(tuning, Tuning::default());
    assert_eq!(explanation.fit, None);
}

#[test]
fn captured_machines_get_the_profiles_meant_for_them() {
    let expected = [
        ("acpi-cpufreq", "generic/unknown"),
        ("amd-guided", "amd/ryzen-5-5625u"),
        ("bad-firmware", "generic/unknown"),
        ("bad-stuck-zone", "intel/n95"),
        ("cppc", "generic/unknown"),
        ("hybrid", "generic/intel-core-ultra"),
        ("intel-passive", "generic/intel-core-u"),
        ("n100", "beelink/mini-s12-pro"),
        ("qemu", "generic/virtual-machine"),
        ("rpi5", "generic/raspberry-pi-5"),
        ("ryzen", "amd/ryzen-3-7335u"),
    ];
    let chosen = expected.map(|(tree, _)| (tree, captured(tree).0.profile));
    assert_eq!(chosen, expected.map(|(tree, profile)| (tree, profile.to_owned())));
}

#[test]
fn each_processor_that_is_named_gets_its_own_profile_where_the_machine_has_no_name() {
    let (catalogue, _) = Catalogue::load(&[shipped()]);
    let named = catalogue.iter().flat_map(|(id, profile)| {
        let criteria = profile.fragment.criteria.iter();
        criteria.filter_map(move |criteria| {
            (!criteria.names_dmi()).then_some((id, criteria.cpu_model.as_deref()?))
        })
    });
    let exact: Vec<(&str, &str)> = named.filter(|(_, model)| !model.contains('*')).collect();
    assert!(exact.len() > 40, "{exact:?}");
    for (id, model) in exact {
        let machine = machine("Default string", "Default string", "Default string", model);
        assert_eq!(catalogue.matching(&machine).0.profile, id, "{model}");
    }
}

#[test]
fn the_explanation_says_what_was_filler() {
    let (_, explanation) = captured("ryzen");
    let vendor = &explanation.machine[0];
    assert_eq!((vendor.field, vendor.filler), ("sys_vendor", true));
    let other = explanation
        .others
        .iter()
        .find(|other| other.profile == "generic/unknown");
    assert!(other.unwrap().fits);
}

#[test]
fn every_shipped_profile_is_sound_and_every_number_outside_generic_has_a_source() {
    let (catalogue, problems) = Catalogue::load(&[shipped()]);
    assert_eq!(problems, []);
    for (id, _) in catalogue.iter() {
        let (_, values) = super::settle::settle(id, &catalogue.chain(id));
        for value in values.iter().filter(|value| value.profile.is_some()) {
            let generic = value.profile.as_deref().unwrap().starts_with("generic/");
            assert!(
                value.source.is_some() || generic && value.why.is_some(),
                "{id}: {value:?}"
            );
        }
    }
}

#[test]
fn the_schema_in_the_repository_is_current() {
    let path = shipped().join("schema.json");
    let kept = fs::read_to_string(&path).unwrap();
    assert_eq!(
        kept,
        schema(),
        "run: hearthd profile schema > firmware-profiles/schema.json"
    );
}

/// Seeds are the shipped profiles: what is changed in them is found, with its line, or changes nothing.
#[test]
fn files_that_are_nearly_right() {
    let vendors = fs::read_dir(shipped())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = vendors
        .filter(|path| path.is_dir())
        .flat_map(|vendor| fs::read_dir(vendor).unwrap());
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let words: [&[u8]; 12] = [
        b"celsius = ",
        b"-1",
        b"1e300",
        b"9223372036854775808",
        b"nan",
        b"[]",
        b"{}",
        b"[[",
        b"]]",
        b"\"\"",
        b"\n\n[fan]\n",
        b"extends = \"generic/mini-pc\"\n",
    ];
    let campaign = fuzz::Campaign {
        name: "profile",
        seeds: files.iter().map(|path| fs::read(path).unwrap()).collect(),
        executions: 20_000,
        change: &|input, others, noise| fuzz::mutate::bytes(input, others, &words, noise),
    };
    let path = Path::new("a/b.toml");
    let report = campaign.run(&std::env::temp_dir(), |input| {
        let text = str::from_utf8(input).map_err(|error| error.to_string())?;
        match file::parse("a/b", path, text) {
            Ok(_) => Ok("a profile".to_owned()),
            Err(problems) => {
                let first = problems.first().expect("a refusal without a reason");
                assert!(first.to_string().contains("a/b.toml"), "{first}");
                Err(first.to_string())
            }
        }
    });
    report.show();
    assert!(report.taken > 0 && report.outcomes > 20, "{report}");
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = file::parse("a/b", Path::new("a/b.toml"), &text);
    }

    #[test]
    fn no_table_panics(
        lines in proptest::collection::vec(
            "(name|extends|target|tjmax|margin|fan|match|sources\\.a|ignored_sensors) = \
             (\"[a-z/*]{0,6}\"|\\[?\\{( ?(celsius|kelvin|present|source|why|cpu_model) = (\"[a-zé]{0,3}\"|-?[0-9]{1,19}|nan|inf|true),?){0,3} ?\\}\\]?)",
            0..8,
        )
    ) {
        let text = lines.join("\n");
        let _ = file::parse("generic/b", Path::new("b.toml"), &text);
    }

    #[test]
    fn no_names_panic(vendor in ".{0,9}", product in ".{0,9}", board in ".{0,9}", cpu in ".{0,9}") {
        let (catalogue, _) = load(&[("generic/a", "name = \"A\"\nmatch = [{ cpu_model = \"a*b*\" }, {}]")]);
        let (tuning, _) = catalogue.matching(&machine(&vendor, &product, &board, &cpu));
        prop_assert_eq!(tuning.profile, "generic/a");
    }
}
