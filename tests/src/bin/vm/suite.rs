//! `vm test`: boots of one disk, and everything that must hold in them: the first as an owner's, the second in a simulated
//! machine whose heat ends it, the third to tell why, with the disk as a stick that copies itself to another, from which the
//! fourth is.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use api::rest::TokenList;
use image::flash::Token;
use tests::oracle::Answer;
use tests::python::OpenAi;
use tests::questions::QUESTIONS;
use tests::report::{Report, say, seconds};
use tests::vm::{DISK, Drive, Keys, Machine, Setup, token_on};

use crate::checks::disk::{Identity, layout, root_is_verified};
use crate::checks::{
    access, answers, bus, engine, life, management, memory, models, recovery, sandbox, settled, setup, tls,
};
use crate::faults;
use crate::guest::Guest;
use crate::install;
use crate::parts::Parts;
use crate::thermal::{self, Wanted};

/// Most tokens of an answer.
const TOKENS: u32 = 24;

/// A check on a running guest.
type Check = fn(&mut Guest) -> Result<String>;

/// Those of the first boot that need nothing but the guest, in their order: the engine must not be stopped before it has
/// been looked at.
const FIRST: [(&str, Check); 44] = [
    (
        "no unit is more exposed than it may be",
        sandbox::units_are_hardened,
    ),
    ("no unit has failed", settled::no_failed_units),
    (
        "tokens open the door, others do not",
        access::tokens_open_the_door,
    ),
    ("hearth.toml is applied and answered", setup::is_applied),
    (
        "wrong files are answered with line and reason",
        setup::wrong_files_are_answered,
    ),
    (
        "a fixed address of hearth.toml is kept where the router answers",
        setup::good_address_is_kept,
    ),
    ("a bad one over REST comes back", setup::bad_address_comes_back),
    (
        "name, address and clock over REST, and what follows the name",
        setup::over_rest,
    ),
    (
        "who looks at what is set fills no journal",
        setup::looks_leave_no_line,
    ),
    (
        "a reset that was cut off is taken back",
        setup::reset_of_another_gateway_is_taken_back,
    ),
    ("root cannot log in", access::root_is_refused),
    ("passwords are not taken", access::passwords_are_refused),
    ("SSH offers modern algorithms alone", access::ssh_is_modern),
    (
        "the SSH host key's fingerprint is on the console",
        access::host_key_on_the_console,
    ),
    (
        "the machine's address is on the console, once there is one",
        settled::address_on_the_console,
    ),
    ("admin has root's rights by sudo alone", access::admin_needs_sudo),
    ("a login shows how the appliance is", access::login_shows_health),
    ("the disk has its final layout", layout),
    ("the root is verified", root_is_verified),
    ("hearth.local is announced", settled::name_on_the_network),
    (
        "the certificate's fingerprint is on the console",
        tls::fingerprint_on_the_console,
    ),
    (
        "the certificate is for the address, too",
        tls::certificate_has_the_address,
    ),
    ("nobody else reads the gateway's keys", tls::keys_are_private),
    ("a token is refused without TLS", tls::plain_http_keeps_tokens_out),
    ("no other port is open", tls::open_ports),
    (
        "the journal is read through the gateway",
        management::journal_is_read,
    ),
    ("figures for Prometheus", management::metrics_are_told),
    ("samples come as events", management::events_come),
    (
        "the page and its interface's description",
        management::page_is_served,
    ),
    ("hearth status over SSH", answers::status_over_ssh),
    ("everyone may read on the bus", bus::everyone_may_read),
    (
        "only root and the gateway may change on the bus",
        bus::only_root_may_change,
    ),
    (
        "no name resolves and no packet leaves inferd's sandbox",
        sandbox::inferd_has_no_network,
    ),
    (
        "no name resolves and no packet leaves the import service's",
        sandbox::import_has_no_network,
    ),
    (
        "inferd's network namespace is empty",
        sandbox::inferds_namespace_is_empty,
    ),
    (
        "hearthd holds no network socket",
        sandbox::hearthd_has_no_network_socket,
    ),
    ("no daemon has a capability", sandbox::capabilities),
    ("memory of each daemon", memory::daemons),
    (
        "the engine knows its limit of memory",
        memory::engine_knows_its_limit,
    ),
    ("the model lies on the root uncompressed", models::lies_as_it_is),
    ("the engine's memory is the model's own pages", models::is_mapped),
    ("how long loading took", models::load_time),
    ("inferd killed after 3 tokens", |guest| {
        recovery::engine_killed(guest, 3)
    }),
    ("inferd killed after 1 token", |guest| {
        recovery::engine_killed(guest, 1)
    }),
];

