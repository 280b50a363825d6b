//! Debian's mirrors as this machine's own apt is set up to use them (sources.list(5)), so that none is named in the
//! recipe and what reaches the network is what its administrator chose.

use std::fs;
use std::path::Path;

use crate::host::Host;

/// Where Debian's packages come from. `None`: leave it to the tool's own default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mirrors {
    /// The main archive.
    pub(crate) main: Option<String>,
    /// The security archive.
    pub(crate) security: Option<String>,
}

/// One entry of binary packages in apt's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Source {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: String,
}

impl Mirrors {
    /// Reads `etc/apt` below `root`. On a host that is not Debian both are `None`.
    pub(crate) fn of_host(root: &Path, host: &Host) -> Self {
        if host.id != "debian" {
            return Self::default();
        }
        Self::choose(&read_sources(&root.join("etc/apt")), &host.codename)
    }

    fn choose(sources: &[Source], codename: &str) -> Self {
        let main = sources.iter().filter(|source| source.is_main(codename)).rev();
        let main = main.max_by_key(|source| source.likeness(codename));
        let security = sources.iter().find(|source| source.is_security());
        Self {
            main: main.and_then(Source::uri),
            security: security.and_then(Source::uri),
        }
    }
}

impl Source {
    /// The first address that a bootstrap can use too: no CD, no mirror list.
    fn uri(&self) -> Option<String> {
        let usable = |uri: &&String| uri.starts_with("http://") || uri.starts_with("https://");
        self.uris
            .iter()
            .find(usable)
            .map(|uri| uri.trim_end_matches('/').to_owned())
    }

    fn has_suite(&self, suite: &str) -> bool {
        self.suites.iter().any(|own| own == suite)
    }

    fn is_main(&self, codename: &str) -> bool {
        let suites = [codename, "stable", "testing", "unstable", "sid"];
        let named = suites
            .iter()
            .any(|suite| !suite.is_empty() && self.has_suite(suite));
        named && self.components.iter().any(|component| component == "main") && self.uri().is_some()
    }

    fn is_security(&self) -> bool {
        let suite = |suite: &String| suite.ends_with("-security") || suite.ends_with("/updates");
        self.suites.iter().any(suite) && self.uri().is_some()
    }

    /// How much this looks like Debian's own archive: other publishers also offer a component `main` for a suite of
    /// the same name.
    fn likeness(&self, codename: &str) -> usize {
        let path_is_debian = self.uri().is_some_and(|uri| uri.ends_with("/debian"));
        let signed_by_debian = self.signed_by.is_empty() || self.signed_by.contains("debian-archive-keyring");
        let has_updates = self.has_suite(&format!("{codename}-updates"));
        [path_is_debian, signed_by_debian, has_updates]
            .into_iter()
            .filter(|yes| *yes)
            .count()
    }
}

/// Reads every source below apt's folder, in apt's order. A file that cannot be read counts as absent: a password
/// may be in it, and then it is not Debian's public archive.
fn read_sources(apt: &Path) -> Vec<Source> {
    let mut files = vec![apt.join("sources.list")];
    let parts = fs::read_dir(apt.join("sources.list.d"))
        .into_iter()
        .flatten()
        .flatten();
    let mut parts: Vec<_> = parts.map(|entry| entry.path()).collect();
    parts.sort();
    files.append(&mut parts);
    let mut sources = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => sources.extend(text.lines().filter_map(parse_line)),
            Some("sources") => sources.extend(parse_deb822(&text)),
            _ => {}
        }
    }
    sources
}

/// Parses one line in one-line style: `deb [ options ] uri suite component…`.
fn parse_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim().strip_prefix("deb")?;
    let line = line.strip_prefix([' ', '\t'])?.trim_start();
    let (options, rest) = match line.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => ("", line),
    };
    let signed_by = options
        .split_whitespace()
        .find_map(|option| option.strip_prefix("signed-by="));
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Source {
        uris: vec![words.next()?],
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by: signed_by.unwrap_or_default().to_owned(),
    })
}

/// Parses the paragraphs of a deb822-style file.
fn parse_deb822(text: &str) -> Vec<Source> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines
        .split(|line| line.trim().is_empty())
        .filter_map(parse_paragraph)
        .collect()
}

