//! `GET /certificate`: how to make a browser, a language or an editor trust the local authority.

/// The guide for a client that has called this machine `host`, with the fingerprint to compare.
pub(crate) fn guide(host: &str, fingerprint: &str) -> String {
    let (first, second) = fingerprint.split_at(fingerprint.len() / 2);
    let (first, second) = (first.trim_matches(':'), second.trim_matches(':'));
    format!(
        "\
Trusting this appliance
=======================

This machine made a certificate authority of its own on its first boot. Trust it once on each computer, and browsers and
programs there connect without warnings. It can vouch for nothing but machines at home: .local, .lan, .home.arpa,
.internal, localhost, this machine's own name and private addresses.

1. Get it

    curl -o hearth-ca.crt http://{host}/ca.crt

2. Compare it, for whoever stands between you and this machine could have changed the file

    openssl x509 -in hearth-ca.crt -noout -fingerprint -sha256

   must show what stands on the machine's console. \"ssh admin@{host} hearth tls\" shows it, too, if the host key that ssh
   asked about was the one on the console. This page says

    {first}:
    {second}

   but this page is only as trustworthy as the way it came to you.

3. Trust it

  Windows             certutil -user -addstore Root hearth-ca.crt
  macOS               security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db hearth-ca.crt
  Debian, Ubuntu      sudo cp hearth-ca.crt /usr/local/share/ca-certificates/ && sudo update-ca-certificates
  Fedora              sudo trust anchor hearth-ca.crt
  iPhone, iPad        open http://{host}/ca.crt in Safari; Settings, General, VPN & Device Management: install;
                      then Settings, General, About, Certificate Trust Settings: switch it on
  Android             Settings, search for \"CA certificate\", install it from the file

  Firefox             Settings, search for \"certificates\", View Certificates, Authorities, Import: for websites
  Chrome on Linux     chrome://certificate-manager, Local certificates, Custom, Trusted Certificates, Import
  Chrome, Edge, Safari elsewhere, and VS Code take what the system trusts; start them anew.

  curl                curl --cacert hearth-ca.crt https://{host}/v1/models
  Python              SSL_CERT_FILE=hearth-ca.crt python3 ask.py            (openai, httpx, urllib)
                      REQUESTS_CA_BUNDLE=hearth-ca.crt python3 ask.py       (requests)
  Node                NODE_EXTRA_CA_CERTS=hearth-ca.crt node ask.js
  VS Code extensions  start it from a terminal: NODE_EXTRA_CA_CERTS=hearth-ca.crt code
  hearth              hearth --ca hearth-ca.crt --host https://{host} status

A certificate of your own, from an authority that your computers trust already, makes all this unnecessary:

    hearth tls install certificate.pem key.pem

For a program that can take no certificate, \"hearth tls plain-http on\" has port 80 answer it, unencrypted: then anybody
on your network can read its token and what is said.
"
    )
}