/// Runs all boots' checks; evidence is kept if one fails.
pub(crate) fn run(parts: &Parts, report: &mut Report) -> Result<()> {
    let (mut setup, _) = parts.flashed(String::new(), None)?;
    if let Err(error) = boots(parts, &mut setup, report) {
        report.record("the run goes to its end", Duration::ZERO, Err(error));
    }
    if !report.failures().is_empty() {
        setup.keep();
        say(&format!("evidence is in {}", setup.folder().display()));
    }
    Ok(())
}

fn boots(parts: &Parts, setup: &mut Setup, report: &mut Report) -> Result<()> {
    let expected = parts.oracle(&[QUESTIONS[0].wordings[0]], TOKENS)?;
    let expected = expected.first().context("the oracle is silent")?;
    say("first boot: a flashed disk with a key on CONFIG, and no token given");
    let mut guest = first_boot(setup, expected, report)?;
    first_checks(parts, &mut guest, expected, report);
    collect_if_failed(&mut guest, report);
    let before = Identity::read(&mut guest)?;
    let token = guest.token.clone();
    report.check("a graceful reboot", || Ok(seconds(guest.machine.reboot()?)));
    say(
        "second boot of the same disk, in a simulated machine: keys, tokens and a name by credentials and a cidata drive",
    );
    let wanted = Wanted::all();
    setup.simulate(wanted.seed());
    let guest = second_boot(setup, &token, &before, report)?;
    install::prepare(setup)?;
    let (_figures, guest) = thermal::play(parts, setup, guest, &wanted, report)?;
    install::run(setup, guest, report)
}

/// Boots without any token, so that the appliance makes one.
fn first_boot(setup: &Setup, expected: &Answer, report: &mut Report) -> Result<Guest> {
    let mut machine = need(report, "it boots", || setup.boot(&[]), answered)?;
    let console = "the first token is on the console";
    let token = need(report, console, || machine.wait_for_token(), |_| String::new())?;
    let mut guest = Guest { machine, token };
    report.check("the first question is answered", || {
        let time = answers::first_token(&mut guest, expected)?;
        Ok(format!(
            "first token {} after QEMU's start ({}), {} after the request",
            seconds(time.since_start),
            answers::FORMERLY,
            seconds(time.since_request)
        ))
    });
    Ok(guest)
}

fn first_checks(parts: &Parts, guest: &mut Guest, expected: &Answer, report: &mut Report) {
    report.check("a question to the loaded model", || {
        answers::first_token_again(guest, expected)
    });
    report.check("a greedy answer over REST is the host's own", || {
        answers::over_rest(guest, expected)
    });
    report.check("hearth ask over SSH says the same", || {
        answers::over_ssh(guest, expected)
    });
    report.check("OpenAI's client says the same", || {
        answers::openai_agrees(guest, &OpenAi::ensure(&parts.paths)?, expected)
    });
    for (name, check) in FIRST {
        report.check(name, || check(guest));
    }
    report.check("inferd killed after 9 tokens", || {
        recovery::engine_killed(guest, 9)
    });
    report.check("a model on the partition for models", || {
        models::on_its_partition(guest, expected)
    });
    report.check("a model comes over SSH, answers and goes", || {
        models::comes_over_ssh(guest)
    });
    for (name, fault) in faults::QUICK {
        report.check(name, || faults::check(guest, fault));
    }
    report.check("hearth engine limits, stops and starts it", || {
        engine::obeys_an_administrator(guest)
    });
    report.check(
        "an idle engine ends, its socket stays, and a request wakes it",
        || life::sleeps_and_wakes(guest, expected),
    );
    report.check("memory runs out", || memory::runs_out(guest, expected));
    report.check("memory of the idle guest", || memory::idle(guest));
    report.check("a limit of the engine is set, to outlive the boot", || {
        engine::is_limited(guest)
    });
}

