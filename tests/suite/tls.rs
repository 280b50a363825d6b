//! The gateway's certificate, as others' programs see it.

use std::process::Command;

use anyhow::{Result, ensure};
use api::tls::{Source, Tls};
use tests::client::{Client, Trust};
use tests::host::HostStack;
use tests::process::output;

use crate::models::with_tiny;

/// OpenSSL's own client, which believes the stack's authority and nobody else, connected to it by TLS. Its standard input is
/// empty, so it hangs up after the handshake.
fn openssl(stack: &HostStack, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &stack.address().to_string(), "-CAfile"]);
    command.arg(stack.authority());
    command
        .args(["-x509_strict", "-verify_return_error", "-brief"])
        .args(arguments);
    let output = command.stdin(std::process::Stdio::null()).output()?;
    let words = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let words = words.concat();
    ensure!(output.status.success(), "openssl {arguments:?}: {words}");
    Ok(words)
}

#[test]
fn openssl_believes_it_for_its_names_and_addresses_and_no_others() -> Result<()> {
    with_tiny(256, 4, |stack| {
        let host = output(&mut Command::new("hostname"))?;
        let host = host.trim().split('.').next().unwrap_or_default().to_lowercase();
        let local = format!("{host}.local");
        let good = [
            ["-verify_hostname", &local],
            ["-verify_hostname", &host],
            ["-verify_hostname", "localhost"],
            ["-verify_ip", "127.0.0.1"],
            ["-verify_ip", "::1"],
        ];
        for arguments in good {
            let words = openssl(stack, &arguments)?;
            ensure!(words.contains("Verification: OK"), "{arguments:?}: {words}");
        }
        for arguments in [["-verify_hostname", "example.com"], ["-verify_ip", "192.0.2.1"]] {
            ensure!(openssl(stack, &arguments).is_err(), "{arguments:?} was believed");
        }
        for version in ["-tls1_2", "-tls1_3"] {
            openssl(stack, &[version])?;
        }
        // At the security level that still knows them.
        for version in ["-tls1", "-tls1_1"] {
            let old = openssl(stack, &[version, "-cipher", "DEFAULT@SECLEVEL=0"]);
            let words = format!("{:?}", old.err());
            ensure!(words.contains(" alert "), "{version}: {words}");
        }
        Ok(())
    })
}

#[test]
fn the_fingerprint_that_the_appliance_tells_is_what_a_stranger_needs() -> Result<()> {
    with_tiny(256, 4, |stack| {
        let home = tempfile::tempdir()?;
        let stranger = |arguments: &[&str]| -> Result<Command> {
            let mut hearth = stack.hearth()?;
            hearth.args(["--host", &stack.url()]).args(arguments);
            hearth.env_remove("HEARTH_CA").env("HEARTH_TOKEN", stack.token());
            hearth.env("HOME", home.path()).env_remove("XDG_CONFIG_HOME");
            Ok(hearth)
        };
        let mut local = stack.hearth()?;
        local.arg("--socket").arg(stack.local_socket());
        let tls: Tls = serde_json::from_str(&output(local.args(["tls", "--json"]))?)?;
        let refused = stranger(&["status"])?.output()?;
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        ensure!(
            refused.status.code() == Some(1) && words.contains(&tls.fingerprint),
            "{words}"
        );
        output(&mut stranger(&["--fingerprint", &tls.fingerprint, "status"])?)?;
        let screen = output(&mut stranger(&["status"])?)?;
        ensure!(screen.contains(&tls.fingerprint), "{screen}");
        Ok(())
    })
}

#[test]
fn a_certificate_by_openssl_is_installed_and_removed_by_the_command() -> Result<()> {
    with_tiny(256, 4, |stack| {
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| stack.folder().join(name));
        let mut make = Command::new("openssl");
        make.args([
            "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "2", "-subj", "/CN=box",
        ]);
        make.args(["-addext", "subjectAltName=DNS:box.example", "-keyout"])
            .arg(&key);
        output(make.arg("-out").arg(&certificate))?;
        let hearth = |arguments: &[&std::ffi::OsStr]| -> Result<Tls> {
            let mut hearth = stack.hearth()?;
            hearth
                .arg("--socket")
                .arg(stack.local_socket())
                .args(["tls"])
                .args(arguments);
            Ok(serde_json::from_str(&output(hearth.arg("--json"))?)?)
        };
        let own = hearth(&["install".as_ref(), certificate.as_ref(), key.as_ref()])?;
        ensure!(
            own.source == Source::Own && own.certificate.names == ["box.example"],
            "{own:?}"
        );
        // Somebody new: who was here before goes on by the ticket of that time.
        let authority = std::fs::read_to_string(stack.authority())?;
        let stranger = Client::tls(stack.address(), &Trust::in_authority(&authority)?);
        ensure!(
            stranger.get("/api/v1/health").is_err(),
            "another certificate is believed"
        );
        ensure!(hearth(&["remove".as_ref()])?.source == Source::Local);
        stranger.get("/api/v1/health")?;
        Ok(())
    })
}

#[test]
fn a_token_in_the_clear_is_refused_until_that_is_allowed() -> Result<()> {
    with_tiny(256, 4, |stack| {
        let plain = stack.plain_client().with_token(stack.token());
        plain.get("/v1/models")?.expect(403)?;
        plain.get("/chat")?.expect(403)?;
        let page = stack.plain_client().get("/chat")?.expect(308)?;
        let wanted = format!("https://hearth.test:{}/chat", stack.address().port());
        ensure!(page.header("location") == Some(&wanted), "{page:?}");
        let mut hearth = stack.hearth()?;
        hearth.arg("--socket").arg(stack.local_socket());
        output(hearth.args(["tls", "plain-http", "on"]))?;
        plain.get("/v1/models")?.expect(200)?;
        Ok(())
    })
}
