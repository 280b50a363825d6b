//! `hearth tls`.

use crate::{
    cli::{Switch, TlsCommand},
    client::Client,
    screen::{self, WARN, line},
};
use anyhow::{Context, bail};
use api::tls::{NewCertificate, PlainHttp, Source, Tls};
use std::{fs::File, io::Read, path::Path};

const TLS: &str = "/api/v1/tls";
const CERTIFICATE: &str = "/api/v1/tls/certificate";
const PLAIN_HTTP: &str = "/api/v1/tls/plain-http";
const AUTHORITY: &str = "/ca.crt";
/// The largest file that may hold a certificate or a key, in bytes: the gateway takes no more of both.
const LARGEST: u64 = 64 << 10;

/// What is sent: read before there is a runtime, as files may be pipes.
pub(crate) fn open(command: &TlsCommand) -> anyhow::Result<Option<NewCertificate>> {
    let TlsCommand::Install { certificate, key, .. } = command else {
        return Ok(None);
    };
    Ok(Some(NewCertificate {
        certificate: read(certificate)?,
        key: read(key)?,
    }))
}

fn read(path: &Path) -> anyhow::Result<String> {
    let named = || format!("cannot read {}", path.display());
    let mut text = String::new();
    let file = File::open(path).with_context(named)?;
    file.take(LARGEST + 1)
        .read_to_string(&mut text)
        .with_context(named)?;
    if text.len() as u64 > LARGEST {
        bail!(
            "{} is larger than {} KiB: no certificate is",
            path.display(),
            LARGEST >> 10
        );
    }
    Ok(text)
}

/// Shows or changes.
pub(crate) async fn tls(
    client: &Client,
    command: TlsCommand,
    new: Option<NewCertificate>,
) -> anyhow::Result<()> {
    let (tls, json): (Tls, bool) = match command {
        TlsCommand::Authority { json } => return authority(client, json).await,
        TlsCommand::Show { json } => (client.get(TLS).await?, json),
        TlsCommand::Install { json, .. } => (client.put(CERTIFICATE, serde_json::to_vec(&new)?).await?, json),
        TlsCommand::Remove { json } => (client.delete(CERTIFICATE).await?, json),
        TlsCommand::PlainHttp { state, json } => {
            let body = PlainHttp {
                enabled: state == Switch::On,
            };
            (client.put(PLAIN_HTTP, serde_json::to_vec(&body)?).await?, json)
        }
    };
    if json {
        return screen::json(&tls);
    }
    screen::print(&render(&tls))?;
    Ok(())
}

/// The text alone goes to standard output, so that it can be written to a file.
async fn authority(client: &Client, json: bool) -> anyhow::Result<()> {
    let pem = client.text(AUTHORITY).await?;
    if json {
        return screen::json(&serde_json::json!({ "certificate": pem }));
    }
    Ok(screen::print(&screen::harmless(&pem))?)
}

fn render(tls: &Tls) -> String {
    let (mut text, served) = (String::new(), &tls.certificate);
    let whose = match tls.source {
        Source::Local => "signed by this appliance's own authority; /certificate tells how to trust that",
        Source::Own => "your own",
    };
    line(&mut text, "Fingerprint", screen::one_line(&tls.fingerprint));
    line(&mut text, "Certificate", whose);
    line(&mut text, "Issuer", screen::one_line(&served.issuer));
    line(&mut text, "Names", screen::one_line(&served.names.join(", ")));
    let [begin, end] = [&served.not_before, &served.not_after].map(|time| screen::one_line(time));
    line(&mut text, "Valid", format!("{begin} to {end}"));
    let plain = if tls.plain_http {
        format!("{WARN}on: who listens on the network reads tokens, questions and answers{WARN:#}")
    } else {
        "off: port 80 only sends browsers on".to_owned()
    };
    line(&mut text, "Plain HTTP", plain);
    if let Some(problem) = &tls.own_problem {
        let problem = screen::one_line(problem);
        text.push_str(&format!(
            "\n{WARN}warning:{WARN:#} your own certificate is not served: {problem}\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::tls::Certificate;

    #[test]
    fn what_is_served_and_what_is_wrong_is_shown() {
        let certificate = Certificate {
            sha256: "AB".to_owned(),
            subject: "CN=hearth.local".to_owned(),
            issuer: "CN=Hearth authority\u{1b}[2J".to_owned(),
            names: vec!["hearth.local".to_owned(), "192.168.1.5".to_owned()],
            not_before: "2026-01-01T00:00:00Z".to_owned(),
            not_after: "2027-01-01T00:00:00Z".to_owned(),
        };
        let mut tls = Tls {
            fingerprint: "CD".to_owned(),
            source: Source::Local,
            certificate: certificate.clone(),
            authority: certificate,
            own_problem: None,
            plain_http: false,
        };
        let plain = |tls: &Tls| anstream::adapter::strip_str(&render(tls)).to_string();
        let shown = plain(&tls);
        assert!(
            shown.contains("Fingerprint  CD\n") && shown.contains("hearth.local, 192.168.1.5"),
            "{shown}"
        );
        assert!(
            shown.contains("off") && !shown.contains('\u{1b}') && !shown.contains("warning"),
            "{shown}"
        );
        (tls.own_problem, tls.plain_http) = (Some("it ended".to_owned()), true);
        let shown = plain(&tls);
        assert!(
            shown.contains("not served: it ended") && shown.contains("on: who listens"),
            "{shown}"
        );
    }
}