fn parse_paragraph(lines: &[&str]) -> Option<Source> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        match (line.starts_with([' ', '\t']), fields.last_mut()) {
            (true, Some((_, value))) => {
                value.push(' ');
                value.push_str(line.trim());
            }
            (true, None) => return None,
            (false, _) => {
                let (name, value) = line.split_once(':')?;
                fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
    }
    let field = |name: &str| {
        fields
            .iter()
            .find(|(own, _)| own == name)
            .map_or("", |(_, value)| value.as_str())
    };
    let words = |name: &str| {
        field(name)
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let enabled = !["no", "false", "off", "0"].contains(&field("enabled").to_ascii_lowercase().as_str());
    (enabled && words("types").iter().any(|kind| kind == "deb")).then(|| Source {
        uris: words("uris"),
        suites: words("suites"),
        components: words("components"),
        signed_by: field("signed-by").to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirrors(files: &[(&str, &str)]) -> Mirrors {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc/apt/sources.list.d")).unwrap();
        for (name, text) in files {
            fs::write(root.path().join("etc/apt").join(name), text).unwrap();
        }
        Mirrors::of_host(
            root.path(),
            &Host::parse("ID=debian\nVERSION_CODENAME=bookworm\n"),
        )
    }

    fn expect(main: &str, security: &str) -> Mirrors {
        let some = |uri: &str| (!uri.is_empty()).then(|| uri.to_owned());
        Mirrors {
            main: some(main),
            security: some(security),
        }
    }

    #[test]
    fn the_container_images_deb822_file() {
        let text = "Types: deb\n# http://snapshot.example/archive/debian/20250520T000000Z\n\
            URIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n\
            Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\nTypes: deb\n\
            URIs: http://mirror.example/debian-security\nSuites: bookworm-security\nComponents: main\n";
        let found = mirrors(&[("sources.list.d/debian.sources", text)]);
        assert_eq!(
            found,
            expect(
                "http://mirror.example/debian",
                "http://mirror.example/debian-security"
            )
        );
    }

    #[test]
    fn the_installers_one_line_file() {
        let text = "# deb cdrom:[Debian GNU/Linux 12.0.0 _Bookworm_ - Official amd64 NETINST]/ bookworm main\n\n\
            deb http://ftp.example/debian/ bookworm main non-free-firmware\n\
            deb-src http://src.example/debian/ bookworm main\n\
            deb http://security.example/debian-security bookworm-security main # fixes\n\
            deb http://ftp.example/debian/ bookworm-updates main\n";
        let found = mirrors(&[("sources.list", text)]);
        assert_eq!(
            found,
            expect(
                "http://ftp.example/debian",
                "http://security.example/debian-security"
            )
        );
    }

    #[test]
    fn another_publishers_suite_of_the_same_name_is_not_the_archive() {
        let vendor = "deb [arch=amd64,arm64 signed-by=/usr/share/keyrings/vendor.gpg] \
            https://packages.example/debian/12/prod bookworm main\n";
        let debian =
            "Types: deb deb-src\nURIs: https://mirror.example/debian\nSuites: bookworm\nComponents: main\n";
        let found = mirrors(&[
            ("sources.list.d/a-vendor.list", vendor),
            ("sources.list.d/z.sources", debian),
        ]);
        assert_eq!(found.main.as_deref(), Some("https://mirror.example/debian"));
    }

    #[test]
    fn disabled_foreign_and_broken_entries_are_left_out() {
        let text = "Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\n\n\
            Types: deb-src\nURIs: http://src.example/debian\nSuites: bookworm\nComponents: main\n\n\
            \x20orphan continuation\n\nTypes: deb\nURIs: file:/srv/debian\nSuites: bookworm\nComponents: main\n";
        assert_eq!(mirrors(&[("sources.list.d/x.sources", text)]), Mirrors::default());
        assert_eq!(
            mirrors(&[(
                "sources.list",
                "deb\ndeb http://x\ndebris http://x bookworm main\n"
            )]),
            expect("", "")
        );
    }

    #[test]
    fn fields_may_go_on_and_carry_a_key() {
        let text = "types: deb\nuris:\n cdrom:[Debian]/\n http://mirror.example/debian/\nsuites: stable\n\
            components: contrib\n main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF\n";
        assert_eq!(
            mirrors(&[("sources.list.d/x.sources", text)]).main.as_deref(),
            Some("http://mirror.example/debian")
        );
    }

    #[test]
    fn a_host_that_is_not_debian_leaves_it_to_the_tools() {
        let host = Host::parse("ID=ubuntu\nVERSION_CODENAME=noble\n");
        assert_eq!(Mirrors::of_host(Path::new("/"), &host), Mirrors::default());
    }
}