/// Boots with other means of access, to show that they work too and that what was made has stayed.
fn second_boot(setup: &mut Setup, first: &str, before: &Identity, report: &mut Report) -> Result<Guest> {
    let [keys, of_cidata] = ["other-key", "cidata-key"].map(|name| Keys::make(setup.folder(), name));
    let (keys, of_cidata) = (keys?, of_cidata?);
    let cidata = Drive::internal("cidata.raw");
    setup.make_drive(&cidata, &setup::cidata(&of_cidata)?)?;
    setup.set_drives(vec![Drive::internal(DISK), cidata]);
    let (given, settled) = (Token::new()?, Token::new()?);
    let hash = settled.hash_line();
    let credentials = [
        keys.credential(),
        ("hearth.token-hashes".to_owned(), given.hash_line()),
        (
            "hearth.toml".to_owned(),
            format!("[access]\ntoken_hashes = [\"{}\"]\n", hash.trim_end()),
        ),
    ];
    let machine = need(report, "it boots again", || setup.boot(&credentials), answered)?;
    let mut guest = Guest {
        machine,
        token: first.to_owned(),
    };
    report.check("a key given as a credential lets admin in", || {
        let name = guest.machine.ssh_with(&keys)?.run("id --name --user")?;
        Ok(name.trim().to_owned())
    });
    for (name, token) in [
        ("a token whose hash is a credential opens the door", &given),
        ("so does one of a hearth.toml that is a credential", &settled),
    ] {
        report.check(name, || {
            let client = guest.machine.client().with_token(&token.text);
            let list: TokenList = client.get("/api/v1/tokens")?.expect(200)?.json()?;
            Ok(format!("{} tokens known", list.tokens.len()))
        });
    }
    report.check("a cidata drive gives a name and a key", || {
        setup::cidata_is_applied(&mut guest, &of_cidata)
    });
    what_was_made_has_stayed(&mut guest, before, report);
    collect_if_failed(&mut guest, report);
    Ok(guest)
}

fn what_was_made_has_stayed(guest: &mut Guest, before: &Identity, report: &mut Report) {
    report.check(
        "the first token is still good, and no second one was made",
        || {
            guest.client().get("/api/v1/tokens")?.expect(200)?;
            ensure!(
                token_on(&guest.machine.console()?).is_none(),
                "another token is on the console"
            );
            Ok(String::new())
        },
    );
    report.check("the machine knows itself again", || {
        Identity::read(guest)?.same_as(before)
    });
    report.check("no unit has failed in the second boot", || {
        settled::no_failed_units(guest)
    });
    report.check("the engine has the limit that was set before the boot", || {
        engine::is_still_limited(guest)
    });
    report.check("the first boot ended in order", || {
        settled::last_boot_ended_in_order(guest)
    });
}

/// When the gateway answered.
fn answered(machine: &Machine) -> String {
    format!(
        "the gateway answers {} after QEMU's start",
        seconds(machine.answered())
    )
}

/// Does what the rest depends on, counts it as a check of its own, and hands on what it gave.
fn need<T>(
    report: &mut Report,
    name: &str,
    work: impl FnOnce() -> Result<T>,
    note: impl FnOnce(&T) -> String,
) -> Result<T> {
    let start = Instant::now();
    let value = work().with_context(|| name.to_owned())?;
    report.record(name, start.elapsed(), Ok(note(&value)));
    Ok(value)
}

fn collect_if_failed(guest: &mut Guest, report: &Report) {
    if report.failures().is_empty() {
        return;
    }
    if let Err(error) = guest.machine.collect_evidence() {
        say(&format!("the guest cannot be asked for evidence: {error:#}"));
    }
}
